"""How much of a terminal's log a poll reads: nothing, its end, or all of it as proof.

Never a cursor by time. The end is read from the record where the last read ended, and only while the records
before that are, by their digest, the ones that were read; anything else means a whole read.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from hashlib import sha256
from itertools import islice
from typing import Final, Literal
from zoneinfo import ZoneInfo

from attendance.errors import Unsupported
from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes
from attendance.timekeeping import OffsetAt, Offsets
from daemon.keeper import Keeper
from drivers.base import CanListen, CanReadTail, PreparedLog, Session
from drivers.zk.layouts import UnknownLayout
from sync.entry import MAX_RAW_BYTES
from sync.outbox import TerminalMemory

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(minutes=15)
"""A log whose count has not moved is still looked at this often: a count can lie."""

PROOF_SPREAD: Final = timedelta(hours=2)
"""The daily whole read comes within this time after midnight, for each terminal at its own moment."""

OVERLAP: Final = 16
"""Records before the known end whose digest shows that the log is still the one that was read."""

FAR_OFF: Final = timedelta(days=366)
"""A clock that is further off covers nothing."""

_END_BYTES: Final = MAX_RAW_BYTES // 2
_EVIDENCE_OF: Final = "evidence_of_layout"
_SERIAL_TOLD: Final = "serial_told"

PAGE: Final = 1600
"""Records read and made durable at a time; live punches that came meanwhile go in between."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What one contact with a terminal showed. `clock` is its clock's history, measured just now."""

    identity: Identity
    sizes: Sizes
    clock: Offsets
    at: datetime

    @property
    def offset_s(self) -> float | None:
        """The terminal's time minus the host's in seconds; None where its clock shows no date."""
        return self.clock.last.offset_s if self.clock.last else None


