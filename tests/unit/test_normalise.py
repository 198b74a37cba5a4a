"""What a punch means: a wrong zone or code here is a wrong day in somebody's pay."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from attendance.normalise import direction_of, normalise, to_utc, verify_of
from attendance.punch import Direction, Flag, Punch, RawPunch, Source, Verify, join_flags
from attendance.timekeeping import KnownOffset

NOW = datetime(2026, 9, 4, 12, 0, tzinfo=UTC)


def raw(wall_time: datetime, state: int = 0, source: Source = Source.LOG) -> RawPunch:
    return RawPunch(pin="1001", wall_time=wall_time, verify_code=1, state_code=state, source=source)


def punch(wall_time: datetime, zone: str = "Asia/Makassar", offset_s: float | None = None) -> Punch:
    return normalise(
        raw(wall_time),
        serial="S",
        terminal="lobi",
        zone=ZoneInfo(zone),
        now=NOW,
        offset_at=lambda _: KnownOffset(offset_s),
    )


@pytest.mark.parametrize(
    ("zone", "hour"), [("Asia/Jakarta", 0), ("Asia/Makassar", 23), ("Asia/Jayapura", 22)]
)
def test_each_indonesian_zone(zone: str, hour: int) -> None:
    """07:30 on the wall is another instant in WIB, WITA and WIT."""
    at = punch(datetime(2026, 9, 4, 7, 30), zone).at
    assert (at.hour, at.minute) == (hour, 30)


def test_what_the_terminal_wrote_stays_verbatim() -> None:
    wall_time = datetime(2026, 9, 4, 7, 29, 58)
    seen = normalise(
        RawPunch(pin="007", wall_time=wall_time, verify_code=101, state_code=255, work_code=9),
        serial="S", terminal="lobi", zone=ZoneInfo("Asia/Jakarta"), now=NOW,
    )  # fmt: skip
    assert (seen.pin, seen.wall_time, seen.verify_code, seen.state_code, seen.work_code) == (
        "007",
        wall_time,
        101,
        255,
        9,
    )
    assert (seen.verify, seen.direction) == (Verify.OTHER, Direction.UNKNOWN)
    assert seen.identity == ("S", "007", wall_time)


def test_known_codes() -> None:
    assert [verify_of(code) for code in (1, 3, 4, 15, 25)] == [
        "fingerprint",
        "password",
        "card",
        "face",
        "palm",
    ]
    assert [direction_of(code, Source.LOG) for code in range(6)] == [
        "in", "out", "break_out", "break_in", "overtime_in", "overtime_out",
    ]  # fmt: skip


def test_live_state_of_black_and_white_terminals() -> None:
    """Their events set the top bit; the log's copy of the same punch does not."""
    assert direction_of(0x81, Source.LIVE) is Direction.OUT
    assert direction_of(0xFF, Source.LIVE) is Direction.UNKNOWN


def test_doubtful_times_are_flagged_not_dropped() -> None:
    assert punch(datetime(2000, 1, 1, 0, 3)).flags == (Flag.YEAR_2000,)
    assert punch(datetime(2026, 9, 5, 7, 30)).flags == (Flag.FUTURE,)
    assert punch(datetime(2026, 9, 4, 7, 30), offset_s=-61).flags == (Flag.CLOCK_OFF,)
    assert punch(datetime(2026, 9, 4, 7, 30), offset_s=59.5).flags == ()


def test_a_wall_time_that_happens_twice_or_never() -> None:
    """Indonesia has no summer time, but a terminal may be set to a zone that has."""
    zone = ZoneInfo("Europe/Berlin")
    twice, flags = to_utc(datetime(2026, 10, 25, 2, 30), zone)
    assert (twice, flags) == (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), (Flag.TIME_FOLD,))
    assert to_utc(datetime(2026, 3, 29, 2, 30), zone)[1] == (Flag.TIME_GAP,)


def test_ambiguous_times_cannot_be_built() -> None:
    fine = punch(datetime(2026, 9, 4, 7, 30))
    fields = {name: getattr(fine, name) for name in fine.__slots__}
    with pytest.raises(ValueError, match="naive"):
        Punch(**(fields | {"wall_time": fine.at}))
    with pytest.raises(ValueError, match="UTC"):
        Punch(**(fields | {"at": fine.at.astimezone(ZoneInfo("Asia/Jakarta")) + timedelta()}))


def test_flags_come_once_and_in_order() -> None:
    assert join_flags([Flag.FUTURE, Flag.CLOCK_OFF, Flag.FUTURE]) == (Flag.CLOCK_OFF, Flag.FUTURE)
