"""The edge daemon: terminals in, batches out. Put together here by hand."""

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from attendance.clock import Clock, SystemClock
from config.model import EdgeConfig, TerminalSettings
from daemon.clear_orders import ClearOrders
from daemon.clocks import ClockRules
from daemon.collector import Collector
from daemon.heartbeat import beat_until, stop_on_signals
from daemon.host_clock import TrustedClock, synchronised
from daemon.imports import Imports
from daemon.main import program_version
from daemon.mqtt import broker_address
from daemon.push import PushReception
from daemon.schedule import Schedule
from daemon.threads import Supervised
from daemon.turns import Line, Turn
from drivers.table import driver_named
from sync.outbox import Outbox
from sync.publisher import Publisher

_log = logging.getLogger(__name__)

OUTBOX_FILE: Final = "outbox.db"
DRAIN_S: Final = 3.0
"""How long a stop waits for receipts of what is on its way; the outbox keeps the rest."""
JOIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class EdgeParts:
    """What one run of the edge is made of."""

    outbox: Outbox
    publisher: Publisher
    collectors: Sequence[Collector]
    push: PushReception | None
    imports: Imports
    clear_orders: ClearOrders


@contextmanager
def edge_parts(settings: EdgeConfig, clock: Clock) -> Iterator[EdgeParts]:
    """Open the outbox and put the parts together; nothing runs yet."""
    devices = [(terminal, settings.device(terminal)) for terminal in settings.terminal if terminal.polled]
    ask = synchronised if settings.edge.host_clock == "kernel" else lambda: True
    trusted = TrustedClock(ask, clock)
    lines: dict[str, Line] = {}
    for terminal, device in devices:
        driver = driver_named(terminal.driver)
        driver.check(device, {})
        lines[terminal.id] = Line(device, driver, Turn(settings.edge.state_dir, terminal.id))
    with Outbox(settings.edge.state_dir / OUTBOX_FILE, edge=settings.edge.id) as outbox:
        address = broker_address(settings.mqtt)
        publisher = Publisher(settings.edge.id, outbox, address, clock=clock, version=program_version())
        collectors = [
            Collector(
                terminal,
                lines[terminal.id],
                outbox,
                publisher.report,
                clock,
                ClockRules(trusted=trusted, slots=settings.slots_of(terminal)),
            )
            for terminal, _ in devices
        ]
        dialling_in = bool(settings.dialling_in)
        push = (
            PushReception(settings, outbox, publisher.report, clock, clock_trusted=trusted)
            if dialling_in
            else None
        )
        imports, orders = Imports(settings, outbox, clock), ClearOrders(settings, outbox, clock)
        yield EdgeParts(outbox, publisher, collectors, push, imports, orders)


def run_daemon(settings: EdgeConfig, clock: Clock | None = None) -> int:
    """Run until SIGTERM or SIGINT; then send what can be sent within seconds, and end."""
    clock = clock or SystemClock()
    stop, publishing_ends = threading.Event(), threading.Event()
    tell_passed_over(settings, besides=settings.dialling_in)
    with stop_on_signals(stop), edge_parts(settings, clock) as parts:
        publisher = Supervised("publisher", parts.publisher.run, publishing_ends, clock)
        threads = [Supervised(f"terminal {part.id}", part.run, stop, clock) for part in parts.collectors]
        threads.append(Supervised("imports", parts.imports.run, stop, clock))
        threads.append(Supervised("clear orders", parts.clear_orders.run, stop, clock))
        if parts.push is not None:
            threads.append(Supervised("push", parts.push.run, stop, clock))
        schedule = Schedule()
        every = {terminal.id: terminal.every for terminal in settings.terminal}
        for part in parts.collectors:
            schedule.every(part.id, every[part.id], part.poke)
        for thread in (publisher, *threads):
            thread.start()
        schedule.start()
        _log.info(
            "edge %s runs with %d terminals",
            settings.edge.id,
            len(parts.collectors),
            extra={"action": "edge_started"},
        )
        beat_until(
            stop,
            clock,
            status=lambda: f"{parts.outbox.queued()} entries wait for the centre",
            alive=publisher.alive,
            clock_stepped=schedule.clock_stepped,
        )
        schedule.stop()
        for part in parts.collectors:
            part.wake()
        hanging = [thread.name for thread in threads if not thread.join(JOIN_S / max(len(threads), 1))]
        parts.publisher.wait_drained(DRAIN_S)
        publishing_ends.set()
        publisher.join(JOIN_S)
        _log.info(
            "edge %s ends; %d entries wait in the outbox%s",
            settings.edge.id,
            parts.outbox.queued(),
            f"; still busy: {', '.join(hanging)}" if hanging else "",
            extra={"action": "edge_stopped"},
        )
    return 0


def tell_passed_over(settings: EdgeConfig, besides: Collection[TerminalSettings] = ()) -> None:
    """Log the terminals that are not dialled from here, those `besides` left out, and why."""
    for terminal in settings.terminal:
        if terminal.polled or terminal in besides:
            continue
        level, reason = logging.INFO, f"driver {terminal.driver} is not polled"
        if terminal.driver == "zk-push" and not settings.push.listen:
            level, reason = logging.WARNING, "it dials in, and there is no listen in [push]"
        elif terminal.driver == "zk-push" and not terminal.serial:
            level, reason = logging.WARNING, "it dials in, and is let in by its serial, which is missing"
        _log.log(
            level,
            "terminal %s is passed over: %s",
            terminal.id,
            reason,
            extra={"action": "passed_over", "terminal": terminal.id},
        )
