"""One terminal's cycle against a scripted session: what is durable when, and what moves the cursor."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from attendance.errors import DeviceError, DeviceRefused, DeviceUnreachable, OutboxUnusable, Unsupported
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import Identity, Sizes, Terminal
from config.model import TerminalSettings
from daemon.clocks import ClockRules
from daemon.collector import Collector
from daemon.reading import LOOK_EVERY
from daemon.turns import Line, Turn
from sync.envelope import Batch, TerminalHealth
from sync.outbox import Outbox

NOON = datetime(2026, 9, 4, 4, 0, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Makassar")


class HandClock:
    """Time that moves only by hand."""

    def __init__(self) -> None:
        self.true_time = NOON
        self.waited: list[float] = []

    def now(self) -> datetime:
        return self.true_time

    def monotonic(self) -> float:
        return (self.true_time - NOON).total_seconds()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waited.append(timeout_s)
        self.true_time += timedelta(seconds=timeout_s)
        return event.is_set()


class ScriptedTerminal:
    """A driver and its session in one: answers from lists, fails when told."""

    name = "scripted"

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.log: list[RawPunch | BadRecord] = []
        self.events: list[RawPunch | BadRecord | None] = []
        self.offset = timedelta(0)
        self.fails: list[DeviceError] = []
        self.reads = 0
        self.serial = "SCR1"
        self.clock_broken = False

    def check(self, terminal: Terminal, options: Mapping[str, object]) -> None:
        """Nothing can be wrong."""

    @contextmanager
    def open(self, terminal: Terminal) -> Iterator["ScriptedTerminal"]:
        if self.fails:
            raise self.fails.pop(0)
        yield self

    def identify(self, known: Identity | None = None) -> Identity:
        return Identity(serial=self.serial, model="Scripted")

    def read_clock(self) -> datetime:
        if self.clock_broken:
            raise Unsupported("the terminal's clock is unusable: no such date: 2025-2-30")
        return (self.clock.now() + self.offset).astimezone(ZONE).replace(tzinfo=None, microsecond=0)

    def read_sizes(self) -> Sizes:
        return Sizes(users=1, records=len(self.log), record_capacity=1000)

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        self.reads += 1
        return iter(list(self.log))

    def listen(self, *, quiet: timedelta) -> Iterator[RawPunch | BadRecord | None]:
        yield from self.events

    def arrived(self) -> Iterator[RawPunch | BadRecord]:
        return iter(())


class Bench:
    """A collector with everything around it."""

    def __init__(self, outbox: Outbox, state_dir: Path, *, live: bool = False) -> None:
        self.clock = HandClock()
        self.terminal = ScriptedTerminal(self.clock)
        self.outbox = outbox
        self.reports: list[TerminalHealth] = []
        settings = TerminalSettings(id="lobi", host="x", live=live, group="opd")
        device = Terminal(id="lobi", host="x", zone=ZONE)
        line = Line(device, self.terminal, Turn(state_dir, "lobi"))
        rules = ClockRules(trusted=lambda: True)
        self.collector = Collector(settings, line, outbox, self.reports.append, self.clock, rules)

    def punch(self, minute: int, *, day: int = 4, source: Source = Source.LOG) -> RawPunch:
        return RawPunch(
            pin="1001",
            wall_time=datetime(2026, 9, day, 11, minute),
            verify_code=1,
            state_code=0,
            source=source,
        )

    def batches(self) -> list[Batch]:
        self.outbox.seal()
        return [Batch.model_validate_json(sealed.payload) for sealed in self.outbox.pending(1000)]

    def run_until_quiet(self) -> None:
        """Run the collector's thread work until its script ends."""
        stop = threading.Event()

        def end(event: threading.Event, timeout_s: float) -> bool:
            stop.set()
            return event.is_set()

        self.clock.wait = end  # type: ignore[method-assign]
        self.collector.run(stop)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as opened:
        yield opened


@pytest.fixture
def bench(outbox: Outbox, tmp_path: Path) -> Bench:
    return Bench(outbox, tmp_path)


def test_a_read_ends_with_the_coverage_of_its_start(bench: Bench) -> None:
    """Coverage from the read's end would promise punches that were made while it ran."""
    bench.terminal.log = [bench.punch(1), bench.punch(2)]
    assert bench.collector.poll_once() == 2
    (coverage,) = [mark for batch in bench.batches() for mark in batch.coverage]
    assert NOON - timedelta(seconds=1) <= coverage.until <= NOON
    assert (coverage.records, coverage.serial) == (2, "SCR1")


def test_nothing_new_is_nothing_new(bench: Bench) -> None:
    bench.terminal.log = [bench.punch(1)]
    assert (bench.collector.poll_once(), bench.collector.poll_once()) == (1, 0)


def test_a_log_whose_count_stands_is_not_read_at_every_poll(bench: Bench) -> None:
    """A terminal that is being read cannot take fingers; but a count can lie, so not for ever."""
    bench.terminal.log = [bench.punch(1)]
    bench.run_until_quiet()
    bench.run_until_quiet()
    assert bench.terminal.reads == 1
    bench.clock.true_time += LOOK_EVERY
    bench.run_until_quiet()
    assert bench.terminal.reads == 2
    bench.terminal.log.append(bench.punch(9))
    bench.run_until_quiet()
    assert bench.terminal.reads == 3


