"""Works off the files that were handed in: a part of the edge, or of a command where no edge runs."""

import logging
import threading
from pathlib import Path
from typing import Any, Final

from attendance.clock import Clock
from attendance.errors import AttendanceError, ConfigError
from config.model import EdgeConfig
from daemon.importing import Importer
from daemon.spool import Job, Spool, refusal
from sync.outbox import Outbox

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
_TIDY_EVERY: Final = 7200


class Imports:
    """The worker beside one open outbox."""

    def __init__(self, settings: EdgeConfig, outbox: Outbox, clock: Clock) -> None:
        state_dir: Path = settings.edge.state_dir
        self._spool = Spool(state_dir)
        self._importer = Importer(settings, outbox, clock)
        self._clock = clock

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
        """Import everything that waits. A job that cannot be done is answered and gone."""
        for job in self._spool.jobs():
            answer = refusal(None)
            try:
                answer = self._done(job)
            finally:
                self._spool.answer(job, answer)

    def _done(self, job: Job) -> dict[str, Any]:
        try:
            order = job.order()
            with job.data() as stream:
                return {"result": self._importer.run(stream, order).facts()}
        except AttendanceError as error:
            _log.warning("import: %s", error, extra={"action": "import_refused"})
            return refusal(error, usage=isinstance(error, ConfigError))
