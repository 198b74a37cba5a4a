"""The size table (command 50): i32 words, in tables of 80, 92 or 112 bytes, or one by one.

AK3750 answers with four zero bytes, and with a word where its number is asked.
Source: captured bodies of F18, K20, SpeedFace-H5L, D2; see tests/golden.
"""

from dataclasses import dataclass, fields
from struct import Struct, unpack_from
from typing import Final

from attendance.errors import RemoteProtocolError
from attendance.terminal import Sizes

_WORD: Final = Struct("<i")
_OFFSETS: Final = {
    "users": 16,
    "fingers": 24,
    "records": 32,
    "oplog": 40,
    "finger_capacity": 56,
    "user_capacity": 60,
    "record_capacity": 64,
    "fingers_free": 68,
    "users_free": 72,
    "records_free": 76,
}
SHORTEST_TABLE: Final = 80
USERS_WORD: Final = _OFFSETS["users"] // _WORD.size
RECORDS_WORD: Final = _OFFSETS["records"] // _WORD.size
OPERATIONS_WORD: Final = _OFFSETS["oplog"] // _WORD.size
CAPACITY_WORD: Final = _OFFSETS["record_capacity"] // _WORD.size
"""Numbers of the words that AK3750 tells one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTable:
    """The words of the table whose meaning is known."""

    users: int = 0
    fingers: int = 0
    records: int = 0
    oplog: int = 0
    finger_capacity: int = 0
    user_capacity: int = 0
    record_capacity: int = 0
    fingers_free: int = 0
    users_free: int = 0
    records_free: int = 0

    def to_bytes(self, length: int = 92) -> bytes:
        """The table as a terminal sends it."""
        body = bytearray(length)
        for field in fields(self):
            _WORD.pack_into(body, _OFFSETS[field.name], getattr(self, field.name))
        return bytes(body)

    def word(self, number: int) -> bytes:
        """One word, as AK3750 tells it when asked by its number; 0 for one without a meaning."""
        names = {offset // _WORD.size: name for name, offset in _OFFSETS.items()}
        return _WORD.pack(getattr(self, names[number]) if number in names else 0)

    @classmethod
    def from_bytes(cls, body: bytes) -> "SizeTable | None":
        """Read a table; None for the short form that tells nothing (AK3750: four bytes).

        Raises RemoteProtocolError for any other length below 80.
        """
        if len(body) == _WORD.size:
            return None
        if len(body) < SHORTEST_TABLE:
            raise RemoteProtocolError(f"a size table of {len(body)} bytes, should be 80, 92 or 112")
        return cls(**{name: unpack_from("<i", body, offset)[0] for name, offset in _OFFSETS.items()})

    def as_sizes(self) -> Sizes:
        """The part that the driver interface knows; a count below zero tells nothing."""
        return Sizes(
            users=self.users if self.users >= 0 else None,
            records=self.records if self.records >= 0 else None,
            record_capacity=self.record_capacity if self.record_capacity > 0 else None,
            operations=self.oplog if self.oplog >= 0 else None,
        )


def word_value(body: bytes) -> int | None:
    """A word that was asked for by its number; None where the terminal tells something else."""
    return int(_WORD.unpack(body)[0]) if len(body) == _WORD.size else None
