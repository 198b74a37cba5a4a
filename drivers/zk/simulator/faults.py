"""What can go wrong between a terminal and its client, as values. No input or output.

The faults of a server hold for each connection anew, counted from its start.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.zk.commands import Command
from drivers.zk.packet import TOP_BYTES


@dataclass(frozen=True, slots=True)
class Segment:
    """Every frame leaves in pieces of this many bytes."""

    size_bytes: int = 1


@dataclass(frozen=True, slots=True)
class Merge:
    """The frames of one answer, and whatever else waits, leave in one write."""


@dataclass(frozen=True, slots=True)
class CloseAfter:
    """The connection ends when this many bytes have left, in the middle of a frame if need be."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Silent:
    """Requests are taken but, after this many frames, never answered."""

    after_frames: int = 0


@dataclass(frozen=True, slots=True)
class Delay:
    """Every answer comes this much later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """After every write the terminal rests this long; older ones rest 20 ms after each packet."""

    seconds: float


@dataclass(frozen=True, slots=True)
class BadChecksum:
    """The nth frame (from 1) carries a wrong checksum."""

    nth: int = 1


@dataclass(frozen=True, slots=True)
class Refuse:
    """A command is answered with a code; as made, what secure firmware says to CONNECT."""

    code: int = 6001
    command: int = Command.CONNECT


@dataclass(frozen=True, slots=True)
class OneClient:
    """Connections are served one after the other; whoever comes second waits unanswered."""


Fault = Segment | Merge | CloseAfter | Silent | Delay | Pace | BadChecksum | Refuse | OneClient


def refusals(faults: Iterable[Fault]) -> dict[int, int]:
    """Reply codes by refused command."""
    return {fault.command: fault.code for fault in faults if isinstance(fault, Refuse)}


def merges(faults: Iterable[Fault]) -> bool:
    """Whether frames wait for each other."""
    return any(isinstance(fault, Merge) for fault in faults)


def delay_s(faults: Iterable[Fault]) -> float:
    """Seconds before an answer leaves."""
    return sum(fault.seconds for fault in faults if isinstance(fault, Delay))


def pace_s(faults: Iterable[Fault]) -> float:
    """Seconds between two writes."""
    return sum(fault.seconds for fault in faults if isinstance(fault, Pace))


class Line:
    """What becomes of one connection's frames on their way out, in the order of the faults."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._frames = 0
        self._bytes = 0
        self.broken = False
        """The connection is to be closed."""

    def writes(self, frames: Iterable[bytes]) -> list[bytes]:
        """What is to be written, one item per write."""
        kept = [damaged for frame in frames if (damaged := self._damage(frame))]
        if merges(self._faults):
            kept = [b"".join(kept)]
        for fault in self._faults:
            if isinstance(fault, Segment):
                kept = [piece for part in kept for piece in _pieces(part, fault.size_bytes)]
        return [part for part in map(self._cut, kept) if part]

    def _damage(self, frame: bytes) -> bytes:
        """The frame, with a wrong checksum, or nothing."""
        self._frames += 1
        for fault in self._faults:
            if isinstance(fault, Silent) and self._frames > fault.after_frames:
                return b""
            if isinstance(fault, BadChecksum) and self._frames == fault.nth:
                at = TOP_BYTES + 2
                frame = frame[:at] + bytes([frame[at] ^ 0x55]) + frame[at + 1 :]
        return frame

    def _cut(self, part: bytes) -> bytes:
        """As much of it as leaves before the connection ends."""
        for fault in self._faults:
            if isinstance(fault, CloseAfter):
                part = part[: max(0, fault.size_bytes - self._bytes)]
                self.broken = self._bytes + len(part) >= fault.size_bytes
        self._bytes += len(part)
        return part


def _pieces(part: bytes, size_bytes: int) -> list[bytes]:
    return [part[at : at + size_bytes] for at in range(0, len(part), size_bytes)]
