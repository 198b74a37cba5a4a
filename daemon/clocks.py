"""One terminal's clock: measured at each contact, its history kept, changes told, set where wanted."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attendance.clock import Clock
from attendance.errors import DeviceRefused, Unsupported
from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.terminal import Terminal
from attendance.timekeeping import ClockReading, Offsets, Verdict, agree, explain, judge, judged
from config.model import TerminalSettings
from daemon.host_clock import synchronised
from daemon.keeper import Keeper
from drivers.base import CanSetClock, Session

_log = logging.getLogger(__name__)

KEEP_EVERY: Final = timedelta(hours=6)
"""A clock that behaves is written down this often; every change at once."""

SLOT_MARGIN: Final = timedelta(minutes=15)
"""So long before and after a slot's boundary people stand at the terminal."""

NIGHT: Final = (time(22), time(4))
"""Where the site's slots are not known, a clock is set only within these local times."""

FAR_OFF: Final = timedelta(minutes=10)
"""A clock as wrong as this is set again although it was set within a day."""

ONCE_IN: Final = timedelta(days=1)
AT_MOST_EVERY: Final = timedelta(hours=1)
_HALF_A_DAY: Final = timedelta(hours=12)
_SET_AT: Final = "clock_set_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRules:
    """What judging and setting a clock depends on beside its own settings.

    `trusted`: whether the host's clock may judge; `slots`: local times at which people are on time or late.
    """

    trusted: Callable[[], bool] = synchronised
    slots: tuple[time, ...] = ()


class TerminalClock:
    """The clock of one terminal; used by its thread. Methods raise DeviceError and OutboxError."""

    def __init__(
        self,
        settings: TerminalSettings,
        terminal: Terminal,
        rules: ClockRules,
        keeper: Keeper,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._zone = terminal.zone
        self._policy = CorrectionPolicy(settings.clock_beyond, rules.slots, any_time=settings.clock_any_time)
        self._keeper = keeper
        self._clock = clock
        self._trusted = rules.trusted
        self._serial = ""
        self._kept: list[ClockReading] = []
        self._latest: ClockReading | None = None
        self._told: set[str] = set()

    def measure(self, session: Session, serial: str) -> Offsets:
        """Ask the terminal for its time; its clock's history with this measurement at the end."""
        if serial != self._serial:
            self._serial = serial
            self._kept = list(self._keeper.clocks(serial))
            self._latest = None
        self._take_in(self._ask(session), set_by_us=False)
        return self.history

    @property
    def history(self) -> Offsets:
        """What is known of this terminal's clock."""
        latest = self._latest
        if latest is None or (self._kept and self._kept[-1] is latest):
            return Offsets(self._kept)
        return Offsets([*self._kept, latest])

    def tend(self, session: Session) -> None:
        """Set the clock, where the settings want that and this is a moment for it."""
        reading = self._latest
        if self._settings.clock != "correct" or reading is None:
            return
        now = self._clock.now()
        noted = self._keeper.memo(_SET_AT)
        since_last = now - datetime.fromisoformat(noted) if noted else None
        if not self._policy.due(reading, self._local(now), since_last):
            return
        if not isinstance(session, CanSetClock):
            self._tell_once("driver", f"driver {self._settings.driver} cannot set a clock")
            return
        self._keeper.set_memo(_SET_AT, now.isoformat())
        try:
            set_right(session, self._zone, self._clock, reading)
        except (DeviceRefused, Unsupported) as error:
            self._tell_once("refused", f"its clock cannot be set: {error}")
            return
        after = self._ask(session)
        # Kept to the second at the centre: two readings of one second would be one.
        self._take_in(replace(after, at=max(after.at, reading.at + timedelta(seconds=1))), set_by_us=True)

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self._zone).replace(tzinfo=None)

    # --- one measurement

    def _ask(self, session: Session) -> ClockReading:
        reading, trouble = measure(session, self._zone, self._clock, trusted=self._trusted)
        if trouble is not None:
            self._tell_once("unusable", str(trouble))
        return reading

    def _take_in(self, reading: ClockReading, *, set_by_us: bool) -> None:
        """Compare with what is known; keep and tell what changed."""
        known = self.history
        before = known.last
        reading = replace(reading, verdict=judged(reading, known))
        self._latest = reading
        fresh: list[ClockReading] = []
        if before is None or _changed(before, reading):
            fresh = (
                [reading] if before is None or any(before is one for one in self._kept) else [before, reading]
            )
        elif reading.at - self._kept[-1].at >= KEEP_EVERY:
            fresh = [reading]
        events = self._events(known, reading, set_by_us=set_by_us)
        if fresh or events:
            self._keeper.tell(self._serial, events, fresh)
            self._kept += fresh
        for event in events:
            _log.log(
                logging.INFO if set_by_us else logging.WARNING,
                "terminal %s: %s",
                self._settings.id,
                event.detail,
                extra={"action": event.kind.value, "terminal": self._settings.id},
            )

    def _events(self, known: Offsets, reading: ClockReading, *, set_by_us: bool) -> list[TerminalEvent]:
        before = known.last_trusted
        if not reading.trusted or self._settings.clock == "never":
            return []
        if set_by_us:
            was = explain(before, self._zone) if before else "the clock was not known"
            return [
                _event(EventKind.CLOCK_SET, reading, f"set by hadir: before, {was}; now, {_brief(reading)}")
            ]
        events = []
        if (
            before
            and before.offset_s is not None
            and reading.offset_s is not None
            and not agree(before, reading)
        ):
            step = reading.offset_s - before.offset_s
            events.append(
                _event(
                    EventKind.CLOCK_STEPPED,
                    reading,
                    f"the clock was set {'back' if step < 0 else 'forward'} by {abs(step):.0f} s since "
                    f"{before.at.astimezone(self._zone):%F %T}: before {_brief(before)}, "
                    f"now {_brief(reading)}",
                )
            )
        if reading.verdict is not Verdict.RIGHT and (before is None or before.verdict is not reading.verdict):
            events.append(_event(EventKind.CLOCK_WRONG, reading, explain(reading, self._zone, known.drift_s)))
        return events

    def _tell_once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning(
                "terminal %s: %s",
                self._settings.id,
                text,
                extra={"action": f"clock_{what}", "terminal": self._settings.id},
            )


