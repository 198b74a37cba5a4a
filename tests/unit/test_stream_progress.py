"""Watermark, numbers ahead of a gap, and the ranges that a receipt names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.central.intake import MOST_RANGES, Progress
from sync.deposit import ranges


@pytest.mark.parametrize(
    ("numbers", "watermark", "ahead", "missing"),
    [
        ((1, 2, 3), 3, (), ()),
        ((2, 3), 0, (2, 3), ((1, 1),)),
        ((1, 4, 5, 9), 1, (4, 5, 9), ((2, 3), (6, 8))),
        ((), 0, (), ()),
    ],
)
def test_a_gap_holds_the_watermark_and_is_named(
    numbers: tuple[int, ...], watermark: int, ahead: tuple[int, ...], missing: tuple[tuple[int, int], ...]
) -> None:
    reached = Progress(0, ()).with_numbers(numbers)
    assert (reached.watermark, reached.ahead, reached.missing) == (watermark, ahead, missing)


@given(st.lists(st.integers(1, 30)))
def test_the_order_and_repetition_of_numbers_is_of_no_matter(numbers: list[int]) -> None:
    at_once = Progress(0, ()).with_numbers(numbers)
    one_by_one = Progress(0, ())
    for number in [*reversed(numbers), *numbers]:
        one_by_one = one_by_one.with_numbers([number])
    assert one_by_one == at_once
    assert all(at_once.has(number) for number in numbers)


def test_a_receipt_names_no_more_gaps_than_fit() -> None:
    reached = Progress(0, ()).with_numbers(range(2, 1000, 2))
    assert len(reached.missing) == MOST_RANGES


def test_committed_numbers_are_named_as_ranges() -> None:
    assert ranges([3, 1, 2, 7, 7]) == ((1, 3), (7, 7))
    assert ranges([]) == ()
