"""What becomes of a terminal's packets on their way to one client, and of the client's to it.

Sans-io: packets in, writes out, in the order of the faults.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Final, Protocol

from drivers.zk.commands import Reply
from drivers.zk.packet import TOP_BYTES, Packet, encode, frame
from drivers.zk.simulator.faults import (
    BadChecksum,
    CloseAfter,
    Duplicate,
    EarlyAck,
    Fault,
    Late,
    Lose,
    Reorder,
    Segment,
    Silent,
    WrongReplyId,
    WrongSession,
    chosen,
    merges,
)

CHECKSUM_AT: Final = 2


class _Chance(Protocol):
    @property
    def rate(self) -> float: ...
    @property
    def seed(self) -> int: ...


class _Damage:
    """Counts packets from 1 and does to each what its number asks for."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._packets = 0
        self._held: list[Packet] = []

    def done_to(self, answer: Iterable[Packet]) -> list[tuple[Packet, bool]]:
        """The packets that leave now, each with whether its checksum is wrong."""
        passed = [(self._packets, self._altered(packet)) for packet in answer if self._counted()]
        now = [(packet, self._is(number, BadChecksum)) for number, packet in passed]
        for place, (number, _packet) in enumerate(passed):
            if self._is(number, Late):
                self._held += [packet for packet, _bad in now[place:]]
                return now[:place]
        if now and self._held:
            now += [(packet, False) for packet in self._held]
            self._held = []
        return now

    def _counted(self) -> bool:
        self._packets += 1
        return all(self._packets <= fault.after_frames for fault in chosen(self._faults, Silent))

    def _is(self, number: int, kind: type[BadChecksum | Late | WrongSession | WrongReplyId]) -> bool:
        return any(isinstance(fault, kind) and fault.nth == number for fault in self._faults)

    def _altered(self, packet: Packet) -> Packet:
        if self._is(self._packets, WrongSession):
            packet = replace(packet, session=packet.session ^ 0x5555)
        if self._is(self._packets, WrongReplyId):
            packet = replace(packet, reply_id=packet.reply_id ^ 0x5555)
        return packet


class Line:
    """A TCP connection: one frame a write, unless a fault cuts or merges them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._damage = _Damage(faults)
        self._bytes = 0
        self.broken = False
        """The connection is to be closed."""

    def writes(self, answer: Iterable[Packet]) -> list[bytes]:
        """What is to be written, one item per write."""
        kept = [
            _spoilt(frame(packet), TOP_BYTES) if bad else frame(packet)
            for packet, bad in self._damage.done_to(answer)
        ]
        if merges(self._faults):
            kept = [b"".join(kept)]
        for fault in chosen(self._faults, Segment):
            kept = [piece for part in kept for piece in pieces(part, fault.size_bytes)]
        return [part for part in map(self._cut, kept) if part]

    def _cut(self, part: bytes) -> bytes:
        """As much of it as leaves before the connection ends."""
        for fault in chosen(self._faults, CloseAfter):
            part = part[: max(0, fault.size_bytes - self._bytes)]
            self.broken = self._bytes + len(part) >= fault.size_bytes
        self._bytes += len(part)
        return part


class DatagramLine:
    """UDP from and to one address: one datagram a write. The same seeds do the same again."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._damage = _Damage(faults)
        self._dice: dict[tuple[type, str], Random] = {}
        self._overtaken: bytes | None = None

    def takes(self, datagram: bytes) -> list[bytes]:
        """What of a client's datagram arrives: nothing, it, or it twice."""
        return self._doubled(datagram, "in") if not self._falls(Lose, "in") else []

    def writes(self, answer: Iterable[Packet]) -> list[bytes]:
        """The datagrams that reach the client, in their order."""
        packets = self._damage.done_to(answer)
        if chosen(self._faults, EarlyAck) and len(packets) > 1 and packets[-1][0].command == Reply.ACK_OK:
            packets[-2], packets[-1] = packets[-1], packets[-2]
        left: list[bytes] = []
        for packet, bad in packets:
            datagram = _spoilt(encode(packet), 0) if bad else encode(packet)
            if not self._falls(Lose, "out"):
                left += self._ordered(self._doubled(datagram, "out"))
        return left

    def _doubled(self, datagram: bytes, way: str) -> list[bytes]:
        return [datagram] * (2 if self._falls(Duplicate, way) else 1)

    def _ordered(self, datagrams: list[bytes]) -> list[bytes]:
        if self._overtaken is not None:
            datagrams = [*datagrams, self._overtaken]
            self._overtaken = None
        elif self._falls(Reorder, "out"):
            self._overtaken = datagrams[0]
            datagrams = datagrams[1:]
        return datagrams

    def _falls(self, kind: type[Lose | Duplicate | Reorder], way: str) -> bool:
        return any(self._die(fault, way).random() < fault.rate for fault in chosen(self._faults, kind))

    def _die(self, fault: _Chance, way: str) -> Random:
        return self._dice.setdefault((type(fault), way), Random(f"{fault.seed} {way}"))


def pieces(part: bytes, size_bytes: int) -> list[bytes]:
    """The bytes, cut into pieces of this size and a rest."""
    return [part[at : at + size_bytes] for at in range(0, len(part), size_bytes)]


def _spoilt(raw: bytes, head_bytes: int) -> bytes:
    """With a wrong checksum."""
    at = head_bytes + CHECKSUM_AT
    return raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]
