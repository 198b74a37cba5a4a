"""`hadir simulate` as a trainer uses it: started, punched at from a second shell, stopped."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from attendance.errors import DeviceRefused, DeviceUnreachable
from attendance.punch import RawPunch
from attendance.terminal import Terminal
from drivers.zk.driver import ZkDriver
from drivers.zk.simulator.control import ask, control_listener
from drivers.zk.simulator.firmware import KINDS
from drivers.zk.simulator.model import SimulatedTerminal
from pyzk_client import IGNORE_ITS_SOCKETS, connected_pyzk

pytestmark = pytest.mark.filterwarnings(IGNORE_ITS_SOCKETS)

HADIR = (sys.executable, "-m", "daemon")


def hadir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HADIR, *arguments], capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def simulating(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*HADIR, "simulate", *arguments], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def facts(process: subprocess.Popen[str]) -> dict[str, object]:
    """The next line that it prints."""
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())
    assert isinstance(found, dict)
    return found


def port_of(address: object) -> int:
    return int(str(address).rpartition(":")[2])


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_runs_until_told_to_stop_and_takes_punches(stop: signal.Signals) -> None:
    with simulating(
        "--port", "0", "--users", "5", "--records", "20", "--control-port", "0", "--json"
    ) as process:
        told = facts(process)
        control = str(facts(process)["control"])
        assert {key: told[key] for key in ("serial", "users", "records")} == {
            "serial": "SIM0000000001",
            "users": 5,
            "records": 20,
        }
        stored = hadir("simulate", "punch", "--control", control, "1003", "--at", "2026-01-05T07:29:00")
        assert stored.stdout == (
            "stored at SIM0000000001: pin 1003, 2026-01-05T07:29:00, verify 1, state 0; 21 records\n"
        )
        with connected_pyzk(port_of(told["address"])) as client:
            last = client.get_attendance()[-1]
            assert (last.user_id, last.timestamp.isoformat()) == ("1003", "2026-01-05T07:29:00")
        process.send_signal(stop)
        assert process.wait(timeout=30) == 0


def test_several_terminals_have_serials_and_pasts_of_their_own() -> None:
    with simulating(
        "--port", "0", "--terminals", "3", "--serial", "LOBI-09", "--users", "2", "--records", "4", "--json"
    ) as process:
        told = [facts(process) for _ in range(3)]
        assert [each["serial"] for each in told] == ["LOBI-09", "LOBI-10", "LOBI-11"]
        logs = []
        for each in told:
            with connected_pyzk(port_of(each["address"])) as client:
                logs.append([row.timestamp for row in client.get_attendance()])
        assert logs[0] != logs[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--timezone", "Asia/Nowhere"], "--timezone Asia/Nowhere"),
        (["--comm-key", "1000000"], "--comm-key 1000000: should be 0 to 999999"),
        (["--serial", "a/b"], "--serial 'a/b'"),
        (["--port", "65535", "--terminals", "2"], "--port 65535"),
        (["punch", "--control", "nowhere", "1"], "--control nowhere: should be HOST:PORT"),
        (["punch", "--control", "127.0.0.1:1", "1", "--at", "7.30"], "--at 7.30: should be YYYY"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: list[str], complaint: str) -> None:
    done = hadir("simulate", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_nobody_at_the_control_port_is_one_line_and_exit_1() -> None:
    done = hadir("simulate", "punch", "--control", "127.0.0.1:1", "1001")
    assert done.returncode == 1
    assert "no simulator answers at 127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_control_changes_the_terminal_it_names() -> None:
    first, second = SimulatedTerminal(serial="A"), SimulatedTerminal(serial="B")
    with control_listener([first, second]) as control:

        def told(request: dict[str, object]) -> dict[str, object]:
            return ask("127.0.0.1", control.port, request)

        told({"terminal": "B", "punch": {"pin": "7", "verify": 15, "state": 1}})
        assert (first.record_count, second.record_count) == (0, 1)
        told({"terminal": "A", "offset_s": -90.5})
        assert first.offset.total_seconds() == -90.5
        status = told({"status": True})["terminals"]
        assert isinstance(status, list)
        assert [(each["serial"], each["records"], each["enabled"]) for each in status] == [
            ("A", 0, True),
            ("B", 1, True),
        ]
        assert told({"status": True, "terminal": "B"})["records"] == 1
        told({"terminal": "B", "clear": True})
        assert second.record_count == 0


@pytest.mark.parametrize(
    "request_fields",
    [
        {},
        {"punch": {}},
        {"punch": {"pin": "1", "at": "yesterday"}},
        {"punch": {"pin": "1", "verify": "finger"}},
        {"punch": {"pin": "1", "state": 300}},
        {"punch": {"pin": "1", "colour": 1}},
        {"offset_s": 1e300},
        {"clear": True, "terminal": "B"},
        {"explode": True},
    ],
)
def test_control_says_why_it_refuses_and_goes_on(request_fields: dict[str, object]) -> None:
    terminal = SimulatedTerminal(serial="A")
    with control_listener([terminal]) as control:
        with pytest.raises(DeviceRefused, match="refused: "):
            ask("127.0.0.1", control.port, request_fields)
        assert ask("127.0.0.1", control.port, {"status": True})["ok"]
    assert terminal.record_count == 0


def test_control_port_that_is_closed_is_unreachable() -> None:
    with control_listener([SimulatedTerminal()]) as control:
        port = control.port
    with pytest.raises(DeviceUnreachable, match=str(port)):
        ask("127.0.0.1", port, {"status": True})


@pytest.mark.parametrize("layout", list(KINDS))
def test_a_terminal_of_every_layout_is_read_by_the_driver(layout: str) -> None:
    with simulating(
        "--port", "0", "--users", "5", "--records", "40", "--layout", layout, "--json"
    ) as process:
        told = facts(process)
        terminal = Terminal(id="lobi", host="127.0.0.1", port=port_of(told["address"]))
        with ZkDriver().open(terminal) as session:
            punches = list(session.read_log())
            pins = {user.pin for user in session.read_users()}
    assert pins == {"1001", "1002", "1003", "1004", "1005"}
    assert {punch.pin for punch in punches if isinstance(punch, RawPunch)} == pins
    assert len(punches) == 40


def test_traits_of_firmware_can_be_set_one_by_one() -> None:
    traits = ("--user-layout", "120", "--event-bytes", "52", "--sizes-bytes", "112", "--packet-bytes", "1008")
    with simulating(
        "--port", "0", "--records", "2000", *traits, "--unbuffered", "--shown-records", "0", "--json"
    ) as process:
        terminal = Terminal(id="lobi", host="127.0.0.1", port=port_of(facts(process)["address"]))
        with ZkDriver().open(terminal) as session:
            assert session.read_sizes().records == 0
            assert len(list(session.read_log())) == 2000
            assert len(list(session.read_users())) == 50


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--layout", "41", "should be one of 40, 49, 22"),
        ("--user-layout", "73", "should be one of 120, 72, 28"),
        ("--event-bytes", "7", "should be 8 to 500"),
        ("--sizes-bytes", "5", "should be one of 4, 80, 92, 112"),
    ],
)
def test_a_trait_that_no_firmware_has_is_refused_with_those_that_exist(
    option: str, value: str, words: str
) -> None:
    done = hadir("simulate", "--port", "0", option, value)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{option} {value}: {words}" in done.stderr
