"""A terminal that follows a script, packet by packet: it can do what no honest simulator would.

It shares the packet codec with the driver (the golden captures hold that one to account),
and nothing else: bodies and answers are written out by the tests.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from struct import pack, unpack
from typing import TypeVar

from attendance.terminal import Terminal
from drivers.zk.conversation import Conversation, Exchange
from drivers.zk.packet import MAGIC, Packet, StreamDecoder, decode, frame

T = TypeVar("T")
SESSION = 0x1F2E

Answer = Callable[[Packet], Iterable[Packet | bytes]]
"""What follows one request: packets to be framed, or bytes as they are; b"" closes the connection."""


def reply(code: int = 2000, data: bytes = b"", *, session: int = SESSION, later_id: int = 0) -> Answer:
    """One packet that echoes the request's reply id (plus `later_id`)."""
    return lambda request: [Packet(code, session, request.reply_id + later_id, data)]


def silence(_request: Packet) -> list[Packet]:
    """No answer."""
    return []


def option(request: Packet) -> list[Packet]:
    """Knows its serial number and nothing else."""
    if request.data.rstrip(b"\0") == b"~SerialNumber":
        return [Packet(2000, SESSION, request.reply_id, b"~SerialNumber=ABC123\0")]
    return [Packet(2001, SESSION, request.reply_id)]


def size_table(*, users: int = 0, records: int = 0) -> bytes:
    """The 80 bytes of a K20's table."""
    words = [0] * 20
    words[4], words[8], words[15], words[16] = users, records, 500, 50000
    return pack("<20i", *words)


def att40(pin: str, when: int, verify: int = 1, state: int = 0, number: int = 1) -> bytes:
    """A stored record by its offsets: 0 number, 2 pin, 26 verify, 27 time, 31 state."""
    return pack("<H24sBIB8s", number, pin.encode(), verify, when, state, bytes(8))


def body_of(records: bytes) -> bytes:
    """A table's body: how many bytes follow, then these."""
    return pack("<I", len(records)) + records


def offered(body: bytes) -> Answer:
    """The answer to 1503 that offers a body too long for one packet."""
    return reply(2000, pack("<BIII", 0, len(body), len(body), 0x0023EFCD))


def chunks(body: bytes, packet_bytes: int = 1008, between: Iterable[Packet] = ()) -> Answer:
    """The answer to 1504: PREPARE, DATA with its index as session (then `between`), the closing ACK."""

    def answer(request: Packet) -> Iterator[Packet]:
        start, size = unpack("<ii", request.data)
        wanted = body[start : start + size]
        yield Packet(1500, SESSION, request.reply_id, pack("<II", size, packet_bytes))
        parts = [wanted[at : at + packet_bytes] for at in range(0, size, packet_bytes)]
        for index, part in enumerate(parts):
            yield Packet(1501, index, request.reply_id, part)
            if index == 0:
                yield from between
        yield Packet(2000, len(parts) - 1, request.reply_id)

    return answer


def live_event(
    pin: str, *, reply_id: int = 0, code: int = 1, when: bytes = bytes((24, 2, 29, 8, 30, 15))
) -> Packet:
    """A punch told unasked, of 32 bytes."""
    return Packet(500, code, reply_id, pack("<24sBB6s", pin.encode(), 1, 0, when))


class ScriptedTerminal:
    """Answers each command as its script says; 2000 for what a session always asks, silence for the rest.

    A script's list of answers is used up one by one, the last one for ever.
    """

    def __init__(self, script: Mapping[int, Answer | list[Answer]]) -> None:
        usual: dict[int, Answer] = {1000: reply(), 1001: reply(), 1502: reply(), 500: reply(), 11: option}
        self._script: dict[int, Answer | list[Answer]] = {**usual, **script}
        self._decoder = StreamDecoder()
        self.asked: list[Packet] = []

    def follow(self, command: int, answer: Answer) -> None:
        """Change one command's script."""
        self._script[command] = answer

    def commands(self) -> list[int]:
        """What was asked, in its order."""
        return [packet.command for packet in self.asked]

    def receive(self, data: bytes) -> list[bytes]:
        """The frames that answer what has come in; a new CONNECT is a new stream."""
        out: list[bytes] = []
        for request in self._decoder.feed(data):
            self.asked.append(request)
            answers = self._next_answer(request.command)(request)
            out += [answer if isinstance(answer, bytes) else frame(answer) for answer in answers]
        return out

    def _next_answer(self, command: int) -> Answer:
        answers = self._script.get(command, silence)
        if isinstance(answers, list):
            return answers.pop(0) if len(answers) > 1 else answers[0]
        return answers

    def start_again(self) -> None:
        """A new connection: a new stream, the same script."""
        self._decoder = StreamDecoder()


class Starved(Exception):
    """The conversation waits for more than the terminal will ever send."""


def converse(
    conversation: Conversation, exchange: Exchange[T], terminal: ScriptedTerminal, piece: int = 1
) -> T:
    """Carry an exchange through without a socket, handing over `piece` bytes at a time."""
    waiting = b""
    try:
        outgoing = next(exchange)
        while True:
            if outgoing:
                waiting += b"".join(terminal.receive(outgoing))
            while (packet := conversation.next_reply()) is None:
                if not waiting:
                    raise Starved
                conversation.receive(waiting[:piece])
                waiting = waiting[piece:]
            outgoing = exchange.send(packet)
    except StopIteration as done:
        conversation.receive(waiting)
        value: T = done.value
        return value


@contextmanager
def over_tcp(terminal: ScriptedTerminal, *, timeout_s: float = 5.0) -> Iterator[Terminal]:
    """Serve the script on a loopback port, one client at a time."""
    listening = socket.create_server(("127.0.0.1", 0))
    open_now: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _peer = listening.accept()
                open_now.append(connection)
                terminal.start_again()
                with connection, suppress(OSError):
                    _answer(connection, terminal)

    thread = threading.Thread(target=serve, name="scripted-terminal")
    thread.start()
    try:
        yield Terminal(
            id="lobi",
            host="127.0.0.1",
            port=listening.getsockname()[1],
            timeout=timedelta(seconds=timeout_s),
        )
    finally:
        for opened in (listening, *open_now):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _answer(connection: socket.socket, terminal: ScriptedTerminal) -> None:
    while data := connection.recv(65536):
        for answer in terminal.receive(data):
            if not answer:
                return
            connection.sendall(answer)


@contextmanager
def over_udp(terminal: ScriptedTerminal, *, timeout_s: float = 5.0) -> Iterator[Terminal]:
    """Serve the script on a loopback port, a packet a datagram."""
    service = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    service.bind(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while True:
            datagram, peer = service.recvfrom(1 << 16)
            if ended.is_set():
                return
            for answer in terminal.receive(frame(decode(datagram))):
                service.sendto(answer.removeprefix(MAGIC)[4 * answer.startswith(MAGIC) :], peer)

    thread = threading.Thread(target=serve, name="scripted-terminal")
    thread.start()
    try:
        yield Terminal(
            id="lobi",
            host="127.0.0.1",
            port=service.getsockname()[1],
            transport="udp",
            timeout=timedelta(seconds=timeout_s),
        )
    finally:
        ended.set()
        service.sendto(b"", service.getsockname())
        thread.join()
        service.close()
