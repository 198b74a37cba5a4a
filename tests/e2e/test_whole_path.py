"""The whole path on real parts: terminals, edge process, Mosquitto, centre process, both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from attendance.punch import RawPunch
from drivers.zk.records import unpack_log
from mosquitto import Mosquitto, free_port, running_mosquitto
from program import (
    Process,
    eventually,
    query,
    run_hadir,
    running_hadir,
    stored_identities,
    write_central,
    write_edge,
)
from terminals import Running, running_terminals, serving, some_terminal


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with running_mosquitto() as mosquitto:
        yield mosquitto


def in_terminals(*terminals: Running) -> list[tuple[str, ...]]:
    """What the terminals' own memories hold, each punch once."""
    return sorted(
        {
            (item.terminal.serial, punch.pin, f"{punch.wall_time:%Y-%m-%d}", f"{punch.wall_time:%H:%M:%S}")
            for item in terminals
            for punch in unpack_log(item.terminal.log())
            if isinstance(punch, RawPunch)
        }
    )


@contextmanager
def central(folder: Path, url: str, port: int, *, embedded: bool = False) -> Iterator[Process]:
    settings = write_central(folder, url, port, embedded=embedded)
    with running_hadir("central", "run", "--config", settings, log=folder / "central.log") as process:
        yield process


def test_once_brings_every_punch_exactly_once(database_url: str, broker: Mosquitto, tmp_path: Path) -> None:
    """A lost or doubled punch here is a wrong allowance; the second run must find nothing new."""
    with (
        running_terminals(3, users=20, records=700) as running,
        central(tmp_path, database_url, broker.port) as centre,
    ):
        edge = write_edge(tmp_path, broker.port, {f"t{n}": item.port for n, item in enumerate(running)})
        first = run_hadir("edge", "run", "--config", edge, "--once")
        assert first.returncode == 0, first.stderr + centre.log
        assert stored_identities(database_url) == in_terminals(*running)
        second = run_hadir("edge", "run", "--config", edge, "--once")
        assert second.returncode == 0, second.stderr
        assert " 0 new records" in second.stdout
        assert stored_identities(database_url) == in_terminals(*running)
        assert centre.stop() == 0


def test_live_punch_arrives_while_the_edge_runs(database_url: str, broker: Mosquitto, tmp_path: Path) -> None:
    """The punch of this minute must not wait for the next poll (here: an hour away)."""
    with running_terminals(1, users=5, records=50) as (item,), central(tmp_path, database_url, broker.port):
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port}, extra='live = true\nevery = "1h"')
        with running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process:
            eventually(lambda: len(_rows(database_url)) == 50, what=f"backlog: {process.log}")
            item.terminal.punch("1003")
            eventually(lambda: len(_rows(database_url)) == 51, what=f"live punch: {process.log}", within_s=20)
            assert stored_identities(database_url) == in_terminals(item)
            sources = query(database_url, "SELECT source, clock_offset_s FROM v1_punch WHERE source = 'live'")
            assert len(sources) == 1
            assert sources[0][1] is not None
            assert process.stop() == 0


def test_dead_terminal_delays_no_other(broker: Mosquitto, tmp_path: Path) -> None:
    """One broken cable must not keep a whole office's punches from the centre; the exit code names it."""
    url = f"sqlite:///{tmp_path}/central.db"
    with running_terminals(2, users=5, records=40) as running, central(tmp_path, url, broker.port):
        ports = {"hidup-1": running[0].port, "mati": free_port(), "hidup-2": running[1].port}
        edge = write_edge(tmp_path, broker.port, ports)
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 1
        assert stored_identities(url) == in_terminals(*running)
        complaints = done.stderr.splitlines()
        assert [line for line in complaints if "terminal mati" in line and "127.0.0.1" in line]
        assert not [line for line in complaints if line.startswith("hadir: terminal hidup")]
        assert "Traceback" not in done.stderr


def test_embedded_broker_serves_edge_and_centre(tmp_path: Path) -> None:
    """A small office without Mosquitto: the client has to step down to MQTT 3.1.1 by itself."""
    url = f"sqlite:///{tmp_path}/central.db"
    port = free_port()
    with (
        running_terminals(1, users=5, records=120) as running,
        central(tmp_path, url, port, embedded=True) as centre,
    ):
        edge = write_edge(tmp_path, port, {"lobi": running[0].port})
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 0, done.stderr + centre.log
        assert stored_identities(url) == in_terminals(*running)
        assert centre.stop() == 0


