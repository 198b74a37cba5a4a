"""The centre: database, broker if embedded, ingest. Put together here by hand."""

import logging
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from attendance.clock import Clock, SystemClock
from config.model import CentralConfig
from daemon.heartbeat import beat_until, stop_on_signals
from daemon.mqtt import broker_address
from daemon.threads import Supervised
from sync.central.store import initialise, open_engine
from sync.ingest import Ingest, IngestStatus, over

if TYPE_CHECKING:
    from sync.embedded import EmbeddedBroker

_log = logging.getLogger(__name__)
JOIN_S: Final = 5.0


def run_daemon(settings: CentralConfig, clock: Clock | None = None) -> int:
    """Run until SIGTERM or SIGINT; a batch that is being committed is finished first.

    Raises BrokerUnavailable when the embedded broker ends by itself: a restart mends more than we could.
    """
    clock = clock or SystemClock()
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(stop_on_signals(stop))
        engine = open_engine(settings.database.url)
        stack.callback(engine.dispose)
        initialise(engine)
        broker = _start_broker(settings, stack) if settings.mqtt.embedded else None
        ingest = Ingest(engine, over(broker_address(settings.mqtt)), clock)
        thread = Supervised("ingest", ingest.run, stop, clock)
        thread.start()
        _log.info(
            "the centre receives from %s:%d",
            settings.mqtt.host,
            settings.mqtt.port,
            extra={"action": "central_started"},
        )
        beat_until(
            stop,
            clock,
            status=lambda: _in_words(ingest.status),
            alive=thread.alive,
            over=lambda: broker is not None and broker.failed is not None,
        )
        stop.set()
        thread.join(JOIN_S)
        _log.info("the centre ends", extra={"action": "central_stopped"})
        if broker is not None and broker.failed is not None:
            raise broker.failed
    return 0


def _start_broker(settings: CentralConfig, stack: ExitStack) -> "EmbeddedBroker":
    from sync.embedded import EmbeddedBroker

    return stack.enter_context(
        EmbeddedBroker(
            settings.mqtt.host,
            settings.mqtt.port,
            username=settings.mqtt.username,
            password=settings.mqtt.password,
        )
    )


def _in_words(status: IngestStatus) -> str:
    """The status line for systemd."""
    if status.database_fault:
        return f"waiting for the database: {status.database_fault}"
    if not status.connected:
        return "waiting for the broker"
    return f"receiving (MQTT {status.protocol}), {status.batches} batches committed"
