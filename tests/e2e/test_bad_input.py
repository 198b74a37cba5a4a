"""What people and machines get wrong: one clear line each, no traceback, and nothing else is lost."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosquitto import Mosquitto, free_port, running_mosquitto
from program import eventually, query, run_hadir, running_hadir, stored_identities, write_central, write_edge
from proxy import proxy_before
from terminals import running_terminals, serving, some_terminal


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with running_mosquitto() as mosquitto:
        yield mosquitto


def complaints(stderr: str) -> list[str]:
    """The lines meant for the person at the keyboard; a traceback would fail every test here."""
    assert "Traceback" not in stderr
    return [line.removeprefix("hadir: ") for line in stderr.splitlines() if line.startswith("hadir: ")]


@pytest.mark.parametrize("command", [("edge", "run", "--once"), ("config", "check")])
def test_wrong_key_names_file_path_and_the_right_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = write_edge(tmp_path, 1883, {"lobi": 4370}, extra='evry = "60s"')
    where = [path] if command[0] == "config" else ["--config", path]
    done = run_hadir(*command, *where)
    assert done.returncode == 2
    assert complaints(done.stderr) == [
        f"{path}: terminal[0].evry: unknown key; the nearest known one is 'every'"
    ]
    assert done.stdout == ""


def test_wrong_comm_key_stops_only_its_own_terminal(broker: Mosquitto, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/central.db"
    locked = some_terminal(serial="LOCKED1", records=5, comm_key=1234)
    settings = write_central(tmp_path, url, broker.port)
    with (
        serving(locked) as first,
        running_terminals(1, records=20) as (second,),
        running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log"),
    ):
        edge = write_edge(tmp_path, broker.port, {"terkunci": first.port, "lobi": second.port})
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 1
        (line,) = complaints(done.stderr)
        assert line.startswith("terminal terkunci: ")
        assert "comm key" in line
        assert "1234" not in done.stderr
        assert len(stored_identities(url)) == 20


def test_a_terminal_that_hangs_up_once_is_asked_again(broker: Mosquitto, tmp_path: Path) -> None:
    """A Wi-Fi hiccup in the one nightly run must not cost a day's punches."""
    url = f"sqlite:///{tmp_path}/central.db"
    settings = write_central(tmp_path, url, broker.port)
    with (
        running_terminals(1, records=1) as (item,),
        proxy_before(item.port) as proxy,
        running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log"),
    ):
        proxy.cut_after = 40
        edge = write_edge(tmp_path, broker.port, {"lobi": proxy.port})
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert proxy.cuts == 1
        assert done.returncode == 0, done.stderr
        assert done.stdout == "1 terminal read, 1 new record, 0 entries wait for the centre\n"
        assert len(stored_identities(url)) == 1


def test_broker_down_keeps_the_punches_and_says_where(tmp_path: Path) -> None:
    port = free_port()
    with running_terminals(1, records=30) as (item,):
        edge = write_edge(tmp_path, port, {"lobi": item.port})
        done = run_hadir("edge", "run", "--config", edge, "--once", "--timeout", "4")
        assert done.returncode == 1
        (line,) = complaints(done.stderr)
        assert "are not acknowledged by the centre and stay in the outbox" in line
        assert f"127.0.0.1:{port}" in line
    url = f"sqlite:///{tmp_path}/central.db"
    settings = write_central(tmp_path, url, port, embedded=True)
    with running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log"):
        done = run_hadir("edge", "run", "--config", edge, "--once", "--timeout", "30")
        assert done.returncode == 1, "the terminal is gone by now"
        assert len(stored_identities(url)) == 30, "but what was collected is delivered"


def test_locked_database_is_waited_for(broker: Mosquitto, tmp_path: Path) -> None:
    """Somebody's SQL window holds the file: said once, and nothing is acknowledged before it is stored."""
    url = f"sqlite:///{tmp_path}/central.db"
    settings = write_central(tmp_path, url, broker.port)
    assert run_hadir("central", "init", "--config", settings).returncode == 0
    with (
        running_terminals(1, records=10) as (item,),
        running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log") as centre,
    ):
        eventually(lambda: "receives" in centre.log, what="the centre's start")
        holder = sqlite3.connect(tmp_path / "central.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port})
        done = run_hadir("edge", "run", "--config", edge, "--once", "--timeout", "9")
        assert done.returncode == 1
        assert "are not acknowledged by the centre" in done.stderr
        eventually(lambda: "locked" in centre.log, what=f"a line about the lock: {centre.log}")
        holder.execute("ROLLBACK")
        holder.close()
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 0, done.stderr
        assert len(stored_identities(url)) == 10
        assert "Traceback" not in centre.log


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/at/all/central.db", "/nowhere/at/all"),
        ("postgresql+psycopg://hadir:hunter2@127.0.0.1:1/hadir", "127.0.0.1"),
    ],
)
def test_database_that_is_not_there(tmp_path: Path, url: str, says: str) -> None:
    done = run_hadir("central", "run", "--config", write_central(tmp_path, url, 1))
    assert done.returncode == 1
    (line,) = complaints(done.stderr)
    assert says in line
    assert "hunter2" not in done.stderr


def test_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "setda-01-state").write_text("a file where a folder should be", encoding="utf-8")
    done = run_hadir("edge", "run", "--config", write_edge(tmp_path, 1, {}), "--once")
    assert done.returncode == 1
    (line,) = complaints(done.stderr)
    assert "setda-01-state" in line


def test_two_edges_on_one_outbox(broker: Mosquitto, tmp_path: Path) -> None:
    """A technician runs --once beside the service: refused, or both would number batches."""
    edge = write_edge(tmp_path, broker.port, {})
    with running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as service:
        eventually(lambda: "runs with" in service.log, what="the service's start")
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 1
        (line,) = complaints(done.stderr)
        assert str(service.popen.pid) in line
        assert service.stop() == 0


def test_nip_in_scientific_notation_keeps_only_its_row_out(tmp_path: Path) -> None:
    """A spreadsheet turned 18 digits into 1.98503E+17: the row cannot be used, the others go in."""
    url = f"sqlite:///{tmp_path}/central.db"
    settings = write_central(tmp_path, url, 1)
    (tmp_path / "units.csv").write_text("unit,name\nsetda,Sekretariat Daerah\n", encoding="utf-8")
    (tmp_path / "people.csv").write_text(
        "nip,name,unit,pin\n198503152010011001,Siti Aminah,setda,1001\n"
        "1.98503E+17,Budi Santoso,setda,1002\n199001012015032002,Rina Lestari,setda,1003\n",
        encoding="utf-8",
    )
    assert run_hadir("load", "units", tmp_path / "units.csv", "--config", settings).returncode == 0
    done = run_hadir("load", "people", tmp_path / "people.csv", "--config", settings)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "1.98503E+17" in line]
    assert "line 3" in line
    assert "text" in line
    assert "Traceback" not in done.stderr
    assert [row[0] for row in query(url, "SELECT name FROM person ORDER BY name")] == [
        "Rina Lestari",
        "Siti Aminah",
    ]


@pytest.mark.parametrize(
    "arguments", [(), ("edge",), ("edge", "run"), ("score", "--month", "Agustus"), ("bogus",)]
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = run_hadir(*arguments)
    assert done.returncode == 2
    (line,) = complaints(done.stderr)
    assert done.stderr == f"hadir: {line}\n"
