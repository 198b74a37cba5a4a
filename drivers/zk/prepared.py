"""A log that a terminal holds ready, of which only the wanted part is transferred."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.punch import BadRecord, RawPunch
from drivers.zk.records import PREFIX_BYTES, LogLayout, Names, told_length, unpack_log

HEAD_BYTES: Final = PREFIX_BYTES + 392
"""The first of a prepared log that is read to find its layout: 8 records of 49 bytes, 49 of 8."""

ReadRange = Callable[[int, int], bytes]
"""Bytes of the prepared body from an offset on, so many; raises a DeviceError, LocalProtocolError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZkPreparedLog:
    """See drivers.base.PreparedLog. Records have one length; a log without any has no layout."""

    length: int
    layout: LogLayout | None
    read_range: ReadRange
    pins: Mapping[int, str]

    @property
    def records(self) -> int:
        """See drivers.base.PreparedLog."""
        if self.layout is None:
            return 0
        return (self.length - PREFIX_BYTES) // self.layout.record_bytes

    @property
    def renames(self) -> bool:
        """See drivers.base.PreparedLog."""
        return self.layout is not None and self.layout.names is Names.UID

    def digest(self, first: int, last: int) -> bytes:
        """See drivers.base.PreparedLog."""
        return sha256(self._bytes(first, last)).digest()

    def read(self, first: int, last: int | None = None) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.PreparedLog. The transfer is over when this returns."""
        records = self._bytes(first, self.records if last is None else last)
        if self.layout is None:
            return iter(())
        return unpack_log(records, self.layout, self.pins, first)

    def _bytes(self, first: int, last: int) -> bytes:
        if not 0 <= first <= last <= self.records:
            raise LocalProtocolError(f"no records {first} to {last} in a log of {self.records}")
        if self.layout is None or first == last:
            return b""
        size = self.layout.record_bytes
        return self.read_range(PREFIX_BYTES + first * size, (last - first) * size)


def check_head(head: bytes, length: int) -> bytes:
    """The first records of a prepared body. Raises RemoteProtocolError where its prefix does not fit it."""
    announced = told_length(head)
    if announced != length - PREFIX_BYTES:
        raise RemoteProtocolError(f"the prepared log announces {announced} bytes in a body of {length}")
    return head[PREFIX_BYTES:]
