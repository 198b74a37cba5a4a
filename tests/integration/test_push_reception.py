"""Terminals that dial in, over real HTTP on loopback: what is on disk before a terminal hears OK."""

import logging
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attendance.clock import SystemClock
from attendance.errors import OutboxUnusable
from attendance.punch import Source
from centre import until
from daemon.push_memory import PushMemory
from daemon.push_site import PushSite
from drivers.zk_push import replies
from drivers.zk_push.options import PushFacts
from drivers.zk_push.simulator import Fault, PushFirmware, PushTerminal, Stamps, drain
from mosquitto import free_port
from pushing import SERIAL, START, filled, push_settings, receiving, said
from sync.envelope import TerminalHealth
from sync.outbox import Outbox
from terminals import StillClock

SECRET = b"U0VDUkVUVEVNUExBVEU"
ROOT = Path(__file__).parents[2]


FIRMWARES = {
    "2.4": PushFirmware(),
    "2.2, bare OK": PushFirmware(push_version="2.2.14", counts_lines=False),
    "1.0": PushFirmware(push_version=None, counts_lines=False),
    "honours stamps": PushFirmware(stamps=Stamps.HONOUR),
    "atoi": PushFirmware(stamps=Stamps.ATOI),
    "CRLF": PushFirmware(newline=b"\r\n"),
    "eSSL": PushFirmware(suffix=".aspx", base="/ICLOCK/", device_type="middle%20east"),
    "prefix": PushFirmware(base="/dinas/kunci/iclock/"),
    "one by one": PushFirmware(batch=1),
}


@pytest.mark.parametrize("name", FIRMWARES)
def test_every_firmware_brings_every_punch_once(tmp_path: Path, name: str) -> None:
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(FIRMWARES[name]), 40)
        assert drain([terminal])
        assert terminal.handshake()
        assert drain([terminal])
        found = [(punch.pin, punch.wall, punch.source) for punch in running.punches()]
        assert len(found) == len(set(found)) == 40
        assert {source for _, _, source in found} == {Source.PUSH}
        assert running.coverage() == 0, "silence proves nothing"
        assert not running.bad()


@pytest.mark.parametrize("fault", Fault)
def test_an_upload_that_breaks_is_sent_again_and_counted_once(tmp_path: Path, fault: Fault) -> None:
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(), 30)
        terminal.faults = [fault]
        assert not terminal.work()
        if fault is Fault.RESET_BEFORE_REPLY:
            assert len(running.punches()) == 30
        else:
            assert not running.punches(), "half an upload is no upload"
        assert drain([terminal])
        assert len(running.punches()) == 30


def test_ok_counts_lines_and_comes_after_the_disk(tmp_path: Path) -> None:
    """Newer firmware sends a batch for ever unless all its lines are counted, duplicates and rubbish too."""
    line = b"1001\t2026-01-05 07:30:00\t0\t1\n"
    with receiving(tmp_path) as running:
        target = f"/iclock/cdata?SN={SERIAL}&table=ATTLOG&Stamp=1"
        assert said(running.port, "POST", target, line * 2 + b"rubbish\n")[:2] == (200, b"OK: 3")
        assert said(running.port, "POST", target, line)[:2] == (200, b"OK: 1")
        assert said(running.port, "POST", target, b"")[:2] == (200, b"OK")
        assert [punch.wall for punch in running.punches()] == ["2026-01-05T07:30:00"]
        assert [bytes.fromhex(record.raw) for record in running.bad()] == [b"rubbish"]


class FullOutbox(Outbox):
    """An outbox whose disk is full until it is told otherwise."""

    full = True

    def put(self, *arguments: object, **named: object) -> int:
        if self.full:
            raise OutboxUnusable("outbox: the disk is full")
        return super().put(*arguments, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 503])
