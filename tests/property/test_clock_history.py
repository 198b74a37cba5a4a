"""Whatever a clock does, its history never tells a wrong offset for a punch; every offset has a name."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from attendance.timekeeping import CLOCK_TOLERANCE, ClockReading, Offsets, Verdict, explain, judge

START = datetime(2026, 3, 2, tzinfo=UTC)
ZONES = st.sampled_from([ZoneInfo(name) for name in ("Asia/Jakarta", "Asia/Jayapura", "Asia/Kolkata")])
STEPS = st.sampled_from([0.0, 0.0, 0.0, 3600.0, -3600.0, 7200.0, -90.0, 40.0, -30.0, -8e8, 2.3e9])
PAUSES = st.integers(30, 3 * 86_400)


def reading_at(seconds: float, offset_s: float) -> ClockReading:
    at = START + timedelta(seconds=seconds)
    verdict = judge(offset_s, 0.5, at, ZoneInfo("Asia/Jakarta"))
    return ClockReading(at=at, offset_s=offset_s, error_s=0.5, trusted=True, verdict=verdict)


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[ClockReading], list[tuple[float, float]]]:
    """A clock that drifts, changed at most once between two contacts; (true second, offset) of punches."""
    pauses = draw(st.lists(PAUSES, min_size=1, max_size=8))
    drift = draw(st.floats(-8, 8)) / 86_400
    contacts = [0.0, *accumulate(float(pause) for pause in pauses)]
    steps = [
        (first + draw(st.floats(0.01, 0.99)) * (last - first), draw(STEPS))
        for first, last in pairwise(contacts)
    ]

    def offset(second: float) -> float:
        return drift * second + sum(size for when, size in steps if when <= second)

    readings = [reading_at(second, offset(second)) for second in contacts]
    moments = draw(st.lists(st.floats(0, contacts[-1]), max_size=12))
    return readings, [(second, offset(second)) for second in moments]


@given(lives())
def test_a_known_offset_is_the_true_one(life: tuple[list[ClockReading], list[tuple[float, float]]]) -> None:
    """A wrong one would call an honest punch late, or a late one honest."""
    readings, punches = life
    history = Offsets(readings)
    for second, offset in punches:
        shown = START + timedelta(seconds=second + offset)
        known = history.at(shown)
        assert known.doubtful or known.seconds is not None
        if known.seconds is not None:
            assert abs(known.seconds - offset) <= CLOCK_TOLERANCE.total_seconds() + 1.1


@given(lives())
def test_a_punch_since_a_contact_is_told_by_what_came_after(
    life: tuple[list[ClockReading], list[tuple[float, float]]],
) -> None:
    readings, punches = life
    last = readings[-2].at
    history = Offsets(readings).since(last)
    for second, offset in punches:
        if START + timedelta(seconds=second) >= last:
            known = history.at(START + timedelta(seconds=second + offset))
            assert known.doubtful or known.seconds is not None


@given(
    st.one_of(st.none(), st.floats(-3.2e9, 3.2e9)),
    st.floats(0, 300),
    st.datetimes(datetime(1970, 1, 2), datetime(2090, 1, 1)),
    ZONES,
    st.sampled_from(Verdict),
)
def test_every_offset_has_a_name_and_a_line(
    offset_s: float | None, error_s: float, moment: datetime, zone: ZoneInfo, verdict: Verdict
) -> None:
    at = moment.replace(tzinfo=UTC)
    named = judge(offset_s, error_s, at, zone)
    for one in (named, verdict):
        said = explain(
            ClockReading(at=at, offset_s=offset_s, error_s=error_s, trusted=True, verdict=one), zone
        )
        assert said.startswith("the clock")
        assert "\n" not in said
    right = offset_s is not None and abs(offset_s) <= CLOCK_TOLERANCE.total_seconds()
    assert (named is Verdict.RIGHT) == right
