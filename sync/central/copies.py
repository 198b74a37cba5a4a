"""Which of the copies of a punch is shown. Pure, and blind to the order in which they came.

A form is a copy's codes with the way by which it came; of two copies of one form one is kept.
"""

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

from attendance.punch import Flag, Source

_BELIEVED: Final = {Source.LOG: 0, Source.FILE: 1, Source.PUSH: 2, Source.LIVE: 3}
"""Whose codes are shown where copies differ: the log is what the terminal itself keeps."""

_NEAREST: Final = {Source.LIVE: 0, Source.PUSH: 1, Source.LOG: 2, Source.FILE: 3}
"""Which of several copies with the shown codes is shown: the one nearest to the moment."""

_NO_CODES: Final = (0, 255, 0)
"""Verify, state and work code of a copy that says nothing of them."""

Identity = tuple[str, str, str, str]
"""local_date, terminal serial, pin, local_time: the order of the table's primary key."""

Codes = tuple[int, int, int]


class Copy(NamedTuple):
    """One copy of a punch; the fields are named like the columns of `punch`."""

    local_date: str
    terminal_serial: str
    pin: str
    local_time: str
    verify_code: int
    state_code: int
    work_code: int
    source: str
    edge: str
    terminal: str
    punched_at: datetime
    verify: str
    direction: str
    clock_offset_s: float | None
    flags: list[str]
    ingested_at: datetime

    @property
    def identity(self) -> Identity:
        return self[:4]

    @property
    def codes(self) -> Codes:
        return self[4:7]

    @property
    def form(self) -> tuple[int, int, int, str]:
        return self[4:8]

    def same_as(self, other: Self) -> bool:
        """Whether both say the same, whenever they came."""
        return self[:-1] == other[:-1]


def merge(copies: Iterable[Copy]) -> list[Copy]:
    """One copy of each form; of several the same one whatever their order."""
    kept: dict[tuple[int, int, int, str], Copy] = {}
    for copy in copies:
        other = kept.get(copy.form)
        if other is None or _preference(copy) < _preference(other):
            kept[copy.form] = copy if other is None else copy._replace(ingested_at=other.ingested_at)
    return sorted(kept.values(), key=_believed)


def shown(forms: Collection[Copy]) -> Copy:
    """What the row of a punch shows of its forms (at least one, each once).

    The codes are those of the copy that is believed most; of the copies with these codes the one
    nearest to the moment is shown. Codes that differ give a flag.
    """
    codes = min(forms, key=_believed).codes
    nearest = min(
        (copy for copy in forms if copy.codes == codes), key=lambda copy: _NEAREST[Source(copy.source)]
    )
    if all(copy.codes == codes for copy in forms):
        return nearest
    return nearest._replace(flags=[*nearest.flags, Flag.CODES_DIFFER.value])


def whole_seconds(at: datetime) -> datetime:
    """An instant as the database keeps it."""
    return at.astimezone(UTC).replace(microsecond=0)


def _believed(copy: Copy) -> tuple[bool, int, int, int, int]:
    """An export without columns for the codes must not cover what another way said."""
    silent = copy.source == Source.FILE and copy.codes == _NO_CODES
    return (silent, _BELIEVED[Source(copy.source)], copy.state_code, copy.verify_code, copy.work_code)


def _preference(copy: Copy) -> tuple[bool, str, str, datetime, float, str, str, str]:
    """A total order of copies of one form; one that knows the clock's offset comes first."""
    return (
        copy.clock_offset_s is None,
        copy.edge,
        copy.terminal,
        copy.punched_at,
        copy.clock_offset_s or 0.0,
        copy.verify,
        copy.direction,
        json.dumps(copy.flags),
    )
