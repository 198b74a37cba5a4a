"""The client's side of a conversation with a terminal, as a state machine: bytes in, bytes out.

It never waits, reads no clock and opens nothing. An exchange (a request and what follows
until its answer is complete) is a generator: it yields the bytes to send next, or none
where only a further packet is wanted, and is sent each packet that answers it.

Source: captures (tests/golden) and pyzk 0.9; what fields mean in which reply differs by
command, see `_answers`.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeVar

from attendance.errors import DeviceRefused, RemoteProtocolError
from drivers.zk.commands import Command, EventMask, Reply, command_name, refusal_text
from drivers.zk.commkey import scramble, wrong_key_text
from drivers.zk.packet import Packet, StreamDecoder, frame
from drivers.zk.records import PREFIX_BYTES, without_prefix

T = TypeVar("T")
Exchange = Generator[bytes, Packet, T]

CHUNK_BYTES: Final = 0xFFC0
"""Asked for at once; keeps the DATA frame below 64 KiB, for terminals that count in 16 bits."""

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""A table that announces more is not believed; the largest log known is 8 MB."""

FRAMES_KEPT: Final = 20

_QUERY: Final = Struct("<BHii")
_RANGE: Final = Struct("<ii")
_ANNOUNCEMENT: Final = Struct("<xII")
_PREPARATION: Final = Struct("<I")
_OTHER_EVENTS: Final = frozenset(EventMask) - {EventMask.ATTLOG}


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Something that a terminal told unasked; `reply_id` belongs into its acknowledgement."""

    code: int
    reply_id: int
    data: bytes

    @property
    def is_punch(self) -> bool:
        """Whether it tells of a punch: every event is one that is not known to be something else."""
        return self.code not in _OTHER_EVENTS


@dataclass(frozen=True, slots=True)
class Offer:
    """A prepared table: the length of its body, prefix included, and the body itself if it came at once."""

    length: int
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class FrameNote:
    """What a frame was, without its data: those are people's."""

    sent: bool
    command: int
    session: int
    reply_id: int
    data_bytes: int

    def __str__(self) -> str:
        """One frame in a list of them."""
        arrow = ">" if self.sent else "<"
        return f"{arrow}{self.command} s{self.session:04x} r{self.reply_id} {self.data_bytes}B"


