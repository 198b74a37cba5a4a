"""`hadir terminal scan`: terminals are found where DHCP put them, gently, and named as configured."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.zk.simulator.faults import Refuse
from drivers.zk.simulator.server import TerminalServer
from program import run_hadir
from scripted import ScriptedTerminal, over_tcp, reply
from sync.outbox import Outbox, TerminalMemory
from terminals import some_terminal

NETWORK = "127.0.77.0/28"


@dataclass(frozen=True, slots=True)
class Office:
    """A network of loopback addresses, all terminals on one port."""

    port: int
    folder: Path

    def scan(self, *arguments: str | Path) -> dict[str, dict[str, Any]]:
        """What was found, by host."""
        done = run_hadir(
            "terminal", "scan", NETWORK, "--port", str(self.port), "--timeout", "2", "--json", *arguments
        )
        assert done.returncode == 0, done.stderr
        return {one["host"]: one for one in json.loads(done.stdout)["found"]}

    def configure(self, **hosts: str) -> Path:
        path = self.folder / "edge.toml"
        blocks = "".join(
            f'[[terminal]]\nid = "{name}"\nhost = "{host}"\nport = {self.port}\ncomm_key = 4711\n'
            for name, host in hosts.items()
        )
        path.write_text(f'[edge]\nid = "setda-01"\nstate_dir = "state"\n{blocks}', encoding="utf-8")
        return path

    def remember(self, terminal: str, serial: str) -> None:
        """What an edge that once read this terminal left in its outbox."""
        memory = TerminalMemory(serial=serial, records=5, last_full_read_at=None, last_contact_at=None)
        with Outbox(self.folder / "state" / "outbox.db", edge="setda-01") as outbox:
            outbox.remember(terminal, memory)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """127.0.77.1 plain, .2 with a key, .3 secure, .4 without serial, .5 something else, .6 silent."""
    with ExitStack() as stack:
        first = stack.enter_context(TerminalServer(some_terminal(serial="AAA1"), host="127.0.77.1"))
        port = first.port
        keyed = some_terminal(serial="BBB2", comm_key=4711)
        stack.enter_context(TerminalServer(keyed, host="127.0.77.2", port=port))
        secure = some_terminal(serial="CCC3")
        stack.enter_context(TerminalServer(secure, host="127.0.77.3", port=port, faults=[Refuse()]))
        nameless = some_terminal()
        del nameless.options["~SerialNumber"]
        stack.enter_context(TerminalServer(nameless, host="127.0.77.4", port=port))
        yield Office(port, tmp_path)


def test_each_kind_of_terminal_is_found_and_told_apart(office: Office) -> None:
    found = office.scan()
    assert {host: one["kind"] for host, one in found.items()} == {
        "127.0.77.1": "terminal",
        "127.0.77.2": "wants_key",
        "127.0.77.3": "secure",
        "127.0.77.4": "no_serial",
    }
    assert (found["127.0.77.1"]["serial"], found["127.0.77.1"]["model"]) == ("AAA1", "HADIR-SIM")
    assert [one["key_needed"] for one in found.values()] == [False, True, None, False]
    assert found["127.0.77.3"]["push_advised"] is True


def test_a_terminal_that_dhcp_moved_is_named_with_its_old_address(office: Office) -> None:
    """The commonest cause of a silent terminal: its lease ended, and another has its address now."""
    edge = office.configure(lobi="127.0.77.9", gudang="127.0.77.2", pintu="127.0.77.1")
    office.remember("lobi", "AAA1")
    office.remember("pintu", "DDD4")
    found = office.scan("--config", edge)
    old = f"127.0.77.9:{office.port}"
    assert found["127.0.77.1"]["known"] == f"known as lobi, but its address changed from {old}"
    assert found["127.0.77.2"]["known"] == "known as gudang, never read yet"
    assert (found["127.0.77.2"]["serial"], found["127.0.77.2"]["key_needed"]) == ("BBB2", True)


def test_a_stranger_at_a_known_address_is_not_taken_for_the_terminal(office: Office) -> None:
    edge = office.configure(pintu="127.0.77.1")
    office.remember("pintu", "DDD4")
    known = office.scan("--config", edge)["127.0.77.1"]["known"]
    assert known == "stands where pintu should be, whose serial is DDD4"


def test_other_programs_and_silent_ports_are_not_called_terminals(office: Office) -> None:
    with closing(socket.create_server(("127.0.77.6", office.port))):
        done = run_hadir("terminal", "scan", NETWORK, "--port", str(office.port))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith(f"127.0.77.6:{office.port}") and "open, and silent" in line for line in lines)
    assert lines[-1] == "4 terminals at 14 addresses"
    assert "asking 14 addresses" in done.stderr


def test_a_connection_begins_with_the_greeting_and_ends_with_the_farewell() -> None:
    """An old terminal that is connected to in silence freezes for 8 seconds, display and sensor too."""
    terminal = ScriptedTerminal({1100: reply(2000, b"Ver 1\0")})
    with over_tcp(terminal) as there:
        done = run_hadir("terminal", "scan", "127.0.0.1", "--port", str(there.port), "--json")
    assert json.loads(done.stdout)["found"][0]["serial"] == "ABC123"
    assert terminal.commands().count(1000) == 1
    assert (terminal.commands()[0], terminal.commands()[-1]) == (1000, 1001)


def test_a_terminal_that_speaks_udp_only_is_found() -> None:
    with TerminalServer(some_terminal(serial="UDP1"), host="127.0.79.1", transports={"udp"}) as server:
        port = str(server.port)
        for transport in ("auto", "udp"):
            done = run_hadir(
                "terminal", "scan", "127.0.79.0/30", "--port", port, "--transport", transport, "--json"
            )
            (found,) = json.loads(done.stdout)["found"]
            assert (found["host"], found["transport"], found["serial"]) == ("127.0.79.1", "udp", "UDP1")
        done = run_hadir("terminal", "scan", "127.0.79.0/30", "--port", port, "--transport", "tcp", "--json")
        assert json.loads(done.stdout)["found"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["10.0.0.0/15"], "10.0.0.0/15 has 131,072 addresses"),
        (["10.0.0.0/16"], "about 34 minutes; add --yes"),
        (["10.0.0/24"], "is no network; write for example 192.0.2.0/24"),
        (["10.0.0.0/24", "--port", "0"], "should be ports"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_in_one_line(arguments: list[str], words: str) -> None:
    done = run_hadir("terminal", "scan", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_outbox_is_one_line(office: Office) -> None:
    edge = office.configure(lobi="127.0.77.9")
    state = office.folder / "state"
    state.mkdir()
    (state / "outbox.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    done = run_hadir("terminal", "scan", NETWORK, "--config", edge)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
