"""A whole government's terminals in one process: what a trainer and a benchmark stand on."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from attendance.errors import ConfigError
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Terminal
from centre import until
from config.load import load_edge
from drivers.zk.driver import ZkDriver
from drivers.zk.simulator.control import ask
from drivers.zk.simulator.firmware import KINDS
from drivers.zk.simulator.fleet import Fleet, Place, Punching
from drivers.zk.simulator.model import SimulatedTerminal
from program import run_hadir
from terminals import some_terminal


def fleet_of(count: int, *, users: int = 10) -> list[SimulatedTerminal]:
    return [some_terminal(serial=f"SIM{number:010d}", users=users) for number in range(1, count + 1)]


def read(address: str) -> list[RawPunch | BadRecord]:
    host, _colon, port = address.rpartition(":")
    terminal = Terminal(id="lobi", host=host, port=int(port), timeout=timedelta(seconds=10))
    with ZkDriver().open(terminal) as session:
        return list(session.read_log())


def punches(address: str) -> list[RawPunch]:
    return [punch for punch in read(address) if isinstance(punch, RawPunch)]


def test_each_of_a_fleet_answers_for_itself_on_a_port_or_an_address_of_its_own() -> None:
    terminals = fleet_of(3)
    for number, terminal in enumerate(terminals):
        terminal.punch(str(1001 + number))
    for place in (Place(), Place("127.7.0.254", 43700, by_address=True)):
        with Fleet(terminals, place) as fleet:
            pins = [[punch.pin for punch in punches(address)] for address in fleet.addresses]
            assert len(set(fleet.addresses)) == 3
        assert pins == [["1001"], ["1002"], ["1003"]]
    assert Place("127.7.0.254", 43700, by_address=True).of(3) == ("127.7.1.1", 43700)
    assert Place("127.0.0.1", 4370).of(3) == ("127.0.0.1", 4373)


def test_a_fleet_that_cannot_have_all_its_addresses_starts_none() -> None:
    with socket.create_server(("127.7.1.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.7\.1\.2"):
            Fleet(fleet_of(3), Place("127.7.1.1", port, by_address=True)).__enter__()
    with socket.create_server(("127.7.1.1", port)):
        pass
    with pytest.raises(ConfigError, match=r"localhost is no address .* 127\.1\.0\.1"):
        Place("localhost", 4370, by_address=True).of(1)


def test_people_punch_in_turn_and_nobody_twice_in_a_second() -> None:
    """Two punches of one person in one second are one punch: a benchmark would count a loss that is none."""
    terminals = fleet_of(4, users=30)
    told: list[tuple[str, str]] = []
    with Punching(
        terminals, 40, lambda terminal, punch: told.append((terminal.serial, punch.pin))
    ) as punching:
        until(lambda: punching.made >= 25, "25 punches")
    assert punching.made == len(told) == sum(terminal.record_count for terminal in terminals)
    assert len(set(told)) == len(told)
    assert [serial for serial, _pin in told[:5]] == [
        *(each.serial for each in terminals),
        terminals[0].serial,
    ]


@pytest.mark.parametrize("rate", [0, -1, 1000])
def test_a_rate_that_the_people_cannot_make_is_refused_with_the_one_that_they_can(rate: float) -> None:
    with pytest.raises(ConfigError, match="30 people at 3 terminals can make up to 10"):
        Punching(fleet_of(3), rate)
    with pytest.raises(ConfigError, match="can make up to 0"):
        Punching([], rate or 1)


def test_a_fleet_from_the_command_line_is_what_the_written_settings_name(tmp_path: Path) -> None:
    """One line starts the training: settings that an edge takes as they are, every kind, people who punch."""
    settings, punches = tmp_path / "edge.toml", tmp_path / "punches.jsonl"
    count = 2 * len(KINDS)
    command = [sys.executable, "-m", "daemon", "simulate", "--fleet", str(count), "--port", "0", "--json"]
    command += ["--users", "20", "--records", "30", "--comm-key", "7", "--control-port", "0"]
    command += ["--punch-rate", "20", "--punch-log", str(punches), "--write-config", str(settings)]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(process.kill)
        assert process.stdout is not None
        facts = [json.loads(process.stdout.readline()) for _ in range(count)]
        control = int(json.loads(process.stdout.readline())["control"].rpartition(":")[2])
        until(lambda: punches.exists() and punches.read_text().count("\n") >= 3, "three punches")
        process.send_signal(15)
        assert process.wait(timeout=30) == 0
    edge = load_edge(settings, {})
    assert [f"{each.host}:{each.port}" for each in edge.terminal] == [each["address"] for each in facts]
    assert [each.id for each in edge.terminal] == [each["serial"].lower() for each in facts]
    assert {each.comm_key for each in edge.terminal} == {7}
    assert len({each.group for each in edge.terminal}) == count
    made = [json.loads(line) for line in punches.read_text().splitlines()]
    assert [each["terminal"] for each in made[:3]] == [each["serial"] for each in facts[:3]]
    assert set(made[0]) == {"terminal", "pin", "wall_time", "verify", "state", "made_at"}
    with pytest.raises(Exception, match="no simulator"):
        ask("127.0.0.1", control, {"status": True})


def test_a_fleet_has_every_kind_of_terminal_and_each_is_read_whole() -> None:
    command = [
        sys.executable,
        "-m",
        "daemon",
        "simulate",
        "--fleet",
        str(len(KINDS)),
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(
        [*command, "--users", "5", "--records", "40"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        facts = [json.loads(process.stdout.readline()) for _ in KINDS]
        logs = [read(each["address"]) for each in facts]
        process.kill()
    assert [len(log) for log in logs] == [40] * len(KINDS)
    assert all(isinstance(punch, RawPunch) for log in logs for punch in log)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--fleet", "1001"], "--fleet 1001: should be 1 to 1000"),
        (["--fleet", "2", "--addresses", "--port", "0"], "--port 0: should be 1"),
        (["--fleet", "2", "--layout", "40,41"], "--layout 41: should be one of 40, 49"),
        (["--port", "0", "--punch-rate", "50"], "can make up to 16.7"),
        (
            ["--port", "0", "--write-config", "/nowhere/edge.toml"],
            "--write-config /nowhere/edge.toml: No such",
        ),
        (
            ["--port", "0", "--punch-rate", "1", "--punch-log", "/nowhere/log"],
            "--punch-log /nowhere/log: No such",
        ),
    ],
)
def test_a_fleet_that_cannot_be_is_one_line_and_exit_2(arguments: list[str], complaint: str) -> None:
    done = run_hadir("simulate", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
