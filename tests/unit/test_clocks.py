"""One terminal's clock against a scripted session: what is told, once; when it is set, and when not."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from attendance.errors import DeviceRefused, Unsupported
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal
from attendance.timekeeping import ClockReading, judge
from config.model import TerminalSettings
from daemon.clocks import KEEP_EVERY, ClockRules, CorrectionPolicy, TerminalClock
from daemon.keeper import Keeper
from sync.envelope import Batch, WireClock, WireEvent
from sync.outbox import Outbox

ZONE = ZoneInfo("Asia/Makassar")
NOON = datetime(2026, 9, 4, 4, 0, tzinfo=UTC)
NIGHT = datetime(2026, 9, 4, 15, 0, tzinfo=UTC)
"""23:00 in Makassar."""


class Hand:
    """Time that moves only by hand; each question takes `trip_s` on the way."""

    def __init__(self, now: datetime) -> None:
        self.true_time = now
        self.steady = 0.0

    def pass_(self, **span: float) -> None:
        self.true_time += timedelta(**span)
        self.steady += timedelta(**span).total_seconds()

    def now(self) -> datetime:
        return self.true_time

    def monotonic(self) -> float:
        return self.steady

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.pass_(seconds=timeout_s)
        return event.is_set()


class Wall:
    """A session with a terminal that has only a clock."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.offset = timedelta(0)
        self.broken = False
        self.refuses = False
        self.trip_s = 0.0
        self.sets: list[datetime] = []

    def identify(self, known: Identity | None = None) -> Identity:
        return Identity(serial="W1")

    def read_sizes(self) -> Sizes:
        return Sizes()

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        return iter(())

    def read_clock(self) -> datetime:
        if self.broken:
            raise Unsupported("the terminal's clock is unusable: no such date: 2025-2-30")
        self.hand.pass_(seconds=self.trip_s / 2)
        shown = (self.hand.now() + self.offset).astimezone(ZONE).replace(tzinfo=None, microsecond=0)
        self.hand.pass_(seconds=self.trip_s / 2)
        return shown

    def set_clock(self, wall_time: datetime) -> None:
        if self.refuses:
            raise DeviceRefused("the terminal acknowledged it and still shows the old time")
        self.sets.append(wall_time)
        self.broken = False
        self.offset = wall_time - self.hand.now().astimezone(ZONE).replace(tzinfo=None)


class Bench:
    """A terminal's clock with everything around it."""

    def __init__(self, outbox: Outbox, now: datetime = NOON, **settings: object) -> None:
        self.hand = Hand(now)
        self.wall = Wall(self.hand)
        self.outbox = outbox
        self.trusted = True
        self.slots: tuple[time, ...] = ()
        self.settings = TerminalSettings.model_validate({"id": "lobi", "host": "x", **settings})
        self.begin()

    def begin(self) -> None:
        """As after a start of the daemon."""
        device = Terminal(id="lobi", host="x", zone=ZONE)
        keeper = Keeper(self.settings, device, self.outbox, self.hand)
        rules = ClockRules(trusted=lambda: self.trusted, slots=self.slots)
        self.clock = TerminalClock(self.settings, device, rules, keeper, self.hand)

    def contact(self, **after: float) -> None:
        self.hand.pass_(**(after or {"minutes": 1}))
        self.clock.measure(self.wall, "W1")
        self.clock.tend(self.wall)

    def batches(self) -> list[Batch]:
        self.outbox.seal()
        return [Batch.model_validate_json(sealed.payload) for sealed in self.outbox.pending(1000)]

    def events(self) -> list[WireEvent]:
        return [event for batch in self.batches() for event in batch.events]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events()]

    def clocks(self) -> list[WireClock]:
        return [reading for batch in self.batches() for reading in batch.clocks]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as opened:
        yield opened


@pytest.fixture
def bench(outbox: Outbox) -> Bench:
    return Bench(outbox)


# --- what is measured and told -----------------------------------------------------------


def test_the_round_trip_is_the_error_bar(bench: Bench) -> None:
    bench.wall.trip_s = 4.0
    bench.contact()
    (reading,) = bench.clocks()
    assert reading.error_s == 2.5
    assert reading.offset_s is not None
    assert abs(reading.offset_s) <= 0.5


def test_a_clock_that_behaves_is_written_down_now_and_then(bench: Bench) -> None:
    """A reading a minute from each of 500 terminals would be a quarter of a billion rows a year."""
    for _ in range(int(KEEP_EVERY / timedelta(minutes=30)) * 2):
        bench.contact(minutes=30)
    assert len(bench.clocks()) == 2
    assert bench.events() == []


