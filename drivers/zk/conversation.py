"""The client's side of a conversation with a terminal, as a state machine: bytes in, bytes out.

It never waits, reads no clock and opens nothing. An exchange (a request and what follows
until its answer is complete) is a generator: it yields the bytes to send next, or none
where only a further packet is wanted, and is sent each packet that answers it. Over UDP it
is sent None where nothing has come for a while, and then asks again for what is missing;
it has no end of its own to that: whoever carries it keeps the time.

Source: captures (tests/golden) and pyzk 0.9.
"""

from collections.abc import Generator
from struct import Struct
from typing import Final, TypeVar

from attendance.errors import DeviceError, DeviceRefused, LocalProtocolError, RemoteProtocolError, Unsupported
from drivers.zk.answers import (
    ANNOUNCEMENT,
    Offer,
    announced,
    granted,
    granted_or_announced,
    packet_size,
    preparation,
)
from drivers.zk.assembly import Assembly, Unnumbered
from drivers.zk.commands import REPEATABLE, Command, Reply, command_name, refusal_text
from drivers.zk.commkey import scramble, wrong_key_text
from drivers.zk.correspondence import SINGLE_PACKET_BYTES, Correspondence
from drivers.zk.packet import Packet
from drivers.zk.records import PREFIX_BYTES, told_length, without_prefix

T = TypeVar("T")
Exchange = Generator[bytes, Packet | None, T]

CHUNK_BYTES: Final = 0xFFC0
"""Asked for at once; keeps the DATA frame below 64 KiB, for terminals that count in 16 bits."""

DATAGRAM_CHUNK_BYTES: Final = 16 * 1024
"""The same over UDP, as other clients ask; what a loss in it can cost stays small."""

WHOLE_READS: Final = 10
"""A transfer that can only be read whole is given up when so many of them lost something."""

FRUITLESS_READS: Final = 20
"""A part of a table is given up after so many requests in a row that gave nothing of it."""

_QUERY: Final = Struct("<BHii")
_RANGE: Final = Struct("<ii")


