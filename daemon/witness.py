"""What one contact with a terminal showed, and what a person must see of it."""

import logging
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from zoneinfo import ZoneInfo

from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.punch import BadRecord
from attendance.terminal import Identity, Sizes
from attendance.timekeeping import Offsets
from daemon.keeper import Keeper
from drivers.zk.layouts import UnknownLayout
from sync.entry import MAX_RAW_BYTES

_log = logging.getLogger(__name__)

_END_BYTES: Final = MAX_RAW_BYTES // 2
_EVIDENCE_OF: Final = "evidence_of_layout"
_SERIAL_TOLD: Final = "serial_told"


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


class Witness:
    """Tells, once each, what one terminal shows that nobody should overlook."""

    def __init__(self, id_: str, zone: ZoneInfo, keeper: Keeper) -> None:
        self._id = id_
        self._zone = zone
        self._keeper = keeper

    def tell(self, contact: Contact, kind: EventKind, detail: str) -> None:
        """Keep an event that hadir saw, and log it."""
        event = TerminalEvent(kind=kind, source=EventSource.HADIR, at=contact.at, detail=detail)
        self._keeper.tell(contact.identity.serial, [event])
        _log.warning("terminal %s: %s", self._id, detail, extra={"action": kind.value, "terminal": self._id})

    def serial_changed(self, before: str, contact: Contact) -> None:
        """Once for each change: the memory moves on only when the other machine has been read."""
        change = f"{before} {contact.identity.serial}"
        if self._keeper.memo(_SERIAL_TOLD) == change:
            return
        self.tell(
            contact,
            EventKind.SERIAL_CHANGED,
            f"at this address answers {contact.identity.serial}, before it was {before}: "
            "exchanged, lent, or another machine's address",
        )
        self._keeper.set_memo(_SERIAL_TOLD, change)

    def keep_unknown(self, contact: Contact, error: UnknownLayout) -> None:
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
