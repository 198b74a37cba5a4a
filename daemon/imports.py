"""Imports the files that were handed in."""

from typing import Any, ClassVar

from attendance.clock import Clock
from config.model import EdgeConfig
from daemon.importing import Importer, ImportOrder
from daemon.spool import Job, Spool
from daemon.spool_worker import SpoolWorker
from sync.outbox import Outbox


class Imports(SpoolWorker):
    """The importing beside one open outbox."""

    action: ClassVar[str] = "import"

    def __init__(self, settings: EdgeConfig, outbox: Outbox, clock: Clock) -> None:
        super().__init__(Spool(settings.edge.state_dir), clock)
        self._importer = Importer(settings, outbox, clock)

    def result_of(self, job: Job) -> dict[str, Any]:
        """See SpoolWorker."""
        order = job.order(ImportOrder)
        with job.data() as stream:
            return self._importer.run(stream, order).facts()
