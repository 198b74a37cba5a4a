"""Threads that are looked after: one that fails is logged with its traceback and begun anew."""

import logging
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from attendance.clock import Clock
from attendance.errors import AttendanceError
from daemon.backoff import delay

_log = logging.getLogger(__name__)
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=5)


class Supervised:
    """Runs `work(stop)` in a thread until it returns; after an error it waits and runs it again."""

    def __init__(
        self, name: str, work: Callable[[threading.Event], None], stop: threading.Event, clock: Clock
    ) -> None:
        self.name = name
        self._work = work
        self._stop = stop
        self._clock = clock
        # A terminal that hangs in a read must not keep the process alive after a stop.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether it runs, or waits to run again."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._work(self._stop)
            except AttendanceError as error:
                failures += 1
                _log.error("%s: %s", self.name, error, extra={"action": "thread_failed"})
            except Exception:  # noqa: BLE001 - the top of a thread
                failures += 1
                _log.exception(
                    "%s failed and will be started again", self.name, extra={"action": "thread_failed"}
                )
            else:
                return
            pause = delay(failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE, chance=random.random())
            self._clock.wait(self._stop, pause.total_seconds())
