"""A body put together from datagrams, which come in any order, twice, or not at all. No input or output.

Source: captures; the session field of a DATA packet counts the packets of its transfer from 0.
"""

from typing import Final

from attendance.errors import RemoteProtocolError

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""A table that announces more is not believed; the largest log known is 8 MB."""

Gap = tuple[int, int]
"""Where it begins and how long it is."""


class Unnumbered(Exception):
    """These packets carry no index that can be right: nobody can tell a loss from a duplicate."""


class Assembly:
    """The packets of one transfer, by their index. `size` is None until it is announced."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self._packet_bytes = 0
        self._parts: dict[int, bytes] = {}
        self._received = 0

    @property
    def body(self) -> bytes | None:
        """All of it; None while something is missing. Raises Unnumbered."""
        if self._received != self.size or not self._parts:
            return None
        if max(self._parts) - min(self._parts) + 1 != len(self._parts):
            raise Unnumbered
        return b"".join(self._parts[index] for index in sorted(self._parts))

    def announce(self, size: int, packet_bytes: int) -> None:
        """What PREPARE_DATA tells; `packet_bytes` is 0 where it does not. Raises as `add`."""
        if self.size is not None and size != self.size:
            raise RemoteProtocolError(f"a transfer of {size} bytes is announced where {self.size} are due")
        self.size = size
        self._packet_bytes = packet_bytes
        for index, data in self._parts.items():
            self._check(index, data)

    def add(self, index: int, data: bytes) -> None:
        """Take one packet; one that is there already is no other. Raises Unnumbered, RemoteProtocolError."""
        if not data:
            raise RemoteProtocolError("a packet of a transfer carries nothing")
        if index not in self._parts:
            self._parts[index] = data
            self._received += len(data)
            self._check(index, data)
        elif self._parts[index] != data:
            raise Unnumbered

    def placed(self) -> list[tuple[int, bytes]]:
        """The packets that came, each with its place in the body; none where that is not certain."""
        if (body := self.body) is not None:
            return [(0, body)]
        longest = max(map(len, self._parts.values()), default=0)
        # The length of a packet that came alone is that of all only if it is not the last one.
        certain = len(self._parts) > 1 or 0 in self._parts
        for step in (self._packet_bytes, longest) if certain else (self._packet_bytes,):
            if step >= longest and all(self._fits(step, *part) for part in self._parts.items()):
                return [(index * step, self._parts[index]) for index in sorted(self._parts)]
        return []

    def gaps(self) -> list[Gap]:
        """What is missing; all of it where packets cannot be placed. The size must be known."""
        found: list[Gap] = []
        end = 0
        for start, data in self.placed():
            if start > end:
                found.append((end, start - end))
            end = start + len(data)
        if self.size is not None and end < self.size:
            found.append((end, self.size - end))
        return found

    def _fits(self, step: int, index: int, data: bytes) -> bool:
        """Whether a packet is as long as all, or is the last and ends where the body does."""
        end = index * step + len(data)
        return self.size is not None and (end == self.size or (len(data) == step and end < self.size))

    def _check(self, index: int, data: bytes) -> None:
        due = MAX_BODY_BYTES if self.size is None else self.size
        if self._received > due:
            raise RemoteProtocolError(f"a transfer of {due} bytes got out of step at {self._received}")
        if self.size is None or self._received == self.size:
            return
        if (index + 1) * len(data) > self.size:
            raise Unnumbered
