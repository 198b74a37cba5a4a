"""Clears the logs that a command asked to be cleared: by whoever has the outbox, in the command's turn."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from attendance.clock import Clock
from attendance.errors import ConfigError, DataError
from config.model import EdgeConfig, TerminalSettings
from daemon.clearing import Clearing
from daemon.keeper import Keeper
from daemon.spool import Job, Spool
from daemon.spool_worker import SpoolWorker
from daemon.turns import Turn
from drivers.table import driver_named
from sync.outbox import Outbox

_log = logging.getLogger(__name__)

FOLDER: Final = "clear"
VALID_FOR: Final = timedelta(minutes=15)
"""A command that died must not have a log cleared when an edge is started next week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearOrder:
    """What somebody asked for, and when (ISO, UTC)."""

    terminal: str
    at: str
    by: str = ""


def clear_spool(settings: EdgeConfig) -> Spool:
    """Where the orders lie."""
    return Spool(settings.edge.state_dir, FOLDER)


def dialled(settings: EdgeConfig, terminal: str) -> TerminalSettings:
    """The configured terminal of an id. Raises ConfigError for none, and for one that is not dialled."""
    found = next((one for one in settings.terminal if one.id == terminal), None)
    if found is None:
        known = ", ".join(one.id for one in settings.terminal) or "none"
        raise ConfigError(f"no terminal {terminal} is configured; known: {known}")
    if not found.polled:
        raise ConfigError(f"terminal {terminal} is not dialled (driver {found.driver}): clear it in its menu")
    return found


class ClearOrders(SpoolWorker):
    """The clearing beside one open outbox."""

    action: ClassVar[str] = "clear"

    def __init__(self, settings: EdgeConfig, outbox: Outbox, clock: Clock) -> None:
        super().__init__(clear_spool(settings), clock)
        self._settings = settings
        self._outbox = outbox

    def result_of(self, job: Job) -> dict[str, Any]:
        """See SpoolWorker; the edge gives way at the terminal while the log is cleared."""
        order = job.order(ClearOrder)
        age = self._clock.now() - datetime.fromisoformat(order.at)
        if not timedelta(0) <= age + timedelta(minutes=1) <= VALID_FOR:
            raise DataError(f"the order to clear terminal {order.terminal} is of {order.at}: too old")
        settings = dialled(self._settings, order.terminal)
        device = self._settings.device(settings)
        keeper = Keeper(settings, device, self._outbox, self._clock)
        clearing = Clearing(settings, keeper, self._outbox, self._clock)
        turn = Turn(self._settings.edge.state_dir, settings.id).command(VALID_FOR.total_seconds() / 2)
        with turn, driver_named(settings.driver).open(device) as session:
            serial = session.identify().serial
            records = clearing.clear(session, serial)
        _log.info(
            "terminal %s: cleared by command of %s",
            settings.id,
            order.by or "somebody",
            extra={"action": "cleared_by_command", "terminal": settings.id},
        )
        return {"terminal": settings.id, "serial": serial, "records": records}
