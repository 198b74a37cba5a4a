"""A punch: what the terminal wrote, kept verbatim, and what it means, beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Source(StrEnum):
    """The way by which a copy of a punch reached us."""

    LOG = "log"
    LIVE = "live"
    PUSH = "push"
    FILE = "file"


class Verify(StrEnum):
    """How the terminal recognised the person."""

    FINGERPRINT = "fingerprint"
    FACE = "face"
    PASSWORD = "password"  # noqa: S105 - a way to verify, not a secret
    CARD = "card"
    PALM = "palm"
    VEIN = "vein"
    OTHER = "other"


class Direction(StrEnum):
    """What the person (or the terminal's schedule) said the punch is for."""

    IN = "in"
    OUT = "out"
    BREAK_OUT = "break_out"
    BREAK_IN = "break_in"
    OVERTIME_IN = "overtime_in"
    OVERTIME_OUT = "overtime_out"
    UNKNOWN = "unknown"


class Flag(StrEnum):
    """A doubt about a punch that the reader of the database must see."""

    CLOCK_OFF = "clock_off"
    CLOCK_UNSURE = "clock_unsure"
    YEAR_2000 = "year_2000"
    FUTURE = "future"
    TIME_FOLD = "time_fold"
    TIME_GAP = "time_gap"
    CODES_DIFFER = "codes_differ"


class RawPunch(NamedTuple):
    """One record as the terminal wrote it. A named tuple, which is quickly made: logs hold 200,000.

    `pin` is the user id text; `wall_time` is naive, the terminal's own clock,
    whole seconds; the codes are the terminal's numbers, uninterpreted.
    """

    pin: str
    wall_time: datetime
    verify_code: int
    state_code: int
    work_code: int = 0
    source: Source = Source.LOG


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """A record that cannot be a punch, with its bytes: evidence, never dropped.

    `position` counts records from 0 in the log that it was read from.
    """

    raw: bytes
    reason: str
    position: int
    source: Source = Source.LOG


@dataclass(frozen=True, slots=True, kw_only=True)
class Punch:
    """A punch with its meaning.

    Identity is (serial, pin, wall_time): see CONTRACT. `at` is aware and UTC.
    `clock_offset_s` is the terminal's clock minus true time in seconds, None where
    it was not known for this punch.
    """

    serial: str
    terminal: str
    pin: str
    wall_time: datetime
    at: datetime
    verify: Verify
    direction: Direction
    source: Source
    verify_code: int
    state_code: int
    work_code: int = 0
    clock_offset_s: float | None = None
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        """Refuse times that would be ambiguous later."""
        if self.wall_time.tzinfo is not None:
            raise ValueError("wall_time must be naive: the terminal's own clock")
        if self.at.utcoffset() != timedelta(0):
            raise ValueError("at must be aware and UTC")

    @property
    def identity(self) -> tuple[str, str, datetime]:
        """What makes this punch this punch, whatever way it arrived."""
        return (self.serial, self.pin, self.wall_time)


def join_flags(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """Each flag once, in the order of the vocabulary."""
    given = frozenset(flags)
    return tuple(flag for flag in Flag if flag in given)