def test_punches_that_cannot_be_kept_stay_in_the_terminal(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with (
        FullOutbox(tmp_path / "outbox.db", edge="setda-01") as outbox,
        receiving(tmp_path, outbox=outbox, push={"failure_status": status}) as running,
    ):
        terminal = filled(running.terminal(), 20)
        assert not terminal.work()
        assert not terminal.work()
        got = said(
            running.port,
            "POST",
            f"/iclock/cdata?SN={SERIAL}&table=ATTLOG&Stamp=9",
            b"1\t2026-01-05 07:30:00\n",
        )
        assert got[0] == status
        assert b"OK" not in got[1]
        assert terminal.waiting == 20
        outbox.full = False
        assert drain([terminal])
        assert len(running.punches()) == 20
    refused = [record for record in caplog.records if "are not taken" in record.message]
    assert len(refused) == 1, "told once, not at every try"
    assert [record for record in caplog.records if "taken again" in record.message]


def test_stamps_survive_a_restart_and_never_outrun_the_punches(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(PushFirmware(stamps=Stamps.HONOUR)), 10)
        assert drain([terminal])
    with receiving(tmp_path) as running:
        again = running.terminal(PushFirmware(stamps=Stamps.HONOUR))
        again.log = terminal.log
        assert again.handshake()
        assert again.waiting == 0
        assert again.options["ATTLOGStamp"] == str(terminal.log[-1].stamp)


def test_a_lost_outbox_makes_terminals_send_everything_again(tmp_path: Path) -> None:
    """The new outbox knows nothing of what the old one answered for."""
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(PushFirmware(stamps=Stamps.HONOUR)), 10)
        assert drain([terminal])
    for file in tmp_path.glob("outbox.db*"):
        file.unlink()
    with receiving(tmp_path) as running:
        again = running.terminal(PushFirmware(stamps=Stamps.HONOUR))
        again.log = terminal.log
        assert drain([again])
        assert len(running.punches()) == 10


def test_a_damaged_memory_costs_no_punch(tmp_path: Path) -> None:
    (tmp_path / "push.db").write_bytes(b"not a database, by a power cut" * 100)
    with receiving(tmp_path) as running:
        assert drain([filled(running.terminal(), 5)])
        assert len(running.punches()) == 5
    assert (tmp_path / "push.db.damaged").exists()


# --- who may


