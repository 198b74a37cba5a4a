"""RawPunch and terminal -> Punch: zone, meaning of the codes, flags. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attendance.punch import Direction, Flag, Punch, RawPunch, Source, Verify, join_flags
from attendance.timekeeping import CLOCK_TOLERANCE, KnownOffset, OffsetAt, nothing_known

FUTURE_TOLERANCE: Final = timedelta(minutes=5)
"""A punch later than true time by more than this was made by a wrong clock."""

_DIRECTIONS: Final = {
    0: Direction.IN,
    1: Direction.OUT,
    2: Direction.BREAK_OUT,
    3: Direction.BREAK_IN,
    4: Direction.OVERTIME_IN,
    5: Direction.OVERTIME_OUT,
}

# TFT and newer firmware. 1, 3, 4 and 15 are confirmed by several users of real
# terminals; the rest is the vendor's enumeration. 0 is a combined default whose
# meaning differs by model, so it stays "other".
_VERIFIES: Final = {
    1: Verify.FINGERPRINT,
    2: Verify.PASSWORD,
    3: Verify.PASSWORD,
    4: Verify.CARD,
    15: Verify.FACE,
    21: Verify.VEIN,
    25: Verify.PALM,
}


def verify_of(code: int) -> Verify:
    """The way of verification behind a terminal's number; combinations are `other`."""
    return _VERIFIES.get(code, Verify.OTHER)


def direction_of(code: int, source: Source) -> Direction:
    """The direction behind a terminal's in/out state.

    Live events of black-and-white terminals set high bits (0x80: not stored),
    so only the low nibble counts there; 255 means "none".
    """
    if source is Source.LIVE and code != 0xFF:
        code &= 0x0F
    return _DIRECTIONS.get(code, Direction.UNKNOWN)


def to_utc(wall_time: datetime, zone: ZoneInfo) -> tuple[datetime, tuple[Flag, ...]]:
    """The instant of a naive wall time in `zone`, and flags if it exists twice or not at all.

    The first of two equal wall times is taken, so that reading again gives the same instant.
    """
    first = wall_time.replace(tzinfo=zone, fold=0)
    second = wall_time.replace(tzinfo=zone, fold=1)
    at = first.astimezone(UTC)
    if first.utcoffset() == second.utcoffset():
        return at, ()
    exists = at.astimezone(zone).replace(tzinfo=None) == wall_time
    return at, (Flag.TIME_FOLD if exists else Flag.TIME_GAP,)


def normalise(
    raw: RawPunch,
    *,
    serial: str,
    terminal: str,
    zone: ZoneInfo,
    now: datetime,
    offset_at: OffsetAt = nothing_known,
) -> Punch:
    """Give a raw punch its meaning. `now` is true time (aware, UTC), `offset_at` the clock's history."""
    at, flags = to_utc(raw.wall_time, zone)
    offset = offset_at(at)
    doubts = [*flags, *_clock_doubts(offset)]
    if raw.wall_time.year == 2000:
        doubts.append(Flag.YEAR_2000)
    if at > now + FUTURE_TOLERANCE:
        doubts.append(Flag.FUTURE)
    return Punch(
        serial=serial,
        terminal=terminal,
        pin=raw.pin,
        wall_time=raw.wall_time,
        at=at,
        verify=verify_of(raw.verify_code),
        direction=direction_of(raw.state_code, raw.source),
        source=raw.source,
        verify_code=raw.verify_code,
        state_code=raw.state_code,
        work_code=raw.work_code,
        clock_offset_s=offset.seconds,
        flags=join_flags(doubts),
    )


def _clock_doubts(offset: KnownOffset) -> tuple[Flag, ...]:
    """A host that is not sure of its own time can doubt a terminal's, not convict it."""
    if offset.doubtful:
        return (Flag.CLOCK_UNSURE,)
    if offset.seconds is None or abs(offset.seconds) <= CLOCK_TOLERANCE.total_seconds():
        return ()
    return (Flag.CLOCK_OFF if offset.trusted else Flag.CLOCK_UNSURE,)
