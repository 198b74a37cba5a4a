"""How right a terminal's clock is: what contacts measured, what it means, what it tells of a punch. Pure."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""A terminal's clock further off than this makes its punches doubtful."""

MOST_DRIFT_S: Final = 10.0
"""Seconds that a sound clock may gain or lose in a day between two measurements that agree."""

NAMED_DRIFT_S: Final = 0.5
"""A clock that went wrong without a step, by at least this many seconds a day, drifts."""

AFTER_LAST: Final = timedelta(minutes=10)
"""The last measurement holds for so long: a slow terminal takes minutes to be read."""

_INDONESIA: Final = {7: "WIB", 8: "WITA", 9: "WIT"}
_LAST_RESET_YEAR: Final = 2001
_YEAR: Final = timedelta(days=366)
_MOST_HOURS: Final = 14
_BACK: Final = 0.75
"""A clock is right again when it is within this part of the tolerance."""


class Verdict(StrEnum):
    """What a measurement says of a terminal's clock; the likely cause where it is known."""

    RIGHT = "right"
    OFF = "off"
    DRIFTING = "drifting"
    WRONG_ZONE = "wrong_zone"
    UTC = "utc"
    WHOLE_HOURS = "whole_hours"
    YEAR_2000 = "year_2000"
    FAR_FUTURE = "far_future"
    NO_DATE = "no_date"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """One measurement of a terminal's clock against the host's.

    `at` is the moment in the middle of the round trip (aware, UTC); `offset_s` is the terminal's time
    minus the host's, None where the terminal shows no date; the truth lies within `error_s` of it.
    `trusted`: the host's own clock followed a time server.
    """

    at: datetime
    offset_s: float | None
    error_s: float
    trusted: bool
    verdict: Verdict

    def __post_init__(self) -> None:
        """Refuse a time that would be ambiguous later."""
        if self.at.utcoffset() != timedelta(0):
            raise ValueError("at must be aware and UTC")

    @property
    def shown(self) -> datetime:
        """The instant that the terminal's wall clock stood for; `at` where it showed no date."""
        return self.at + timedelta(seconds=self.offset_s or 0.0)


def judge(offset_s: float | None, error_s: float, at: datetime, zone: ZoneInfo) -> Verdict:
    """What an offset alone says; `at` is true time (aware), `zone` the terminal's."""
    if offset_s is None:
        return Verdict.NO_DATE
    offset = timedelta(seconds=offset_s)
    if abs(offset) <= CLOCK_TOLERANCE:
        return Verdict.RIGHT
    if abs(offset) > _YEAR:
        reset = (at + offset).astimezone(zone).year <= _LAST_RESET_YEAR < at.year
        ahead = Verdict.FAR_FUTURE if offset > _YEAR else Verdict.OFF
        return Verdict.YEAR_2000 if reset else ahead
    return _judge_hours(whole_hours(offset_s, error_s), _hours_of(at, zone))


def _judge_hours(hours: int | None, here: int | None) -> Verdict:
    """`hours`: how many too many; `here`: the zone's own."""
    if hours is None:
        return Verdict.OFF
    if here is not None and hours == -here:
        return Verdict.UTC
    if here in _INDONESIA and here + hours in _INDONESIA:
        return Verdict.WRONG_ZONE
    return Verdict.WHOLE_HOURS


def whole_hours(offset_s: float, error_s: float) -> int | None:
    """The hours that an offset is a mistake of; None where it is no whole number of them, or none."""
    hours = round(offset_s / 3600)
    rest = abs(offset_s - hours * 3600)
    within = rest <= CLOCK_TOLERANCE.total_seconds() + error_s
    return hours if within and 0 < abs(hours) <= _MOST_HOURS else None


