"""APScheduler behind two calls: it says when a terminal is due, never how it is polled."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

_log = logging.getLogger(__name__)


class Schedule:
    """Calls each terminal's `due` at its interval. `due` must return at once."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[timedelta, Callable[[], None]]] = {}
        self._scheduler = self._new_scheduler()

    def every(self, name: str, interval: timedelta, due: Callable[[], None]) -> None:
        """Add a terminal. The first call comes within the interval, at a moment that its name decides."""
        self._jobs[name] = (interval, due)
        self._add(name)

    def start(self) -> None:
        """Begin calling."""
        self._scheduler.start()

    def clock_stepped(self) -> None:
        """Begin anew after the host's clock jumped: due times are in wall time and would all be wrong."""
        self._scheduler.shutdown(wait=False)
        self._scheduler = self._new_scheduler()
        for name in self._jobs:
            self._add(name)
        self._scheduler.start()

    def stop(self) -> None:
        """No more calls."""
        self._scheduler.shutdown(wait=False)

    def _add(self, name: str) -> None:
        interval, due = self._jobs[name]
        share = int.from_bytes(sha256(name.encode()).digest()[:4]) / 2**32
        self._scheduler.add_job(
            due,
            "interval",
            id=name,
            seconds=interval.total_seconds(),
            next_run_time=datetime.now(UTC) + interval * share,
        )

    @staticmethod
    def _new_scheduler() -> BackgroundScheduler:
        # UTC: intervals must not notice summer time. No grace: a late poll is still wanted.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        scheduler = BackgroundScheduler(timezone=UTC, job_defaults=defaults, daemon=True)
        scheduler.add_listener(_complain, EVENT_JOB_ERROR | EVENT_JOB_MISSED)
        return scheduler


def _complain(event: JobExecutionEvent) -> None:
    _log.error(
        "polling of terminal %s was not started: %s",
        event.job_id,
        event.exception or "missed",
        extra={"action": "poll_missed", "terminal": event.job_id},
    )
