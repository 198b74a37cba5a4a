"""The edge's half of the lossless path on a real Mosquitto: what must not get lost on the way."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attendance.clock import SystemClock
from centre import LittleCentre, until
from made import facts, made_punch, made_punches
from mosquitto import Mosquitto, free_port, running_mosquitto
from proxy import proxy_before
from sync.broker import BrokerAddress, ProtocolName
from sync.envelope import Batch, EdgeState, TerminalHealth
from sync.outbox import Outbox
from sync.publisher import Publisher, edge_client

EDGE = "setda-01"


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients spread their first reconnect over some seconds; here all take the shortest."""
    monkeypatch.setattr("random.randint", lambda low, _high: low)


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with running_mosquitto() as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge=EDGE) as opened:
        yield opened


@contextmanager
def publishing(
    outbox: Outbox, port: int, *, protocol: ProtocolName = "5", address: BrokerAddress | None = None
) -> Iterator[Publisher]:
    publisher = Publisher(
        EDGE,
        outbox,
        address or BrokerAddress(host="127.0.0.1", port=port),
        clock=SystemClock(),
        version="test",
        connect=lambda made: edge_client(made, protocol=protocol),
    )
    stop = threading.Event()
    thread = threading.Thread(target=publisher.run, args=(stop,))
    thread.start()
    try:
        yield publisher
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


@contextmanager
def centre_at(port: int, *, mute: bool = False, protocol: ProtocolName = "5") -> Iterator[LittleCentre]:
    centre = LittleCentre(port, edge=EDGE, mute=mute, protocol=protocol)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_everything_arrives_and_is_settled_by_receipts(
    broker: Mosquitto, outbox: Outbox, protocol: ProtocolName
) -> None:
    punches = made_punches(30_000)
    outbox.put("lobi", facts(), punches)
    with (
        centre_at(broker.port, protocol=protocol) as centre,
        publishing(outbox, broker.port, protocol=protocol) as edge,
    ):
        assert edge.wait_drained(60)
        assert len(centre.copies()) == len(centre.punches()) == len(punches)
        state = EdgeState.model_validate_json(centre.others[f"hadir/v1/{EDGE}/up/state"])
        assert (state.state, state.protocol, state.version) == ("online", protocol, "test")
        outbox.put("lobi", facts(), [made_punch(90_000)])
        assert edge.wait_drained(10)
    assert len(centre.punches()) == len(punches) + 1


def test_a_puback_settles_nothing(broker: Mosquitto, outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(10))
    with centre_at(broker.port, mute=True) as centre, publishing(outbox, broker.port) as edge:
        until(lambda: bool(centre.batches), "the batch comes")
        assert not edge.wait_drained(0.5)
        assert outbox.queued() == 10
        centre.acknowledge_all()
        assert edge.wait_drained(10)


def test_a_lost_receipt_is_made_up_for_by_sending_again(broker: Mosquitto, outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(10))
    with centre_at(broker.port, mute=True) as centre, publishing(outbox, broker.port) as edge:
        until(lambda: bool(centre.batches), "the batch comes")
        centre.mute = False
        assert edge.wait_drained(30)
        (copies,) = centre.batches.values()
        assert len(copies) >= 2
        assert len(set(copies)) == 1


