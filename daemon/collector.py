"""One terminal's cycle: identify, measure the clock, read, make durable, listen. One thread a terminal."""

import logging
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Literal

from attendance.clock import Clock
from attendance.errors import DeviceError, DeviceRefused, DeviceUnreachable
from attendance.terminal import Identity
from attendance.timekeeping import ClockReading
from config.model import TerminalSettings
from daemon.backoff import delay
from daemon.capacity import Filling
from daemon.clearing import Clearing
from daemon.clocks import ClockRules, TerminalClock
from daemon.keeper import Keeper
from daemon.operations import OperationLog
from daemon.reading import Reader
from daemon.turns import Line
from daemon.witness import Contact
from drivers.base import CanListen, Session
from sync.envelope import TerminalHealth, clean_text
from sync.outbox import Outbox

_log = logging.getLogger(__name__)

LONGEST_BACKOFF: Final = timedelta(minutes=10)
IDENTITY_HOLDS: Final = timedelta(days=1)
LISTEN_QUIET: Final = timedelta(milliseconds=500)


class Collector:
    """Reads one terminal into the outbox. `run` lives in one thread; `poke` and `stop` come from others."""

    def __init__(
        self,
        settings: TerminalSettings,
        line: Line,
        outbox: Outbox,
        report: Callable[[TerminalHealth], None],
        clock: Clock,
        rules: ClockRules | None = None,
    ) -> None:
        self._settings = settings
        self._line = line
        self._terminal = line.terminal
        self._keeper = Keeper(settings, line.terminal, outbox, clock)
        self._reader = Reader(settings.id, line.terminal.zone, self._keeper)
        self._terminal_clock = TerminalClock(
            settings, line.terminal, rules or ClockRules(), self._keeper, clock
        )
        self._clearing = Clearing(settings, self._keeper, outbox, clock)
        self._operations = OperationLog(settings.id, line.terminal.zone, self._keeper)
        self._filling = Filling(settings.id, self._keeper)
        self._report = report
        self._clock = clock
        self._due = threading.Event()
        self._wake = threading.Event()
        self._failures = 0
        self._polled_at = 0.0
        self._identified_at = 0.0
        self._last: Contact | None = None

    @property
    def id(self) -> str:
        """The terminal's id."""
        return self._settings.id

    def poke(self) -> None:
        """Say that a poll is due."""
        self._due.set()
        self._wake.set()

    def wake(self) -> None:
        """Make `run` look at its stop event now."""
        self._wake.set()

    def poll_once(self) -> int:
        """One whole read in a session of its own; how many entries were new.

        Raises DeviceError, OutboxError.
        """
        try:
            with self._line.open(threading.Event(), self._clock) as session:
                new = self._poll(session, whole=True)
        except DeviceError as error:
            self._report_failure(error)
            raise
        return new

    def run(self, stop: threading.Event) -> None:
        """Poll when due, listen in between where the settings say so, and come back after failures."""
        while not stop.is_set():
            self._due.clear()
            self._wake.clear()
            try:
                with self._line.open(stop, self._clock) as session:
                    self._attend(session, stop)
            except DeviceError as error:
                if not stop.is_set():
                    self._failed(error)
                    self._rest(stop)
                continue
            self._wait_until_due(stop)

    def _wait_until_due(self, stop: threading.Event) -> None:
        while not (self._due.is_set() or stop.is_set()):
            self._clock.wait(self._wake, 60)
            self._wake.clear()

    def _rest(self, stop: threading.Event) -> None:
        """After a failure: wait out the back-off, whatever the schedule says."""
        pause = delay(
            self._failures,
            first=min(self._settings.every, LONGEST_BACKOFF) / 4,
            longest=LONGEST_BACKOFF,
            chance=random.random(),
        )
        self._clock.wait(stop, pause.total_seconds())

    # --- one poll ----------------------------------------------------------------------

    def _poll(self, session: Session, *, whole: bool = False) -> int:
        started = self._clock.now()
        self._polled_at = self._clock.monotonic()
        contact = self._last = self._meet(session)
        self._clearing.resolve(contact.identity.serial, contact.sizes)
        new = self._reader.read(session, contact, started, whole=whole)
        self._terminal_clock.tend(session)
        self._succeeded(contact)
        if new:
            _log.info(
                "terminal %s: %d new %s",
                self.id,
                new,
                "record" if new == 1 else "records",
                extra={"action": "collected", "terminal": self.id},
            )
        self._operations.read(session, contact.identity.serial, contact.sizes, contact.at)
        self._clearing.after_poll(session, contact.identity.serial, contact.sizes)
        return new

    def _meet(self, session: Session) -> Contact:
        identity = self._identify(session)
        clock = self._terminal_clock.measure(session, identity.serial)
        return Contact(identity, session.read_sizes(), clock, self._clock.now())

    def _identify(self, session: Session) -> Identity:
        """The serial at every poll; what else a terminal says of itself once a day: firmware is renewed."""
        now = self._clock.monotonic()
        recent = now - self._identified_at < IDENTITY_HOLDS.total_seconds()
        known = self._last.identity if self._last and recent else None
        identity = session.identify(known)
        if identity is not known:
            self._identified_at = now
        return identity

    # --- live events -------------------------------------------------------------------

    def _attend(self, session: Session, stop: threading.Event) -> None:
        """One poll, and then, where the settings say so, events until stopped, with polls between them."""
        if not (self._settings.live and isinstance(session, CanListen)):
            self._poll(session)
            return
        # Registered before the log is read: a punch made in between comes twice rather than never.
        events = session.listen(quiet=LISTEN_QUIET)
        self._poll(session)
        for item in events:
            contact = self._last
            if item is not None and contact is not None:
                self._keeper.keep(contact.identity.serial, [item], contact.clock.now)
            if stop.is_set():
                return
            if item is None and self._line.turn.wanted():
                # Back at once when the command has ended: what was punched meanwhile is read then.
                self._due.set()
                return
            if self._due.is_set() and (item is None or self._overdue()):
                self._due.clear()
                self._poll(session)

    def _overdue(self) -> bool:
        """A crowd at the door goes first, but does not put the poll off for ever."""
        return self._clock.monotonic() - self._polled_at > 2 * self._settings.every.total_seconds()

    # --- health ------------------------------------------------------------------------

    def _succeeded(self, contact: Contact) -> None:
        if self._failures:
            _log.info("terminal %s is back", self.id, extra={"action": "terminal_back", "terminal": self.id})
        self._failures = 0
        self._last = contact
        filling = self._filling.look(contact.identity.serial, contact.sizes, contact.at)
        self._report(
            TerminalHealth(
                terminal=self.id,
                state="online",
                at=contact.at,
                serial=contact.identity.serial,
                model=clean_text(contact.identity.model),
                firmware=clean_text(contact.identity.firmware),
                last_seen_at=contact.at,
                clock_offset_s=contact.offset_s,
                clock_state=_clock_state(contact.clock.last),
                reading=self._reader.mode,
                records_per_day=filling.records_per_day,
                days_left=filling.days_left,
                records=contact.sizes.records,
                capacity=contact.sizes.record_capacity,
            )
        )

    def _failed(self, error: DeviceError) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning(
                "terminal %s: %s", self.id, error, extra={"action": "terminal_lost", "terminal": self.id}
            )
        self._report_failure(error)

    def _report_failure(self, error: DeviceError) -> None:
        last = self._last
        self._report(
            TerminalHealth(
                terminal=self.id,
                state=_state_after(error),
                at=self._clock.now(),
                serial=last.identity.serial if last else None,
                last_seen_at=last.at if last else None,
                error=clean_text(str(error)),
            )
        )


def _clock_state(reading: ClockReading | None) -> str | None:
    if reading is None:
        return None
    return reading.verdict if reading.trusted else "untrusted"


def _state_after(error: DeviceError) -> Literal["unreachable", "refused", "failing"]:
    if isinstance(error, DeviceUnreachable):
        return "unreachable"
    return "refused" if isinstance(error, DeviceRefused) else "failing"
