"""Free days: one day too few here makes a whole regency absent, one too many forgives it."""

from calendar import monthrange
from datetime import date, timedelta

import pytest

from scoring.calendar import FreeKind, free_days, knows_cuti_bersama
from scoring.policy import load_policy

P1 = load_policy("tulang-bawang")


def workdays(year: int, month: int) -> list[date]:
    free = free_days([year])
    days = [date(year, month, number + 1) for number in range(monthrange(year, month)[1])]
    return [day for day in days if P1.timetable.hours(day) is not None and day not in free]


def test_lebaran_2022_is_free_from_29_april_to_8_may_and_9_may_is_the_first_workday() -> None:
    lebaran = [date(2022, 4, 29) + timedelta(days=number) for number in range(10)]
    assert not set(lebaran) & {*workdays(2022, 4), *workdays(2022, 5)}
    assert workdays(2022, 5)[0] == date(2022, 5, 9)


@pytest.mark.parametrize(("month", "days"), [(4, 19), (5, 15)])
def test_workdays_of_april_and_may_2022(month: int, days: int) -> None:
    assert len(workdays(2022, month)) == days


def test_cuti_bersama_is_told_from_a_holiday_and_named_in_indonesian() -> None:
    free = free_days([2022])
    assert free[date(2022, 5, 4)].kind is FreeKind.CUTI_BERSAMA
    assert free[date(2022, 5, 2)].kind is FreeKind.HOLIDAY
    assert free[date(2022, 8, 17)].name == "Hari Kemerdekaan Republik Indonesia"


def test_a_year_without_a_government_list_is_known_to_be_one() -> None:
    assert knows_cuti_bersama(2026)
    assert not knows_cuti_bersama(2031)
