"""From the broker to the commit and back: only what is stored is acknowledged, and all of it is stored."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

import postgres
from attendance.clock import SystemClock
from batches import EDGE, NOW, STREAM, batch, rows, view, wire_punch
from centre import until
from made import facts, made_punches
from mosquitto import Mosquitto, free_port, running_mosquitto
from sync.broker import BrokerAddress, Message, PahoClient
from sync.central import store
from sync.central.tables import edge, punch, quarantine, terminal
from sync.embedded import EmbeddedBroker
from sync.envelope import Batch, EdgeState, Receipt, TerminalHealth, topic
from sync.ingest import Ingest, over
from sync.outbox import Outbox
from sync.publisher import Publisher, edge_client

PUNCHES = topic(EDGE, "up", "punches")


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients spread their first reconnect over some seconds; here all take the shortest."""
    monkeypatch.setattr("random.randint", lambda low, _high: low)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(store, "BUSY_S", 0.1)
    made = store.open_engine(f"sqlite:///{tmp_path}/central.db")
    store.initialise(made)
    yield made
    made.dispose()


class HurriedClock(SystemClock):
    """Waits a tenth of what it is asked to: back-off without the waiting."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return super().wait(event, min(timeout_s, 0.05))

    def now(self) -> datetime:
        return NOW


class FakeClient:
    """A broker client that hands over what a test gives it, and notes what the ingest does."""

    def __init__(self, on_message: Callable[[Message], None], on_connected: Callable[[], None]) -> None:
        self.connected = False
        self.protocol = "5"
        self.done: list[tuple[str, object]] = []
        self._on_message = on_message
        self._on_connected = on_connected
        self._packet = 0

    def start(self) -> None:
        self.connected = True
        self._on_connected()

    def stop(self) -> None:
        self.connected = False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        self.done.append((topic, Receipt.model_validate_json(payload)))
        return 1

    def ack(self, message: Message) -> None:
        self.done.append(("ack", message.token[0]))

    def give(self, payload: Batch | bytes, to: str = PUNCHES) -> None:
        self._packet += 1
        raw = payload.to_bytes() if isinstance(payload, Batch) else payload
        self._on_message(Message(to, raw, (self._packet, 1)))

    @property
    def acked(self) -> list[object]:
        return [what for kind, what in list(self.done) if kind == "ack"]


@contextmanager
def running(ingest: Ingest) -> Iterator[Ingest]:
    stop = threading.Event()
    thread = threading.Thread(target=ingest.run, args=(stop,))
    thread.start()
    try:
        yield ingest
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def fed(engine: Engine) -> Iterator[tuple[FakeClient, Ingest]]:
    clients: list[FakeClient] = []

    def connect(*, on_message: Callable[[Message], None], on_connected: Callable[[], None]) -> FakeClient:
        clients.append(FakeClient(on_message, on_connected))
        return clients[0]

    with running(Ingest(engine, connect, HurriedClock())) as ingest:
        assert ingest.wait_ready(5)
        yield clients[0], ingest


# --- order: commit, receipt, acknowledgement -------------------------------------------


def test_a_message_is_acknowledged_after_the_commit_and_after_the_receipt(
    engine: Engine, fed: tuple[FakeClient, Ingest]
) -> None:
    client, ingest = fed
    for number in (1, 2, 3):
        client.give(batch(number, [wire_punch(str(number))]))
    until(lambda: client.acked == [1, 2, 3], "all are acknowledged in their order")
    first_ack = client.done.index(("ack", 1))
    assert any(isinstance(what, Receipt) for _, what in client.done[:first_ack])
    assert len(rows(engine, punch)) == 3
    assert (ingest.status.connected, ingest.status.batches, ingest.status.last_commit_at) == (True, 3, NOW)


def test_what_is_no_batch_is_acknowledged_to_the_broker_so_that_it_does_not_block(
    engine: Engine, fed: tuple[FakeClient, Ingest]
) -> None:
    client, _ = fed
    client.give(b"\xff")
    client.give(b"", to=topic(EDGE, "up", "state"))
    until(lambda: client.acked == [1, 2], "both are acknowledged")
    assert len(rows(engine, quarantine)) == 1


def test_states_of_edges_and_terminals_are_stored(engine: Engine, fed: tuple[FakeClient, Ingest]) -> None:
    client, _ = fed
    client.give(EdgeState(edge=EDGE, state="online", at=NOW).to_bytes(), to=topic(EDGE, "up", "state"))
    health = TerminalHealth(terminal="lobi", state="unreachable", at=NOW, error="no route")
    client.give(health.to_bytes(), to=topic(EDGE, "up", "terminals", "lobi"))
    until(lambda: client.acked == [1, 2], "both are acknowledged")
    assert rows(engine, edge)[0][:2] == (EDGE, "online")
    assert view(engine, "v1_terminal")[0]["state"] == "unreachable"


def test_an_instant_that_no_database_can_hold_ends_in_quarantine_and_not_in_a_loop(
    engine: Engine, fed: tuple[FakeClient, Ingest]
) -> None:
    client, _ = fed
    impossible = b'{"edge":"setda-01","state":"online","at":"0001-01-01T00:00:00+14:00"}'
    client.give(impossible, to=topic(EDGE, "up", "state"))
    client.give(batch(1, [wire_punch()]))
    until(lambda: client.acked == [1, 2], "both are acknowledged")
    assert (len(rows(engine, quarantine)), len(rows(engine, punch))) == (1, 1)


def test_more_than_fits_is_left_to_the_edge_and_blocks_neither_network_nor_broker(
    engine: Engine,
    fed: tuple[FakeClient, Ingest],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, ingest = fed
    one = batch(1, [wire_punch()]).to_bytes()
    monkeypatch.setattr("sync.ingest.MOST_BYTES", 3 * len(one))
    with locked(tmp_path / "central.db"):
        client.give(one)
        until(lambda: ingest.status.database_fault is not None, "the ingest waits for the database")
        for number in range(2, 7):
            client.give(batch(number, [wire_punch(str(number))]))
        assert client.acked == []
    until(lambda: client.acked == [1, 2, 3, 4, 5, 6], "each is acknowledged to the broker, in order")
    receipts = [what for _, what in client.done if isinstance(what, Receipt)]
    assert [numbers for receipt in receipts for numbers in receipt.committed] == [(1, 1), (2, 4)]
    assert caplog.text.count("edges will send again") == 1
    client.give(batch(5, [wire_punch("5")]))
    until(lambda: len(rows(engine, punch)) == 5, "what was sent again is stored")


# --- a database that is away -----------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_locked_database_is_waited_for_and_nothing_is_lost_or_acknowledged(
    engine: Engine, fed: tuple[FakeClient, Ingest], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client, ingest = fed
    with locked(tmp_path / "central.db"):
        client.give(batch(1, [wire_punch()]))
        until(lambda: ingest.status.database_fault is not None, "the fault is shown")
        assert "locked by another program" in str(ingest.status.database_fault)
        assert client.done == []
    until(lambda: client.acked == [1], "it is stored when the lock is gone")
    assert len(rows(engine, punch)) == 1
    assert ingest.status.database_fault is None
    lines = [record.getMessage() for record in caplog.records if record.name == "sync.ingest"]
    assert [line for line in lines if "locked" in line] == lines[:1]
    assert lines[1:] == ["the database is back"]


def test_a_stop_while_the_database_is_away_ends_it_and_acknowledges_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    clients: list[FakeClient] = []

    def connect(*, on_message: Callable[[Message], None], on_connected: Callable[[], None]) -> FakeClient:
        clients.append(FakeClient(on_message, on_connected))
        return clients[0]

    with locked(tmp_path / "central.db"):
        with running(Ingest(engine, connect, HurriedClock())) as ingest:
            assert ingest.wait_ready(5)
            clients[0].give(batch(1, [wire_punch()]))
            until(lambda: ingest.status.database_fault is not None, "the fault is shown")
        assert clients[0].done == []
    assert rows(engine, punch) == []


def test_a_postgresql_that_goes_down_and_comes_back_loses_nothing(
    postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = store.open_engine(postgres_server.new_database())
    store.initialise(engine)
    clients: list[FakeClient] = []

    def connect(*, on_message: Callable[[Message], None], on_connected: Callable[[], None]) -> FakeClient:
        clients.append(FakeClient(on_message, on_connected))
        return clients[0]

    with running(Ingest(engine, connect, HurriedClock())) as ingest:
        assert ingest.wait_ready(5)
        clients[0].give(batch(1, [wire_punch("1")]))
        until(lambda: clients[0].acked == [1], "the first is stored")
        postgres_server.stop()
        clients[0].give(batch(2, [wire_punch("2")]))
        until(lambda: ingest.status.database_fault is not None, "the fault is shown")
        assert clients[0].acked == [1]
        postgres_server.start()
        until(lambda: clients[0].acked == [1, 2], "the second is stored when the server is back")
    assert len(rows(engine, punch)) == 2
    engine.dispose()


# --- real brokers ----------------------------------------------------------------------


@contextmanager
def edge_at(port: int, tmp_path: Path, *, user: str | None = None) -> Iterator[tuple[Outbox, Publisher]]:
    """The edge's half, as it runs beside terminals."""
    with Outbox(tmp_path / "outbox.db", edge=EDGE) as outbox:
        address = BrokerAddress(host="127.0.0.1", port=port, username=user, password=user)
        publisher = Publisher(EDGE, outbox, address, clock=SystemClock(), version="test", connect=edge_client)
        stop = threading.Event()
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            yield outbox, publisher
        finally:
            stop.set()
            thread.join(20)


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    with running_mosquitto() as broker:
        yield broker


