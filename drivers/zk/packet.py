"""Packets and their TCP frames: bytes to values and back. No input or output.

Source: captures of many models; every intact captured frame obeys the checksum.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError

_HEADER: Final = Struct("<HHHH")
_TOP: Final = Struct("<4sI")
MAGIC: Final = b"\x50\x50\x82\x7d"
SECURE_MAGIC: Final = b"\x50\x50\x83\x7c"
HEADER_BYTES: Final = _HEADER.size
TOP_BYTES: Final = _TOP.size
_STRETCH: Final = 4096
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""A frame that announces more is not believed; the largest log known is 8 MB."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One request, reply or event. All fields but `data` are u16.

    `session` holds something else in some replies: the packet index in DATA,
    the event code in an event, the machine state in a reply to STATE.
    """

    command: int
    session: int
    reply_id: int
    data: bytes = b""


def checksum(packet: bytes) -> int:
    """One's complement of the folded sum of u16 words; the checksum field must be zero.

    Folding carries is the remainder by 0xffff, as 0x10000 leaves 1; an odd last byte is a low byte.
    """
    total = _total(packet)
    folded = total % 0xFFFF
    return 0 if total and not folded else folded ^ 0xFFFF


def _total(packet: bytes) -> int:
    """The sum of a packet's stretches as numbers: its words leave the same remainder, with more to divide."""
    return sum(int.from_bytes(packet[at : at + _STRETCH], "little") for at in range(0, len(packet), _STRETCH))


def encode(packet: Packet) -> bytes:
    """The packet's bytes: the whole UDP datagram, or what follows the TCP top header."""
    fields = (packet.command, packet.session, packet.reply_id)
    if any(not 0 <= field <= 0xFFFF for field in fields):
        raise LocalProtocolError(f"a packet field does not fit 16 bits: {fields}")
    head = _HEADER.pack(packet.command, 0, packet.session, packet.reply_id)
    total = checksum(head + packet.data)
    return _HEADER.pack(packet.command, total, packet.session, packet.reply_id) + packet.data


def decode(raw: bytes) -> Packet:
    """Read one packet. Raises RemoteProtocolError for a short or damaged one."""
    if len(raw) < HEADER_BYTES:
        raise RemoteProtocolError(f"a packet of {len(raw)} bytes is shorter than its header")
    command, given, session, reply_id = _HEADER.unpack_from(raw)
    data = raw[HEADER_BYTES:]
    # With its checksum a whole packet sums up to nothing: 0x0000 and 0xffff are the same in one's complement.
    if _total(raw) % 0xFFFF:
        right = checksum(_HEADER.pack(command, 0, session, reply_id) + data)
        raise RemoteProtocolError(f"checksum of reply {command} is {given:#06x}, should be {right:#06x}")
    return Packet(command, session, reply_id, data)


def frame(packet: Packet) -> bytes:
    """The packet as it travels over TCP: to be sent in one write."""
    body = encode(packet)
    return _TOP.pack(MAGIC, len(body)) + body


class StreamDecoder:
    """Cuts a TCP stream into packets, however it is segmented.

    `feed` returns the packets completed by the chunk. Raises RemoteProtocolError
    when the stream is out of step; it cannot be used after that.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending_bytes(self) -> int:
        """Bytes received that are not yet a whole packet."""
        return len(self._buffer)

    @property
    def head(self) -> Packet | None:
        """The packet that has begun to arrive, without its data; None until its header has come."""
        if len(self._buffer) < TOP_BYTES + HEADER_BYTES:
            return None
        command, _checksum, session, reply_id = _HEADER.unpack_from(self._buffer, TOP_BYTES)
        return Packet(command, session, reply_id)

    def feed(self, chunk: bytes) -> list[Packet]:
        """Take what a socket gave; give what became whole."""
        self._buffer += chunk
        packets: list[Packet] = []
        while (length := self._frame_length()) is not None and len(self._buffer) >= TOP_BYTES + length:
            with memoryview(self._buffer) as view:
                raw = bytes(view[TOP_BYTES : TOP_BYTES + length])
            packets.append(decode(raw))
            del self._buffer[: TOP_BYTES + length]
        return packets

    def _frame_length(self) -> int | None:
        head = bytes(self._buffer[:TOP_BYTES])
        magic = head[: len(MAGIC)]
        if magic == SECURE_MAGIC:
            raise RemoteProtocolError("the terminal speaks the encrypted protocol of secure firmware")
        if not (MAGIC.startswith(magic) or SECURE_MAGIC.startswith(magic)):
            raise RemoteProtocolError(f"not a ZK frame: it starts with {magic.hex()}")
        if len(head) < TOP_BYTES:
            return None
        length = int.from_bytes(head[len(MAGIC) :], "little")
        if not HEADER_BYTES <= length <= MAX_FRAME_BYTES:
            raise RemoteProtocolError(f"a frame announces {length} bytes, should be {HEADER_BYTES} or more")
        return length