def test_broker_that_is_down_at_start_and_dies_on_the_way(broker: Mosquitto, tmp_path: Path) -> None:
    """A restarted broker that forgot everything: the outbox sends again, nothing is lost or doubled."""
    url = f"sqlite:///{tmp_path}/central.db"
    broker.stop()
    with (
        running_terminals(1, users=10, records=300) as (item,),
        central(tmp_path, url, broker.port) as centre,
    ):
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port}, extra='every = "1s"')
        with running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process:
            eventually(lambda: "300 new records" in process.log, what="collection without a broker")
            broker.start()
            eventually(
                lambda: len(_rows(url)) == 300, what=f"delivery after the start: {process.log}{centre.log}"
            )
            broker.kill()
            broker.forget()
            item.terminal.punch("1001", at=datetime(2026, 2, 2, 7, 0))
            eventually(lambda: " 1 new record" in process.log, what="collection while the broker is dead")
            broker.start()
            eventually(
                lambda: len(_rows(url)) == 301, what=f"delivery after the crash: {process.log}{centre.log}"
            )
            assert stored_identities(url) == in_terminals(item)
            assert process.log.count("Traceback") == 0
            assert process.stop() == 0


def test_kill_dash_nine_of_edge_and_centre_loses_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    """Power cuts on both sides, again and again, while punches are being made."""
    url = f"sqlite:///{tmp_path}/central.db"
    settings = write_central(tmp_path, url, broker.port)
    assert run_hadir("central", "init", "--config", settings).returncode == 0
    with running_terminals(2, users=50, records=1500) as running:
        ports = {f"t{n}": item.port for n, item in enumerate(running)}
        edge = write_edge(tmp_path, broker.port, ports, extra='every = "1s"\nlive = true')
        for round_ in range(3):
            with (
                running_hadir("central", "run", "--config", settings, log=tmp_path / "central.log") as centre,
                running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process,
            ):
                before = len(_rows(url))
                for second in range(20):
                    running[0].terminal.punch("1001", at=datetime(2026, 3, 1 + round_, 8, 0, second))
                eventually(lambda: len(_rows(url)) > before, what="any progress")  # noqa: B023 - used at once
                process.kill()
                centre.kill()
        with central(tmp_path, url, broker.port):
            done = run_hadir("edge", "run", "--config", edge, "--once")
            assert done.returncode == 0, done.stderr
        assert stored_identities(url) == in_terminals(*running)


def test_corrupt_record_in_the_middle_of_a_log(broker: Mosquitto, tmp_path: Path) -> None:
    """31 February between good punches: kept as evidence at the centre, and nothing else is lost."""
    url = f"sqlite:///{tmp_path}/central.db"
    terminal = some_terminal(users=5, records=30)
    terminal.add_raw_record(bytes.fromhex("0700" + "31303031".ljust(48, "0") + "01" + "ffffffff" + "00" * 9))
    terminal.punch("1002", at=datetime(2026, 3, 3, 7, 0))
    with serving(terminal) as item, central(tmp_path, url, broker.port):
        edge = write_edge(tmp_path, broker.port, {"lobi": item.port})
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 0, done.stderr
        assert stored_identities(url) == in_terminals(item)
        assert len(stored_identities(url)) == 31
        assert query(url, "SELECT terminal_serial, reason FROM bad_record")[0][0] == terminal.serial
        assert len([line for line in done.stderr.splitlines() if "cannot be a punch" in line]) == 1


@pytest.mark.parametrize("driver", ["zk", "pyzk"])
def test_either_driver_gives_the_same_rows(driver: str, broker: Mosquitto, tmp_path: Path) -> None:
    """A site that has to fall back to pyzk must not see other punches."""
    url = f"sqlite:///{tmp_path}/central.db"
    with running_terminals(1, users=5, records=60) as running, central(tmp_path, url, broker.port):
        edge = write_edge(tmp_path, broker.port, {"lobi": running[0].port}, extra=f'driver = "{driver}"')
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 0, done.stderr
        assert stored_identities(url) == in_terminals(*running)


def _rows(url: str) -> list[tuple[str, ...]]:
    try:
        return stored_identities(url)
    except Exception:  # noqa: BLE001 - the database is not made yet
        return []
