"""Ranks of units and steps of the sanction ladder."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from scoring.policy import Ladder, Ranking, load_ladders, load_policy
from scoring.ranking import rank_units
from scoring.sanctions import reached

LADDER: Ladder = load_ladders(load_policy("tulang-bawang"))["pns"][0]


def test_equal_scores_share_a_rank_and_the_next_one_counts_on() -> None:
    scores = {"a": "99", "b": "98", "c": "98", "d": "97.5", "kec": "10", "idle": None}
    members = [(unit, None if score is None else Decimal(score)) for unit, score in scores.items()]
    ranked = rank_units(members, {"kec": "kecamatan"}, Ranking())
    assert [(unit.unit, unit.rank, unit.ranked_of) for unit in ranked] == [
        ("a", 1, 4),
        ("b", 2, 4),
        ("c", 2, 4),
        ("d", 4, 4),
        ("idle", None, 4),
        ("kec", 1, 1),
    ]


def test_a_unit_s_score_is_the_mean_of_the_members_that_have_one() -> None:
    (unit,) = rank_units([("a", Decimal(99)), ("a", None), ("a", Decimal("98.5"))], {}, Ranking())
    assert (unit.people, unit.score) == (3, Decimal("98.75"))


def test_a_unit_below_the_minimum_size_is_shown_but_not_ranked() -> None:
    small, large = rank_units(
        [("small", Decimal(100)), *[("tall", Decimal(90))] * 3], {}, Ranking(minimum_people=3)
    )
    assert (small.rank, small.ranked_of, large.rank) == (None, 1, 1)


def days(first: str, statuses: str) -> list[tuple[str, str]]:
    """One letter a day: a absent, p present, o off, h holiday, i incomplete."""
    names = {"a": "absent", "p": "present", "o": "off", "h": "holiday", "i": "incomplete"}
    start = date.fromisoformat(first)
    return [((start + timedelta(days=n)).isoformat(), names[one]) for n, one in enumerate(statuses)]


@pytest.mark.parametrize(
    ("absent", "level"),
    [
        (3, "ringan: teguran lisan"),
        (5, "ringan: teguran tertulis"),
        (23, "berat: jabatan setingkat lebih rendah 12 bulan"),
    ],
)
def test_the_highest_cumulative_step_by_absent_days(absent: int, level: str) -> None:
    steps = reached(LADDER, 2022, days("2022-01-03", "ap" * absent))
    assert steps[-1].level == level
    assert {step.absent_days for step in steps} == {absent}


def test_two_absent_days_reach_nothing() -> None:
    assert reached(LADDER, 2022, days("2022-01-03", "aa")) == []


def test_1_to_14_october_2022_is_ten_workdays_in_a_row_over_two_weekends() -> None:
    steps = reached(LADDER, 2022, days("2022-10-01", "ooaaaaaooaaaaa"))
    dismissed = [step for step in steps if step.article.endswith("angka 4")]
    assert [step.reached_on for step in dismissed] == ["2022-10-14"]


@pytest.mark.parametrize("breaking", ["p", "i"])
def test_one_day_of_any_other_status_breaks_the_row(breaking: str) -> None:
    steps = reached(LADDER, 2022, days("2022-10-03", "aaaaaoo" + breaking + "aaaaooaaaa"))
    assert not [step for step in steps if step.article.endswith("angka 4")]


def test_a_month_that_was_never_scored_breaks_the_row() -> None:
    split = [*days("2022-10-03", "aaaaa"), *days("2022-12-05", "aaaaa")]
    assert not [step for step in reached(LADDER, 2022, split) if step.article.endswith("angka 4")]


def test_days_before_the_law_and_of_other_years_do_not_count() -> None:
    assert reached(LADDER, 2021, days("2021-08-25", "aaaaaa")) == []
    assert reached(LADDER, 2022, days("2021-12-28", "aaaaaa")) == []
