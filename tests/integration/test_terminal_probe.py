"""`hadir terminal probe`: each way in which a terminal fails, really made, is named with its remedy."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from attendance.terminal import User
from drivers.zk.simulator.faults import Fault, Refuse, SilentTcp
from drivers.zk.simulator.firmware import KINDS
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.server import TerminalServer
from program import run_hadir, write_edge
from scripted import ScriptedTerminal, body_of, chunks, offered, over_tcp, reply, size_table
from terminals import running_terminal, serving, some_terminal

ADMIN = User(uid=900, pin="9000", name="", name_raw=b"Admin", privilege=14)


def probe(*arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, facts and stderr."""
    done = run_hadir("terminal", "probe", *arguments, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def states(facts: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["state"] for step in facts["steps"]}


def step(facts: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [step for step in facts["steps"] if step["step"] == name]
    return dict(found)


@contextmanager
def listener(answer: bytes = b"", *, silent: bool = False) -> Iterator[int]:
    """A TCP port that takes connections and answers the first bytes with these, or stays silent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        ended = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        connection.recv(4096)
                        if silent:
                            ended.wait(60)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, TCP or UDP, kept from others."""
    with closing(socket.socket()) as bound, closing(socket.socket(type=socket.SOCK_DGRAM)) as udp:
        bound.bind(("127.0.0.1", 0))
        with suppress(OSError):
            udp.bind(bound.getsockname())
        udp.close()
        yield int(bound.getsockname()[1])


def good(records: int = 0) -> SimulatedTerminal:
    terminal = some_terminal(records=records)
    terminal.enrol([ADMIN])
    return terminal


def test_a_good_terminal_passes_every_step() -> None:
    terminal = good(records=100)
    with serving(terminal) as running:
        code, facts, stderr = probe(f"127.0.0.1:{running.port}")
    assert (code, stderr, facts["ok"]) == (0, "", True)
    assert list(states(facts)) == [
        *("address", "connection", "handshake", "key"),
        *("identity", "clock", "sizes", "log", "users", "live"),
    ]
    assert set(states(facts).values()) == {"ok"}
    assert (facts["serial"], facts["records"], facts["capacity"]) == ("SIM0000000001", 100, 200_000)
    assert (facts["log_layout"], facts["users_layout"], facts["log_records"]) == ("40", "72", 100)
    assert facts["days_until_full"] > 100
    assert terminal.record_count == 100


def test_the_words_are_for_a_person_who_stands_before_it() -> None:
    with serving(good(records=100)) as running:
        done = run_hadir("terminal", "probe", f"127.0.0.1:{running.port}")
    assert done.returncode == 0
    assert "  identity    ok       serial SIM0000000001, HADIR-SIM, ZMM220_TFT, Ver 6.60" in done.stdout
    assert "right in WIB (Asia/Jakarta)" in done.stdout
    assert "layout 40, 100 records, 2026-01-05 to 2026-01-05; full in about" in done.stdout


def test_a_closed_port() -> None:
    with closed_port() as port:
        code, facts, stderr = probe(f"127.0.0.1:{port}")
    assert (code, facts["failed_step"]) == (1, "connection")
    assert stderr.startswith(
        f"hadir: 127.0.0.1:{port}: connection: 127.0.0.1 is there, and its port {port} is closed"
    )
    assert stderr.count("\n") == 1


def test_a_name_that_is_no_address() -> None:
    code, facts, stderr = probe("no-such-terminal.invalid")
    assert (code, facts["failed_step"]) == (1, "address")
    assert "no address is known for no-such-terminal.invalid" in stderr


def test_a_port_that_takes_the_connection_and_is_silent() -> None:
    """Another program in session, a hanging terminal, or an MA300 that speaks UDP only."""
    with listener(silent=True) as port:
        code, facts, stderr = probe(f"127.0.0.1:{port}", "--timeout", "0.5")
    assert (code, facts["failed_step"]) == (1, "handshake")
    assert states(facts)["connection"] == "ok"
    assert "stays silent" in stderr
    assert "another program may hold it" in stderr


def test_another_service_on_the_port() -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        code, facts, stderr = probe(f"127.0.0.1:{port}")
    assert (code, facts["failed_step"]) == (1, "handshake")
    assert "does not speak the protocol" in stderr


def test_a_peer_that_hangs_up_on_the_greeting() -> None:
    with listener() as port:
        code, facts, stderr = probe(f"127.0.0.1:{port}")
    assert (code, facts["failed_step"]) == (1, "handshake")
    assert "ends the connection instead of answering" in stderr


@pytest.mark.parametrize(
    ("given", "words"), [([], "it asks for a comm key"), (["--comm-key", "99"], "it refuses this comm key")]
)
def test_a_key_that_is_missing_or_wrong(given: list[str], words: str) -> None:
    with running_terminal(comm_key=1234) as running:
        code, facts, stderr = probe(f"127.0.0.1:{running.port}", *given)
    assert (code, facts["failed_step"], facts["refusal_code"]) == (1, "key", 2005)
    assert states(facts)["handshake"] == "ok"
    assert words in stderr
    assert "Comm. > Comm Key" in stderr


def test_the_key_from_a_file_is_seen_by_nobody(tmp_path: Path) -> None:
    key = tmp_path / "lobi.key"
    key.write_text("1234\n", encoding="utf-8")
    with running_terminal(comm_key=1234) as running:
        code, facts, _ = probe(f"127.0.0.1:{running.port}", "--comm-key-file", key)
    assert (code, step(facts, "key")["text"]) == (0, "accepted")
    key.write_text("12e4", encoding="utf-8")
    code, _, stderr = probe("127.0.0.1", "--comm-key-file", key)
    assert (code, "should hold one number from 0 to 999999" in stderr) == (2, True)


def test_secure_firmware_is_sent_to_push() -> None:
    with running_terminal(faults=[Refuse()]) as running:
        code, facts, stderr = probe(f"127.0.0.1:{running.port}")
    assert (code, facts["failed_step"], facts["refusal_code"]) == (1, "handshake", 6001)
    assert "zk-push" in stderr


def test_no_serial_number_is_a_failure_and_the_rest_is_asked_all_the_same() -> None:
    terminal = good(records=10)
    del terminal.options["~SerialNumber"]
    with serving(terminal) as running:
        code, facts, stderr = probe(f"127.0.0.1:{running.port}")
    assert (code, facts["failed_step"]) == (1, "identity")
    assert "no serial number" in stderr
    assert states(facts)["log"] == "ok"


def test_a_clock_without_battery() -> None:
    terminal = good()
    terminal.set_wall_time(datetime(2000, 1, 3, 4, 5))
    with serving(terminal) as running:
        code, facts, _ = probe(f"127.0.0.1:{running.port}")
    assert (code, states(facts)["clock"]) == (0, "warning")
    assert "battery" in step(facts, "clock")["remedy"]


def test_a_clock_that_shows_another_zone_than_is_configured(tmp_path: Path) -> None:
    terminal = good()
    terminal.zone = ZoneInfo("Asia/Makassar")
    with serving(terminal) as running:
        edge = write_edge(tmp_path, 1883, {"lobi": running.port})
        code, facts, _ = probe("lobi", "--config", edge)
        unknown = probe(f"127.0.0.1:{running.port}")[1]
    assert (code, states(facts)["clock"]) == (0, "warning")
    assert "it shows WITA and stands in WIB" in step(facts, "clock")["text"]
    assert "right in WITA (Asia/Makassar)" in step(unknown, "clock")["text"]


def test_a_log_that_is_nearly_full_says_when() -> None:
    terminal = good(records=100)
    terminal.record_capacity = 101
    with serving(terminal) as running:
        facts = probe(f"127.0.0.1:{running.port}")[1]
    assert (states(facts)["log"], "full in about" in step(facts, "log")["text"]) == ("warning", True)
    terminal.record_capacity = 100
    with serving(terminal) as running:
        assert probe(f"127.0.0.1:{running.port}")[1]["days_until_full"] == 0


def test_an_unknown_layout_shows_its_bytes_and_imports_nothing() -> None:
    body = body_of(bytes(range(1, 38)) * 40)
    terminal = ScriptedTerminal(
        {
            50: reply(2000, size_table(records=40)),
            201: reply(2000, bytes.fromhex("1790482e")),
            1503: offered(body),
            1504: chunks(body),
            1100: reply(2000, b"Ver 1\0"),
        }
    )
    with over_tcp(terminal) as there:
        code, facts, stderr = probe(f"127.0.0.1:{there.port}", "--timeout", "2")
    assert (code, facts["failed_step"]) == (1, "log")
    assert "unknown layout" in stderr
    assert facts["log_sample"].startswith("0102030405")


@pytest.mark.parametrize("kind", KINDS)
def test_every_known_firmware_is_read(kind: str) -> None:
    firmware = KINDS[kind]
    with running_terminal(records=60, firmware=firmware) as running:
        code, facts, stderr = probe(f"127.0.0.1:{running.port}")
    assert (code, stderr) == (0, "")
    assert (facts["log_layout"], facts["users_layout"]) == (firmware.log.name, firmware.users.name)
    assert facts["log_records"] == 60


def test_a_configured_terminal_by_its_address_has_its_key(tmp_path: Path) -> None:
    with running_terminal(comm_key=1234) as running:
        edge = write_edge(tmp_path, 1883, {"lobi": running.port}, extra="comm_key = 1234")
        assert probe(f"127.0.0.1:{running.port}", "--config", edge)[0] == 0
    code, _, stderr = probe("gudang", "--config", edge)
    assert (code, stderr) == (2, "hadir: no terminal gudang is configured; known: lobi\n")


@pytest.mark.parametrize(("transports", "faults"), [({"udp"}, []), ({"tcp", "udp"}, [SilentTcp()])])
def test_a_terminal_that_speaks_udp_only_is_found_out(transports: set[str], faults: list[Fault]) -> None:
    """An MA300 takes the TCP connection and says nothing: it looks dead, and is not."""
    with TerminalServer(good(records=10), faults=faults, transports=transports) as server:
        address = f"127.0.0.1:{server.port}"
        code, facts, _ = probe(address, "--timeout", "2")
        told = probe(address, "--timeout", "2", "--transport", "tcp")[2]
    assert (code, facts["transport"], facts["log_records"]) == (0, "udp", 10)
    assert states(facts)["connection"] == "warning"
    assert 'transport = "udp"' in step(facts, "connection")["remedy"]
    assert "is closed" in told or "stays silent" in told


def test_udp_was_tried_too_where_nothing_answers() -> None:
    with closed_port() as port:
        assert "UDP gives no answer either" in probe(f"127.0.0.1:{port}")[2]


def test_a_key_is_asked_for_over_udp_as_well() -> None:
    with TerminalServer(some_terminal(comm_key=77), transports={"udp"}) as server:
        code, facts, err = probe(f"127.0.0.1:{server.port}")
    assert (code, facts["failed_step"], facts["transport"]) == (1, "key", "udp")
    assert "it asks for a comm key" in err
