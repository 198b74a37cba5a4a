"""Whether a log goes on from where it was last read, and from when on it tells everything. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from hashlib import sha256
from typing import Final
from zoneinfo import ZoneInfo

from attendance.normalise import to_utc
from attendance.punch import BadRecord, RawPunch
from sync.outbox import TerminalMemory

EARLY: Final = time(9)
"""A log never read before that begins earlier in a day began with that day: nobody had punched yet."""

OVERLAP: Final = 16
"""Records before the known end whose digest shows that the log is still the one that was read."""

PAGE: Final = 1600
"""Records read and made durable at a time; live punches that came meanwhile go in between."""

_FIRST_YEAR: Final = 2001
"""2000 is where a clock without battery begins."""


def read_before(memory: TerminalMemory | None) -> bool:
    """Whether a whole read of this log ever came to its end."""
    return memory is not None and memory.last_full_read_at is not None


def mark(item: RawPunch | BadRecord) -> str:
    """A record as text, by which it is found again."""
    if isinstance(item, BadRecord):
        return item.raw.hex()
    return f"{item.pin}\t{item.wall_time}\t{item.verify_code}\t{item.state_code}\t{item.work_code}"


def digest_of(items: Iterable[RawPunch | BadRecord]) -> str:
    """The sha256 (hex) of some records as text."""
    return sha256("\n".join(map(mark, items)).encode("utf-8", "backslashreplace")).hexdigest()


def bad_of(items: Iterable[RawPunch | BadRecord]) -> list[BadRecord]:
    """Those that cannot be punches."""
    return [item for item in items if isinstance(item, BadRecord)]


class Follower:
    """Watches the records of one read go by, to see whether the log goes on from what was read before.

    `continues` at the start: whether that is known already, by the records' digest. A log that was never
    read to its end has no beginning to go on from. `sure`: whether every record was read the same twice
    that had to be.
    """

    def __init__(self, memory: TerminalMemory | None, *, continues: bool) -> None:
        self._sought = memory.last_record if memory and read_before(memory) else ""
        self.continues = continues and read_before(memory)
        self.last_record = memory.last_record if memory and continues else ""
        self.sure = True

    def see(self, page: Sequence[RawPunch | BadRecord]) -> None:
        """The next records, in the log's order."""
        if not page:
            return
        if not self.continues and self._sought:
            self.continues = any(mark(item) == self._sought for item in page)
        self.last_record = mark(page[-1])


@dataclass(frozen=True, slots=True)
class Finding:
    """What a read found: whether the log goes on, and its oldest records where that must be known.

    `proof`: the log was read from its start, or from where it was shown to go on.
    """

    follower: Follower
    oldest: list[RawPunch | BadRecord]
    proof: bool


class Pages:
    """The pages of one read.

    It came as far as `end` records; `last` are the last few of them, and `oldest` the log's first ones,
    where the read began with these.
    """

    def __init__(self, first: int, records: int) -> None:
        self._records = records
        self.end = first
        self.last: Sequence[RawPunch | BadRecord] = ()
        self.oldest: list[RawPunch | BadRecord] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for start in range(self.end, self._records, PAGE):
            yield start, min(start + PAGE, self._records)

    def passed(self, end: int, page: Sequence[RawPunch | BadRecord]) -> None:
        """This page is durable."""
        if not self.end:
            self.oldest = list(page[:OVERLAP])
        self.end, self.last = end, page[-OVERLAP:]


def covered_since(
    memory: TerminalMemory | None,
    oldest: Iterable[RawPunch | BadRecord],
    *,
    continues: bool,
    overwritten: bool,
    zone: ZoneInfo,
    now: datetime,
) -> datetime | None:
    """From when on (aware, UTC) a log that was read whole tells every punch; None: it has no beginning.

    One that goes on begins where it began. Any other tells nothing of what was before its oldest
    record: it may have been cleared, or (`overwritten`) it is full. An empty one begins `now`.
    """
    if memory is not None and continues:
        if memory.records or memory.covered_since is None:
            return memory.covered_since
        return min(memory.covered_since, _beginning(oldest, zone, now, strict=False))
    return _beginning(oldest, zone, now, strict=overwritten or read_before(memory))


def _beginning(
    oldest: Iterable[RawPunch | BadRecord], zone: ZoneInfo, now: datetime, *, strict: bool
) -> datetime:
    latest = now.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    times = (item.wall_time for item in oldest if isinstance(item, RawPunch))
    first = min((at for at in times if at.year >= _FIRST_YEAR and at <= latest), default=None)
    if first is None:
        return now
    if not strict and first.time() < EARLY:
        first = datetime.combine(first.date(), time())
    return to_utc(first, zone)[0]