def test_a_stranger_is_held_at_the_door_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets neither a clock nor options, and keeps its punches; anybody can make up a serial."""
    with receiving(tmp_path) as running:
        stranger = filled(running.terminal(serial="UNKNOWN1"), 3)
        stranger.wall_clock = datetime(2020, 1, 1)
        for _ in range(3):
            assert not stranger.work()
        for target in (
            "cdata?SN=UNKNOWN1&table=ATTLOG&Stamp=1",
            "getrequest?SN=UNKNOWN1",
            "cdata?SN=../x",
            "ping",
        ):
            status, body, headers = said(
                running.port, "POST", f"/iclock/{target}", b"1\t2026-01-05 07:30:00\n"
            )
            assert (status, body) == (200, replies.HELD)
            assert headers["Content-Type"] == "text/plain"
            assert "Date" not in headers
        assert stranger.wall_clock == datetime(2020, 1, 1)
        assert not running.punches()
        assert not running.bad()
    held = [record for record in caplog.records if "UNKNOWN1" in record.message]
    assert len(held) == 1
    assert held[0].levelno == logging.WARNING


def test_access_control_firmware_is_named_and_never_acknowledged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(tmp_path) as running:
        terminal = running.terminal(PushFirmware(push_version="3.1.2", device_type="acc"))
        assert not terminal.work()
        for target in ("registry", "rtdata", "cdata?table=rtlog"):
            more = "&" if "?" in target else "?"
            reply = said(running.port, "POST", f"/iclock/{target}{more}SN={SERIAL}", b"pin=1\ttime=x\n")
            assert b"OK" not in reply[1]
    assert len([record for record in caplog.records if "T&A PUSH" in record.message]) == 1


# --- time


def test_the_terminals_clock_follows_the_host_only_while_that_is_right(tmp_path: Path) -> None:
    """A host without a time server would set every terminal of an office wrong at once."""
    trusted = [False]
    with receiving(tmp_path, clock_trusted=lambda: trusted[0]) as running:
        terminal = running.terminal()
        terminal.wall_clock = datetime(2020, 1, 1)
        assert terminal.work()
        assert terminal.wall_clock == datetime(2020, 1, 1)
        assert b"Time=" not in said(running.port, "GET", f"/iclock/cdata?SN={SERIAL}&type=time")[1]
    trusted[0] = True
    with receiving(tmp_path, clock_trusted=lambda: trusted[0], timezone="Asia/Jayapura") as running:
        terminal = running.terminal()
        terminal.wall_clock = datetime(2020, 1, 1)
        # The handshake's own Date comes before its TimeZone is known: the next reply sets the clock.
        assert terminal.work()
        expected = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=9)
        assert abs(terminal.wall_clock - expected) < timedelta(minutes=1)
        assert said(running.port, "GET", f"/iclock/cdata?SN={SERIAL}&type=time")[1].endswith(b"+09:00\n")


def test_even_a_refusal_tells_no_time_while_the_host_does_not_know_it(tmp_path: Path) -> None:
    with receiving(tmp_path, clock_trusted=lambda: False) as running:
        for method, target in (("BREW", "/iclock/cdata"), ("GET", f"/iclock/getrequest?SN={SERIAL}")):
            assert "Date" not in said(running.port, method, target)[2]


# --- secrets


def test_templates_photographs_and_passwords_reach_neither_disk_nor_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Biometrics of civil servants must not lie about on a box beside the terminals."""
    caplog.set_level(logging.DEBUG)
    photo = b"PIN=20260105073000-1001.jpg\nSN=x\nsize=9\nCMD=uploadphoto\0" + SECRET * 10
    bodies = {
        "OPERLOG": b"OPLOG 21\t14\t2026-01-05 07:30:00\t0\t0\t0\t0\nUSER PIN=1\tName=A\tPasswd="
        + SECRET
        + b"\nFP PIN=1\tFID=6\tTMP="
        + SECRET
        + b"\n"
        + SECRET
        + b"\n",
        "USERINFO": b"PIN=1\tName=A\tPasswd=" + SECRET + b"\n",
        "BIODATA": b"BIODATA Pin=1\tTmp=" + SECRET + b"\nBIODATA Pin=2\tTmp=" + SECRET + b"\n",
        "FINGERTMP": b"FP PIN=1\tTMP=" + SECRET + b"\n",
        "FACE": b"FACE PIN=1\tTMP=" + SECRET + b"\n",
        "USERPIC": b"USERPIC PIN=1\tContent=" + SECRET + b"\n",
        "BIOPHOTO": b"BIOPHOTO PIN=1\tContent=" + SECRET + b"\n",
        "ATTPHOTO": photo,
        "IDCARD": b"IDCARD PIN=1\tPhoto=" + SECRET + b"\n",
        "nonsense": SECRET,
        "ATTLOG": b"FP PIN=1\tFID=6\tTMP=" + SECRET + b"\n1001\t2026-01-05 07:30:00\t0\t1\n",
        "options": b"~DeviceName=X,ComPwd=" + SECRET,
    }
    with receiving(tmp_path) as running:
        for table, body in bodies.items():
            target = f"/iclock/cdata?SN={SERIAL}&table={table}&Stamp=1"
            status, reply, _ = said(running.port, "POST", target, body)
            assert status == 200
            assert reply.startswith(b"OK"), table
        assert said(running.port, "POST", f"/iclock/fdata?SN={SERIAL}", photo)[1] == b"OK"
        told = b"ID=1&Return=0&CMD=INFO\nComPwd=" + SECRET
        assert said(running.port, "POST", f"/iclock/devicecmd?SN={SERIAL}", told)[1] == b"OK"
        assert len(running.punches()) == 1
        assert running.health[-1].model == "X"
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert {file.name for file in files} >= {"outbox.db", "push.db"}
        for file in files:
            assert SECRET not in file.read_bytes(), file
            assert SECRET.hex().encode() not in file.read_bytes(), file
    assert SECRET.decode() not in caplog.text
    assert [record for record in caplog.records if "clock set" in record.message]


