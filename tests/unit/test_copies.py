"""Which copy of a punch is shown: the rule of the contract, free of the order of arrival."""

from itertools import permutations

import pytest

from attendance.punch import Flag, Source
from batches import EDGE, NOW, wire_punch
from sync.arrivals import copy_of
from sync.central.copies import Copy, merge, shown


def copy(source: Source, codes: tuple[int, int, int] = (1, 0, 0), offset: float | None = 0.5) -> Copy:
    return copy_of(wire_punch(source=source, codes=codes, offset=offset), EDGE, NOW)


def test_a_single_copy_is_shown_as_it_came() -> None:
    only = copy(Source.LIVE)
    assert shown([only]) == only


def test_with_equal_codes_the_way_nearest_to_the_moment_is_shown_without_a_doubt() -> None:
    forms = merge([copy(Source.FILE), copy(Source.LOG), copy(Source.PUSH), copy(Source.LIVE)])
    assert (shown(forms).source, shown(forms).flags) == ("live", [])


@pytest.mark.parametrize(
    ("believed", "doubted"),
    [(Source.LOG, Source.FILE), (Source.FILE, Source.PUSH), (Source.PUSH, Source.LIVE)],
)
def test_of_differing_copies_the_one_nearer_to_the_terminals_own_log_is_believed(
    believed: Source, doubted: Source
) -> None:
    row = shown(merge([copy(doubted, (1, 0, 0)), copy(believed, (15, 1, 0))]))
    assert (row.codes, row.direction, row.flags) == ((15, 1, 0), "out", [Flag.CODES_DIFFER.value])


@pytest.mark.parametrize("other", [Source.LOG, Source.PUSH, Source.LIVE])
def test_an_export_without_codes_never_covers_what_another_way_said(other: Source) -> None:
    """Else a stick without the columns would turn everybody's in and out into "unknown"."""
    row = shown(merge([copy(Source.FILE, (0, 255, 0)), copy(other, (1, 1, 0))]))
    assert (row.codes, row.source) == ((1, 1, 0), other.value)


def test_of_differing_copies_of_one_way_the_lowest_state_then_verify_then_work_code_is_shown() -> None:
    copies = [copy(Source.LOG, codes) for codes in [(1, 1, 0), (15, 0, 0), (4, 0, 9), (4, 0, 2)]]
    assert shown(merge(copies)).codes == (4, 0, 2)


def test_the_shown_way_is_one_by_which_the_shown_codes_were_seen() -> None:
    row = shown(
        merge([copy(Source.LOG, (1, 0, 0)), copy(Source.FILE, (1, 0, 0)), copy(Source.LIVE, (1, 4, 0))])
    )
    assert (row.codes, row.source) == ((1, 0, 0), "log")


def test_no_order_of_arrival_changes_what_is_kept_or_shown() -> None:
    copies = [
        copy(Source.LOG),
        copy(Source.LOG, offset=None),
        copy(Source.LOG, offset=-3.0),
        copy(Source.LIVE, (1, 4, 0)),
        copy(Source.PUSH),
    ]
    results = {repr((merge(order), shown(merge(order)))) for order in permutations(copies)}
    assert len(results) == 1
