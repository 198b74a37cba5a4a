"""What a wrong clock is called, and what its history tells of a punch: both end in somebody's pay."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from attendance.timekeeping import (
    AFTER_LAST,
    ClockReading,
    Offsets,
    Verdict,
    agree,
    explain,
    judge,
    judged,
)

NOON = datetime(2026, 9, 4, 4, 0, tzinfo=UTC)
WIB, WITA, WIT = (ZoneInfo(f"Asia/{place}") for place in ("Jakarta", "Makassar", "Jayapura"))
DAY = 86_400.0


def reading(
    minutes: float, offset_s: float | None = 0.0, *, trusted: bool = True, error_s: float = 0.5
) -> ClockReading:
    at = NOON + timedelta(minutes=minutes)
    verdict = judge(offset_s, error_s, at, WITA)
    return ClockReading(at=at, offset_s=offset_s, error_s=error_s, trusted=trusted, verdict=verdict)


def until(zone: ZoneInfo, year: int) -> float:
    """The offset of a clock that shows the first of January of a year."""
    return (datetime(year, 1, 1, 0, 5, tzinfo=zone) - NOON).total_seconds()


@pytest.mark.parametrize(
    ("offset_s", "zone", "verdict", "says"),
    [
        (0.4, WITA, Verdict.RIGHT, "right within 60 s"),
        (-60.0, WITA, Verdict.RIGHT, "right"),
        (95.0, WITA, Verdict.OFF, "95 s fast"),
        (-3600.0, WITA, Verdict.WRONG_ZONE, "1 h slow: it shows WIB and stands in WITA"),
        (3601.0, WITA, Verdict.WRONG_ZONE, "it shows WIT and stands in WITA"),
        (3599.0, WIB, Verdict.WRONG_ZONE, "it shows WITA and stands in WIB"),
        (7200.0, WIB, Verdict.WRONG_ZONE, "it shows WIT and stands in WIB"),
        (-7200.0, WIT, Verdict.WRONG_ZONE, "it shows WIB and stands in WIT"),
        (-3600.0, WIB, Verdict.WHOLE_HOURS, "daylight saving"),
        (3600.0, WIT, Verdict.WHOLE_HOURS, "daylight saving"),
        (3600.0, ZoneInfo("Europe/Berlin"), Verdict.WHOLE_HOURS, "daylight saving"),
        (-7 * 3600.0, WIB, Verdict.UTC, "UTC instead of local"),
        (-8 * 3600.0, WITA, Verdict.UTC, "UTC instead of local"),
        (-9 * 3600.0, WIT, Verdict.UTC, "UTC instead of local"),
        (-8 * 3600.0, WIB, Verdict.WHOLE_HOURS, "8 h slow"),
        (1800.0, WIB, Verdict.OFF, "1800 s fast"),
        (3 * DAY, WITA, Verdict.OFF, "3.0 days fast"),
        (until(WITA, 2000), WITA, Verdict.YEAR_2000, "its battery is empty"),
        (until(WIT, 2000), WIT, Verdict.YEAR_2000, "2000-01-01 00:05:00"),
        (until(WITA, 2099), WITA, Verdict.FAR_FUTURE, "far in the future"),
        (until(WITA, 2016), WITA, Verdict.OFF, "days slow"),
        (None, WITA, Verdict.NO_DATE, "no date"),
    ],
)
def test_a_wrong_clock_is_named_by_its_likely_cause(
    offset_s: float | None, zone: ZoneInfo, verdict: Verdict, says: str
) -> None:
    """A technician who reads "1 h slow: it shows WIB" mends a setting; one who reads "-3600" drives out."""
    assert judge(offset_s, 0.5, NOON, zone) is verdict
    one = ClockReading(at=NOON, offset_s=offset_s, error_s=0.5, trusted=True, verdict=verdict)
    assert says in explain(one, zone)


def test_a_slow_line_widens_what_counts_as_whole_hours() -> None:
    assert judge(3600.0 - 70, 0.5, NOON, WIB) is Verdict.OFF
    assert judge(3600.0 - 70, 15.0, NOON, WIB) is Verdict.WRONG_ZONE


def test_drift_agrees_and_a_step_does_not() -> None:
    assert agree(reading(0), reading(1, 1.9))
    assert not agree(reading(0), reading(1, 3.0))
    assert agree(reading(0), reading(3 * 1440, 25.0))
    assert not agree(reading(0), reading(100 * 1440, 70.0))
    assert not agree(reading(0, None), reading(1, None))


def test_a_clock_that_goes_wrong_little_by_little_drifts() -> None:
    """Eight seconds a day: a board to exchange, not a thief to look for."""
    history = [reading(360 * step, 2.0 * step) for step in range(31)]
    late = reading(360 * 31, 62.0)
    assert judged(late, Offsets(history)) is Verdict.DRIFTING
    assert explain(late, WITA, Offsets(history).drift_s).endswith("62 s fast")
    drifting = ClockReading(at=late.at, offset_s=62.0, error_s=0.5, trusted=True, verdict=Verdict.DRIFTING)
    assert "+8.0 s a day" in explain(drifting, WITA, Offsets(history).drift_s)
    assert judged(late, Offsets(history[:1])) is Verdict.OFF


def test_a_clock_at_the_limit_is_not_right_and_wrong_in_turn() -> None:
    off = Offsets([reading(0, 61.0)])
    assert judged(reading(1, 59.8), off) is Verdict.OFF
    assert judged(reading(1, 44.0), off) is Verdict.RIGHT


# --- what the history tells of a punch ---------------------------------------------------


def at(minutes: float) -> datetime:
    """The instant that a punch's wall time stands for."""
    return NOON + timedelta(minutes=minutes)