def test_biodata_lines_are_counted_so_that_they_are_not_sent_again(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        target = f"/iclock/cdata?SN={SERIAL}&table=BIODATA&Stamp=1"
        assert said(running.port, "POST", target, b"BIODATA Pin=1\nBIODATA Pin=2\n")[1] == b"OK: 2"


# --- commands


def test_a_command_waits_until_its_result_came(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = SystemClock()
    with receiving(tmp_path) as running:
        with PushMemory(tmp_path / "push.db", stream=running.outbox.stream, clock=clock) as memory:
            replay = memory.queue(SERIAL, replies.query_attlog(START, START + timedelta(minutes=4)))
            memory.queue(SERIAL, replies.verify_sum(START, START + timedelta(minutes=4)))
            memory.queue("OTHER", replies.CHECK)
        # A reply that is lost: the commands are not offered at once again, and not forgotten.
        assert (
            f"C:{replay}:DATA QUERY".encode()
            in said(running.port, "GET", f"/iclock/getrequest?SN={SERIAL}")[1]
        )
        assert said(running.port, "GET", f"/iclock/getrequest?SN={SERIAL}")[1] == b"OK"
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(PushFirmware(serial_in_results=False)), 10)
        assert terminal.handshake()
        assert terminal.poll("Ver 1, 3, 0, 10")
        assert [code for _, code in terminal.results] == [0, 0]
        assert len(running.punches()) == 5
        assert running.health[-1].records == 10
        assert terminal.poll()
        assert len(terminal.results) == 2
    assert [record for record in caplog.records if "AttlogSum 5" in record.message]


# --- power cuts and silence

KILLED = """
import os, signal, sys, threading
from pathlib import Path
from attendance.clock import SystemClock
from daemon.push import PushReception
from pushing import push_settings
from sync.outbox import Outbox

folder, port = Path(sys.argv[1]), int(sys.argv[2])

class PowerCut(Outbox):
    def put(self, *arguments, **named):
        new = super().put(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return new

with PowerCut(folder / "outbox.db", edge="setda-01") as outbox:
    settings = push_settings(folder, port)
    PushReception(settings, outbox, lambda health: None, SystemClock()).run(threading.Event())
"""


def test_a_power_cut_between_disk_and_ok_gives_one_row(tmp_path: Path) -> None:
    """The terminal heard nothing and sends again; nobody may be counted twice, or not at all."""
    port = free_port()
    terminal = filled(PushTerminal(serial=SERIAL, address=("127.0.0.1", port)), 25)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(port)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support'}"},
    ) as process:
        until(terminal.handshake, "the receiver answers")
        assert not terminal.upload()
        assert process.wait(30) == -signal.SIGKILL
    assert terminal.waiting == 25
    with receiving(tmp_path) as running:
        assert len(running.punches()) == 25
        again = running.terminal()
        again.log = terminal.log
        assert drain([again])
        assert len(running.punches()) == 25


def test_a_silent_terminal_is_reported_once(tmp_path: Path) -> None:
    clock = StillClock()
    settings = push_settings(tmp_path, 1)
    told: list[TerminalHealth] = []
    with (
        Outbox(tmp_path / "outbox.db", edge="setda-01") as outbox,
        PushMemory(tmp_path / "push.db", stream=outbox.stream, clock=clock) as memory,
    ):
        site = PushSite(settings, outbox, memory, told.append, clock)
        site.watch()
        site.seen(SERIAL, "10.0.0.1", PushFacts(firmware="Ver 1", records=5))
        clock.advance(301)
        site.watch()
        site.watch()
        site.seen(SERIAL, "10.0.0.2", PushFacts(capacity=100))
    assert [health.state for health in told] == ["online", "unreachable", "online"]
    last = told[-1]
    assert (last.serial, last.firmware, last.records, last.capacity) == (SERIAL, "Ver 1", 5, 100)
