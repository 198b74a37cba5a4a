"""Two sessions at once make a terminal lose answers: edge and commands take turns, whatever dies."""

import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from attendance.clock import SystemClock
from attendance.errors import ConfigError, DeviceTimeout
from daemon.turns import EDGE_PATIENCE_S, FOLDER, Turn
from terminals import StillClock

HOLD = """
import sys, time
from pathlib import Path
from daemon.turns import Turn
with Turn(Path(sys.argv[1]), "lobi").command(10):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def turn(tmp_path: Path) -> Turn:
    return Turn(tmp_path, "lobi")


def test_a_command_gets_its_turn_when_the_edge_gives_way(turn: Turn, tmp_path: Path) -> None:
    """A terminal with live events has a session for days: a technician cannot wait for its end."""
    in_session, had = threading.Event(), threading.Event()

    def edge() -> None:
        with Turn(tmp_path, "lobi").edge(threading.Event(), SystemClock()):
            in_session.set()
            while not turn.wanted():
                had.wait(0.01)

    thread = threading.Thread(target=edge)
    thread.start()
    assert in_session.wait(30)
    with turn.command(30):
        had.set()
        assert turn.wanted()
    thread.join(30)
    assert had.is_set()
    assert not turn.wanted()


def test_a_command_that_waits_in_vain_says_who_has_the_terminal(turn: Turn, tmp_path: Path) -> None:
    with (
        Turn(tmp_path, "lobi").edge(threading.Event(), SystemClock()),
        pytest.raises(DeviceTimeout, match=r"pid \d+\) is talking with terminal lobi .* --wait"),
        turn.command(0),
    ):
        pass


def test_the_edge_comes_back_after_a_command_that_was_killed(tmp_path: Path) -> None:
    """A closed laptop in the middle of a command must not stop the punches for ever."""
    popen = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with popen:
        assert popen.stdout is not None
        assert popen.stdout.readline() == "held\n"
        turn = Turn(tmp_path, "lobi")
        with (
            pytest.raises(DeviceTimeout, match="keeps terminal lobi"),
            turn.edge(threading.Event(), StillClock(counter=-EDGE_PATIENCE_S)),
        ):
            pass
        popen.kill()
    with turn.edge(threading.Event(), SystemClock()):
        assert not turn.wanted()


def test_a_stop_does_not_wait_for_a_command(turn: Turn, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with turn.command(0), pytest.raises(DeviceTimeout), Turn(tmp_path, "lobi").edge(stop, SystemClock()):
        pass


def test_another_terminal_is_not_concerned(turn: Turn, tmp_path: Path) -> None:
    with ExitStack() as both:
        both.enter_context(turn.command(0))
        both.enter_context(Turn(tmp_path, "gudang").edge(threading.Event(), SystemClock()))


def test_where_no_edge_ever_ran_nobody_is_asked(tmp_path: Path) -> None:
    """A technician's laptop with a copy of edge.toml: the state's folder is not there, and is not made."""
    with Turn(tmp_path / "none", "lobi").command(0):
        pass
    assert not (tmp_path / "none").exists()


def test_without_lock_files_the_edge_reads_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is absent because a lock could not be made; a command, though, may not push in."""
    (tmp_path / FOLDER).write_text("in the way")
    turn = Turn(tmp_path, "lobi")
    for _ in range(2):
        with turn.edge(threading.Event(), SystemClock()):
            pass
    assert len([line for line in caplog.messages if "cannot take their turn" in line]) == 1
    with pytest.raises(ConfigError, match="sudo -u hadir"), turn.command(0):
        pass
