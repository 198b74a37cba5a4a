"""The operation log of a terminal: bytes to entries and back. No input or output.

Source: one captured entry (F19) and notes on the NGTeco MB1, which put the same fields at other places.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Final

from attendance.errors import RemoteProtocolError
from attendance.event import RawOperation
from attendance.punch import BadRecord
from drivers.zk.layouts import EARLIEST, MOSTLY, UnknownLayout
from drivers.zk.times import pack_time, unpack_time

OPERATION_BYTES: Final = 16
HIGHEST_CODE: Final = 127
"""Codes up to 92 are known."""

_BY_OPERATOR: Final = Struct("<HBxI4H")
_BY_CODE: Final = Struct("<HHI4H")

Fields = tuple[int, int, int, tuple[int, ...]]
"""Of one entry: its code, who did it, when (packed), and its own four numbers."""


@dataclass(frozen=True, slots=True)
class OperationLayout:
    """One way to store operations. `fields` reads an entry, `pack` writes one."""

    name: str
    fields: Callable[[bytes], Fields]
    pack: Callable[[Fields], bytes]


def _fields_by_operator(raw: bytes) -> Fields:
    operator, code, when, *values = _BY_OPERATOR.unpack(raw)
    return code, operator, when, tuple(values)


def _fields_by_code(raw: bytes) -> Fields:
    code, operator, when, *values = _BY_CODE.unpack(raw)
    return code, operator, when, tuple(values)


OPERATOR_FIRST: Final = OperationLayout(
    "operator first", _fields_by_operator, lambda entry: _BY_OPERATOR.pack(entry[1], entry[0], *_rest(entry))
)
"""As captured."""

CODE_FIRST: Final = OperationLayout(
    "code first", _fields_by_code, lambda entry: _BY_CODE.pack(entry[0], entry[1], *_rest(entry))
)
"""As the MB1's notes have it."""

OPERATION_LAYOUTS: Final = (OPERATOR_FIRST, CODE_FIRST)


def choose_operation_layout(
    records: bytes, count: int | None = None, *, direct: bool = False
) -> OperationLayout:
    """The layout of an operation log. Raises UnknownLayout where none makes sense of it.

    Both put the same number of bytes to use, and a few entries may read well either way. A terminal has
    few who operate it and does many kinds of things: the layout with more kinds wins, and where they
    are equal the captured one. Where there are not as many entries as the terminal counts, small numbers
    that read as dates of 2000 to 2004 are taken for no dates: stale memory is full of them.
    """
    earliest = datetime.min if len(records) == (count or 0) * OPERATION_BYTES else EARLIEST  # noqa: DTZ901
    if len(records) % OPERATION_BYTES == 0:
        passed = [layout for layout in OPERATION_LAYOUTS if _is_plausible(records, layout, earliest)]
        if passed:
            return max(passed, key=lambda layout: _kinds(records, layout))
    text = (
        f"the terminal's operation log has an unknown layout: {len(records)} bytes; nothing was taken from it"
    )
    raise UnknownLayout(text, raw=b"" if direct else records)


def unpack_operations(records: bytes, layout: OperationLayout) -> Iterator[RawOperation | BadRecord]:
    """Each entry in its order; one whose date does not exist becomes a BadRecord.

    Raises RemoteProtocolError for a log that ends within an entry.
    """
    for position, raw in enumerate(_entries(records)):
        code, operator, when, values = layout.fields(raw)
        try:
            wall_time = unpack_time(when)
        except RemoteProtocolError as error:
            yield BadRecord(raw=raw, reason=str(error), position=position)
        else:
            shown = tuple(map(str, values))
            yield RawOperation(code=code, operator=str(operator or ""), wall_time=wall_time, values=shown)


def pack_operation(operation: RawOperation, layout: OperationLayout = OPERATOR_FIRST) -> bytes:
    """An entry as a terminal stores it. Its operator and its up to four values are numbers."""
    values = tuple(map(int, operation.values))
    padded = (values + (0,) * 4)[:4]
    return layout.pack((operation.code, int(operation.operator or 0), pack_time(operation.wall_time), padded))


def _rest(entry: Fields) -> tuple[int, ...]:
    return (entry[2], *entry[3])


def _entries(records: bytes) -> Iterator[bytes]:
    if len(records) % OPERATION_BYTES:
        raise RemoteProtocolError(f"an operation log of {len(records)} bytes ends within an entry")
    for at in range(0, len(records), OPERATION_BYTES):
        yield records[at : at + OPERATION_BYTES]


def _is_plausible(records: bytes, layout: OperationLayout, earliest: datetime) -> bool:
    looks = [_looks_like_one(layout.fields(raw), earliest) for raw in _entries(records)]
    return sum(looks) >= len(looks) * MOSTLY


def _looks_like_one(entry: Fields, earliest: datetime) -> bool:
    try:
        dated = unpack_time(entry[2]) >= earliest
    except RemoteProtocolError:
        return False
    return dated and entry[0] <= HIGHEST_CODE


def _kinds(records: bytes, layout: OperationLayout) -> int:
    return len({layout.fields(raw)[0] for raw in _entries(records)})