def test_between_agreeing_contacts_the_offset_is_known() -> None:
    history = Offsets([reading(0, 300.0), reading(1440, 306.0)])
    known = history.at(at(5 + 720))
    assert known.seconds == pytest.approx(303, abs=0.1)
    assert not known.doubtful
    assert history.at(at(0)).seconds is None, "before the first contact nothing is known"


def test_the_last_contact_holds_for_a_while() -> None:
    history = Offsets([reading(0, -300.0)])
    assert history.at(at(-5) + AFTER_LAST).seconds == -300.0
    assert history.at(at(-4) + AFTER_LAST).seconds is None


def test_a_punch_from_around_a_change_is_doubtful_and_others_are_not() -> None:
    """The clock was set back an hour at some moment between two contacts."""
    history = Offsets([reading(0), reading(60), reading(120, -3600.0), reading(300, -3600.0)])
    assert history.at(at(30)).doubtful, "shown before, and again by the clock that was set back"
    assert history.at(at(90)).doubtful
    assert history.at(at(200)) == history.at(at(201))
    assert history.at(at(200)).seconds == -3600.0
    assert Offsets([reading(0), reading(60)]).at(at(30)).seconds == 0.0


def test_what_was_read_since_the_last_contact_is_no_older_than_it() -> None:
    """A second that the clock showed twice is clear all the same when the punch is known to be new."""
    history = Offsets([reading(0), reading(60), reading(61, -3600.0), reading(90, -3600.0)])
    assert history.at(at(20)).doubtful
    assert history.since(NOON + timedelta(minutes=70)).at(at(20)).seconds == -3600.0


def test_a_reset_to_the_year_2000_does_not_cast_doubt_on_the_years_between() -> None:
    there = until(WITA, 2000)
    history = Offsets([reading(0), reading(60), reading(120, there), reading(180, there)])
    assert history.at(at(30)).seconds == 0.0
    assert history.at(at(150) + timedelta(seconds=there)).seconds == there
    assert history.at(datetime(2010, 1, 1, tzinfo=UTC)).doubtful is False


def test_a_clock_without_a_date_tells_nothing_and_breaks_nothing() -> None:
    history = Offsets([reading(0), reading(60, None), reading(120, None)])
    assert history.at(at(30)).doubtful
    assert history.at(at(121)).seconds is None
    assert history.now(at(121)).seconds is None


def test_a_host_that_was_wrong_leaves_no_doubt_behind() -> None:
    """A box without a battery starts in 1970, asks its terminals, and only then hears the time."""
    then = datetime(1970, 1, 1, tzinfo=UTC)
    lost = ClockReading(
        at=then, offset_s=1.7e9, error_s=0.5, trusted=False, verdict=judge(1.7e9, 0.5, then, WITA)
    )
    history = Offsets([reading(0), lost, reading(60), reading(120)])
    assert history.at(at(90)).seconds == 0.0
    assert history.at(at(30)) == Offsets([reading(0), reading(60)]).at(at(30))
    ahead = ClockReading(
        at=NOON + timedelta(days=400), offset_s=0.0, error_s=0.5, trusted=True, verdict=Verdict.RIGHT
    )
    assert Offsets([ahead, reading(0), reading(60)]).at(at(30)).seconds == 0.0


def test_an_offset_from_an_unsure_host_says_so() -> None:
    history = Offsets([reading(0, 200.0, trusted=False), reading(60, 200.0, trusted=False)])
    known = history.at(at(30))
    assert (known.seconds, known.trusted) == (200.0, False)
    assert Offsets([reading(0), reading(60, trusted=False)]).last_trusted == reading(0)


def test_without_any_contact_nothing_is_known() -> None:
    empty = Offsets(())
    assert (empty.last, empty.last_trusted, empty.drift_s) == (None, None, None)
    assert empty.at(NOON).seconds is None
    assert empty.now(NOON).seconds is None
    assert empty.since(NOON).at(NOON).seconds is None