def test_a_wrong_clock_is_told_once_also_after_a_restart(bench: Bench) -> None:
    bench.wall.offset = timedelta(hours=-1)
    for _ in range(3):
        bench.contact()
    bench.begin()
    bench.contact()
    (event,) = bench.events()
    assert (event.kind, event.source, event.code) == ("clock_wrong", "hadir", None)
    assert "it shows WIB and stands in WITA" in event.detail


def test_a_step_is_told_with_before_and_after_and_when(bench: Bench) -> None:
    """Set back ten minutes before the morning, and forward again after: the classic of the trade."""
    bench.contact()
    bench.wall.offset = timedelta(minutes=-10)
    bench.contact()
    bench.contact()
    bench.wall.offset = timedelta(0)
    bench.contact()
    stepped, wrong, back = bench.events()
    assert [event.kind for event in (stepped, wrong, back)] == [
        "clock_stepped",
        "clock_wrong",
        "clock_stepped",
    ]
    assert "back by 600 s since 2026-09-04 12:01:00" in stepped.detail
    assert "forward by 600 s" in back.detail
    assert [reading.verdict for reading in bench.clocks()] == ["right", "off", "off", "right"]


def test_both_sides_of_a_change_are_kept(bench: Bench) -> None:
    """The closer the two measurements, the fewer punches are doubtful."""
    for _ in range(10):
        bench.contact()
    bench.wall.offset = timedelta(hours=2)
    bench.contact()
    first, last, after = bench.clocks()
    assert after.at - last.at == timedelta(minutes=1)
    assert last.at - first.at == timedelta(minutes=9)


def test_a_clock_without_a_date_is_told_as_such(bench: Bench) -> None:
    bench.wall.broken = True
    bench.contact()
    bench.contact()
    (event,) = bench.events()
    assert event.detail == "the clock shows no date that exists"
    assert [reading.offset_s for reading in bench.clocks()] == [None]


def test_an_unsure_host_measures_and_accuses_nobody(bench: Bench) -> None:
    bench.trusted = False
    bench.wall.offset = timedelta(hours=5)
    bench.contact()
    bench.contact()
    assert bench.events() == []
    assert [reading.trusted for reading in bench.clocks()] == [False]
    bench.trusted = True
    bench.contact()
    assert bench.kinds() == ["clock_wrong"]


def test_never_is_measured_and_left_alone(outbox: Outbox) -> None:
    bench = Bench(outbox, clock="never")
    bench.wall.offset = timedelta(hours=5)
    bench.contact()
    assert (bench.events(), bench.wall.sets, len(bench.clocks())) == ([], [], 1)


def test_another_machine_at_the_address_has_a_history_of_its_own(bench: Bench) -> None:
    bench.contact()
    bench.wall.offset = timedelta(hours=1)
    bench.hand.pass_(minutes=1)
    bench.clock.measure(bench.wall, "LENT9")
    assert bench.kinds() == ["clock_wrong"]
    bench.wall.offset = timedelta(0)
    bench.contact()
    assert bench.kinds() == ["clock_wrong"]


# --- setting it --------------------------------------------------------------------------


def test_alert_never_sets(outbox: Outbox) -> None:
    bench = Bench(outbox, NIGHT)
    bench.wall.offset = timedelta(minutes=5)
    bench.contact()
    assert bench.wall.sets == []


def test_a_wrong_clock_is_set_at_night_and_the_change_is_recorded(outbox: Outbox) -> None:
    bench = Bench(outbox, NIGHT, clock="correct")
    bench.wall.offset = timedelta(minutes=5)
    bench.wall.trip_s = 2.0
    bench.contact()
    assert len(bench.wall.sets) == 1
    assert abs(bench.wall.offset) <= timedelta(seconds=1.5)
    wrong, was_set = bench.events()
    assert (wrong.kind, was_set.kind) == ("clock_wrong", "clock_set")
    assert "before, the clock is 300 s fast; now, " in was_set.detail
    assert [reading.verdict for reading in bench.clocks()] == ["off", "right"]
    seconds = [reading.at.replace(microsecond=0) for reading in bench.clocks()]
    assert len(set(seconds)) == 2, "the centre keeps one reading a second"
    bench.contact()
    assert bench.kinds() == ["clock_wrong", "clock_set"], "our own correction is no tampering"


