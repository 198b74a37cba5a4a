"""A log that is held ready without a terminal, and a reader with its outbox."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from attendance.clock import SystemClock
from attendance.errors import DeviceUnreachable, Unsupported
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import Identity, Sizes, Terminal
from attendance.timekeeping import ClockReading, Offsets, judge
from config.model import TerminalSettings
from daemon.keeper import Keeper
from daemon.reading import Reader
from daemon.witness import Contact
from sync.envelope import Batch
from sync.outbox import Outbox

ZONE = ZoneInfo("Asia/Makassar")
NOON = datetime(2026, 9, 4, 4, 0, tzinfo=UTC)
FIRST = datetime(2026, 1, 5, 7, 0)


def punch(number: int, *, pin: str = "1001", source: Source = Source.LOG) -> RawPunch:
    return RawPunch(
        pin=pin, wall_time=FIRST + timedelta(minutes=number), verify_code=1, state_code=0, source=source
    )


class TailTerminal:
    """A log that is held ready; `transferred` notes which records went over the line."""

    def __init__(self, log: list[RawPunch]) -> None:
        self.log = log
        self.capacity = 100_000
        self.transferred: list[tuple[int, int]] = []
        self.live: list[RawPunch] = []
        self.no_tail = False
        self.renames = False
        self.operations: int | None = None
        self.breaks_after: int | None = None
        self.noise_at: int | None = None
        self.first_read_as: dict[int, BadRecord] = {}

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        self.transferred.append((0, len(self.log)))
        return iter(self._given(0, len(self.log)))

    @contextmanager
    def prepare_log(self) -> Iterator["TailTerminal"]:
        if self.no_tail:
            raise Unsupported("this terminal prepares no log, it is read whole")
        yield self

    @property
    def records(self) -> int:
        return len(self.log)

    def digest(self, first: int, last: int) -> bytes:
        return sha256(repr(self.log[first:last]).encode()).digest()

    def read(self, first: int, last: int | None = None) -> Iterator[RawPunch | BadRecord]:
        end = len(self.log) if last is None else last
        if self.breaks_after is not None and end > self.breaks_after:
            raise DeviceUnreachable("the link broke")
        self.transferred.append((first, end))
        return iter(self._given(first, end))

    def _given(self, first: int, last: int) -> list[RawPunch | BadRecord]:
        """The records; those in `first_read_as` come out otherwise, once."""
        given = [self.first_read_as.pop(at, self.log[at]) for at in range(first, last)]
        if self.noise_at is not None and first <= self.noise_at < last:
            noise = len(self.transferred).to_bytes(4) * 10
            given[self.noise_at - first] = BadRecord(raw=noise, reason="no user id", position=self.noise_at)
        return given

    def listen(self, *, quiet: timedelta) -> Iterator[RawPunch | BadRecord | None]:
        return iter(())

    def arrived(self) -> Iterator[RawPunch | BadRecord]:
        while self.live:
            yield self.live.pop(0)

    def identify(self, known: Identity | None = None) -> Identity:
        return Identity(serial="TAIL1")

    def read_clock(self) -> datetime:
        return FIRST

    def read_sizes(self) -> Sizes:
        return Sizes(records=len(self.log), record_capacity=self.capacity, operations=self.operations)


def measured(offset_s: float | None, at: datetime) -> Offsets:
    """A clock's history of one contact."""
    verdict = judge(offset_s, 0.5, at, ZONE)
    return Offsets([ClockReading(at=at, offset_s=offset_s, error_s=0.5, trusted=True, verdict=verdict)])


class Bench:
    """A reader with its terminal and its outbox."""

    def __init__(self, outbox: Outbox, records: int) -> None:
        self.outbox = outbox
        self.terminal = TailTerminal([punch(number) for number in range(records)])
        settings = TerminalSettings(id="lobi", host="x")
        device = Terminal(id="lobi", host="x", zone=ZONE)
        self.reader = Reader("lobi", ZONE, Keeper(settings, device, outbox, SystemClock()))
        self.now = NOON

    def poll(self, *, offset_s: float | None = 0.0, whole: bool = False) -> int:
        self.terminal.transferred.clear()
        contact = Contact(
            self.terminal.identify(), self.terminal.read_sizes(), measured(offset_s, self.now), self.now
        )
        return self.reader.read(self.terminal, contact, self.now, whole=whole)

    def stored(self) -> list[str]:
        self.outbox.seal()
        return sorted(punch.wall for batch in self.batches() for punch in batch.punches)

    def batches(self) -> list[Batch]:
        self.outbox.seal()
        return [Batch.model_validate_json(sealed.payload) for sealed in self.outbox.pending(1000)]

    def covered(self) -> list[tuple[datetime | None, datetime]]:
        """From when to when each whole read covered, by true time."""
        return [(mark.since, mark.until) for batch in self.batches() for mark in batch.coverage]

    def made(self) -> list[str]:
        return sorted(punch.wall_time.isoformat() for punch in self.terminal.log)
