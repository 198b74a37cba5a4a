"""A little centre for tests of the edge: keeps batches in memory and sends receipts, or does not."""

import threading
import time
from collections.abc import Callable

from sync.broker import BrokerAddress, Message, PahoClient, ProtocolName
from sync.envelope import Batch, Receipt, WirePunch, topic


class LittleCentre:
    """`batches` holds what came: (stream, number) -> payloads, each copy. A mute one sends no receipts."""

    def __init__(
        self,
        port: int,
        *,
        edge: str,
        mute: bool = False,
        protocol: ProtocolName = "5",
        user: str | None = None,
    ) -> None:
        self.mute = mute
        self.batches: dict[tuple[str, int], list[bytes]] = {}
        self.others: dict[str, bytes] = {}
        self._edge = edge
        self._lock = threading.Lock()
        self.client = PahoClient(
            BrokerAddress(host="127.0.0.1", port=port, username=user, password=user),
            client_id="little-centre",
            subscriptions=[topic("+", "up", "#")],
            on_message=self._on_message,
            protocol=protocol,
        )

    def start(self) -> None:
        """Connect."""
        self.client.start()
        until(lambda: self.client.connected, "the centre connects")

    def stop(self) -> None:
        """Disconnect."""
        self.client.stop()

    def punches(self) -> set[tuple[str, str, str]]:
        """The identities of all punches that came."""
        return {(punch.serial, punch.pin, punch.wall) for batch in self._parsed() for punch in batch.punches}

    def copies(self) -> list[WirePunch]:
        """Every punch of every batch, each batch counted once."""
        return [punch for batch in self._parsed() for punch in batch.punches]

    def acknowledge_all(self) -> None:
        """Send receipts for everything that ever came."""
        with self._lock:
            known = list(self.batches)
        for stream, number in known:
            self.send(Receipt(edge=self._edge, stream=stream, committed=((number, number),)))

    def send(self, receipt: Receipt) -> None:
        """Send a receipt to the edge."""
        self.client.publish(topic(self._edge, "down", "ack"), receipt.to_bytes())

    def _parsed(self) -> list[Batch]:
        with self._lock:
            return [Batch.model_validate_json(copies[0]) for copies in self.batches.values()]

    def _on_message(self, message: Message) -> None:
        if not message.topic.endswith("/up/punches"):
            self.others[message.topic] = message.payload
            return
        batch = Batch.model_validate_json(message.payload)
        with self._lock:
            self.batches.setdefault((batch.stream, batch.number), []).append(message.payload)
        if not self.mute:
            self.send(
                Receipt(edge=batch.edge, stream=batch.stream, committed=((batch.number, batch.number),))
            )


def until(holds: Callable[[], bool], what: str, *, within_s: float = 30.0) -> None:
    """Wait until something holds; fail with `what` if it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.01)
