"""The live events of one conversation, and which of them the client has acknowledged. No input or output."""

from collections.abc import Iterable
from typing import Final

from attendance.punch import RawPunch
from drivers.zk.commands import EventMask, Reply
from drivers.zk.events import EVENT_BYTES, pack_event
from drivers.zk.packet import Packet
from drivers.zk.simulator.faults import Fault, ResendsEvents, chosen

MOST_KEPT: Final = 80
"""Of events that nobody acknowledged the oldest are forgotten."""


class Events:
    """Makes the events and, on a terminal that sends them again, keeps those without an ACK."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._numbered = bool(chosen(faults, ResendsEvents))
        self._number = 0
        self._kept: dict[int, Packet] = {}

    def made(self, punch: RawPunch, uid: int, length: int) -> Packet:
        """The event of a punch; one of an unknown length starts like one of 32 bytes."""
        if length in EVENT_BYTES:
            data = pack_event(punch, uid, length)
        else:
            data = pack_event(punch, uid).ljust(length, b"\0")[:length]
        if self._numbered:
            self._number = self._number % 0xFFFF + 1
        event = Packet(Reply.EVENT, EventMask.ATTLOG, self._number, data)
        if self._numbered:
            self._kept[self._number] = event
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return event

    def acknowledged(self, number: int) -> None:
        """An ACK came with this reply id."""
        self._kept.pop(number, None)

    def waiting(self) -> list[Packet]:
        """Those that no ACK has named, the oldest first."""
        return list(self._kept.values())