def explain(reading: ClockReading, zone: ZoneInfo, drift_s: float | None = None) -> str:
    """A measurement in one plain line, with the likely cause; `drift_s` is what it gains a day."""
    if reading.offset_s is None:
        return "the clock shows no date that exists"
    here = _hours_of(reading.at, zone)
    shows = f"the clock shows {reading.shown.astimezone(zone):%F %T}"
    told = f"the clock is {_span(reading.offset_s)}"
    match reading.verdict:
        case Verdict.YEAR_2000:
            told = f"{shows}: it began anew after a loss of power, its battery is empty"
        case Verdict.FAR_FUTURE:
            told = f"{shows}, far in the future"
        case Verdict.UTC:
            told += ": it shows UTC instead of local time"
        case Verdict.WRONG_ZONE if here is not None:
            other = _INDONESIA.get(here + round(reading.offset_s / 3600), "another zone")
            told += f": it shows {other} and stands in {_INDONESIA.get(here, 'this one')}"
        case Verdict.WHOLE_HOURS:
            told += ", whole hours: a wrong time zone, or daylight saving that is switched on"
        case Verdict.DRIFTING:
            told += "; it drifts" + ("" if drift_s is None else f" by {drift_s:+.1f} s a day")
        case Verdict.RIGHT:
            told = f"the clock is right within {CLOCK_TOLERANCE.total_seconds():.0f} s"
    return told


def agree(one: ClockReading, other: ClockReading) -> bool:
    """Whether nothing but drift and measuring need lie between two measurements."""
    if one.offset_s is None or other.offset_s is None:
        return False
    days = abs(other.at - one.at) / timedelta(days=1)
    room = min(1.0 + MOST_DRIFT_S * days, CLOCK_TOLERANCE.total_seconds()) + one.error_s + other.error_s
    return abs(other.offset_s - one.offset_s) <= room


@dataclass(frozen=True, slots=True)
class KnownOffset:
    """What is known of the clock for one punch; `doubtful`: it may have been changed just then."""

    seconds: float | None
    trusted: bool = True
    doubtful: bool = False


OffsetAt = Callable[[datetime], KnownOffset]
"""The offset for a punch, by the instant that its wall time stands for."""


def nothing_known(_shown: datetime) -> KnownOffset:
    """Where the terminal does not tell its time."""
    return KnownOffset(None)


class Offsets:
    """The history of a terminal's clock, oldest first: what it tells of a punch by the punch's own time.

    Between two measurements that agree the offset is known. Between two that do not, the clock was changed
    at a moment that nobody knows, and a punch that may stem from there is doubtful; so is one whose time the
    clock showed twice. Before the first measurement nothing is known. A clock that was changed and changed
    back between two measurements is not seen.
    """

    def __init__(self, readings: Iterable[ClockReading]) -> None:
        self._given = tuple(readings)
        self._readings = _comparable(self._given)
        self._runs: list[list[ClockReading]] = []
        self._changes: list[tuple[datetime, datetime]] = []
        before: ClockReading | None = None
        for reading in self._readings:
            if before is not None and agree(before, reading):
                self._runs[-1].append(reading)
            else:
                if before is not None:
                    self._changes += _shown_between(before, reading)
                self._runs.append([reading])
            before = reading
        # Measuring to half a second can make a clock seem to go back between two contacts.
        self._shown = [sorted(run, key=lambda reading: reading.shown) for run in self._runs]

    @property
    def last(self) -> ClockReading | None:
        """The newest measurement."""
        return self._readings[-1] if self._readings else None

    @property
    def last_trusted(self) -> ClockReading | None:
        """The newest measurement by a host that knew its own time."""
        return next((reading for reading in reversed(self._given) if reading.trusted), None)

    @property
    def drift_s(self) -> float | None:
        """Seconds a day that the clock has gained since it was last changed; None under a day."""
        run = self._runs[-1] if self._runs else []
        if len(run) < 2 or run[-1].at - run[0].at < timedelta(days=1):
            return None
        return _slope(run[0], run[-1]) * 86_400

    def now(self, _shown: datetime) -> KnownOffset:
        """For a punch of this very moment."""
        last = self.last
        return KnownOffset(None) if last is None else KnownOffset(last.offset_s, last.trusted)

    def since(self, moment: datetime) -> "Offsets":
        """The history for punches that were made after `moment`: from the measurement before it."""
        earlier = sum(reading.at <= moment for reading in self._readings)
        return Offsets(self._readings[max(0, earlier - 1) :])

    def at(self, shown: datetime) -> KnownOffset:
        """For a punch whose wall time stands for the instant `shown`."""
        if any(first < shown < last for first, last in self._changes):
            return KnownOffset(None, doubtful=True)
        found = [run for run in self._shown if run[0].shown <= shown <= self._end(run)]
        if len(found) > 1:
            return KnownOffset(None, doubtful=True)
        return _within(found[0], shown) if found else KnownOffset(None)

    def _end(self, run: Sequence[ClockReading]) -> datetime:
        """A clock that was not seen to change goes on after the last measurement."""
        return run[-1].shown + AFTER_LAST if run is self._shown[-1] else run[-1].shown


