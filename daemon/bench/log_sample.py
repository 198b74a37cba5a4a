"""A look at a terminal's log: its ends, and how fast it fills. Nothing of it is kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attendance.clock import Clock
from attendance.errors import Unsupported
from attendance.punch import BadRecord, RawPunch
from drivers.base import CanReadTail, PreparedLog, Session
from drivers.zk.layouts import UnknownLayout

LOOKED_AT: Final = 10
"""Records at each end."""
SHORTEST_SPAN: Final = timedelta(days=7)
"""A log that is younger says nothing about how fast it fills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSample:
    """What the ends of a log show. `by_part`: it can be read without the part before."""

    records: int
    by_part: bool
    looked_at: int = 0
    bad: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def days_left(self, capacity: int | None, zone: ZoneInfo, clock: Clock) -> int | None:
        """Days until it is full at its rate so far; None where that cannot be told."""
        if not capacity:
            return None
        if self.records >= capacity:
            return 0
        if self.oldest is None:
            return None
        span = clock.now().astimezone(zone).replace(tzinfo=None) - self.oldest
        if span < SHORTEST_SPAN:
            return None
        return int((capacity - self.records) * (span / timedelta(days=1)) / self.records)


def sample_log(session: Session) -> LogSample:
    """Read the ends of a log; the whole of it where the terminal gives no parts. Raises DeviceError."""
    if isinstance(session, CanReadTail):
        try:
            with session.prepare_log() as log:
                return _sample(log.records, _ends(log), by_part=True)
        except UnknownLayout:
            raise
        except Unsupported:
            pass
    items = list(session.read_log())
    return _sample(len(items), items, by_part=False)


def _ends(log: PreparedLog) -> list[RawPunch | BadRecord]:
    first = list(log.read(0, min(LOOKED_AT, log.records)))
    return first + list(log.read(max(len(first), log.records - LOOKED_AT), log.records))


def _sample(records: int, items: Iterable[RawPunch | BadRecord], *, by_part: bool) -> LogSample:
    looked = list(items)
    times = sorted(item.wall_time for item in looked if isinstance(item, RawPunch))
    return LogSample(
        records=records,
        by_part=by_part,
        looked_at=len(looked),
        bad=sum(isinstance(item, BadRecord) for item in looked),
        oldest=times[0] if times else None,
        newest=times[-1] if times else None,
    )
