"""From the broker into the discipline database, and the receipts back: after the commit, never before.

The broker's thread only fills a queue, bounded in bytes. One thread, the caller of `run`, commits, sends
the receipts and then acknowledges the messages in the order in which they came.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import StatementError

from attendance.clock import Clock, SystemClock
from attendance.errors import DatabaseUnavailable
from sync import arrivals
from sync.arrivals import Arrival, Delivery, Rejected
from sync.broker import BrokerAddress, BrokerClient, Message, PahoClient
from sync.central.copies import whole_seconds
from sync.deposit import deposit
from sync.envelope import Receipt, clean_text, topic

logger = logging.getLogger(__name__)

CLIENT_ID: Final = "hadir-central"
SUBSCRIPTIONS: Final = (
    topic("+", "up", "punches"),
    topic("+", "up", "state"),
    topic("+", "up", "terminals", "+"),
)
RECEIVE_MAXIMUM: Final = 200
"""Messages that the broker may hand over before the first is acknowledged: the back-pressure of MQTT 5."""

MOST_BYTES: Final = 64 << 20
"""Payloads that may wait here. Mosquitto 2.0.11 ignores the maximum above once acknowledgements flow
(measured: one acknowledgement lets that many messages through), so the memory needs a bound of its own."""

_MOST_ENTRIES: Final = 5000
_MOST_WAIT_S: Final = 30.0
_LOOK_S: Final = 0.25


class Connect(Protocol):
    """Makes the client that hands messages over; it is started and stopped by the ingest."""

    def __call__(
        self, *, on_message: Callable[[Message], None], on_connected: Callable[[], None]
    ) -> BrokerClient:
        """The callbacks run in the client's thread, and neither block nor raise."""
        ...


def over(address: BrokerAddress) -> Connect:
    """The centre's session with a real broker: it outlives this process, and acknowledges by hand."""

    def connect(*, on_message: Callable[[Message], None], on_connected: Callable[[], None]) -> BrokerClient:
        return PahoClient(
            address,
            client_id=CLIENT_ID,
            subscriptions=SUBSCRIPTIONS,
            on_message=on_message,
            on_connected=on_connected,
            persistent_session=True,
            manual_ack=True,
            receive_maximum=RECEIVE_MAXIMUM,
        )

    return connect


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestStatus:
    """How the ingest is doing, for health."""

    connected: bool
    protocol: str
    database_fault: str | None
    waiting: int
    batches: int
    last_commit_at: datetime | None


class Ingest:
    """Commits what edges send. `run` belongs to one thread; the rest may be asked from any."""

    def __init__(self, engine: Engine, connect: Connect, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._bytes = 0
        self._ready = threading.Event()
        self._full = False
        self._fault: str | None = None
        self._batches = 0
        self._last_commit_at: datetime | None = None
        self._client = connect(on_message=self._take, on_connected=self._ready.set)

    @property
    def status(self) -> IngestStatus:
        return IngestStatus(
            connected=self._client.connected,
            protocol=self._client.protocol,
            database_fault=self._fault,
            waiting=self._queue.qsize(),
            batches=self._batches,
            last_commit_at=self._last_commit_at,
        )

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait for the first session with the broker; whether there was one."""
        return self._ready.wait(timeout_s)

    def run(self, stop: threading.Event) -> None:
        """Receive and commit until `stop`. A database or broker that is away is waited for."""
        self._client.start()
        try:
            while not stop.is_set():
                arrived = self._gather()
                if arrived and self._commit(arrived, stop):
                    for message, _ in arrived:
                        self._client.ack(message)
        finally:
            self._client.stop()

    # --- the broker's thread

    def _take(self, message: Message) -> None:
        """Queue a message; one too many without its payload, so that it is acknowledged in its turn.

        To the broker an acknowledgement must come, or it would soon hand over nothing any more.
        The edge gets no receipt, and sends again.
        """
        with self._lock:
            fits = self._bytes + len(message.payload) <= MOST_BYTES
            self._bytes += len(message.payload) if fits else 0
        self._queue.put(message if fits else replace(message, payload=b""))
        if not fits and not self._full:
            logger.warning(
                "more comes from the broker than the database takes; edges will send again",
                extra={"action": "queue_full"},
            )
        self._full = not fits

    # --- the committing thread

    def _gather(self) -> list[tuple[Message, Arrival | None]]:
        """What waits, up to a fair size of one transaction; empty after a short quiet spell."""
        arrived: list[tuple[Message, Arrival | None]] = []
        size = 0
        now = whole_seconds(self._clock.now())
        try:
            message = self._queue.get(timeout=_LOOK_S)
            while True:
                arrival = arrivals.read(message.topic, message.payload, now)
                arrived.append((message, arrival))
                with self._lock:
                    self._bytes -= len(message.payload)
                size += 1 + (len(arrival.copies) if isinstance(arrival, Delivery) else 0)
                if size >= _MOST_ENTRIES:
                    break
                message = self._queue.get_nowait()
        except queue.Empty:
            pass
        return arrived

    def _commit(self, arrived: Sequence[tuple[Message, Arrival | None]], stop: threading.Event) -> bool:
        """Store, and send the receipts. Waits for a database that is away; False if `stop` came first."""
        delay_s = 0.5
        while True:
            try:
                receipts = self._store(arrived)
            except DatabaseUnavailable as error:
                self._lost(str(error))
                if self._clock.wait(stop, delay_s):
                    return False
                delay_s = min(2 * delay_s, _MOST_WAIT_S)
                continue
            self._back()
            for receipt in receipts:
                self._client.publish(topic(receipt.edge, "down", "ack"), receipt.to_bytes())
            self._batches += sum(isinstance(arrival, Delivery) for _, arrival in arrived)
            return True

    def _store(self, arrived: Sequence[tuple[Message, Arrival | None]]) -> list[Receipt]:
        """One transaction; if a value that is no entry's breaks it, one a half, down to the culprit."""
        now = whole_seconds(self._clock.now())
        try:
            return deposit(self._engine, [arrival for _, arrival in arrived if arrival is not None], now)
        except (StatementError, OverflowError) as error:
            if len(arrived) == 1:
                return deposit(self._engine, [_set_aside(*arrived[0], str(error))], now)
            half = len(arrived) // 2
            return self._store(arrived[:half]) + self._store(arrived[half:])

    def _lost(self, fault: str) -> None:
        if self._fault is None:
            logger.error("%s; nothing is lost, waiting for it", fault, extra={"action": "database_lost"})
        self._fault = fault

    def _back(self) -> None:
        if self._fault is not None:
            logger.info("the database is back", extra={"action": "database_back"})
        self._fault = None
        self._last_commit_at = self._clock.now()


def _set_aside(message: Message, arrival: Arrival | None, error: str) -> Arrival:
    """The whole message as something for quarantine; a batch's number still counts as received."""
    rejected = Rejected(message.topic, message.payload, clean_text(error))
    if isinstance(arrival, Delivery):
        return Delivery(arrival.edge, arrival.stream, arrival.number, rejected=[rejected])
    return rejected