def measure(
    session: Session, zone: ZoneInfo, clock: Clock, *, trusted: Callable[[], bool]
) -> tuple[ClockReading, Unsupported | None]:
    """Ask a terminal for its time once; beside it why its clock shows no date. Raises DeviceError."""
    asked = clock.monotonic()
    trouble: Unsupported | None = None
    wall_time: datetime | None = None
    try:
        wall_time = session.read_clock()
    except Unsupported as error:
        trouble = error
    passed = timedelta(seconds=clock.monotonic() - asked)
    at = clock.now() - passed / 2
    error_s = round(passed.total_seconds() / 2 + 0.5, 3)
    offset_s = None
    if wall_time is not None:
        # The terminal answers in whole seconds, cut off: half a second is its mean error.
        there = wall_time.replace(tzinfo=zone).astimezone(UTC) + timedelta(seconds=0.5)
        offset_s = round((there - at).total_seconds(), 1)
    verdict = judge(offset_s, error_s, at, zone)
    reading = ClockReading(at=at, offset_s=offset_s, error_s=error_s, trusted=trusted(), verdict=verdict)
    return reading, trouble


def set_right(session: CanSetClock, zone: ZoneInfo, clock: Clock, reading: ClockReading) -> None:
    """Set a terminal's clock to the host's time, half a measured round trip ahead. Raises DeviceError."""
    way = timedelta(seconds=reading.error_s)  # half a round trip, and half a second to round by
    local = (clock.now() + way).astimezone(zone).replace(tzinfo=None)
    session.set_clock(local.replace(microsecond=0))


@dataclass(frozen=True, slots=True)
class CorrectionPolicy:
    """When a clock may be set. Pure; `slots` are local times at which people are on time or late."""

    beyond: timedelta
    slots: tuple[time, ...]
    any_time: bool

    def due(self, reading: ClockReading, now: datetime, since_last: timedelta | None) -> bool:
        """Whether to set the clock at `now` (local, naive); `since_last` is how long ago it was set."""
        if not reading.trusted or not self._wrong(reading):
            return False
        if since_last is not None and since_last < self._pause(reading):
            return False
        return self.any_time or self.quiet(reading, now)

    def _wrong(self, reading: ClockReading) -> bool:
        if reading.offset_s is None:
            return True
        return abs(reading.offset_s) > self.beyond.total_seconds() + reading.error_s

    def _pause(self, reading: ClockReading) -> timedelta:
        far = reading.offset_s is None or abs(reading.offset_s) > FAR_OFF.total_seconds()
        return AT_MOST_EVERY if far else ONCE_IN

    def quiet(self, reading: ClockReading, now: datetime) -> bool:
        """Whether nobody becomes on time or late by it: no boundary between the old time and the new."""
        if not self.slots:
            return now.time() >= NIGHT[0] or now.time() < NIGHT[1]
        shown = now
        if reading.offset_s is not None and abs(reading.offset_s) <= _HALF_A_DAY.total_seconds():
            shown = now + timedelta(seconds=reading.offset_s)
        first, last = min(now, shown) - SLOT_MARGIN, max(now, shown) + SLOT_MARGIN
        days = [
            first.date() + timedelta(days=number) for number in range((last.date() - first.date()).days + 1)
        ]
        return not any(first <= datetime.combine(day, slot) <= last for day in days for slot in self.slots)


def _changed(before: ClockReading, reading: ClockReading) -> bool:
    same = before.verdict is reading.verdict and before.trusted == reading.trusted
    return not same or (reading.offset_s is not None and not agree(before, reading))


def _event(kind: EventKind, reading: ClockReading, detail: str) -> TerminalEvent:
    return TerminalEvent(kind=kind, source=EventSource.HADIR, at=reading.at, detail=detail)


def _brief(reading: ClockReading) -> str:
    return "no date" if reading.offset_s is None else f"{reading.offset_s:+.0f} s"