class Reader:
    """Reads one terminal's log into its keeper. `id_` spreads the daily proof; `zone` has its midnight.

    `mode` says whether only the log's end could be read when it was last read; None before.
    """

    def __init__(self, id_: str, zone: ZoneInfo, keeper: Keeper) -> None:
        self._id = id_
        self._zone = zone
        self._keeper = keeper
        self._no_tail_told = False
        self.mode: Literal["tail", "whole"] | None = None

    def read(self, session: Session, contact: Contact, started: datetime, *, whole: bool = False) -> int:
        """Read what this poll has to; how many entries were new. Raises DeviceError, OutboxError.

        Of a log that nobody can read its ends are kept as evidence, before UnknownLayout is raised.
        """
        try:
            return self._read(session, contact, started, whole=whole)
        except UnknownLayout as error:
            self._keep_evidence(contact, error)
            raise

    def _read(self, session: Session, contact: Contact, started: datetime, *, whole: bool) -> int:
        memory = self._keeper.recall()
        if memory is not None and memory.serial != contact.identity.serial:
            self._tell_serial(memory.serial, contact)
            memory = None
        moved = _moved(contact.sizes, memory)
        if isinstance(session, CanReadTail):
            whole = whole or memory is None or self.proof_due(memory.last_full_read_at, started)
            if not (whole or moved or _long_ago(memory, started)):
                return 0
            try:
                with session.prepare_log() as log:
                    return self._read_prepared(session, log, _Task(contact, memory, started, whole=whole))
            except Unsupported as error:
                self._tell_no_tail(error)
        if not (whole or moved or _long_ago(memory, started)):
            return 0
        return self._read_whole(session, _Task(contact, memory, started, whole=True))

    def proof_due(self, last: datetime | None, now: datetime) -> bool:
        """Whether the day's whole read is still to come: one after each local midnight."""
        if last is None:
            return True
        share = int.from_bytes(sha256(self._id.encode()).digest()[:4]) / 2**32
        today = now.astimezone(self._zone).date()
        boundary = datetime.combine(today, time(), self._zone) + PROOF_SPREAD * share
        return now - last >= timedelta(days=1) or last < boundary <= now

    def take_arrived(self, session: Session, contact: Contact) -> None:
        """Make durable what a live terminal told while something else was read."""
        if isinstance(session, CanListen):
            for item in session.arrived():
                self._keeper.keep(contact.identity.serial, [item], contact.clock.now)

    def _read_prepared(self, session: Session, log: PreparedLog, task: "_Task") -> int:
        first = 0 if task.whole else self._known_part(log, task)
        offset_at = task.offset_at(from_start=first == 0)
        new = 0
        for start in range(first, log.records, PAGE):
            page = log.read(start, min(start + PAGE, log.records))
            new += self._keeper.keep(task.serial, page, offset_at)
            self.take_arrived(session, task.contact)
        self.mode = "tail"
        digest = log.digest(max(0, log.records - OVERLAP), log.records).hex()
        self._conclude(task, log.records, digest, from_start=first == 0)
        return new

    def _known_part(self, log: PreparedLog, task: "_Task") -> int:
        """How many records at the log's start are those that were read before; 0 if that cannot be shown."""
        memory = task.memory
        if memory is None or not memory.tail_digest or memory.records == 0:
            return 0
        if log.records >= memory.records:
            overlap = log.digest(max(0, memory.records - OVERLAP), memory.records)
            if overlap.hex() == memory.tail_digest:
                return memory.records
        _log.info(
            "terminal %s: the log is not the one that was read (cleared, overwritten or renumbered); "
            "it is read whole",
            self._id,
            extra={"action": "log_changed", "terminal": self._id},
        )
        if log.records >= memory.records and not _full(task.contact.sizes):
            self._tell(
                task.contact,
                EventKind.LOG_CHANGED,
                f"the first {memory.records} records are not the ones that were read: "
                "cleared and filled again, put back from a backup, or renumbered",
            )
        return 0

    def _read_whole(self, session: Session, task: "_Task") -> int:
        items: Iterator[RawPunch | BadRecord] = iter(session.read_log())
        total = new = 0
        while page := list(islice(items, PAGE)):
            new += self._keeper.keep(task.serial, page, task.offset_at(from_start=True))
            total += len(page)
            self.take_arrived(session, task.contact)
        self.mode = "whole"
        self._conclude(task, total, "", from_start=True)
        return new

    def _conclude(self, task: "_Task", records: int, digest: str, *, from_start: bool) -> None:
        if task.memory is not None and records < task.memory.records:
            self._tell(
                task.contact,
                EventKind.LOG_SHRANK,
                f"the log held {task.memory.records} records and holds {records}: cleared, and not by hadir",
            )
        before = task.memory.last_full_read_at if task.memory else None
        memory = TerminalMemory(
            serial=task.serial,
            records=records,
            last_full_read_at=task.started if from_start else before,
            last_contact_at=task.started,
            tail_digest=digest,
        )
        self._keeper.conclude(memory, task.coverage(records) if from_start else None)

    # --- what a person must see

    def _tell(self, contact: Contact, kind: EventKind, detail: str) -> None:
        event = TerminalEvent(kind=kind, source=EventSource.HADIR, at=contact.at, detail=detail)
        self._keeper.tell(contact.identity.serial, [event])
        _log.warning("terminal %s: %s", self._id, detail, extra={"action": kind.value, "terminal": self._id})

    def _tell_serial(self, before: str, contact: Contact) -> None:
        """Once for each change: the memory moves on only when the other machine has been read."""
        change = f"{before} {contact.identity.serial}"
        if self._keeper.memo(_SERIAL_TOLD) == change:
            return
        self._tell(
            contact,
            EventKind.SERIAL_CHANGED,
            f"at this address answers {contact.identity.serial}, before it was {before}: "
            "exchanged, lent, or another machine's address",
        )
        self._keeper.set_memo(_SERIAL_TOLD, change)

    def _keep_evidence(self, contact: Contact, error: UnknownLayout) -> None:
        """Both ends of a log that nobody can read; once a day at most, as it grows with every punch."""
        today = f"{contact.identity.serial} {contact.at.astimezone(self._zone).date()}"
        if not error.raw or self._keeper.memo(_EVIDENCE_OF) == today:
            return
        raw = error.raw
        ends = raw if len(raw) <= 2 * _END_BYTES else raw[:_END_BYTES] + raw[-_END_BYTES:]
        told = f"{contact.sizes.records} records" if contact.sizes.records is not None else "no count"
        reason = f"unknown layout: both ends of {len(raw)} bytes, sha256 {sha256(raw).hexdigest()}, {told}"
        self._keeper.keep(contact.identity.serial, [BadRecord(raw=ends, reason=reason, position=0)])
        self._keeper.set_memo(_EVIDENCE_OF, today)

    def _tell_no_tail(self, error: Unsupported) -> None:
        if not self._no_tail_told:
            self._no_tail_told = True
            _log.info("terminal %s: %s", self._id, error, extra={"action": "no_tail", "terminal": self._id})


@dataclass(frozen=True, slots=True)
class _Task:
    """One read of one log."""

    contact: Contact
    memory: TerminalMemory | None
    started: datetime
    whole: bool

    @property
    def serial(self) -> str:
        return self.contact.identity.serial

    def offset_at(self, *, from_start: bool) -> OffsetAt:
        """What is known of the clock for the records that are read: the end is newer than the last read."""
        last = self.memory.last_contact_at if self.memory else None
        return self.contact.clock.at if from_start or last is None else self.contact.clock.since(last).at

    def coverage(self, records: int) -> tuple[datetime, int] | None:
        """Up to when this read shows every punch, by the terminal's own days.

        A clock that is off by an hour may still write the old day for an hour; one that shows
        no date, or one of another year, cannot vouch for any day.
        """
        offset_s = self.contact.offset_s
        if offset_s is None or abs(offset_s) > FAR_OFF.total_seconds():
            return None
        return self.started - timedelta(seconds=abs(offset_s)), records


def _moved(sizes: Sizes, memory: TerminalMemory | None) -> bool:
    """Whether the count says, or cannot deny, that there is something new."""
    if memory is None or not sizes.records or sizes.records != memory.records:
        return True
    # A full log writes over its oldest records, and the count stands still.
    return _full(sizes)


def _full(sizes: Sizes) -> bool:
    return bool(sizes.records and sizes.record_capacity and sizes.records >= sizes.record_capacity)


def _long_ago(memory: TerminalMemory | None, now: datetime) -> bool:
    return memory is None or memory.last_contact_at is None or now - memory.last_contact_at >= LOOK_EVERY
