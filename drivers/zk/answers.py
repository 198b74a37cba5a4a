"""What a terminal answers and tells: values, and what they must be to be taken. No input or output."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from attendance.errors import DeviceRefused, RemoteProtocolError
from drivers.zk.assembly import MAX_BODY_BYTES
from drivers.zk.commands import EventMask, Reply, refusal_text
from drivers.zk.packet import Packet
from drivers.zk.records import PREFIX_BYTES

ANNOUNCEMENT: Final = Struct("<xII")
_PREPARATION: Final = Struct("<I")
_PACKET_SIZE: Final = Struct("<4xI")
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


def granted(reply: Packet, what: str) -> Packet:
    """The reply, if it is one that grants. Raises DeviceRefused with the terminal's number if not."""
    if reply.command in (Reply.ACK_OK, Reply.DATA):
        return reply
    if reply.command == Reply.PREPARE_DATA:
        raise RemoteProtocolError(f"the terminal began a transfer when asked {what}")
    raise DeviceRefused(f"the terminal refused {what}: {refusal_text(reply.command)}", code=reply.command)


def announced(data: bytes) -> int:
    """The length of a prepared table, which the terminal tells twice. Raises RemoteProtocolError."""
    if len(data) < ANNOUNCEMENT.size:
        raise RemoteProtocolError(f"a prepared table is announced in {len(data)} bytes, should be 13")
    first, second = ANNOUNCEMENT.unpack_from(data)
    if first != second or not PREFIX_BYTES <= first <= MAX_BODY_BYTES:
        raise RemoteProtocolError(f"a prepared table announces {first} and {second} bytes")
    return int(first)


def preparation(prepare: Packet) -> int:
    """The length that a transfer announces. Raises RemoteProtocolError."""
    if len(prepare.data) < _PREPARATION.size:
        raise RemoteProtocolError("a transfer does not announce its length")
    (announced,) = _PREPARATION.unpack_from(prepare.data)
    if announced > MAX_BODY_BYTES:
        raise RemoteProtocolError(f"a transfer announces {announced} bytes")
    return int(announced)


def granted_or_announced(reply: Packet, what: str) -> Packet:
    """The same for one of a transfer, which begins with its announcement."""
    return reply if reply.command == Reply.PREPARE_DATA else granted(reply, what)


def packet_size(prepare: Packet) -> int:
    """The length of the packets of a transfer, as it announces it; 0 where it does not."""
    return int(_PACKET_SIZE.unpack_from(prepare.data)[0]) if len(prepare.data) >= _PACKET_SIZE.size else 0