def test_an_unsure_host_sets_nothing(outbox: Outbox) -> None:
    bench = Bench(outbox, NIGHT, clock="correct")
    bench.trusted = False
    bench.wall.offset = timedelta(hours=5)
    bench.contact()
    assert bench.wall.sets == []


def test_a_clock_that_runs_away_is_set_once_a_day_also_across_restarts(outbox: Outbox) -> None:
    bench = Bench(outbox, NIGHT, clock="correct", clock_any_time=True)
    for _ in range(20):
        bench.wall.offset = timedelta(seconds=40)
        bench.begin()
        bench.contact(hours=2)
    assert len(bench.wall.sets) == 2


def test_a_dead_battery_is_set_again_within_the_day(outbox: Outbox) -> None:
    """Each power cut puts it back to 2000: until tomorrow would be a day of punches of that year."""
    bench = Bench(outbox, NIGHT, clock="correct", clock_any_time=True)
    for _ in range(3):
        bench.wall.offset = datetime(2000, 1, 1, tzinfo=UTC) - bench.hand.now()
        bench.contact(hours=2)
    assert len(bench.wall.sets) == 3


def test_a_clock_without_a_date_is_set(outbox: Outbox) -> None:
    bench = Bench(outbox, NIGHT, clock="correct")
    bench.wall.broken = True
    bench.contact()
    assert len(bench.wall.sets) == 1
    assert bench.clocks()[-1].verdict == "right"


def test_a_terminal_that_refuses_is_told_once_and_read_all_the_same(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(outbox, NIGHT, clock="correct", clock_any_time=True)
    bench.wall.refuses = True
    bench.wall.offset = timedelta(hours=3)
    for _ in range(4):
        bench.contact(hours=2)
    assert len([line for line in caplog.messages if "its clock cannot be set" in line]) == 1
    assert bench.kinds() == ["clock_wrong"]


# --- when it may be set ------------------------------------------------------------------

SLOTS = (time(7, 30), time(16, 0))


def allowed(now: str, offset_s: float | None, slots: tuple[time, ...] = SLOTS, **rest: bool) -> bool:
    """Whether a correction may be made at a local time."""
    trusted, any_time = rest.get("trusted", True), rest.get("any_time", False)
    at = datetime.fromisoformat(f"2026-09-04T{now}").replace(tzinfo=ZONE).astimezone(UTC)
    verdict = judge(offset_s, 0.5, at, ZONE)
    reading = ClockReading(at=at, offset_s=offset_s, error_s=0.5, trusted=trusted, verdict=verdict)
    policy = CorrectionPolicy(timedelta(seconds=30), slots, any_time)
    return policy.due(reading, at.astimezone(ZONE).replace(tzinfo=None), None)


@pytest.mark.parametrize(
    ("now", "offset_s", "yes"),
    [
        ("12:00", 30.4, False),
        ("12:00", 31.0, True),
        ("12:00", -31.0, True),
        ("07:20", 60.0, False),
        ("07:46", 60.0, True),
        ("07:10", 240.0, True),
        ("07:10", 600.0, False),
        ("09:00", -3600.0, True),
        ("08:40", -3600.0, False),
        ("12:00", 5 * 3600.0, False),
        ("17:00", -5 * 3600.0, False),
        ("12:00", -8e8, True),
        ("16:05", -8e8, False),
        ("12:00", None, True),
        ("23:59", 180.0, True),
    ],
)
def test_a_clock_is_not_set_across_a_slot(now: str, offset_s: float | None, *, yes: bool) -> None:
    """Who stands in the queue at 07:29 must not find it 07:31 because we tidied up."""
    assert allowed(now, offset_s) == yes
    assert allowed(now, offset_s, any_time=True) == (offset_s is None or abs(offset_s) > 30.5)
    assert not allowed(now, offset_s, trusted=False)


def test_a_slot_after_midnight_counts_too() -> None:
    assert not allowed("23:50", 300.0, (time(0, 0),))
    assert allowed("23:30", 300.0, (time(0, 0),))


@pytest.mark.parametrize(
    ("now", "yes"), [("21:59", False), ("22:00", True), ("03:59", True), ("04:00", False), ("12:00", False)]
)
def test_where_no_slots_are_known_it_is_set_at_night(now: str, *, yes: bool) -> None:
    assert allowed(now, 45.0, ()) == yes
    assert allowed(now, 45.0, (), any_time=True)
