"""What both daemons do while they run: watch the clock, tell systemd, wait for the signal to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from attendance.clock import Clock
from daemon.notify import notify, watchdog_interval

BEAT_S: Final = 1.0
CLOCK_STEP_S: Final = 60.0
"""A wall clock that moves this much against the steady one was set."""


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop` while inside."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def beat_until(
    stop: threading.Event,
    clock: Clock,
    *,
    status: Callable[[], str],
    alive: Callable[[], bool],
    clock_stepped: Callable[[], None] = lambda: None,
    over: Callable[[], bool] = lambda: False,
) -> None:
    """Say READY, then beat until `stop` or `over()`: watchdog while `alive()`, status when it changes."""
    notify(READY="1", STATUS=(shown := status()))
    drift = _drift(clock)
    watchdog = watchdog_interval()
    while not clock.wait(stop, min(BEAT_S, watchdog.total_seconds()) if watchdog else BEAT_S):
        if over():
            break
        if watchdog and alive():
            notify(WATCHDOG="1")
        if (now_shown := status()) != shown:
            shown = now_shown
            notify(STATUS=shown)
        if abs(_drift(clock) - drift) > CLOCK_STEP_S:
            drift = _drift(clock)
            clock_stepped()
    notify(STOPPING="1")


def _drift(clock: Clock) -> float:
    return clock.now().timestamp() - clock.monotonic()
