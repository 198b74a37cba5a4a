"""A clock that is off, steps and is set: what the centre's readers see of it, on real parts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mosquitto import Mosquitto, running_mosquitto
from program import Process, eventually, query, run_hadir, running_hadir, write_central, write_edge
from terminals import running_terminals

SURE = {"HADIR_EDGE__HOST_CLOCK": "trusted"}


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with running_mosquitto() as mosquitto:
        yield mosquitto


def initialised(folder: Path, url: str, broker: Mosquitto) -> Path:
    """central.toml of a database that is there."""
    settings = write_central(folder, url, broker.port)
    done = run_hadir("central", "init", "--config", settings)
    assert done.returncode == 0, done.stderr
    return settings


def kinds(url: str) -> list[str]:
    rows = query(
        url, "SELECT kind FROM v1_terminal_event WHERE source = 'hadir' ORDER BY happened_at, kind DESC"
    )
    return [str(kind) for (kind,) in rows]


def test_a_clock_that_is_off_and_steps_is_seen_at_the_centre(
    database_url: str, broker: Mosquitto, tmp_path: Path
) -> None:
    """The classic: set back ten minutes in the morning, and forward again before anyone looks."""
    settings = initialised(tmp_path, database_url, broker)
    with (
        running_terminals(1, users=5, records=20) as (item,),
        running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log") as centre,
    ):
        item.terminal.offset = timedelta(hours=1)
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port}, extra='every = "1s"')
        with running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log", env=SURE) as process:
            eventually(lambda: kinds(database_url) == ["clock_wrong"], what=_both(process, centre))
            item.terminal.offset = timedelta(minutes=-10)
            stepped = ["clock_wrong", "clock_wrong", "clock_stepped"]
            eventually(lambda: sorted(kinds(database_url)) == sorted(stepped), what=_both(process, centre))

            def flagged() -> bool:
                # Within a second of the change nobody can tell on which side a punch lies.
                item.terminal.punch("1003")
                return _flagged(database_url)

            eventually(flagged, what=_both(process, centre))
            assert process.stop() == 0
    ((detail,),) = query(database_url, "SELECT detail FROM v1_terminal_event WHERE kind = 'clock_stepped'")
    assert "back by 42" in str(detail)
    verdicts = [
        str(row[0]) for row in query(database_url, "SELECT verdict FROM v1_clock ORDER BY measured_at")
    ]
    assert (verdicts[0], verdicts[-1]) == ("wrong_zone", "off")
    ((state, offset, reading),) = query(
        database_url, "SELECT clock_state, clock_offset_s, reading FROM v1_terminal"
    )
    assert (state, reading) == ("off", "tail")
    assert abs(float(str(offset)) + 600) < 3


def test_a_clock_is_set_and_the_terminals_own_log_says_so_too(
    database_url: str, broker: Mosquitto, tmp_path: Path
) -> None:
    settings = initialised(tmp_path, database_url, broker)
    with (
        running_terminals(1, users=5, records=20) as (item,),
        running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log") as centre,
    ):
        item.terminal.offset = timedelta(days=-9000)
        extra = 'clock = "correct"\nclock_any_time = true'
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port}, extra=extra)
        done = run_hadir("edge", "run", "--config", edge, "--once", env=SURE)
        assert done.returncode == 0, done.stderr + centre.log
        assert abs(item.terminal.offset) < timedelta(seconds=3)
        again = run_hadir("edge", "run", "--config", edge, "--once", env=SURE)
        assert again.returncode == 0, again.stderr
    assert kinds(database_url) == ["clock_wrong", "clock_set"]
    ((code, wall),) = query(
        database_url,
        "SELECT code, wall_time FROM v1_terminal_event WHERE source = 'operation_log' AND kind = 'clock_set'",
    )
    assert code == 21
    assert abs(datetime.fromisoformat(str(wall)) - item.terminal.wall_time()) < timedelta(days=9001)
    rows = query(database_url, "SELECT verdict FROM v1_clock ORDER BY measured_at")
    assert [verdict for (verdict,) in rows] == ["off", "right"]


def test_an_unsure_host_sets_no_clock_and_blames_none(broker: Mosquitto, tmp_path: Path) -> None:
    """Where the kernel cannot say that it follows a time server; this test tells it to look away."""
    url = f"sqlite:///{tmp_path}/central.db"
    settings = initialised(tmp_path, url, broker)
    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "ctypes.py").write_text("raise ImportError('a hardened host')\n")
    with (
        running_terminals(1, users=5, records=5) as (item,),
        running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log"),
    ):
        item.terminal.offset = timedelta(hours=3)
        extra = 'clock = "correct"\nclock_any_time = true'
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port}, extra=extra)
        done = run_hadir("edge", "run", "--config", edge, "--once", env={"PYTHONPATH": str(blind)})
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("follows no time server") == 1
        assert item.terminal.offset == timedelta(hours=3)
    assert kinds(url) == []
    assert query(url, "SELECT clock_state FROM v1_terminal") == [("untrusted",)]


def _flagged(url: str) -> bool:
    rows = query(url, "SELECT clock_offset_s, flags FROM v1_punch WHERE clock_offset_s IS NOT NULL")
    return any("clock_off" in str(flags) and abs(float(str(offset)) + 600) < 3 for offset, flags in rows)


def _both(edge: Process, centre: Process) -> str:
    return f"{edge.log}{centre.log}"