def judged(reading: ClockReading, before: Offsets) -> Verdict:
    """The verdict with what came before: a clock that went wrong without a step drifts.

    Near a limit the verdict before stays, so that no one is told of every second to and fro.
    """
    last = before.last
    if last is None or last.offset_s is None or reading.offset_s is None or not agree(last, reading):
        return reading.verdict
    if reading.verdict is Verdict.RIGHT and last.verdict in (Verdict.OFF, Verdict.DRIFTING):
        back = abs(reading.offset_s) < _BACK * CLOCK_TOLERANCE.total_seconds()
        return Verdict.RIGHT if back else last.verdict
    if reading.verdict is not Verdict.OFF:
        return reading.verdict
    drift = before.drift_s
    if drift is not None and abs(drift) >= NAMED_DRIFT_S and last.verdict is Verdict.RIGHT:
        return Verdict.DRIFTING
    return reading.verdict if last.verdict is Verdict.RIGHT else last.verdict


def _comparable(readings: Sequence[ClockReading]) -> list[ClockReading]:
    """Those by a host as sure of its time as it is now, in order; none from a future that the host left."""
    if not readings:
        return []
    newest = readings[-1]
    if not newest.trusted:
        sure = next((place for place in range(len(readings), 0, -1) if readings[place - 1].trusted), 0)
        readings = readings[sure:]
    found = [reading for reading in readings if reading.trusted == newest.trusted and reading.at <= newest.at]
    return sorted(found, key=lambda reading: reading.at)


def _shown_between(before: ClockReading, after: ClockReading) -> list[tuple[datetime, datetime]]:
    """What the clock may have shown between two measurements, if it was changed once."""
    passed = after.at - before.at
    slack = timedelta(seconds=before.error_s + after.error_s)
    return [
        (reading.shown + first - slack, reading.shown + last + slack)
        for reading, first, last in ((before, timedelta(0), passed), (after, -passed, timedelta(0)))
        if reading.offset_s is not None
    ]


def _within(run: Sequence[ClockReading], shown: datetime) -> KnownOffset:
    """On the line between the two measurements of a run that `shown` lies between."""
    place = bisect_right(run, shown, key=lambda reading: reading.shown)
    if place == len(run) or run[place - 1].offset_s is None:
        return KnownOffset(run[-1].offset_s, run[-1].trusted)
    one, other = run[place - 1], run[place]
    seconds = (one.offset_s or 0.0) + _slope(one, other) * (shown - one.shown).total_seconds()
    return KnownOffset(round(seconds, 1), one.trusted and other.trusted)


def _slope(one: ClockReading, other: ClockReading) -> float:
    passed = (other.at - one.at).total_seconds()
    return ((other.offset_s or 0.0) - (one.offset_s or 0.0)) / passed if passed > 0 else 0.0


def _hours_of(at: datetime, zone: ZoneInfo) -> int | None:
    """How many whole hours a zone is ahead of UTC; None for one with a part of an hour."""
    ahead = at.astimezone(zone).utcoffset() or timedelta(0)
    hours = round(ahead / timedelta(hours=1))
    return hours if ahead == timedelta(hours=hours) else None


def _span(seconds: float) -> str:
    """An offset for a person: `2 h fast`, `95 s slow`, `3.1 days fast`."""
    word = "fast" if seconds > 0 else "slow"
    size = abs(seconds)
    if size >= 2 * 86_400:
        return f"{size / 86_400:.1f} days {word}"
    if size >= 3600:
        return f"{size / 3600:.3g} h {word}"
    return f"{size:.0f} s {word}"