def test_another_serial_behind_the_same_address_is_read_whole(bench: Bench) -> None:
    """A lent or exchanged machine: the cursor of the old one says nothing about it."""
    bench.terminal.log = [bench.punch(1)]
    bench.run_until_quiet()
    bench.terminal.serial = "SCR2"
    bench.run_until_quiet()
    assert bench.terminal.reads == 2
    assert {punch.serial for batch in bench.batches() for punch in batch.punches} == {"SCR1", "SCR2"}


def test_the_cursor_does_not_move_when_the_outbox_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle: the next poll has to bring everything again."""
    bench.terminal.log = [bench.punch(1)]
    put = bench.outbox.put

    def fail(*_: object, **__: object) -> int:
        raise OutboxUnusable("the disk is full")

    monkeypatch.setattr(bench.outbox, "put", fail)
    with pytest.raises(OutboxUnusable):
        bench.collector.poll_once()
    assert bench.outbox.recall("lobi") is None
    monkeypatch.setattr(bench.outbox, "put", put)
    assert bench.collector.poll_once() == 1


def test_a_bad_record_is_kept_and_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.terminal.log = [
        bench.punch(1),
        BadRecord(raw=b"\xff" * 40, reason="no such date", position=1),
        bench.punch(2),
    ]
    assert bench.collector.poll_once() == 3
    assert bench.collector.poll_once() == 0
    assert len([line for line in caplog.messages if "cannot be a punch" in line]) == 1
    (bad,) = [bad for batch in bench.batches() for bad in batch.bad]
    assert bad.raw == "ff" * 40


def test_the_clock_offset_goes_only_with_punches_since_the_last_contact(bench: Bench) -> None:
    """Today's offset says nothing about the clock of last month."""
    bench.terminal.offset = timedelta(seconds=300)
    bench.terminal.log = [bench.punch(1, day=1)]
    bench.collector.poll_once()
    bench.clock.true_time += timedelta(minutes=10)
    bench.terminal.log.append(
        RawPunch(pin="1001", wall_time=datetime(2026, 9, 4, 12, 14), verify_code=1, state_code=0)
    )
    bench.collector.poll_once()
    old, new = [punch for batch in bench.batches() for punch in batch.punches]
    assert old.clock_offset_s is None
    assert new.clock_offset_s == pytest.approx(300.5, abs=1)
    assert "clock_off" in new.flags


def test_a_live_punch_is_durable_before_the_next_is_asked_for(outbox: Outbox, tmp_path: Path) -> None:
    """The driver acknowledges an event when the next one is asked for: by then it must be on disk."""
    bench = Bench(outbox, tmp_path, live=True)
    seen: list[int] = []

    def events(*, quiet: timedelta) -> Iterator[RawPunch | None]:
        for minute in (5, 6):
            before = outbox.queued()
            yield bench.punch(minute, source=Source.LIVE)
            seen.append(outbox.queued() - before)
        raise DeviceUnreachable("gone")

    bench.terminal.listen = events  # type: ignore[method-assign]
    bench.run_until_quiet()
    assert seen == [1, 1]
    assert [punch.source for batch in bench.batches() for punch in batch.punches] == ["live", "live"]


def test_lost_and_back_are_told_once_each(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A cable that is out for a weekend must not fill the disk with log lines."""
    caplog.set_level("INFO")
    bench.terminal.fails = [DeviceUnreachable("192.0.2.10:4370: no route") for _ in range(5)]
    stop = threading.Event()
    real_wait = bench.clock.wait

    def wait(event: threading.Event, timeout_s: float) -> bool:
        if not bench.terminal.fails and bench.terminal.reads:
            stop.set()
        return real_wait(event, timeout_s)

    bench.clock.wait = wait  # type: ignore[method-assign]
    bench.terminal.log = [bench.punch(1)]
    bench.collector.run(stop)
    assert len([line for line in caplog.messages if "no route" in line]) == 1
    assert len([line for line in caplog.messages if "is back" in line]) == 1
    assert [report.state for report in bench.reports] == ["unreachable"] * 5 + ["online"]


def test_a_wrong_comm_key_is_reported_as_refused(bench: Bench) -> None:
    bench.terminal.fails = [DeviceRefused("wrong comm key", code=2005)]
    with pytest.raises(DeviceRefused):
        bench.collector.poll_once()
    assert (bench.reports[0].state, bench.reports[0].error) == ("refused", "wrong comm key")


def test_a_terminal_whose_clock_shows_no_date_is_read_all_the_same(bench: Bench) -> None:
    """30 February on its display is a reason to repair it, none to lose its log."""
    bench.terminal.clock_broken = True
    bench.terminal.log = [bench.punch(1)]
    assert bench.collector.poll_once() == 1
    assert (bench.reports[-1].state, bench.reports[-1].clock_offset_s) == ("online", None)