class Conversation:
    """One connection's conversation, from CONNECT to EXIT.

    Every exchange may raise DeviceRefused (the terminal said no; the conversation goes on)
    and RemoteProtocolError (it is over).
    """

    def __init__(self, comm_key: int = 0) -> None:
        self._comm_key = comm_key
        self._decoder = StreamDecoder()
        self._arrived: deque[Packet] = deque()
        self._session = 0
        self._reply_id = 0xFFFF
        self._in_transfer = False
        self.holds_buffer = False
        """The terminal has prepared a table for us: FREE_DATA is due."""
        self.events: deque[LiveEvent] = deque()
        """Not yet acknowledged, oldest first."""
        self.frames: deque[FrameNote] = deque(maxlen=FRAMES_KEPT)
        """The last frames of both directions."""

    def receive(self, chunk: bytes) -> None:
        """Take what a socket gave. Raises RemoteProtocolError when the stream is out of step."""
        for packet in self._decoder.feed(chunk):
            self._note(packet, sent=False)
            if packet.command == Reply.EVENT:
                self.events.append(LiveEvent(packet.session, packet.reply_id, packet.data))
            elif packet.reply_id == self._reply_id:
                self._arrived.append(packet)

    def next_reply(self) -> Packet | None:
        """The next packet that answers the request under way; late and foreign ones are dropped."""
        while self._arrived:
            packet = self._arrived.popleft()
            if self._answers(packet):
                return packet
        return None

    def acknowledge(self, event: LiveEvent) -> bytes:
        """The frame that tells the terminal that an event has arrived; nothing answers it."""
        return self._frame(Packet(Reply.ACK_OK, self._session, event.reply_id))

    def connect(self) -> Exchange[None]:
        """CONNECT, and AUTH where the terminal wants it: some do with comm key 0, too."""
        reply = yield self._request(Command.CONNECT)
        self._session = reply.session
        if reply.command == Reply.ACK_UNAUTH:
            key = scramble(self._comm_key, self._session)
            reply = yield self._request(Command.AUTH, key)
            if reply.command == Reply.ACK_UNAUTH:
                raise DeviceRefused(wrong_key_text(self._comm_key), code=Reply.ACK_UNAUTH)
        _granted(reply, "to connect")

    def ask(self, command: int, data: bytes = b"") -> Exchange[bytes]:
        """One request with one reply; gives the reply's data."""
        reply = yield self._request(command, data)
        return _granted(reply, command_name(command)).data

    def read_table(self, table: int, parameter: int = 0) -> Exchange[bytes]:
        """A whole table by the buffered read, without its length prefix.

        Length announced, received, and told by the prefix are the same, or RemoteProtocolError.
        """
        offer = yield from self.prepare(table, parameter)
        body = offer.body
        if body is None:
            body = yield from self.read_range(0, offer.length)
        return without_prefix(body)

    def prepare(self, table: int, parameter: int = 0) -> Exchange[Offer]:
        """Have the terminal prepare a table, from which `read_range` then takes parts."""
        reply = yield self._request(Command.PREPARE_BUFFER, _QUERY.pack(1, table, parameter, 0))
        if reply.command == Reply.PREPARE_DATA:
            body = yield from self._transfer(reply)
            return Offer(len(body), body)
        if _granted(reply, f"to read table {command_name(table)}").command == Reply.DATA:
            return Offer(len(reply.data), reply.data)
        offer = Offer(_announced(reply.data))
        self.holds_buffer = True
        return offer

    def read_range(self, start: int, size: int) -> Exchange[bytes]:
        """Bytes of the prepared body, its length prefix counted in."""
        chunks = []
        for at in range(start, start + size, CHUNK_BYTES):
            part = min(CHUNK_BYTES, start + size - at)
            reply = yield self._request(Command.READ_BUFFER, _RANGE.pack(at, part))
            chunks.append((yield from self._chunk(reply, part)))
        return b"".join(chunks)

    def read_directly(self, command: int, data: bytes = b"") -> Exchange[bytes]:
        """A whole table by the older read without a buffer, without its length prefix.

        Some firmware answers it with stale memory: the records must prove themselves.
        """
        reply = yield self._request(command, data)
        if reply.command == Reply.PREPARE_DATA:
            return without_prefix((yield from self._transfer(reply)))
        if reply.command == Reply.DATA:
            return without_prefix(reply.data)
        text = f"the terminal refused {command_name(command)}: {refusal_text(reply.command)}"
        raise DeviceRefused(text, code=reply.command)

    def free(self) -> Exchange[None]:
        """Let the terminal drop the table that it prepared."""
        self.holds_buffer = False
        yield from self.ask(Command.FREE_DATA)

    def farewell(self) -> bytes:
        """EXIT, for one who does not wait for the answer."""
        return self._request(Command.EXIT)

    def _chunk(self, reply: Packet, size: int) -> Exchange[bytes]:
        if reply.command == Reply.PREPARE_DATA:
            chunk = yield from self._transfer(reply)
        else:
            chunk = _granted(reply, f"to give {size} bytes of its table").data
        if len(chunk) != size:
            raise RemoteProtocolError(f"a part of the table has {len(chunk)} bytes, {size} were asked for")
        return chunk

    def _transfer(self, prepare: Packet) -> Exchange[bytes]:
        if len(prepare.data) < _PREPARATION.size:
            raise RemoteProtocolError("a transfer does not announce its length")
        (announced,) = _PREPARATION.unpack_from(prepare.data)
        if announced > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"a transfer announces {announced} bytes")
        parts: list[bytes] = []
        received = 0
        self._in_transfer = True
        try:
            while (packet := (yield b"")).command == Reply.DATA:
                parts.append(packet.data)
                received += len(packet.data)
                if not packet.data or received > announced:
                    raise RemoteProtocolError(
                        f"a transfer of {announced} bytes got out of step at {received}"
                    )
        finally:
            self._in_transfer = False
        _granted(packet, "to finish a transfer")
        if received != announced:
            raise RemoteProtocolError(f"a transfer announced {announced} bytes and ended after {received}")
        return b"".join(parts)

    def _request(self, command: int, data: bytes = b"") -> bytes:
        self._reply_id = (self._reply_id + 1) & 0xFFFF
        self._arrived.clear()
        return self._frame(Packet(command, self._session, self._reply_id, data))

    def _answers(self, packet: Packet) -> bool:
        # The session field of DATA and of what closes a transfer counts packets, and that
        # of an error may hold a sub-code; there the reply id alone, which `receive` looks at, tells.
        if self._session == 0 or self._in_transfer:
            return True
        if packet.command in (Reply.ACK_OK, Reply.PREPARE_DATA):
            return packet.session == self._session
        return True

    def _frame(self, packet: Packet) -> bytes:
        self._note(packet, sent=True)
        return frame(packet)

    def _note(self, packet: Packet, *, sent: bool) -> None:
        self.frames.append(FrameNote(sent, packet.command, packet.session, packet.reply_id, len(packet.data)))


def _granted(reply: Packet, what: str) -> Packet:
    """The reply, if it is one that grants. Raises DeviceRefused with the terminal's number if not."""
    if reply.command in (Reply.ACK_OK, Reply.DATA):
        return reply
    if reply.command == Reply.PREPARE_DATA:
        raise RemoteProtocolError(f"the terminal began a transfer when asked {what}")
    raise DeviceRefused(f"the terminal refused {what}: {refusal_text(reply.command)}", code=reply.command)


def _announced(data: bytes) -> int:
    """The length of a prepared table, which the terminal tells twice."""
    if len(data) < _ANNOUNCEMENT.size:
        raise RemoteProtocolError(f"a prepared table is announced in {len(data)} bytes, should be 13")
    first, second = _ANNOUNCEMENT.unpack_from(data)
    if first != second or not PREFIX_BYTES <= first <= MAX_BODY_BYTES:
        raise RemoteProtocolError(f"a prepared table announces {first} and {second} bytes")
    return int(first)