def test_a_broker_that_is_down_at_start_loses_nothing(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    outbox.put("lobi", facts(), made_punches(1000))
    with publishing(outbox, port) as edge:
        until(lambda: "connection refused" in caplog.text, "the log names the trouble")
        broker = Mosquitto(port=port)
        try:
            broker.start()
            with centre_at(port) as centre:
                assert edge.wait_drained(30)
                assert len(centre.punches()) == 1000
        finally:
            broker.remove()
    lost = [record for record in caplog.records if "connection refused" in record.getMessage()]
    assert len(lost) == 1
    assert f"127.0.0.1:{port}" in lost[0].getMessage()


def test_a_broker_that_forgets_everything_in_the_middle_loses_nothing(
    broker: Mosquitto, outbox: Outbox
) -> None:
    with centre_at(broker.port, mute=True) as centre, publishing(outbox, broker.port) as edge:
        outbox.put("lobi", facts(), made_punches(5000))
        until(lambda: len(centre.batches) >= 3, "some batches come")
        broker.kill()
        broker.forget()
        outbox.put("lobi", facts(), made_punches(5000, start=5000))
        centre.mute = False
        broker.start()
        assert edge.wait_drained(60)
        assert len(centre.punches()) == 10_000


def test_a_terminals_health_is_retained_and_comes_again_after_a_reconnect(
    broker: Mosquitto, outbox: Outbox
) -> None:
    path = f"hadir/v1/{EDGE}/up/terminals/lobi"
    health = TerminalHealth(terminal="lobi", state="online", at=made_punch(0).at, records=5)
    with publishing(outbox, broker.port) as edge:
        edge.report(health.model_copy(update={"records": 4}))
        edge.report(health)
        with centre_at(broker.port) as centre:
            until(lambda: path in centre.others, "the health comes, though it was published before")
            until(
                lambda: TerminalHealth.model_validate_json(centre.others[path]).records == 5,
                "the latest holds",
            )
            broker.kill()
            broker.forget()
            centre.others.clear()
            broker.start()
            until(lambda: path in centre.others, "the health comes again to a broker that forgot it")


def test_a_clean_stop_reads_as_offline(broker: Mosquitto, outbox: Outbox) -> None:
    path = f"hadir/v1/{EDGE}/up/state"
    with centre_at(broker.port) as centre:
        with publishing(outbox, broker.port):
            until(lambda: b'"online"' in centre.others.get(path, b""), "the edge is online")
        until(lambda: b'"offline"' in centre.others[path], "the edge says that it goes")


def test_an_edge_that_vanishes_reads_as_offline(broker: Mosquitto, outbox: Outbox) -> None:
    path = f"hadir/v1/{EDGE}/up/state"
    with (
        proxy_before(broker.port) as proxy,
        centre_at(broker.port) as centre,
        publishing(outbox, proxy.port),
    ):
        until(lambda: b'"online"' in centre.others.get(path, b""), "the edge is online")
        proxy.cut()
        until(lambda: b'"offline"' in centre.others[path], "the broker says that it is gone")
        until(lambda: b'"online"' in centre.others[path], "the edge is back")


def test_a_connection_that_breaks_inside_batches_loses_nothing(broker: Mosquitto, outbox: Outbox) -> None:
    punches = made_punches(15_000)
    with (
        proxy_before(broker.port) as proxy,
        centre_at(broker.port) as centre,
        publishing(outbox, proxy.port) as edge,
    ):
        until(lambda: bool(centre.others), "the edge is online")
        for cut, part in enumerate((punches[:5000], punches[5000:10_000], punches[10_000:]), start=1):
            proxy.cut_after = 70_000
            outbox.put("lobi", facts(), part)
            until(lambda cut=cut: proxy.cuts >= cut, "the connection breaks")  # type: ignore[misc]
        assert edge.wait_drained(60)
        assert len(centre.copies()) == len(centre.punches()) == len(punches)


def test_a_line_that_carries_only_one_way_settles_nothing_and_loses_nothing(
    broker: Mosquitto, outbox: Outbox
) -> None:
    with (
        proxy_before(broker.port) as proxy,
        centre_at(broker.port) as centre,
        publishing(outbox, proxy.port) as edge,
    ):
        until(lambda: bool(centre.others), "the edge is online")
        proxy.deaf_client = True
        outbox.put("lobi", facts(), made_punches(100))
        until(lambda: len(centre.punches()) == 100, "the batch comes, and its receipt gets lost")
        assert outbox.queued() == 100
        proxy.deaf_client = False
        proxy.cut()
        assert edge.wait_drained(30)
        (copies,) = centre.batches.values()
        assert len(set(copies)) == 1


def test_a_wrong_password_is_one_clear_line(
    broker: Mosquitto, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with running_mosquitto(settings="allow_anonymous false\n") as closed:
        address = BrokerAddress(host="127.0.0.1", port=closed.port, username=EDGE, password="wrong")
        with publishing(outbox, closed.port, address=address):
            until(lambda: closed.log.count("not authorised") >= 2, "it is refused, and tries again")
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert "wrong user name or password" in lines[0]
    assert f"127.0.0.1:{closed.port}" in lines[0]
    assert "wrong\n" not in caplog.text


def test_a_broker_that_refuses_what_we_publish_is_named(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    acl = "allow_anonymous true\nacl_file {path}\n"
    broker = Mosquitto()
    rules = broker.directory / "acl"
    rules.write_text("topic read hadir/#\n")
    broker.settings = acl.format(path=rules)
    outbox.put("lobi", facts(), [made_punch(0)])
    try:
        broker.start()
        with publishing(outbox, broker.port):
            until(lambda: "refuses what edge" in caplog.text, "the refusal is told")
        assert outbox.queued() == 1
    finally:
        broker.remove()


def test_batches_sent_again_have_the_same_content(broker: Mosquitto, outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(700))
    with centre_at(broker.port, mute=True) as centre:
        for _ in range(2):
            with publishing(outbox, broker.port):
                seen = {key: len(copies) for key, copies in centre.batches.items()}
                until(
                    lambda seen=seen: (
                        len(centre.batches) == 2  # type: ignore[misc]
                        and all(len(copies) > seen.get(key, 0) for key, copies in centre.batches.items())
                    ),
                    "both batches come",
                )
            outbox.put("lobi", facts(group="other"), made_punches(10, start=0))
        assert all(len(set(copies)) == 1 for copies in centre.batches.values())
        sizes = [len(Batch.model_validate_json(copies[0]).punches) for copies in centre.batches.values()]
        assert sizes == [500, 200]
