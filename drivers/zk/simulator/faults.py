"""What can go wrong between a terminal and its client, as values. No input or output.

The faults of a server hold for each connection anew, counted from its start; over UDP the
datagrams from and to one address are a connection.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from drivers.zk.commands import Command


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
    """Clients are served one after the other; whoever comes second waits unanswered."""


@dataclass(frozen=True, slots=True)
class SilentTcp:
    """TCP connections are taken and never answered, as by an MA300; UDP is."""


@dataclass(frozen=True, slots=True)
class Speed:
    """So many bytes leave in a second; older terminals send about 50,000, whatever the client does."""

    bytes_per_s: float = 50_000


@dataclass(frozen=True, slots=True)
class WrongSession:
    """The nth frame (from 1) carries the id of another session."""

    nth: int = 1


@dataclass(frozen=True, slots=True)
class WrongReplyId:
    """The nth frame (from 1) carries the reply id of a request that was never made."""

    nth: int = 1


@dataclass(frozen=True, slots=True)
class Late:
    """The nth frame (from 1) and the rest of its answer leave only after the next answer."""

    nth: int = 1


@dataclass(frozen=True, slots=True)
class RepeatsReply:
    """A request with the reply id of the last one is not carried out: its last reply is sent again.

    Of a transfer that is the closing ACK alone. Reported for older terminals, not confirmed.
    """


@dataclass(frozen=True, slots=True)
class IgnoresLowerIds:
    """A request with a lower reply id than the last is ignored, unless the last was 65535.

    Reported for older terminals, not confirmed.
    """


@dataclass(frozen=True, slots=True)
class Lose:
    """UDP: of the datagrams in each direction, this part is lost."""

    rate: float = 0.02
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Duplicate:
    """UDP: of the datagrams in each direction, this part arrives twice."""

    rate: float = 0.02
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Reorder:
    """UDP: of the datagrams that leave, this part is overtaken by the next one, be it of the next answer."""

    rate: float = 0.02
    seed: int = 1


@dataclass(frozen=True, slots=True)
class EarlyAck:
    """UDP: the closing ACK of a transfer leaves before its last DATA, as reported for SC800."""


@dataclass(frozen=True, slots=True)
class LoseReply:
    """A command is carried out and not answered: the connection ends or, without `ends`, stays silent."""

    command: int
    ends: bool = True


@dataclass(frozen=True, slots=True)
class PunchAfter:
    """Somebody punches right after a command was carried out for the first time; no event tells of it."""

    command: int
    pin: str


@dataclass(frozen=True, slots=True)
class PunchInTransfer:
    """Somebody punches while the first transfer runs: its event leaves between the DATA packets."""

    pin: str


@dataclass(frozen=True, slots=True)
class ResendsEvents:
    """Events carry a number as their reply id; what no ACK has named leaves again after the next answer.

    Reported for older terminals, not confirmed; one capture shows the number.
    """


Fault = (
    Segment
    | Merge
    | CloseAfter
    | Silent
    | Delay
    | Pace
    | BadChecksum
    | Refuse
    | OneClient
    | SilentTcp
    | Speed
    | WrongSession
    | WrongReplyId
    | Late
    | RepeatsReply
    | IgnoresLowerIds
    | Lose
    | Duplicate
    | Reorder
    | EarlyAck
    | LoseReply
    | PunchAfter
    | PunchInTransfer
    | ResendsEvents
)
"""Every switch of the way between terminal and client; `Firmware` holds those of the terminal itself."""

F = TypeVar("F", bound=Fault)


def chosen(faults: Iterable[Fault], kind: type[F]) -> list[F]:
    """The faults of one kind."""
    return [fault for fault in faults if isinstance(fault, kind)]


def refusals(faults: Iterable[Fault]) -> dict[int, int]:
    """Reply codes by refused command."""
    return {fault.command: fault.code for fault in chosen(faults, Refuse)}


def merges(faults: Iterable[Fault]) -> bool:
    """Whether frames wait for each other."""
    return bool(chosen(faults, Merge))


def delay_s(faults: Iterable[Fault]) -> float:
    """Seconds before an answer leaves."""
    return sum(fault.seconds for fault in chosen(faults, Delay))


def rest_s(faults: Sequence[Fault], written_bytes: int) -> float:
    """Seconds between a write of so many bytes and the next."""
    slow = sum(written_bytes / fault.bytes_per_s for fault in chosen(faults, Speed))
    return slow + sum(fault.seconds for fault in chosen(faults, Pace))
