"""How full a terminal's log is, how fast it fills, and how many days are left."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.terminal import Sizes
from daemon.keeper import Keeper

_log = logging.getLogger(__name__)

LEVELS: Final = (70, 85, 95, 100)
"""Percent of the capacity at which a person is told, once each."""

POINT_EVERY: Final = timedelta(hours=24)
MOST_POINTS: Final = 32
"""A month of counts, one a day: weekends and the rush of a month's end are in it."""

SHORTEST: Final = timedelta(days=1)
"""From less than this no rate is made."""

_POINTS: Final = "fill_points"
_LEVEL: Final = "fill_level"


@dataclass(frozen=True, slots=True)
class Point:
    """How many records a log held at a moment (aware, UTC)."""

    at: datetime
    records: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of a log; None for what cannot be said."""

    records_per_day: float | None = None
    days_left: float | None = None


def forecast(points: Sequence[Point], now: Point, capacity: int | None) -> Forecast:
    """The rate since the log was last emptied, and the days until it is full. Pure."""
    run = [now]
    for point in reversed([point for point in points if point.at < now.at]):
        if point.records > run[-1].records or point.at >= run[-1].at:
            break
        run.append(point)
    passed = (now.at - run[-1].at) / timedelta(days=1)
    rate = (now.records - run[-1].records) / passed if passed >= SHORTEST / timedelta(days=1) else None
    room = None if capacity is None else max(0, capacity - now.records)
    if room == 0:
        return Forecast(_rounded(rate), 0.0)
    return Forecast(_rounded(rate), _rounded(room / rate) if room and rate else None)


class Filling:
    """Watches one terminal's log fill up; used by its thread. Raises OutboxError."""

    def __init__(self, id_: str, keeper: Keeper) -> None:
        self._id = id_
        self._keeper = keeper
        self._points: list[Point] | None = None
        self._serial = ""

    def look(self, serial: str, sizes: Sizes, at: datetime) -> Forecast:
        """Note the count, and tell a person at each level of LEVELS."""
        if sizes.records is None:
            return Forecast()
        if self._points is None or serial != self._serial:
            self._serial, self._points = serial, self._recall(serial)
        now = Point(at, sizes.records)
        last = self._points[-1] if self._points else None
        if last is None or now.at - last.at >= POINT_EVERY or now.records < last.records or now.at < last.at:
            kept = [point for point in self._points if point.at < now.at]
            self._points = [*kept, now][-MOST_POINTS:]
            told = [serial, [[point.at.isoformat(), point.records] for point in self._points]]
            self._keeper.set_memo(_POINTS, json.dumps(told))
        found = forecast(self._points, now, sizes.record_capacity)
        if sizes.record_capacity:
            self._tell_level(serial, now, sizes.record_capacity, found)
        return found

    def _recall(self, serial: str) -> list[Point]:
        noted = self._keeper.memo(_POINTS)
        of, points = json.loads(noted) if noted else ("", [])
        return [Point(datetime.fromisoformat(at), records) for at, records in points] if of == serial else []

    def _tell_level(self, serial: str, now: Point, capacity: int, found: Forecast) -> None:
        percent = 100 * now.records / capacity
        level = sum(percent >= limit for limit in LEVELS)
        noted = self._keeper.memo(_LEVEL)
        before = int(noted.rpartition(" ")[2]) if noted and noted.startswith(f"{serial} ") else 0
        if level == before:
            return
        self._keeper.set_memo(_LEVEL, f"{serial} {level}")
        if level < before:
            return
        left = "" if found.days_left is None else f"; full in about {found.days_left:.0f} days"
        detail = f"the log holds {now.records} of {capacity} records ({percent:.0f} %){left}"
        if level == len(LEVELS):
            detail = (
                f"the log is full ({now.records} records): "
                "the oldest are overwritten, or new punches are refused"
            )
        event = TerminalEvent(kind=EventKind.LOG_FILLING, source=EventSource.HADIR, at=now.at, detail=detail)
        self._keeper.tell(serial, [event])
        _log.warning(
            "terminal %s: %s", self._id, detail, extra={"action": "log_filling", "terminal": self._id}
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
