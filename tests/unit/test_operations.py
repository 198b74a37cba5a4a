"""Operation logs as tamper signals: each entry once, with its meaning, however a terminal takes it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.clock import SystemClock
from attendance.errors import AttendanceError, DeviceRefused, DeviceTimeout, Unsupported
from attendance.event import EventKind, EventSource, RawOperation
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal
from config.model import TerminalSettings
from daemon.keeper import Keeper
from daemon.operations import TAMPER, OperationLog, meaning
from sync.envelope import Batch, WireEvent
from sync.outbox import Outbox

ZONE = ZoneInfo("Asia/Makassar")
NOON = datetime(2026, 9, 4, 4, 0, tzinfo=UTC)


def entry(minute: int, code: int = 4, *values: str) -> RawOperation:
    wall = datetime(2026, 9, 4, 9) + timedelta(minutes=minute)
    return RawOperation(code=code, operator="1", wall_time=wall, values=values or ("0",) * 4)


class Diary:
    """A session with a terminal that has an operation log."""

    def __init__(self) -> None:
        self.log: list[RawOperation | BadRecord] = [entry(0), entry(1, 21)]
        self.fault: AttendanceError | None = None
        self.asked = 0

    def identify(self, known: Identity | None = None) -> Identity:
        return Identity(serial="A1")

    def read_clock(self) -> datetime:
        return datetime(2026, 9, 4, 12)

    def read_sizes(self) -> Sizes:
        return Sizes(operations=len(self.log))

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        return iter(())

    def read_operations(self) -> Iterator[RawOperation | BadRecord]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return iter(self.log)


class Bench:
    """An operation log with its terminal and outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.diary = Diary()
        self.now = NOON
        self.counts = True

    def poll(self, *, serial: str = "A1", minutes: float = 1) -> None:
        """As after a start of the daemon."""
        self.now += timedelta(minutes=minutes)
        settings = TerminalSettings(id="lobi", host="x")
        keeper = Keeper(settings, Terminal(id="lobi", host="x", zone=ZONE), self.outbox, SystemClock())
        sizes = self.diary.read_sizes() if self.counts else Sizes()
        OperationLog("lobi", ZONE, keeper).read(self.diary, serial, sizes, self.now)

    def events(self) -> list[WireEvent]:
        self.outbox.seal()
        batches = [Batch.model_validate_json(sealed.payload) for sealed in self.outbox.pending(1000)]
        return [event for batch in batches for event in batch.events]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as outbox:
        yield Bench(outbox)


def test_it_is_read_when_its_count_moved_and_brings_what_is_new(bench: Bench) -> None:
    for _ in range(3):
        bench.poll()
    assert bench.diary.asked == 1
    bench.diary.log.append(entry(2, 23))
    bench.poll()
    assert bench.diary.asked == 2
    assert [(event.kind, event.code) for event in bench.events()] == [
        ("other", 4),
        ("clock_set", 21),
        ("log_cleared", 23),
    ]
    event = bench.events()[-1]
    assert (event.wall, event.operator) == ("2026-09-04T09:02:00", "1")
    assert event.at == datetime(2026, 9, 4, 1, 2, tzinfo=UTC)


def test_a_full_one_whose_count_stands_is_read_daily(bench: Bench) -> None:
    bench.poll()
    bench.diary.log = [*bench.diary.log[1:], entry(9)]
    bench.poll(minutes=23 * 60)
    assert bench.diary.asked == 1
    bench.poll(minutes=60)
    assert len(bench.events()) == 3


def test_without_a_count_it_is_read_daily(bench: Bench) -> None:
    bench.counts = False
    for _ in range(3):
        bench.poll(minutes=13 * 60)
    assert bench.diary.asked == 2


@pytest.mark.parametrize("fault", [Unsupported("keeps none"), DeviceRefused("no", code=2001)])
def test_a_terminal_without_one_is_asked_once_for_ever(bench: Bench, fault: AttendanceError) -> None:
    bench.diary.fault = fault
    for _ in range(3):
        bench.poll(minutes=2000)
    assert bench.diary.asked == 1
    bench.poll(serial="B2")
    assert bench.diary.asked == 2, "another machine at the address may have one"


def test_one_that_hangs_when_asked_is_asked_once_a_day(bench: Bench) -> None:
    """Else its punches, too, would never be said to be in."""
    bench.diary.fault = DeviceTimeout("silent")
    with pytest.raises(DeviceTimeout):
        bench.poll()
    bench.poll()
    assert bench.diary.asked == 1
    bench.diary.fault = None
    bench.poll(minutes=1440)
    assert len(bench.events()) == 2


def test_tampering_is_logged_when_it_is_news(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The first read of years of operations must not fill the log with old alarms."""
    bench.poll()
    assert not [line for line in caplog.messages if "clock set" in line]
    bench.diary.log += [entry(2, 4), entry(3, 23)]
    bench.poll()
    assert [line for line in caplog.messages if "by user 1" in line] == [
        "terminal lobi: attendance records deleted at 2026-09-04 09:03:00 by user 1"
    ]


def test_an_entry_that_cannot_be_read_is_evidence(bench: Bench) -> None:
    bench.diary.log.insert(1, BadRecord(raw=b"\xff" * 16, reason="no such date", position=1))
    bench.poll()
    assert len(bench.events()) == 2
    bench.outbox.seal()
    (sealed,) = bench.outbox.pending(10)
    assert Batch.model_validate_json(sealed.payload).bad[0].raw == "ff" * 16


@pytest.mark.parametrize(
    ("code", "values", "kind", "says"),
    [
        (3, ("55",), EventKind.TAMPERED, "alarm: the case was opened"),
        (3, ("53",), EventKind.OTHER, "alarm: exit button"),
        (3, (), EventKind.OTHER, "alarm: number "),
        (9, ("7",), EventKind.USER_REMOVED, "user deleted"),
        (24, (), EventKind.ADMIN_CHANGED, "administrators' rights removed"),
        (0, (), EventKind.POWERED_ON, "switched on"),
        (82, (), EventKind.SETTINGS_CHANGED, "address of its push server changed"),
        (117, ("1", "2"), EventKind.OTHER, "operation 117"),
    ],
)
def test_what_an_operation_means(code: int, values: tuple[str, ...], kind: EventKind, says: str) -> None:
    event = meaning(
        RawOperation(code=code, operator="", wall_time=datetime(2026, 9, 4), values=values),
        EventSource.PUSH,
        ZONE,
    )
    assert (event.kind, event.detail, event.code, event.values) == (kind, says, code, values)


@given(st.integers(0, 65535), st.lists(st.text("0123456789-", max_size=6), max_size=4))
def test_every_code_has_a_meaning(code: int, values: list[str]) -> None:
    operation = RawOperation(code=code, operator="", wall_time=datetime(2026, 9, 4), values=tuple(values))
    event = meaning(operation, EventSource.OPERATION_LOG, ZONE)
    assert event.detail
    assert event.kind is not EventKind.OTHER or code not in TAMPER - {38}
