"""`--once`: which failures are tried again, and for how long."""

import threading

import pytest

from attendance.clock import SystemClock
from attendance.errors import DeviceError, DeviceRefused, DeviceTimeout, DeviceUnreachable
from daemon.collector import Collector
from daemon.once import AGAIN_AFTER_S, _read_all
from daemon.wording import counted


class NoWaiting(SystemClock):
    """Time stands still, and waits end at once."""

    def monotonic(self) -> float:
        return 0.0

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.is_set()


class Scripted(Collector):
    """A terminal that fails as listed, one failure a try, and is read after that."""

    def __init__(self, *fails: DeviceError) -> None:
        self.fails = list(fails)
        self.tries = 0

    @property
    def id(self) -> str:
        return "lobi"

    def poll_once(self) -> int:
        self.tries += 1
        if self.fails:
            raise self.fails.pop(0)
        return 7


@pytest.mark.parametrize(
    ("fails", "time_s", "read", "failed", "tries"),
    [
        ([], 100.0, {"lobi": 7}, {}, 1),
        ([DeviceTimeout("cut")], 100.0, {"lobi": 7}, {}, 2),
        ([DeviceTimeout("cut"), DeviceUnreachable("gone")], 100.0, {}, {"lobi": "gone"}, 2),
        ([DeviceRefused("wrong comm key")], 100.0, {}, {"lobi": "wrong comm key"}, 1),
        ([DeviceTimeout("cut")], AGAIN_AFTER_S, {}, {"lobi": "cut"}, 1),
    ],
)
def test_a_failure_that_may_pass_is_given_one_more_try(
    fails: list[DeviceError], time_s: float, read: dict[str, int], failed: dict[str, str], tries: int
) -> None:
    """More tries would lock a terminal that counts wrong keys, and keep the others' punches waiting."""
    terminal = Scripted(*fails)
    assert _read_all([terminal], time_s, NoWaiting()) == (read, failed)
    assert terminal.tries == tries


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 terminals"), (1, "1 terminal"), (2, "2 terminals"), (21, "21 terminals")]
)
def test_numbers_with_their_words(number: int, words: str) -> None:
    assert counted(number, "terminal") == words


def test_a_plural_that_is_not_made_with_an_s() -> None:
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]
