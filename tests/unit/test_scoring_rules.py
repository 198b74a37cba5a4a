"""One day by policy P1: a wrong minute here is money out of someone's pay."""

from datetime import date
from decimal import Decimal

import pytest

from scoring.policy import load_policy
from scoring.rules import Day, Missing, Rule, Scan, Status, Why, score_day

P1 = load_policy("tulang-bawang")
MONDAY = date(2026, 8, 3)
FRIDAY = date(2026, 8, 7)
SATURDAY = date(2026, 8, 8)


def scored(*moments: str, day: date = MONDAY, free: bool = False, missing: tuple[Missing, ...] = ()) -> Day:
    scans = [Scan(moment, "S1", "7") for moment in moments]
    return score_day(day, scans, P1, free=free, missing=missing)


@pytest.mark.parametrize(
    ("came", "minutes", "percent"),
    [
        ("07:29:59", 0, "0"),
        ("07:30:00", 0, "0"),
        ("07:30:59", 0, "0"),
        ("07:31:00", 1, "0.5"),
        ("07:40:00", 10, "0.5"),
        ("08:00:59", 30, "0.5"),
        ("08:01:00", 31, "1"),
        ("08:30:59", 60, "1"),
        ("08:31:00", 61, "1.25"),
        ("09:00:59", 90, "1.25"),
        ("09:01:00", 91, "1.5"),
        ("09:30:00", 120, "1.5"),
        ("11:59:59", 269, "1.5"),
    ],
)
def test_every_late_band_begins_and_ends_on_its_minute(came: str, minutes: int, percent: str) -> None:
    day = scored(came, "16:10:00")
    assert (day.status, day.late_minutes, day.deduction) == (Status.PRESENT, minutes, Decimal(percent))
    if minutes:
        (reason,) = day.reasons
        assert (reason.rule, reason.minutes, reason.percent) == (Rule.LATE, minutes, Decimal(percent))
        assert reason.punches == (f"S1/7/2026-08-03T{came}",)
        assert reason.article
    else:
        assert day.reasons == ()


def test_a_missing_way_in_costs_its_own_rate_and_shows_the_way_out_as_evidence() -> None:
    day = scored("16:10:00")
    assert (day.status, day.late_minutes, day.deduction) == (Status.PRESENT, None, Decimal("1.5"))
    assert [(reason.rule, reason.punches) for reason in day.reasons] == [
        (Rule.MISSING_IN, ("S1/7/2026-08-03T16:10:00",))
    ]


def test_no_scan_at_all_is_absent_once_and_not_also_a_missing_way_in() -> None:
    day = scored()
    assert (day.status, day.deduction) == (Status.ABSENT, Decimal("1.5"))
    assert [reason.rule for reason in day.reasons] == [Rule.ABSENT]


def test_leaving_early_is_measured_but_p1_has_no_rate_for_it() -> None:
    day = scored("07:20:00", "15:39:30")
    assert (day.early_minutes, day.deduction, day.reasons) == (20, Decimal(0), ())


def test_no_scan_on_the_way_out_costs_nothing_in_p1() -> None:
    day = scored("07:20:00")
    assert (day.status, day.deduction, day.early_minutes, day.worked_minutes) == (
        Status.PRESENT,
        Decimal(0),
        None,
        None,
    )


def test_the_first_scan_is_the_way_in_and_the_last_the_way_out() -> None:
    day = scored("08:15:00", "07:25:00", "12:05:00", "16:20:00", "13:00:00")
    assert (day.in_time, day.out_time, day.late_minutes) == ("07:25:00", "16:20:00", 0)


def test_friday_ends_half_an_hour_later() -> None:
    assert scored("07:20:00", "16:00:00", day=FRIDAY).early_minutes == 30
    assert scored("07:20:00", "16:00:00").early_minutes == 0


def test_worked_time_is_what_lies_in_working_hours_without_the_break() -> None:
    assert scored("07:00:00", "18:00:00").worked_minutes == 450
    assert scored("07:00:00", "18:00:00", day=FRIDAY).worked_minutes == 450
    assert scored("08:30:00", "12:30:00").worked_minutes == 210


def test_scans_outside_both_windows_do_not_make_a_day_but_stay_as_evidence() -> None:
    day = scored("02:00:00")
    assert day.status is Status.ABSENT
    assert day.reasons[0].punches == ("S1/7/2026-08-03T02:00:00",)


def test_off_comes_before_holiday_and_holiday_before_incomplete() -> None:
    gap = (Missing(Why.NOT_READ_YET, "e1", "lobi", "S1"),)
    assert scored(day=SATURDAY, free=True, missing=gap).status is Status.OFF
    assert scored(free=True, missing=gap).status is Status.HOLIDAY
    assert scored(free=True, missing=gap).deduction == Decimal(0)


def test_an_incomplete_day_has_no_deduction_even_with_punches() -> None:
    day = scored("09:30:00", missing=(Missing(Why.NOT_READ_YET, "e1", "lobi", "S1"),))
    assert (day.status, day.deduction, day.in_time) == (Status.INCOMPLETE, None, "09:30:00")
    assert day.reasons[0].as_json()["terminals"] == [
        {"why": "not_read_yet", "edge": "e1", "terminal": "lobi", "serial": "S1", "covered_until": None}
    ]


def test_two_terminals_in_the_same_second_give_the_same_day_in_any_order() -> None:
    scans = [Scan("07:40:00", "S2", "7"), Scan("07:40:00", "S1", "7"), Scan("16:30:00", "S2", "7")]
    days = {str(score_day(MONDAY, order, P1, free=False, missing=())) for order in (scans, scans[::-1])}
    assert len(days) == 1
