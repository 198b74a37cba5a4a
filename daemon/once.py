"""`hadir edge run --once`: every terminal tried, every punch acknowledged, or the exit code says so."""

import json
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from attendance.clock import Clock, SystemClock
from attendance.errors import AttendanceError, DeviceError
from config.model import EdgeConfig
from daemon.collector import Collector
from daemon.edge import JOIN_S, EdgeParts, edge_parts, tell_passed_over
from daemon.threads import Supervised
from daemon.wording import counted

AT_ONCE: Final = 40
"""Terminals read side by side."""

AGAIN_AFTER_S: Final = 1.0
"""A failure that may pass is given so long to pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run achieved. `failed`: terminal id -> why."""

    read: dict[str, int]
    failed: dict[str, str]
    queued: int
    broker: str

    @property
    def complete(self) -> bool:
        """Whether every terminal was read and the centre has every punch."""
        return not self.failed and self.queued == 0


def run_once(
    settings: EdgeConfig, timeout: timedelta, *, as_json: bool = False, clock: Clock | None = None
) -> int:
    """Read every polled terminal, wait for the centre's receipts; 0 if all of it came about, else 1."""
    clock = clock or SystemClock()
    deadline = clock.monotonic() + timeout.total_seconds()
    tell_passed_over(settings)
    with edge_parts(settings, clock) as parts:
        outcome = _run(parts, settings, deadline, clock)
    _tell(outcome, as_json=as_json)
    return 0 if outcome.complete else 1


def _run(parts: EdgeParts, settings: EdgeConfig, deadline: float, clock: Clock) -> Outcome:
    stop = threading.Event()
    publisher = Supervised("publisher", parts.publisher.run, stop, clock)
    imports = Supervised("imports", parts.imports.run, stop, clock)
    publisher.start()
    imports.start()
    try:
        read, failed = _read_all(parts.collectors, deadline, clock)
        parts.publisher.wait_drained(max(0.0, deadline - clock.monotonic()))
    finally:
        stop.set()
        publisher.join(JOIN_S)
        imports.join(JOIN_S)
    return Outcome(
        read=read,
        failed=failed,
        queued=parts.outbox.queued(),
        broker=f"{settings.mqtt.host}:{settings.mqtt.port}",
    )


def _read_all(
    collectors: Sequence[Collector], deadline: float, clock: Clock
) -> tuple[dict[str, int], dict[str, str]]:
    """Every terminal at once; one that has not ended at the deadline has failed."""
    pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="terminal")
    reading: dict[Future[int], str] = {
        pool.submit(_read, part, deadline, clock): part.id for part in collectors
    }
    done, late = wait(reading, timeout=max(0.0, deadline - clock.monotonic()))
    pool.shutdown(wait=False, cancel_futures=True)
    read: dict[str, int] = {}
    failed = {reading[future]: "not read before the time ran out" for future in late}
    for future in done:
        try:
            read[reading[future]] = future.result()
        except AttendanceError as error:
            failed[reading[future]] = str(error)
    return read, failed


def _read(collector: Collector, deadline: float, clock: Clock) -> int:
    """One terminal, and once more where the failure may pass and time remains. Raises as poll_once."""
    try:
        return collector.poll_once()
    except DeviceError as error:
        if not error.transient or clock.monotonic() + AGAIN_AFTER_S >= deadline:
            raise
    clock.wait(threading.Event(), AGAIN_AFTER_S)
    return collector.poll_once()


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "read": outcome.read,
            "failed": outcome.failed,
            "queued": outcome.queued,
            "complete": outcome.complete,
        }
        print(json.dumps(facts))
    else:
        read = counted(len(outcome.read), "terminal")
        new = counted(sum(outcome.read.values()), "new record")
        queued = counted(outcome.queued, "entry waits", "entries wait")
        print(f"{read} read, {new}, {queued} for the centre")
    for terminal, reason in sorted(outcome.failed.items()):
        print(f"hadir: terminal {terminal}: {reason}", file=sys.stderr)
    if outcome.queued:
        queued = counted(
            outcome.queued,
            "entry is not acknowledged by the centre and stays",
            "entries are not acknowledged by the centre and stay",
        )
        print(
            f"hadir: {queued} in the outbox; "
            f"is the broker at {outcome.broker} up, and hadir central running?",
            file=sys.stderr,
        )
