"""`hadir terminal clock`: what is wrong with a clock is named, and it is set only by one that is right."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from attendance.clock import SystemClock
from attendance.errors import DeviceError
from daemon.bench.wall_clock import correct_clock, in_words
from drivers.zk.driver import ZkDriver
from drivers.zk.session import ZkSession
from drivers.zk.simulator.model import SimulatedTerminal
from program import run_hadir
from terminals import serving, some_terminal

WIB = ZoneInfo("Asia/Jakarta")


def configured(folder: Path, port: int) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        '[edge]\nid = "setda-01"\ntimezone = "Asia/Jakarta"\nstate_dir = "state"\nhost_clock = "trusted"\n'
        f'[[terminal]]\nid = "lobi"\nhost = "127.0.0.1"\nport = {port}\n',
        encoding="utf-8",
    )
    return path


def clock(*arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    done = run_hadir("terminal", "clock", *arguments, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@contextmanager
def session_with(terminal: SimulatedTerminal) -> Iterator[ZkSession]:
    with serving(terminal) as running, ZkDriver().open(running.as_configured()) as session:
        yield session


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda terminal: None, "right"),
        (lambda terminal: setattr(terminal, "offset", timedelta(minutes=12)), "off"),
        (lambda terminal: setattr(terminal, "zone", ZoneInfo("Asia/Jayapura")), "wrong_zone"),
        (lambda terminal: setattr(terminal, "zone", ZoneInfo("UTC")), "utc"),
        (lambda terminal: terminal.set_wall_time(datetime(2000, 1, 2, 3, 4)), "year_2000"),
    ],
)
def test_what_is_wrong_with_a_clock_is_named(
    tmp_path: Path, change: Callable[[SimulatedTerminal], None], verdict: str
) -> None:
    terminal = some_terminal()
    change(terminal)
    with serving(terminal) as running:
        code, facts, _ = clock("lobi", "--config", configured(tmp_path, running.port))
    assert (code, facts["clock_verdict"]) == (0, verdict)


def test_a_clock_is_set_and_read_again(tmp_path: Path) -> None:
    terminal = some_terminal()
    terminal.set_wall_time(datetime(2000, 1, 2, 3, 4))
    with serving(terminal) as running:
        edge = configured(tmp_path, running.port)
        code, facts, _ = clock("lobi", "--config", edge, "--set")
        shown = run_hadir("terminal", "clock", "lobi", "--config", edge)
    assert (code, facts["clock_verdict"], facts["before"]["clock_verdict"]) == (0, "right", "year_2000")
    assert abs(terminal.offset) < timedelta(seconds=60)
    assert ", right: " in shown.stdout


def test_a_clock_is_not_set_by_a_zone_that_nobody_stated() -> None:
    """Half of the country lives in another zone than the default."""
    code, _, err = clock("127.0.0.1:1", "--set")
    assert (code, err) == (
        2,
        "hadir: a clock is set only by a stated zone: add --timezone, such as Asia/Makassar\n",
    )


def test_a_machine_that_is_not_sure_of_its_own_time_sets_nobody_elses() -> None:
    terminal = some_terminal()
    terminal.offset = timedelta(hours=2)
    with session_with(terminal) as session:
        with pytest.raises(DeviceError, match="follows no time server"):
            correct_clock(session, WIB, SystemClock(), force=False, slots=(), trusted=lambda: False)
        assert terminal.offset == timedelta(hours=2)
        before, after = correct_clock(
            session, WIB, SystemClock(), force=True, slots=(), trusted=lambda: False
        )
    assert (before.right, after.right) == (False, True)
    assert "this machine's own clock follows no time server" in after.text


def test_nobody_becomes_late_by_a_clock_that_is_set() -> None:
    terminal = some_terminal()
    terminal.offset = timedelta(minutes=3)
    slot = datetime.now(WIB).time().replace(second=0, microsecond=0)
    with session_with(terminal) as session:
        with pytest.raises(DeviceError, match="late or on time"):
            correct_clock(session, WIB, SystemClock(), force=False, slots=(slot,), trusted=lambda: True)
        assert terminal.offset == timedelta(minutes=3)
        correct_clock(session, WIB, SystemClock(), force=True, slots=(slot,), trusted=lambda: True)
    assert abs(terminal.offset) < timedelta(minutes=1)


def test_spans_are_told_in_their_two_largest_parts() -> None:
    spans = [timedelta(0), timedelta(seconds=-723), timedelta(hours=1), timedelta(days=2, hours=3, minutes=4)]
    assert [in_words(span) for span in spans] == ["0 s", "12 min 3 s", "1 h", "2 days 3 h"]
