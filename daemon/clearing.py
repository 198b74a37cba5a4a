"""Clearing a terminal's log: only what the centre has, only once, and never blindly again.

The order is the guard. The whole log is read in this session, and every record of it must stand in the
outbox as acknowledged by a receipt. It is compared once more, whole; then a mark is made durable, people
are kept from punching, the log's end is compared a last time, and the command goes out. The mark stays
until the outcome is known: after a lost reply the terminal's own counts tell at the next contact.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from typing import Final

from attendance.clock import Clock
from attendance.errors import AttendanceError, DeviceError, DeviceRefused, Unsupported
from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Sizes
from config.model import TerminalSettings
from daemon.continuity import OVERLAP, PAGE
from daemon.keeper import Keeper
from daemon.wording import counted
from drivers.base import CanClearLog, CanHoldStill, CanListen, CanReadTail, PreparedLog, Session
from sync.entry import record_digest
from sync.outbox import Outbox
from sync.outbox_clearing import ClearMark

_log = logging.getLogger(__name__)

HOLD: Final = timedelta(seconds=30)
"""Nobody can punch for at most so long: while the log's end is compared and the command is under way."""

LONG_HOLD: Final = timedelta(minutes=5)
"""The same for a terminal whose log can be compared only by reading it whole."""

AGAIN_AFTER: Final = timedelta(hours=1)
"""A policy that could not clear tries again after this: each try reads the whole log.

As long a clear without a reply stays open: a terminal that hangs may carry it out when it comes back.
"""


NOT_KNOWN: Final = "whether its log was cleared is not known"
"""So begins the text of the DeviceError after which only the next contact tells."""


class NotCleared(AttendanceError):
    """The log is as it was; the text names the condition that failed."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A log that is all at the centre: how many records, and digests of them all and of the last few."""

    records: int
    whole: bytes
    end: bytes
    in_parts: bool


def due(settings: TerminalSettings, sizes: Sizes) -> bool:
    """Whether the policy wants this log cleared. A terminal that tells no counts is never full."""
    if settings.clear == "never" or not sizes.records or not sizes.record_capacity:
        return False
    return sizes.records * 100 >= settings.clear_at * sizes.record_capacity


def carried_out(mark: ClearMark, records: int) -> bool:
    """Whether a clearing whose reply was lost took place: the log then holds less than before."""
    return records < mark.records


