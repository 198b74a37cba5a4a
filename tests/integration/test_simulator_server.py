"""The simulated terminal on real sockets: faults happen, punches are pushed, and nothing is left behind."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from struct import pack

import pytest

from attendance.errors import ConfigError, RemoteProtocolError
from drivers.zk.commands import Command, Reply
from drivers.zk.packet import Packet, StreamDecoder, frame
from drivers.zk.simulator.faults import (
    BadChecksum,
    CloseAfter,
    Delay,
    Fault,
    Merge,
    OneClient,
    Pace,
    Refuse,
    Segment,
    Silent,
)
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.simulator.server import TerminalServer
from terminals import START, Running, running_terminal, running_terminals, some_terminal

READ_LOG = bytes.fromhex("010d000000000000000000")


class Client:
    """A client of a few lines: one socket, exact reads, no retries."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.session = 0
        self._decoder = StreamDecoder()
        self._ready: list[Packet] = []

    def send(self, command: int, data: bytes = b"") -> None:
        self.socket.sendall(frame(Packet(command, self.session, 1, data)))

    def next(self) -> Packet:
        """The next packet; EOFError where the terminal ends the connection."""
        while not self._ready:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError
            self._ready = self._decoder.feed(chunk)
        return self._ready.pop(0)

    def ask(self, command: int, data: bytes = b"") -> Packet:
        self.send(command, data)
        return self.next()

    def connect(self) -> "Client":
        self.session = self.ask(Command.CONNECT).session
        return self

    def read_log(self) -> bytes:
        offer = self.ask(Command.PREPARE_BUFFER, READ_LOG)
        size = int.from_bytes(offer.data[1:5], "little")
        self.send(Command.READ_BUFFER, pack("<ii", 0, size))
        assert self.next().command == Reply.PREPARE_DATA
        body = b""
        while (packet := self.next()).command == Reply.DATA:
            body += packet.data
        return body


@contextmanager
def client_of(running: Running) -> Iterator[Client]:
    client = Client(running.port)
    with client.socket:
        yield client


@pytest.mark.parametrize(
    "faults",
    [[], [Segment(1)], [Segment(13)], [Merge()], [Merge(), Segment(1500)], [Delay(0.01)], [Pace(0.001)]],
)
@pytest.mark.parametrize("packet_bytes", [1008, 65528])
def test_log_arrives_whole_however_it_is_cut(faults: list[Fault], packet_bytes: int) -> None:
    firmware = Firmware(packet_bytes=packet_bytes)
    with (
        running_terminal(records=60, firmware=firmware, faults=faults) as running,
        client_of(running) as client,
    ):
        body = client.connect().read_log()
        assert body == pack("<I", 2400) + running.terminal.log()


def test_100_000_records_arrive_whole() -> None:
    terminal = some_terminal(records=100)
    for _ in range(999):
        terminal.load(terminal.log()[:4000])
    with TerminalServer(terminal) as server, client_of(Running(terminal, server)) as client:
        assert client.connect().read_log()[4:] == terminal.log()
    assert terminal.record_count == 100_000


def test_punch_is_pushed_to_everyone_who_listens() -> None:
    with running_terminal() as running, client_of(running) as first, client_of(running) as second:
        for client in (first, second):
            client.connect()
            assert client.ask(Command.REG_EVENT, pack("<I", 1)).command == Reply.ACK_OK
        running.terminal.punch("1003", at=START)
        for client in (first, second):
            event = client.next()
            assert (event.command, event.session, event.reply_id) == (Reply.EVENT, 1, 0)
            assert event.data[:5] == b"1003\0"
        assert first.session != second.session


def test_client_that_does_not_read_holds_up_nobody_who_punches() -> None:
    with running_terminal(records=50_000) as running, client_of(running) as client:
        client.connect()
        client.ask(Command.REG_EVENT, pack("<I", 1))
        client.ask(Command.PREPARE_BUFFER, READ_LOG)
        for _ in range(5):
            client.send(Command.READ_BUFFER, pack("<ii", 0, 2_000_004))
        for _ in range(100):
            running.terminal.punch("1001", at=START)
        assert running.terminal.record_count == 50_100


def test_connection_ends_after_so_many_bytes_and_the_next_one_too() -> None:
    with running_terminal(records=60, faults=[CloseAfter(1000)]) as running:
        for _ in range(2):
            with client_of(running) as client, pytest.raises(EOFError):
                client.connect().read_log()
        running.server.faults = ()
        with client_of(running) as client:
            assert len(client.connect().read_log()) == 2404


def test_silent_terminal_accepts_and_never_answers() -> None:
    with running_terminal(faults=[Silent()]) as running, client_of(running) as client:
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.connect()


def test_damaged_reply_is_seen_as_damaged() -> None:
    with (
        running_terminal(faults=[BadChecksum(2)]) as running,
        client_of(running) as client,
        pytest.raises(RemoteProtocolError, match="checksum"),
    ):
        client.connect().ask(Command.GET_TIME)


def test_refusal_shows_its_code() -> None:
    with running_terminal(faults=[Refuse(6001)]) as running, client_of(running) as client:
        assert client.ask(Command.CONNECT).command == 6001


def test_second_client_waits_until_the_first_has_left() -> None:
    with running_terminal(faults=[OneClient()]) as running, client_of(running) as second:
        second.connect()
        with client_of(running) as third:
            third.socket.settimeout(0.1)
            with pytest.raises(TimeoutError):
                third.connect()
            second.socket.shutdown(socket.SHUT_RDWR)
            third.socket.settimeout(10)
            assert third.next().command == Reply.ACK_OK


def test_rubbish_ends_the_connection_and_others_are_still_served() -> None:
    with running_terminal() as running:
        with client_of(running) as client:
            client.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(EOFError):
                client.next()
        with client_of(running) as client:
            assert client.connect().session


def test_restart_ends_the_connection_after_its_answer() -> None:
    with running_terminal() as running, client_of(running) as client:
        assert client.connect().ask(Command.RESTART).command == Reply.ACK_OK
        with pytest.raises(EOFError):
            client.next()


def test_dropped_connections_leave_the_terminal_reachable() -> None:
    with running_terminal() as running:
        with client_of(running) as client:
            client.connect()
            running.server.drop_connections()
            with pytest.raises(EOFError):
                client.next()
        with client_of(running) as client:
            assert client.connect().session


def test_stopping_ends_open_connections_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with ExitStack() as clients:
        with running_terminals(5) as terminals:
            opened = [clients.enter_context(client_of(running)) for running in terminals for _ in range(3)]
            for client in opened:
                client.connect()
        assert set(threading.enumerate()) <= before
        for client in opened:
            with pytest.raises(EOFError):
                client.next()


def test_200_terminals_run_in_one_process() -> None:
    with running_terminals(200, users=1) as terminals:
        for running in terminals:
            with client_of(running) as client:
                reply = client.connect().ask(Command.OPTION_READ, b"~SerialNumber\0")
                assert reply.data == f"~SerialNumber={running.terminal.serial}\0".encode()
        assert len({running.port for running in terminals}) == 200


def test_address_in_use_is_told_in_one_line() -> None:
    with (
        running_terminal() as running,
        pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{running.port}: Address already"),
    ):
        TerminalServer(some_terminal(), port=running.port)


def test_server_that_never_started_can_be_stopped() -> None:
    TerminalServer(some_terminal()).stop()
