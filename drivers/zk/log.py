"""The attendance log of a terminal: read whole, or prepared and read in parts."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from attendance.errors import RemoteProtocolError, Unsupported
from attendance.punch import BadRecord, RawPunch
from drivers.zk.commands import Command
from drivers.zk.dialogue import Dialogue
from drivers.zk.layouts import LogEvidence, choose_log_layout
from drivers.zk.people import People
from drivers.zk.prepared import HEAD_BYTES, ZkPreparedLog, check_head
from drivers.zk.records import MIXED, PREFIX_BYTES, LogLayout, Names, unpack_log
from drivers.zk.tables import Tables, known, told

EARLIEST_NOW: Final = datetime(2026, 1, 1)
"""A host whose clock shows less has not set it yet: it cannot say what lies in the future."""


class AttendanceLog:
    """The log of one session's terminal. `zone` is where the terminal stands."""

    def __init__(self, dialogue: Dialogue, tables: Tables, people: People, zone: ZoneInfo) -> None:
        self._dialogue = dialogue
        self._tables = tables
        self._people = people
        self._zone = zone

    def read(self) -> Iterator[RawPunch | BadRecord]:
        """Every record; the transfer is over when this returns."""
        before = self._tables.sizes().records
        records, direct = self._tables.read(Command.ATTLOG_READ, 0, told(before))
        counts = known(before, self._tables.sizes().records)
        if not records:
            self._check_empty(counts)
            return iter(())
        evidence = LogEvidence(records=records, total_bytes=len(records), counts=counts, now=self._now())
        layout = choose_log_layout(evidence, counts_suffice=not direct)
        self._tables.layouts["log"] = layout.name
        return unpack_log(records, layout, self._pins_for(layout))

    @contextmanager
    def prepared(self) -> Iterator[ZkPreparedLog]:
        """The log, held ready while the block lasts."""
        try:
            yield self._prepare()
        finally:
            self._tables.release()

    def _prepare(self) -> ZkPreparedLog:
        before = self._tables.sizes().records
        offer = self._tables.offer_log(told(before))
        counts = known(before, self._tables.sizes().records)
        head = self._tables.part(offer, 0, min(HEAD_BYTES, offer.length))
        with self._dialogue.watched():
            records = check_head(head, offer.length)
        if not records:
            self._check_empty(counts)
            return ZkPreparedLog(length=offer.length, layout=None, read_range=bytes_of_nothing, pins={})
        layout = self._layout_of_head(records, offer.length, counts)
        pins = self._pins_for(layout)
        if layout.names is Names.UID:
            # The terminal holds one table at a time: reading the users dropped the log.
            length = offer.length
            offer = self._tables.offer_log(told(before))
            if offer.length != length:
                raise Unsupported("the log grew while it was prepared; read it whole")
        kept = offer
        return ZkPreparedLog(
            length=offer.length,
            layout=layout,
            read_range=lambda start, size: self._tables.part(kept, start, size),
            pins=pins,
        )

    def _layout_of_head(self, head: bytes, length: int, counts: Collection[int]) -> LogLayout:
        total = length - PREFIX_BYTES
        evidence = LogEvidence(records=head, total_bytes=total, counts=counts, now=self._now())
        layout = choose_log_layout(evidence)
        if layout is MIXED or (layout.names is Names.UID and not evidence.fits(total // layout.record_bytes)):
            raise Unsupported("this log may have records of 4 and of 8 bytes; it is read whole")
        self._tables.layouts["log"] = layout.name
        return layout

    def _pins_for(self, layout: LogLayout) -> Mapping[int, str]:
        """User ids by uid, read anew, where the layout names uids."""
        return self._people.read_pins() if layout.names is Names.UID else {}

    def _check_empty(self, counts: Collection[int]) -> None:
        with self._dialogue.watched():
            if 0 not in counts:
                said = " or ".join(map(str, counts)) or "no number of"
                raise RemoteProtocolError(f"the terminal counts {said} records and gives an empty log")

    def _now(self) -> datetime | None:
        """The wall time where the terminal stands."""
        now = datetime.now(UTC).astimezone(self._zone).replace(tzinfo=None)
        return now if now >= EARLIEST_NOW else None


def bytes_of_nothing(_start: int, _size: int) -> bytes:
    """What a log without records gives."""
    return b""
