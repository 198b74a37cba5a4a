"""Too impatient burdens a terminal that is only slow; too patient loses the day's poll on a lossy link."""

import pytest

from drivers.zk.patience import Patience


def test_a_request_is_made_several_times_within_the_default_time_out() -> None:
    patience = Patience(10)
    waited, times = 0.0, 0
    while waited < 10:
        waited += patience.wait_s
        times += 1
        patience.ran_out()
    assert times >= 4


@pytest.mark.parametrize("timeout_s", [0.3, 10, 60])
def test_no_wait_takes_more_than_a_third_of_the_time_out(timeout_s: float) -> None:
    patience = Patience(timeout_s)
    for _ in range(20):
        patience.ran_out()
    assert patience.wait_s == pytest.approx(timeout_s / 3)
    patience.answered(timeout_s)
    assert patience.wait_s <= timeout_s / 3


def test_a_far_terminal_is_given_its_time_and_a_near_one_is_never_hurried() -> None:
    patience = Patience(30)
    patience.answered(2.0)
    assert patience.wait_s == 6.0
    patience.answered(0.001)
    assert patience.wait_s == 1.5
