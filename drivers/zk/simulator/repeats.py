"""What a terminal remembers of the last request, where it tells repetitions from new requests."""

from collections.abc import Iterable, Sequence
from typing import Final

from drivers.zk.commands import Command
from drivers.zk.packet import Packet
from drivers.zk.simulator.faults import Fault, IgnoresLowerIds, RepeatsReply, chosen

LAST_ID: Final = 0xFFFF


class RequestMemory:
    """One conversation's last request and reply. Source: reported for older terminals, not confirmed."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        faults = tuple(faults)
        self._repeats = bool(chosen(faults, RepeatsReply))
        self._ignores_lower = bool(chosen(faults, IgnoresLowerIds))
        self._last: int | None = None
        self._reply: list[Packet] = []

    def known(self, request: Packet) -> list[Packet] | None:
        """What answers a request that is not carried out; None for one that is."""
        if self._last is None:
            return None
        if self._repeats and request.reply_id == self._last:
            return self._reply
        if request.command == Command.CONNECT:
            return None
        if self._ignores_lower and request.reply_id < self._last != LAST_ID:
            return []
        return None

    def remember(self, request: Packet, reply: Sequence[Packet]) -> None:
        """Keep what answered a request that was carried out: of a transfer its end."""
        self._last = request.reply_id
        self._reply = list(reply[-1:])
