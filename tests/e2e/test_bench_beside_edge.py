"""A technician's commands beside an edge that listens: one session at a time, and no punch lost."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.zk.simulator.faults import OneClient
from program import Process, eventually, run_hadir, running_hadir, write_edge
from sync.outbox_memory import remembered
from terminals import Running, serving, some_terminal


@dataclass(frozen=True, slots=True)
class Site:
    """An edge in session with its only terminal, which serves one client at a time."""

    edge: Path
    process: Process
    running: Running

    def read(self) -> int:
        """How many records the edge has read."""
        memory = remembered(self.edge.parent / "setda-01-state" / "outbox.db").get("lobi")
        return memory.records if memory else -1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(some_terminal(records=5), [OneClient()]) as running:
        edge = write_edge(tmp_path, 1, {"lobi": running.port}, extra='live = true\nevery = "1s"')
        with running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process:
            site = Site(edge, process, running)
            eventually(lambda: site.read() == 5, what="the edge has read the terminal")
            yield site
            assert process.stop() == 0


def test_the_edge_gives_way_to_a_command_and_comes_back(site: Site) -> None:
    for _ in range(3):
        done = run_hadir("terminal", "probe", "lobi", "--config", site.edge, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["records"] == site.running.terminal.record_count
        site.running.terminal.punch("1001")
        eventually(lambda: site.read() == site.running.terminal.record_count, what="the edge is back")
    assert "Traceback" not in site.process.log
    assert "lost" not in site.process.log


def test_without_its_turn_a_command_is_told_that_another_program_holds_the_terminal(site: Site) -> None:
    address = f"127.0.0.1:{site.running.port}"
    tcp = run_hadir("terminal", "probe", address, "--timeout", "1", "--transport", "tcp", "--json")
    assert tcp.returncode == 1
    assert "another program may hold it" in tcp.stderr
    other_way = run_hadir("terminal", "probe", address, "--timeout", "1")
    assert "if no other program holds it over TCP (the edge?)" in other_way.stdout
    assert run_hadir("terminal", "probe", address, "--config", site.edge, "--json").returncode == 0


def test_the_list_and_the_scan_take_their_turns_too(site: Site) -> None:
    done = run_hadir("terminal", "list", "--config", site.edge, "--probe", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["now"]["serial"] == "SIM0000000001"
    port = str(site.running.port)
    done = run_hadir("terminal", "scan", "127.0.0.1", "--port", port, "--config", site.edge, "--json")
    (found,) = json.loads(done.stdout)["found"]
    assert (found["kind"], found["known"]) == ("terminal", "known as lobi")