class Clearing:
    """The clearing of one terminal's log."""

    def __init__(self, settings: TerminalSettings, keeper: Keeper, outbox: Outbox, clock: Clock) -> None:
        self._settings = settings
        self._keeper = keeper
        self._outbox = outbox
        self._clock = clock
        self._not_before = clock.monotonic()
        self._told = ""

    def resolve(self, serial: str, sizes: Sizes) -> bool | None:
        """Find out what became of a clearing whose reply was lost: whether it took place.

        None where there is none, or it is still open: the terminal tells no count now, or holds as much as
        before and may yet do what it was told. To be called at each contact, before the log is read.
        Raises OutboxError.
        """
        mark = self._outbox.clearings.get(self._settings.id, serial)
        if mark is None or sizes.records is None:
            return None
        if carried_out(mark, sizes.records):
            self._conclude(mark, sizes.records)
            return True
        if self._still_open(mark):
            return None
        self._tell("its log was not cleared: it holds as much as before the reply was lost")
        self._outbox.clearings.drop(self._settings.id, serial)
        return False

    def _still_open(self, mark: ClearMark) -> bool:
        return abs(self._clock.now() - mark.at) < AGAIN_AFTER

    def after_poll(self, session: Session, serial: str, sizes: Sizes) -> bool:
        """Clear the log if the policy says so and every guard lets it; whether it was cleared.

        Raises DeviceError, after which the outcome may be unknown and the session is over; OutboxError.
        """
        if not due(self._settings, sizes) or self._clock.monotonic() < self._not_before:
            return False
        if self._outbox.clearings.get(self._settings.id, serial):
            return False
        if self._outbox.clearings.unsettled_of(self._settings.id):
            self._tell("its log is to be cleared, once the centre has acknowledged all of it")
            return False
        try:
            self.clear(session, serial)
        except NotCleared as reason:
            self._not_before = self._clock.monotonic() + AGAIN_AFTER.total_seconds()
            self._tell(f"its log is to be cleared and was not: {reason}")
            return False
        return True

    def clear(self, session: Session, serial: str) -> int:
        """Clear the log, whatever the policy; how many records it held, all of them at the centre.

        Raises NotCleared where a guard forbids it or the terminal refuses; DeviceError, OutboxError. After a
        DeviceError other than DeviceRefused and Unsupported the outcome may be unknown: see `resolve`.
        """
        if not isinstance(session, CanClearLog):
            raise NotCleared("this driver clears no log")
        sizes = session.read_sizes()
        if self.resolve(serial, sizes):
            raise NotCleared("it had been cleared before, and the reply was lost; nothing was done now")
        mark = self._outbox.clearings.get(self._settings.id, serial)
        if mark is not None and self._still_open(mark):
            raise NotCleared(
                f"the reply to a clear of {mark.at:%H:%M} UTC was lost: the terminal may still carry it out; "
                f"ask again {AGAIN_AFTER.total_seconds() / 60:.0f} minutes after that"
            )
        _listen(session)
        proof = self._prove(session, serial)
        if sizes.records != proof.records:
            held = f"counts {'nothing' if sizes.records is None else sizes.records} and holds {proof.records}"
            raise NotCleared(f"the terminal {held}: what became of clearing it could not be told")
        mark = ClearMark(serial=serial, records=proof.records, at=self._clock.now())
        self._outbox.clearings.put(self._settings.id, mark)
        self._send(session, proof, mark)
        self._keep_arrived(session, serial)
        left = session.read_sizes().records
        self._keep_arrived(session, serial)
        if left is None or not carried_out(mark, left):
            self._outbox.clearings.drop(self._settings.id, serial)
            raise NotCleared("the terminal acknowledged it and holds as much as before")
        self._conclude(mark, left)
        return proof.records

    # --- the guards

    def _prove(self, session: Session, serial: str) -> Proof:
        """Read the log, see that each record is at the centre and that it stands still. Raises NotCleared."""
        proof = self._prove_in_parts(session, serial)
        if proof is None:
            proof = _read_whole(session, lambda page: self._must_be_settled(page, serial))
        if proof.records == 0:
            raise NotCleared("the log is empty")
        return proof

    def _prove_in_parts(self, session: Session, serial: str) -> Proof | None:
        """None where the terminal gives its log only whole."""
        if not isinstance(session, CanReadTail):
            return None
        try:
            with session.prepare_log() as log:
                whole = self._read_prepared(log, serial)
                proof = Proof(log.records, whole, _end_of(log), in_parts=True)
            with session.prepare_log() as log:
                same = (log.records, _digest_of(log)) == (proof.records, proof.whole)
        except Unsupported:
            return None
        if not same:
            raise NotCleared("the log changed while it was checked")
        return proof

    def _read_prepared(self, log: PreparedLog, serial: str) -> bytes:
        whole = sha256()
        for start in range(0, log.records, PAGE):
            end = min(start + PAGE, log.records)
            self._must_be_settled(log.read(start, end), serial)
            whole.update(log.digest(start, end))
        return whole.digest()

    def _must_be_settled(self, page: Iterable[RawPunch | BadRecord], serial: str) -> None:
        digests = {record_digest(item, serial) for item in page}
        missing = len(digests) - self._outbox.clearings.settled_among(digests)
        if missing:
            raise NotCleared(
                f"{missing} of {len(digests)} records looked at are not acknowledged by the centre"
            )

    def _must_be_before(self, end: float) -> None:
        if self._clock.monotonic() >= end:
            raise NotCleared("the last look took so long that people could punch again")

    # --- the command

    def _send(self, session: Session, proof: Proof, mark: ClearMark) -> None:
        """The last look and the command. The mark stays only if the command left and its outcome is open."""
        longest = HOLD if proof.in_parts else LONG_HOLD
        sent = False
        try:
            with ExitStack() as stack:
                self._hold_still(stack, session, longest)
                ends = self._clock.monotonic() + longest.total_seconds()
                _must_be_unchanged(session, proof)
                self._must_be_before(ends)
                sent = True
                _clear(session)
        except (NotCleared, DeviceRefused, Unsupported) as error:
            self._outbox.clearings.drop(self._settings.id, mark.serial)
            raise NotCleared(str(error)) from error
        except DeviceError as error:
            if not sent:
                self._outbox.clearings.drop(self._settings.id, mark.serial)
                raise
            text = f"{NOT_KNOWN}: {error}; the next contact tells"
            self._tell(text)
            raise type(error)(text) from error

    def _hold_still(self, stack: ExitStack, session: Session, longest: timedelta) -> None:
        """Where the terminal will not be held still, the last look is all there is."""
        if isinstance(session, CanHoldStill):
            try:
                stack.enter_context(session.held_still(longest))
            except (DeviceRefused, Unsupported) as error:
                _log.info(
                    "terminal %s is cleared without being held still: %s",
                    self._settings.id,
                    error,
                    extra={"action": "not_held_still", "terminal": self._settings.id},
                )

    def _keep_arrived(self, session: Session, serial: str) -> None:
        if isinstance(session, CanListen):
            for item in session.arrived():
                self._keeper.keep(serial, [item])

    def _conclude(self, mark: ClearMark, left: int) -> None:
        """The log was cleared: say so upstream, begin to read anew, and only then forget the mark."""
        records = counted(mark.records, "record")
        event = TerminalEvent(
            kind=EventKind.LOG_CLEARED,
            source=EventSource.HADIR,
            at=mark.at,
            detail=f"{records}, all of them at the centre",
        )
        self._keeper.tell(mark.serial, [event])
        memory = self._outbox.recall(self._settings.id)
        if memory is not None and memory.serial == mark.serial:
            anew = replace(memory, records=0, tail_digest="")
            self._outbox.remember(self._settings.id, anew)
        self._outbox.clearings.drop(self._settings.id, mark.serial)
        self._told = ""
        _log.info(
            "terminal %s: its log was cleared: %s; it holds %d now",
            self._settings.id,
            event.detail,
            left,
            extra={"action": "log_cleared", "terminal": self._settings.id},
        )

    def _tell(self, text: str) -> None:
        """Once, until something else is to be told."""
        if text != self._told:
            self._told = text
            _log.warning(
                "terminal %s: %s",
                self._settings.id,
                text,
                extra={"action": "log_not_cleared", "terminal": self._settings.id},
            )


