"""Clients that we did not write read our simulated terminals: what they say must be what the terminals hold.

A simulator that only our own driver understands would prove nothing about terminals. `make interop` installs
the clients, from locks, into .interop/ and runs this.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attendance.punch import RawPunch
from attendance.terminal import User
from drivers.zk.simulator.faults import Pace
from drivers.zk.simulator.firmware import KINDS, TFT, Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.server import TerminalServer
from terminals import START, Running, StillClock, serving

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".interop"
PATIENCE_S = 90.0

pytestmark = pytest.mark.timeout(PATIENCE_S + 10)

EACH_FRAME_APART = Pace(0.1)
"""The two sisters take one frame at a time from what they are given: of two together the last is lost."""


def command(client: str, mode: str, running: Running) -> list[str]:
    where = ["127.0.0.1", str(running.port)]
    if client == "pyzk2":
        python = INSTALLED / "venv" / "bin" / "python"
        assert python.exists(), "pyzk2 is missing; install it with: make interop"
        return [str(python), str(HERE / "listen.py"), *where]
    node = shutil.which("node")
    assert node, "node is missing; install it with: apt-get install nodejs npm"
    assert (INSTALLED / "node_modules" / client).is_dir(), (
        f"{client} is missing; install it with: make interop"
    )
    return [node, str(HERE / "read.js"), client, mode, *where]


def environment() -> dict[str, str]:
    return os.environ | {"TZ": "UTC", "NODE_PATH": str(INSTALLED / "node_modules")}


def read_whole(client: str, running: Running, folder: Path) -> dict[str, object]:
    """All that the client says; it runs in `folder`, where it may leave its own log."""
    done = subprocess.run(
        command(client, "whole", running),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=environment(),
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert isinstance(facts, dict)
    return facts


@contextmanager
def listening(client: str, running: Running, folder: Path) -> Iterator[Iterator[object]]:
    """What the client says of events, one after the other, from when it has registered."""
    with subprocess.Popen(
        command(client, "events", running),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=folder,
    ) as process:
        try:
            assert process.stdout is not None
            lines = (json.loads(line) for line in process.stdout)
            assert next(lines, None) == "ready"
            yield lines
        finally:
            process.kill()


def a_terminal(firmware: Firmware, *, users: int = 120, records: int = 3_000) -> SimulatedTerminal:
    """People with names, roles and cards, and punches of every verify mode and state."""
    terminal = SimulatedTerminal(firmware=firmware, clock=StillClock())
    terminal.enrol(
        User(
            uid=uid,
            pin=str(1000 + uid),
            name="",
            name_raw=f"Ni {uid}".encode(),
            privilege=14 if uid == 1 else 0,
            card=7_000_000 + uid,
        )
        for uid in range(1, users + 1)
    )
    for number in range(records):
        terminal.punch(
            str(1001 + number % users),
            at=START + timedelta(seconds=61 * number),
            verify=(1, 15, 4)[number % 3],
            state=number % 6,
        )
    return terminal


def the_punches(users: int = 120, records: int = 3_000) -> Iterator[tuple[int, str, str, int, int]]:
    """uid, pin, wall time, verify, state of what `a_terminal` holds, made without the simulator."""
    for number in range(records):
        uid = number % users + 1
        when = START + timedelta(seconds=61 * number)
        yield uid, str(1000 + uid), when.isoformat(), (1, 15, 4)[number % 3], number % 6


USERS_OF_72 = [
    {
        "uid": uid,
        "role": 14 if uid == 1 else 0,
        "password": "",
        "name": f"Ni {uid}",
        "cardno": 7_000_000 + uid,
        "userId": str(1000 + uid),
    }
    for uid in range(1, 121)
]


@pytest.mark.parametrize("records", [0, 20, 3_000])
def test_node_zklib_reads_users_and_log_over_tcp(records: int, tmp_path: Path) -> None:
    """Empty, inline (4 bytes and 804) and in chunks of 65,472 bytes, all asked for at once."""
    with serving(a_terminal(TFT, records=records), [EACH_FRAME_APART]) as running:
        said = read_whole("node-zklib", running, tmp_path)
    assert (said["transport"], said["error"]) == ("tcp", "")
    assert said["info"] == {"userCounts": 120, "logCounts": records, "logCapacity": 200_000}
    assert said["users"] == USERS_OF_72
    assert said["log"] == [
        {"userSn": uid, "deviceUserId": pin, "recordTime": when, "ip": "127.0.0.1"}
        for uid, pin, when, _verify, _state in the_punches(records=records)
    ]


@pytest.mark.parametrize("packet_bytes", [65528, 1008])
def test_zkteco_js_reads_everything_over_tcp(packet_bytes: int, tmp_path: Path) -> None:
    """One DATA frame for a chunk, as newer terminals send, and many, as JZ4725 does."""
    records = 3_000 if packet_bytes == 65528 else 100
    terminal = a_terminal(replace(TFT, packet_bytes=packet_bytes), users=120, records=records)
    with serving(terminal, [EACH_FRAME_APART]) as running:
        said = read_whole("zkteco-js", running, tmp_path)
    assert (said["serial"], said["error"]) == (terminal.serial, "")
    assert said["firmware"] == f"{TFT.version}\0", "it keeps the zero that ends the text"
    assert (said["platform"], said["name"]) == (terminal.platform, terminal.model)
    assert said["mac"] == terminal.options["MAC"]
    assert said["info"] == {"userCounts": 120, "logCounts": records, "logCapacity": 200_000}
    assert said["time"] == "2026-01-05T08:00:00"
    assert said["timeSet"] == "2026-05-31T23:59:58"
    assert said["users"] == USERS_OF_72
    assert said["log"] == [
        {"sn": uid, "user_id": pin, "record_time": when, "type": verify, "state": state, "ip": "127.0.0.1"}
        for uid, pin, when, verify, state in the_punches(records=records)
    ]


def test_node_zklib_reads_users_and_log_over_udp(tmp_path: Path) -> None:
    """It turns to UDP where TCP is refused, and takes users for 28 bytes and records for 16 there."""
    terminal = a_terminal(KINDS["16"], records=1_000)
    with TerminalServer(terminal, transports=["udp"]) as server:
        said = read_whole("node-zklib", Running(terminal, server), tmp_path)
    assert (said["transport"], said["error"]) == ("udp", "")
    assert said["info"] == {"userCounts": 120, "logCounts": 1_000, "logCapacity": 200_000}
    assert said["users"] == [
        {
            name: user[name] if name != "userId" else int(str(user[name]))
            for name in ("uid", "role", "name", "userId")
        }
        for user in USERS_OF_72
    ]
    assert said["log"] == [
        {"deviceUserId": int(pin), "recordTime": when, "ip": "127.0.0.1"}
        for _uid, pin, when, _verify, _state in the_punches(records=1_000)
    ]


def test_zklib_reads_everything_over_udp_without_a_buffer(tmp_path: Path) -> None:
    """The oldest of them asks for whole tables (9 and 13), as before there were buffers."""
    terminal = a_terminal(TFT, records=300)
    with TerminalServer(terminal, transports=["udp"]) as server:
        said = read_whole("zklib", Running(terminal, server), tmp_path)
    assert str(said["serial"]).rstrip("\0") == terminal.serial
    assert str(said["version"]).rstrip("\0") == terminal.options["~ZKFPVersion"]
    assert said["time"] == "2026-01-05T08:00:00"
    assert said["users"] == [
        {("userid" if name == "userId" else name): value for name, value in user.items()}
        for user in USERS_OF_72
    ]
    assert said["log"] == [
        {
            "id": uid,
            "uid": int(pin),
            "state": verify,
            "timestamp": when,
            "verificationType": verify,
            "inOutStatus": state,
        }
        for uid, pin, when, verify, state in the_punches(records=300)
    ]


@pytest.mark.parametrize("client", ["node-zklib", "zkteco-js"])
@pytest.mark.parametrize("length", [32, 36, 52])
def test_sisters_hear_events(client: str, length: int, tmp_path: Path) -> None:
    terminal = a_terminal(replace(TFT, event_bytes=length), records=0)
    with serving(terminal) as running, listening(client, running, tmp_path) as said:
        for number in range(3):
            made = terminal.punch(str(1001 + number), at=START + timedelta(hours=number))
            assert next(said) == {"userId": made.pin, "attTime": made.wall_time.isoformat()}


@pytest.mark.parametrize("length", [10, 12, 14, 32, 36, 37, 52])
def test_pyzk2_hears_events_of_every_length(length: int, tmp_path: Path) -> None:
    """Those of 10 and 14 bytes carry a uid, which it gives out as the user id."""
    users = KINDS["16"].users if length <= 14 else TFT.users
    terminal = a_terminal(replace(TFT, event_bytes=length, users=users), records=0)
    with serving(terminal) as running, listening("pyzk2", running, tmp_path) as said:
        for number in range(3):
            made = terminal.punch(
                str(1001 + number), at=START + timedelta(hours=number), verify=15, state=number
            )
            pin = told_id(made, number + 1, length)
            assert next(said) == [pin, made.wall_time.isoformat(), 15, number]


def told_id(made: RawPunch, uid: int, length: int) -> str:
    return str(uid) if length in {10, 14} else made.pin
