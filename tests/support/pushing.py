"""The receiver for terminals that dial in, as a test wants it: whole, on a free port, with its outbox."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from attendance.clock import Clock, SystemClock
from centre import until
from config.model import EdgeConfig
from daemon.push import PushReception
from drivers.zk_push.simulator import PushFirmware, PushTerminal
from made import sealed_batches
from mosquitto import free_port
from sync.envelope import Batch, TerminalHealth, WireBadRecord, WirePunch
from sync.outbox import Outbox

SERIAL = "CGKK204060001"


START = datetime(2026, 1, 5, 7, 30)
"""The first punch of `filled`."""


def filled(terminal: PushTerminal, records: int) -> PushTerminal:
    """Punches a minute apart of ten people."""
    for number in range(records):
        terminal.punch(str(1001 + number % 10), at=START + timedelta(minutes=number), state=number % 2)
    return terminal


def said(port: int, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of the answer to one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body=body)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def push_settings(
    folder: Path, port: int, *, push: dict[str, object] | None = None, **terminal: object
) -> EdgeConfig:
    """One edge with one terminal, `lobi`, that dials in."""
    lobi = {"id": "lobi", "driver": "zk-push", "serial": SERIAL} | terminal
    return EdgeConfig.model_validate(
        {
            "edge": {"id": "setda-01", "timezone": "Asia/Jakarta", "state_dir": folder},
            "push": {"listen": f"127.0.0.1:{port}"} | (push or {}),
            "terminal": [lobi],
        }
    )


@dataclass
class RunningReception:
    """A receiver at work."""

    port: int
    outbox: Outbox
    health: list[TerminalHealth] = field(default_factory=list)

    def terminal(self, firmware: PushFirmware | None = None, *, serial: str = SERIAL) -> PushTerminal:
        """A terminal that knows its address."""
        return PushTerminal(
            serial=serial, address=("127.0.0.1", self.port), firmware=firmware or PushFirmware()
        )

    def punches(self) -> list[WirePunch]:
        """Every punch in the outbox, in its order."""
        return [punch for batch in self._batches() for punch in batch.punches]

    def bad(self) -> list[WireBadRecord]:
        """Every bad record in the outbox."""
        return [record for batch in self._batches() for record in batch.bad]

    def coverage(self) -> int:
        """How often coverage was claimed."""
        return sum(len(batch.coverage) for batch in self._batches())

    def _batches(self) -> list[Batch]:
        return sealed_batches(self.outbox)


@contextmanager
def receiving(
    folder: Path,
    *,
    outbox: Outbox | None = None,
    clock: Clock | None = None,
    clock_trusted: Callable[[], bool] = lambda: True,
    push: dict[str, object] | None = None,
    **terminal: object,
) -> Iterator[RunningReception]:
    """A receiver for `lobi`, while the block lasts."""
    port = free_port()
    settings = push_settings(folder, port, push=push, **terminal)
    with outbox or Outbox(folder / "outbox.db", edge="setda-01") as box:
        running = RunningReception(port, box)
        reception = PushReception(
            settings, box, running.health.append, clock or SystemClock(), clock_trusted=clock_trusted
        )
        stop = threading.Event()
        thread = threading.Thread(target=reception.run, args=(stop,), name="reception")
        thread.start()
        try:
            until(lambda: _answers(port), "the receiver listens")
            yield running
        finally:
            stop.set()
            thread.join()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