def at(port: int, user: str | None = None) -> BrokerAddress:
    return BrokerAddress(host="127.0.0.1", port=port, username=user, password=user)


def test_what_an_edge_holds_is_in_the_view_and_settled(
    engine: Engine, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with (
        running(Ingest(engine, over(at(mosquitto.port)))) as ingest,
        edge_at(mosquitto.port, tmp_path) as (outbox, _),
    ):
        assert ingest.wait_ready(20)
        outbox.put("lobi", facts(), made_punches(3000))
        until(lambda: outbox.queued() == 0, "every punch is settled")
        assert len(view(engine, "v1_punch")) == 3000
        until(lambda: len(rows(engine, edge)) == 1, "the edge's state is stored")
    assert ingest.status.protocol == "5"


def test_a_broker_that_is_stopped_hands_over_again_what_was_not_acknowledged(
    engine: Engine, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with running(Ingest(engine, over(at(mosquitto.port)), HurriedClock())) as ingest:
        assert ingest.wait_ready(20)
        with sender(mosquitto.port) as client:
            with locked(tmp_path / "central.db"):
                until(
                    lambda: publish(client, batch(1, [wire_punch()])) and bool(ingest.status.database_fault),
                    "the batch has reached the centre",
                )
                mosquitto.stop()
                mosquitto.start()
            until(lambda: len(rows(engine, punch)) == 1, "the batch is stored once")
            until(
                lambda: publish(client, batch(2, [wire_punch("8")])) and len(rows(engine, punch)) == 2,
                "the sender and the ingest are back",
            )
    assert len(rows(engine, quarantine)) == 0


def test_what_arrives_while_the_centre_is_down_is_handed_over_when_it_is_back(
    engine: Engine, mosquitto: Mosquitto
) -> None:
    with running(Ingest(engine, over(at(mosquitto.port)))) as ingest, sender(mosquitto.port) as client:
        assert ingest.wait_ready(20)
        until(lambda: publish(client, batch(1)) and ingest.status.batches > 0, "the subscription holds")
    with sender(mosquitto.port) as client:
        assert publish(client, batch(2, [wire_punch()]))
    with running(Ingest(engine, over(at(mosquitto.port)))):
        until(lambda: len(rows(engine, punch)) == 1, "the broker kept it for the centre")


def publish(client: PahoClient, what: Batch) -> bool:
    """Whether the client took it; a subscription that is not there yet misses it all the same."""
    return client.publish(PUNCHES, what.to_bytes()) is not None


@contextmanager
def sender(port: int) -> Iterator[PahoClient]:
    client = PahoClient(at(port), client_id=EDGE)
    client.start()
    try:
        until(lambda: client.connected, "the sender connects")
        yield client
    finally:
        client.stop()


# --- the embedded broker ---------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "hadir"])
def test_edge_and_centre_find_each_other_over_the_embedded_broker(
    engine: Engine, tmp_path: Path, user: str | None
) -> None:
    port = free_port()
    with (
        EmbeddedBroker("127.0.0.1", port, username=user, password=user) as broker,
        running(Ingest(engine, over(at(port, user)))) as ingest,
        edge_at(port, tmp_path, user=user) as (outbox, _),
    ):
        assert ingest.wait_ready(20)
        outbox.put("lobi", facts(), made_punches(1000))
        until(lambda: outbox.queued() == 0, "every punch is settled")
        assert broker.failed is None
        assert ingest.status.protocol == "3.1.1"
    assert len(view(engine, "v1_punch")) == 1000
    assert rows(engine, terminal)


def test_batches_of_one_stream_are_one_watermark_over_the_embedded_broker(engine: Engine) -> None:
    port = free_port()
    got: list[Receipt] = []
    with EmbeddedBroker("127.0.0.1", port), running(Ingest(engine, over(at(port)))) as ingest:
        assert ingest.wait_ready(20)
        client = PahoClient(
            at(port),
            client_id=EDGE,
            subscriptions=[topic(EDGE, "down", "ack")],
            on_message=lambda message: got.append(Receipt.model_validate_json(message.payload)),
        )
        client.start()
        until(lambda: client.connected, "the edge connects")

        def acknowledged() -> bool:
            client.publish(PUNCHES, batch(1, [wire_punch()]).to_bytes())
            return bool(got)

        until(acknowledged, "a receipt comes back")
        client.stop()
    assert (got[0].stream, got[0].committed) == (STREAM, ((1, 1),))