def _must_be_unchanged(session: Session, proof: Proof) -> None:
    if proof.in_parts and isinstance(session, CanReadTail):
        with session.prepare_log() as log:
            same = (log.records, _end_of(log)) == (proof.records, proof.end)
    else:
        same = _read_whole(session, lambda _page: None) == proof
        same = same and session.read_sizes().records == proof.records
    if not same:
        raise NotCleared("somebody punched while it was checked")


def _listen(session: Session) -> None:
    """Have the terminal tell of whoever punches between the last look and the command."""
    if isinstance(session, CanListen):
        with suppress(DeviceRefused, Unsupported):
            session.listen(quiet=timedelta(0))


def _clear(session: Session) -> None:
    if not isinstance(session, CanClearLog):
        raise NotCleared("this driver clears no log")
    session.clear_log()


def _read_whole(session: Session, look: Callable[[list[RawPunch | BadRecord]], None]) -> Proof:
    """A log that comes only whole, by what its records say: bytes without a meaning may differ each time."""
    items: Iterator[RawPunch | BadRecord] = iter(session.read_log())
    whole, records = sha256(), 0
    while page := list(islice(items, PAGE)):
        look(page)
        for item in page:
            whole.update(record_digest(item, ""))
        records += len(page)
    return Proof(records, whole.digest(), b"", in_parts=False)


def _digest_of(log: PreparedLog) -> bytes:
    whole = sha256()
    for start in range(0, log.records, PAGE):
        whole.update(log.digest(start, min(start + PAGE, log.records)))
    return whole.digest()


def _end_of(log: PreparedLog) -> bytes:
    return log.digest(max(0, log.records - OVERLAP), log.records)
