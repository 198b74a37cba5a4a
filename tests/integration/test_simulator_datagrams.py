"""The simulated terminal over UDP: the same terminal, one packet a datagram, with the faults of UDP."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack

import pytest

from drivers.zk.commands import Command, Reply
from drivers.zk.packet import Packet, decode, encode
from drivers.zk.simulator.datagrams import MOST_PEERS
from drivers.zk.simulator.faults import Lose, OneClient, SilentTcp, Speed
from drivers.zk.simulator.server import TerminalServer
from terminals import START, Running, running_terminal, some_terminal

READ_LOG = bytes.fromhex("010d000000000000000000")


class Client:
    """A client of a few lines: one socket, no retries."""

    def __init__(self, port: int, timeout_s: float = 10) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))
        self.session = 0
        self.reply_id = -1

    def send(self, command: int, data: bytes = b"") -> None:
        self.reply_id += 1
        self.socket.send(encode(Packet(command, self.session, self.reply_id, data)))

    def next(self) -> Packet:
        return decode(self.socket.recv(65535))

    def ask(self, command: int, data: bytes = b"") -> Packet:
        self.send(command, data)
        return self.next()

    def connect(self) -> "Client":
        self.session = self.ask(Command.CONNECT).session
        return self


@contextmanager
def client_of(running: Running, timeout_s: float = 10) -> Iterator[Client]:
    client = Client(running.port, timeout_s)
    with client.socket:
        yield client


def test_a_log_arrives_in_datagrams_of_1024_bytes_with_their_index() -> None:
    with running_terminal(records=100) as running, client_of(running) as client:
        client.connect()
        size = int.from_bytes(client.ask(Command.PREPARE_BUFFER, READ_LOG).data[1:5], "little")
        prepare = client.ask(Command.READ_BUFFER, pack("<ii", 0, size))
        assert (prepare.command, prepare.data) == (Reply.PREPARE_DATA, pack("<II", 4004, 1024))
        data = [client.next() for _ in range(4)]
        assert [(part.session, len(part.data)) for part in data] == [
            (0, 1024),
            (1, 1024),
            (2, 1024),
            (3, 932),
        ]
        assert b"".join(part.data for part in data)[4:] == running.terminal.log()
        assert client.next() == Packet(Reply.ACK_OK, 3, client.reply_id)


def test_both_transports_serve_the_same_terminal_on_one_port() -> None:
    with running_terminal() as running:
        with client_of(running) as client:
            assert client.connect().ask(Command.CLEAR_ATTLOG).command == Reply.ACK_OK
        with socket.create_connection(("127.0.0.1", running.port), timeout=10):
            pass


def test_a_punch_is_told_to_those_who_listen_over_udp() -> None:
    with running_terminal() as running, client_of(running) as client:
        client.connect().ask(Command.REG_EVENT, pack("<I", 1))
        running.terminal.punch("1003", at=START)
        event = client.next()
        assert (event.command, event.session, event.data[:5]) == (Reply.EVENT, 1, b"1003\0")


def test_the_same_address_keeps_its_session_until_exit() -> None:
    with running_terminal() as running, client_of(running) as client, client_of(running) as other:
        first = client.connect().session
        assert client.ask(Command.CONNECT).session == first
        assert other.connect().session != first
        assert running.server.connections == 2
        client.ask(Command.EXIT)
        assert running.server.connections == 1


def test_rubbish_and_damaged_requests_are_dropped_without_a_word() -> None:
    with running_terminal() as running, client_of(running, 0.1) as client:
        client.connect()
        for bad in (b"", b"GET / HTTP/1.1", encode(Packet(201, client.session, 1))[:-1] + b"\x07"):
            client.socket.send(bad)
        with pytest.raises(TimeoutError):
            client.next()
        client.socket.settimeout(10)
        assert client.ask(Command.GET_TIME).command == Reply.ACK_OK


def test_a_lost_request_or_reply_is_only_silence() -> None:
    with (
        running_terminal(faults=[Lose(1.0)]) as running,
        client_of(running, 0.1) as client,
        pytest.raises(TimeoutError),
    ):
        client.connect()


def test_silent_tcp_accepts_and_never_answers_while_udp_does() -> None:
    with running_terminal(faults=[SilentTcp()]) as running, client_of(running) as client:
        assert client.connect().session
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as tcp:
            tcp.settimeout(0.1)
            tcp.sendall(bytes.fromhex("5050827d08000000e80317fc00000000"))
            with pytest.raises(TimeoutError):
                tcp.recv(1)


def test_a_terminal_without_tcp_refuses_it_and_one_without_udp_has_no_port() -> None:
    with TerminalServer(some_terminal(), transports=("udp",)) as server:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=10)
        with client_of(Running(server.terminal, server)) as client:
            assert client.connect().session
    with TerminalServer(some_terminal(), transports=("tcp",)) as server:
        client = Client(server.port)
        with client.socket, pytest.raises(ConnectionRefusedError):
            client.connect()


def test_one_client_at_a_time_holds_others_off_until_it_leaves() -> None:
    with (
        running_terminal(faults=[OneClient()]) as running,
        client_of(running) as first,
        client_of(running, 0.1) as second,
    ):
        first.connect()
        with pytest.raises(TimeoutError):
            second.connect()
        first.ask(Command.EXIT)
        second.socket.settimeout(10)
        assert second.connect().session


def test_addresses_without_number_cost_no_memory() -> None:
    with running_terminal() as running:
        for _ in range(MOST_PEERS + 10):
            with client_of(running) as client:
                client.connect()
        assert running.server.connections == MOST_PEERS


def test_a_slow_terminal_still_gives_everything() -> None:
    with running_terminal(faults=[Speed(500_000)]) as running, client_of(running) as client:
        assert client.connect().ask(Command.GET_SIZES).command == Reply.ACK_OK


def test_sessions_are_forgotten_when_they_are_dropped() -> None:
    with running_terminal() as running, client_of(running, 0.1) as client:
        client.connect()
        running.server.drop_connections()
        with pytest.raises(TimeoutError):
            client.ask(Command.GET_TIME)


def test_stopping_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with running_terminal() as running, client_of(running) as client:
        client.connect()
    assert set(threading.enumerate()) <= before
