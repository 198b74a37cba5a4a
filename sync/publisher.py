"""From the outbox to the broker, and the centre's receipts back. Sends again until there is a receipt."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import ValidationError

from attendance.clock import Clock
from sync import reach
from sync.broker import BrokerAddress, BrokerClient, Message, PahoClient, ProtocolName
from sync.envelope import EdgeState, Receipt, TerminalHealth, reason_of, topic
from sync.outbox import Outbox, SealedBatch
from sync.window import Window, single

logger = logging.getLogger(__name__)

LONG_SILENCE_S: Final = 60.0
"""Batches unacknowledged for this long while the broker answers: the centre must be looked at."""

STATE_EVERY_S: Final = 60.0
_LONGEST_WAIT_S: Final = 0.5


class Publisher:
    """Publishes one edge's outbox, its state and its terminals' health.

    `run` lives in one thread; `report`, `wait_drained` and the on_... methods, which
    are for the broker client, come from others. A bad TLS file raises ConfigError here.
    """

    def __init__(
        self,
        edge: str,
        outbox: Outbox,
        address: BrokerAddress,
        *,
        clock: Clock,
        version: str = "",
        connect: "Callable[[Publisher], BrokerClient] | None" = None,
    ) -> None:
        reach.tls_context(address)
        self.edge = edge
        self.address = address
        self._outbox = outbox
        self._clock = clock
        self._version = version
        self._connect = connect or edge_client
        self._wake = threading.Event()
        self._settled = threading.Event()
        self._renewed = threading.Event()
        self._refused = threading.Event()
        self._receipts: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._health_lock = threading.Lock()
        self._health: dict[str, TerminalHealth] = {}
        self._health_due: set[str] = set()
        self._window = Window()
        self._stream = outbox.stream
        self._sent_to = 0
        self._progress_at = 0.0
        self._state_due_at = 0.0
        self._told: set[str] = set()
        outbox.tell(self._wake)

    # --- for other threads

    def report(self, health: TerminalHealth) -> None:
        """Publish how a terminal is doing; only the latest counts."""
        with self._health_lock:
            self._health[health.terminal] = health
            self._health_due.add(health.terminal)
        self._wake.set()

    def wait_drained(self, timeout_s: float) -> bool:
        """Wait until the centre has acknowledged everything; whether it has. `run` must be running."""
        deadline = self._clock.monotonic() + timeout_s
        while self._outbox.queued():
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._settled.clear()
            self._clock.wait(self._settled, min(left, _LONGEST_WAIT_S))
        return True

    def on_message(self, message: Message) -> None:
        """A message came. Only receipts are ours: amqtt 0.12 adds the states that others subscribed to."""
        if message.topic != topic(self.edge, "down", "ack"):
            return
        self._receipts.put(message.payload)
        self._wake.set()

    def on_connected(self) -> None:
        """There is a new session; what was on its way may be lost."""
        self._renewed.set()
        self._wake.set()

    def on_published(self, _packet_id: int, refused: bool) -> None:  # noqa: FBT001 - a callback
        """The broker took a message, or refused it. Neither says that it has arrived."""
        if refused:
            self._refused.set()
            self._wake.set()

    def state(self, state: str) -> bytes:
        """The EdgeState that is retained: "online" or "offline"."""
        online = state == "online"
        return EdgeState(
            edge=self.edge,
            state="online" if online else "offline",
            at=self._clock.now(),
            version=self._version or None,
            protocol=self._broker.protocol if online else None,
            queued=self._outbox.queued(),
        ).to_bytes()

    # --- the publisher's thread

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set; then say "offline" and disconnect. Raises OutboxError."""
        self._broker = self._connect(self)
        self._broker.start()
        try:
            while not stop.is_set():
                self._wake.clear()
                self._clock.wait(self._wake, min(self._step(), _LONGEST_WAIT_S))
            self._broker.publish(topic(self.edge, "up", "state"), self.state("offline"), retain=True)
        finally:
            self._broker.stop()

    def _step(self) -> float:
        """All that can be done now; seconds until there is more to do."""
        self._take_receipts()
        if not self._broker.connected:
            return _LONGEST_WAIT_S
        now = self._clock.monotonic()
        if self._renewed.is_set():
            self._renewed.clear()
            self._begin_session(now)
        self._publish_state(now)
        self._publish_health()
        silent = self._outbox.batches(single(self._window.due(now)), len(self._window))
        self._complain(now)
        if not (self._send(silent, now) and self._fill(now)):
            return _LONGEST_WAIT_S
        return self._window.next_due_in(now, _LONGEST_WAIT_S)

    def _begin_session(self, now: float) -> None:
        self._window.clear()
        self._sent_to = 0
        self._progress_at = now
        self._state_due_at = now
        self._refused.clear()
        with self._health_lock:
            self._health_due.update(self._health)

    def _send(self, batches: Sequence[SealedBatch], now: float) -> bool:
        """Hand batches to the broker; whether it took all."""
        for batch in batches:
            if self._broker.publish(topic(self.edge, "up", "punches"), batch.payload) is None:
                return False
            if not len(self._window):
                self._progress_at = now
            self._window.sent(batch.number, now)
        return True

    def _fill(self, now: float) -> bool:
        """Send what was not sent in this session, as far as the window allows; whether the broker took it."""
        while free := self._window.free:
            batches = self._outbox.pending(free, after=self._sent_to)
            if not batches and not self._outbox.seal(free):
                return True
            if not self._send(batches, now):
                return False
            if batches:
                self._sent_to = batches[-1].number
        return True

    def _publish_state(self, now: float) -> None:
        if now >= self._state_due_at:
            self._state_due_at = now + STATE_EVERY_S
            self._broker.publish(topic(self.edge, "up", "state"), self.state("online"), retain=True)

    def _publish_health(self) -> None:
        with self._health_lock:
            due = [self._health[terminal] for terminal in self._health_due]
            self._health_due.clear()
        for health in due:
            path = topic(self.edge, "up", "terminals", health.terminal)
            if self._broker.publish(path, health.to_bytes(), retain=True) is None:
                with self._health_lock:
                    self._health_due.add(health.terminal)

    # --- receipts

    def _take_receipts(self) -> None:
        """Settle what has come since the last step, in one transaction."""
        receipts = [receipt for receipt in self._waiting() if receipt.stream == self._outbox.stream]
        if not receipts:
            return
        last = receipts[-1]
        whole = last.model_copy(
            update={"committed": tuple(pair for receipt in receipts for pair in receipt.committed)}
        )
        self._outbox.settle(whole)
        if self._outbox.stream != self._stream:
            self._stream = self._outbox.stream
            self._window.clear()
            self._sent_to = 0
            return
        now = self._clock.monotonic()
        if self._window.acknowledged(whole.committed):
            self._progress_at = now
            self._recovered("silence", "the centre acknowledges again")
        self._settled.set()
        self._answer(last.missing, now)

    def _waiting(self) -> Sequence[Receipt]:
        receipts: list[Receipt] = []
        while True:
            try:
                payload = self._receipts.get_nowait()
            except queue.Empty:
                return receipts
            try:
                receipt = Receipt.model_validate_json(payload)
            except ValidationError as error:
                self._tell(
                    "receipt",
                    "a receipt of the centre cannot be read and is passed over: %s",
                    reason_of(error),
                )
                continue
            if receipt.edge == self.edge:
                receipts.append(receipt)
                self._tell_quarantine(receipt)

    def _answer(self, missing: Sequence[tuple[int, int]], now: float) -> None:
        """Send what the centre misses, unless it was sent just now."""
        if not missing or not self._broker.connected:
            return
        if max(high for _, high in missing) > self._outbox.last_number:
            self._tell("beyond", "the centre asks for batches that this outbox never had: %s", missing)
        found = self._outbox.batches(missing, max(self._window.free, len(self._window)))
        self._send([batch for batch in found if self._window.may_answer(batch.number, now)], now)

    # --- what the log hears

    def _complain(self, now: float) -> None:
        if self._refused.is_set():
            self._refused.clear()
            self._tell(
                "refused",
                "the MQTT broker at %s refuses what edge %s publishes; "
                "its access list must let this user write %s",
                self.address,
                self.edge,
                topic(self.edge, "up", "#"),
            )
        if len(self._window) and now - self._progress_at >= LONG_SILENCE_S:
            self._tell(
                "silence",
                "the MQTT broker at %s answers, but the centre acknowledges nothing; "
                "is hadir central running?",
                self.address,
            )

    def _tell_quarantine(self, receipt: Receipt) -> None:
        if receipt.quarantined:
            logger.warning(
                "the centre could not use %d entries of batches %s and keeps them aside",
                receipt.quarantined,
                receipt.committed,
                extra={"action": "quarantined"},
            )

    def _tell(self, what: str, text: str, *details: object) -> None:
        """Log a trouble once, until it is over."""
        if what not in self._told:
            self._told.add(what)
            logger.warning(text, *details, extra={"action": f"publisher_{what}"})

    def _recovered(self, what: str, text: str) -> None:
        if what in self._told:
            self._told.remove(what)
            logger.info(text, extra={"action": f"publisher_{what}_over"})


def edge_client(publisher: Publisher, *, protocol: ProtocolName = "5") -> BrokerClient:
    """The broker client of an edge: its id is the client id, and its last will says "offline"."""
    return PahoClient(
        publisher.address,
        client_id=publisher.edge,
        subscriptions=[topic(publisher.edge, "down", "ack")],
        on_message=publisher.on_message,
        on_connected=publisher.on_connected,
        on_published=publisher.on_published,
        will=(topic(publisher.edge, "up", "state"), publisher.state("offline")),
        protocol=protocol,
    )
