"""Works off what was handed in: a part of the edge, or of a command where no edge runs."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final

from attendance.clock import Clock
from attendance.errors import AttendanceError, ConfigError
from daemon.spool import Job, Spool, refusal

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
_TIDY_EVERY: Final = 7200


class SpoolWorker(ABC):
    """The worker of one folder, beside one open outbox. `action` names its work in the log."""

    action: ClassVar[str]

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock

    @abstractmethod
    def result_of(self, job: Job) -> dict[str, Any]:
        """Do a job; what is answered. Raises AttendanceError."""

    def run(self, stop: threading.Event) -> None:
        """Work off what comes until stopped. Raises OutboxUnusable where the folder cannot be used."""
        looks = 0
        while not stop.is_set():
            self.work_off()
            if looks % _TIDY_EVERY == 0:
                self._spool.tidy()
            looks += 1
            self._clock.wait(stop, LOOK_EVERY_S)

    def work_off(self) -> None:
        """Do everything that waits. A job that cannot be done is answered and gone."""
        for job in self._spool.jobs():
            answer = refusal(None)
            try:
                answer = self._done(job)
            finally:
                self._spool.answer(job, answer)

    def _done(self, job: Job) -> dict[str, Any]:
        try:
            return {"result": self.result_of(job)}
        except AttendanceError as error:
            _log.warning("%s: %s", self.action, error, extra={"action": f"{self.action}_refused"})
            return refusal(error, usage=isinstance(error, ConfigError))