class Conversation(Correspondence):
    """One connection's conversation, from CONNECT to EXIT.

    Every exchange may raise DeviceRefused (the terminal said no; the conversation goes on)
    and RemoteProtocolError (it is over).
    """

    def __init__(self, comm_key: int = 0, *, datagrams: bool = False) -> None:
        super().__init__(datagrams=datagrams)
        self._comm_key = comm_key
        self._chunk_bytes = DATAGRAM_CHUNK_BYTES if datagrams else CHUNK_BYTES
        self._unnumbered = False
        self.holds_buffer = False
        """The terminal has prepared a table for us: FREE_DATA is due."""
        self.owed_bytes = 0
        """What the terminal has been asked or has announced to give, in all."""

    def connect(self) -> Exchange[None]:
        """CONNECT, and AUTH where the terminal wants it: some do with comm key 0, too."""
        self._start()
        reply = yield from self._asked(Command.CONNECT)
        self._session = reply.session
        if reply.command == Reply.ACK_UNAUTH:
            key = scramble(self._comm_key, self._session)
            reply = yield from self._asked(Command.AUTH, key)
            if reply.command == Reply.ACK_UNAUTH:
                raise DeviceRefused(wrong_key_text(self._comm_key), code=Reply.ACK_UNAUTH)
        granted(reply, "to connect")

    def ask(self, command: int, data: bytes = b"") -> Exchange[bytes]:
        """One request with one reply; gives the reply's data."""
        reply = yield from self._asked(command, data)
        return granted(reply, command_name(command)).data

    def relay(self, command: int, data: bytes = b"") -> Exchange[Packet]:
        """A request of another client's making; its answer, be it a whole part of a table, in one packet."""
        try:
            if command == Command.READ_BUFFER and len(data) == _RANGE.size:
                part = yield from self.read_range(*_RANGE.unpack(data))
                return Packet(Reply.DATA, self._session, 0, part)
            if command == Command.PREPARE_BUFFER and len(data) == _QUERY.size:
                _flag, table, parameter, _extra = _QUERY.unpack(data)
                offer = yield from self.prepare(table, parameter)
                if offer.body is not None:
                    return Packet(Reply.DATA, self._session, 0, offer.body)
                return Packet(
                    Reply.ACK_OK, self._session, 0, ANNOUNCEMENT.pack(offer.length, offer.length) + bytes(4)
                )
        except DeviceRefused as refusal:
            return Packet(refusal.code or Reply.ACK_ERROR, self._session, 0)
        if command == Command.CONNECT:
            self._start()
        reply = yield from self._asked(command, data)
        if command == Command.CONNECT:
            self._session = reply.session
        return reply

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
        what = f"to read table {command_name(table)}"
        for _ in range(WHOLE_READS):
            reply = yield from self._asked(Command.PREPARE_BUFFER, _QUERY.pack(1, table, parameter, 0))
            if not self._begins_transfer(reply):
                return self._offer(granted(reply, what))
            body = yield from self._whole(reply, what)
            if body is not None:
                return Offer(len(body), body)
        raise self._given_up()

    def _offer(self, reply: Packet) -> Offer:
        if reply.command == Reply.DATA:
            return Offer(len(reply.data), reply.data)
        offer = Offer(announced(reply.data))
        self.holds_buffer = True
        return offer

    def read_range(self, start: int, size: int) -> Exchange[bytes]:
        """Bytes of the prepared body, its length prefix counted in."""
        self.owed_bytes += size
        at, end = start, start + size
        chunks = []
        while at < end:
            part = min(self._chunk_bytes, end - at)
            try:
                chunks.append((yield from self._chunk(at, part)))
            except Unnumbered:
                chunks.append((yield from self._one_by_one(at, part)))
            at += part
        return b"".join(chunks)

    def read_directly(self, command: int, data: bytes = b"") -> Exchange[bytes]:
        """A whole table by the older read without a buffer, without its length prefix.

        Some firmware answers it with stale memory: the records must prove themselves.
        """
        what = f"to read {command_name(command)}"
        for _ in range(WHOLE_READS):
            reply = yield self._request(command, data)
            if reply is None:
                continue
            if not (self._begins_transfer(reply) or (self._datagrams and reply.command == Reply.DATA)):
                return without_prefix(_inline(reply, what))
            body = yield from self._whole(reply, what)
            if body is not None:
                return without_prefix(body)
        raise self._given_up()

    def free(self) -> Exchange[None]:
        """Let the terminal drop the table that it prepared."""
        self.holds_buffer = False
        yield from self.ask(Command.FREE_DATA)

    def farewell(self) -> bytes:
        """EXIT, for one who does not wait for the answer."""
        return self._request(Command.EXIT)

    def _asked(self, command: int, data: bytes = b"") -> Exchange[Packet]:
        """The first packet of the answer; a request that may be is repeated as it was, under its reply id."""
        reply = yield self._request(command, data)
        while reply is None:
            reply = yield self._last_request if command in REPEATABLE else b""
        return reply

    def _begins_transfer(self, reply: Packet) -> bool:
        """Whether more packets are due after the first that came of an answer to a read."""
        if reply.command == Reply.PREPARE_DATA:
            return True
        if not self._datagrams:
            return False
        if reply.command == Reply.DATA:
            # The first packets may be lost or late, and the tail of a log may look like an empty one.
            return reply.session != self._session or not _is_whole(reply.data)
        return reply.command == Reply.ACK_OK and not reply.data

    def _chunk(self, at: int, size: int) -> Exchange[bytes]:
        if self._datagrams:
            return (yield from self._gathered(at, size))
        reply = yield from self._asked(Command.READ_BUFFER, _RANGE.pack(at, size))
        if reply.command == Reply.PREPARE_DATA:
            chunk = yield from self._transfer(reply)
        else:
            chunk = granted(reply, f"to give {size} bytes of its table").data
        if len(chunk) != size:
            raise RemoteProtocolError(f"a part of the table has {len(chunk)} bytes, {size} were asked for")
        return chunk

    def _gathered(self, at: int, size: int) -> Exchange[bytes]:
        """A part of the prepared body over UDP; what of it is lost is asked for again, and nothing else.

        Each request has a reply id of its own: to a repeated one some firmware gives the end of the
        transfer alone. Raises Unnumbered where packets carry no index.
        """
        body = bytearray(size)
        gaps = [(0, size)]
        fruitless = 0
        while gaps:
            start, length = gaps.pop(0)
            assembly = yield from self._collected(at + start, length)
            for offset, data in assembly.placed():
                body[start + offset : start + offset + len(data)] = data
            fruitless = 0 if assembly.placed() else fruitless + 1
            if fruitless == FRUITLESS_READS:
                raise RemoteProtocolError(f"{fruitless} requests for the same part of the table gave nothing")
            gaps = [(start + offset, missing) for offset, missing in assembly.gaps()] + gaps
        return bytes(body)

    def _one_by_one(self, at: int, size: int) -> Exchange[bytes]:
        """The same where packets came that carry no index: one that is all of an answer needs none."""
        if self._unnumbered:
            self._chunk_bytes = SINGLE_PACKET_BYTES
        self._unnumbered = True
        parts = []
        for start in range(at, at + size, SINGLE_PACKET_BYTES):
            part = min(SINGLE_PACKET_BYTES, at + size - start)
            try:
                parts.append((yield from self._chunk(start, part)))
            except Unnumbered:
                raise RemoteProtocolError(f"{part} bytes of a table came in parts without numbers") from None
        return b"".join(parts)

    def _collected(self, at: int, size: int) -> Exchange[Assembly]:
        """What comes over UDP of one range; until it is whole or nothing more comes."""
        assembly = Assembly(size)
        with self._transferring():
            reply = yield self._request(Command.READ_BUFFER, _RANGE.pack(at, size))
            while reply is not None:
                if reply.command == Reply.DATA and reply.session == self._session and len(reply.data) != size:
                    raise Unnumbered
                self._take(assembly, granted_or_announced(reply, f"to give {size} bytes of its table"))
                if assembly.body is not None:
                    break
                reply = yield b""
        return assembly

    def _whole(self, first: Packet, what: str) -> Exchange[bytes | None]:
        """The body of a transfer that cannot be read in part; None where a part of it was lost."""
        if not self._datagrams:
            return (yield from self._transfer(first))
        assembly = Assembly()
        reply: Packet | None = first
        with self._transferring():
            while reply is not None:
                try:
                    self._take(assembly, granted_or_announced(reply, what))
                    if assembly.body is not None:
                        break
                except Unnumbered:
                    self._unnumbered = True
                    return None
                if reply.command == Reply.PREPARE_DATA:
                    self.owed_bytes += preparation(reply)
                reply = yield b""
        return assembly.body

    def _given_up(self) -> DeviceError:
        """Why a table that can only be read whole could not be."""
        if self._unnumbered:
            return Unsupported(
                "this terminal does not number its packets: over UDP a loss would not be seen;"
                ' use transport = "tcp"'
            )
        return RemoteProtocolError(f"{WHOLE_READS} transfers of a table each lost a part")

    def _take(self, assembly: Assembly, reply: Packet) -> None:
        """A packet of a transfer's answer: what announces it, carries a part, or says that all was sent."""
        if reply.command == Reply.PREPARE_DATA:
            assembly.announce(preparation(reply), packet_size(reply))
        elif reply.command == Reply.DATA:
            assembly.add(reply.session, reply.data)
        else:
            self.all_sent = True

    def _transfer(self, prepare: Packet) -> Exchange[bytes]:
        due = preparation(prepare)
        self.owed_bytes += due
        parts: list[bytes] = []
        received = 0
        with self._transferring():
            while (packet := (yield b"")) is not None and packet.command == Reply.DATA:
                parts.append(packet.data)
                received += len(packet.data)
                if not packet.data or received > due:
                    raise RemoteProtocolError(f"a transfer of {due} bytes got out of step at {received}")
        if packet is None:
            raise LocalProtocolError("a stream loses nothing: there is nothing to ask again for")
        granted(packet, "to finish a transfer")
        if received != due:
            raise RemoteProtocolError(f"a transfer announced {due} bytes and ended after {received}")
        return b"".join(parts)


def _is_whole(body: bytes) -> bool:
    return len(body) >= PREFIX_BYTES and told_length(body) == len(body) - PREFIX_BYTES


def _inline(reply: Packet, what: str) -> bytes:
    if reply.command == Reply.DATA:
        return reply.data
    raise DeviceRefused(f"the terminal refused {what}: {refusal_text(reply.command)}", code=reply.command)
