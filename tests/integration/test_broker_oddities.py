"""Odd brokers, and a network thread that dies: neither may end the session for good."""

import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import MQTTErrorCode

from centre import until
from mosquitto import running_mosquitto
from sync.broker import BrokerAddress, PahoClient

ACCEPTED_311 = b"\x20\x02\x00\x00"
WRONG_VERSION_311 = b"\x20\x02\x00\x01"
ACCEPTED_5 = b"\x20\x03\x00\x00\x00"
WRONG_VERSION_5 = b"\x20\x03\x00\x84\x00"
SUBSCRIPTION_REFUSED_311 = b"\x90\x03\x00\x01\x80"
BAD_PACKET = b"\x36\x00"


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randint", lambda low, _high: low)
    monkeypatch.setattr("sync.broker._PAUSE_AFTER_FAILURE_S", 0.1)


@contextmanager
def scripted(connections: Sequence[Sequence[bytes]]) -> Iterator[int]:
    """A port that answers the packets of each connection by the script, until it is closed."""
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        for answers in connections:
            try:
                visitor, _ = server.accept()
            except OSError:
                return
            held.append(visitor)
            for answer in answers:
                if not visitor.recv(4096):
                    break
                visitor.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for one in (server, *held):
            one.close()


@contextmanager
def client_of(port: int, *, subscriptions: Sequence[str] = ()) -> Iterator[PahoClient]:
    client = PahoClient(
        BrokerAddress(host="127.0.0.1", port=port), client_id="e", subscriptions=subscriptions
    )
    client.start()
    try:
        yield client
    finally:
        client.stop()


def test_a_broker_that_knows_neither_version_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with (
        scripted([[WRONG_VERSION_5], [WRONG_VERSION_311], [ACCEPTED_311]]) as port,
        client_of(port) as client,
    ):
        until(lambda: "speaks neither MQTT 5 nor 3.1.1" in caplog.text, "it is told")
        assert not client.connected
        assert client.protocol == "3.1.1"


def test_a_refused_subscription_is_told(caplog: pytest.LogCaptureFixture) -> None:
    script = [[WRONG_VERSION_5], [ACCEPTED_311, SUBSCRIPTION_REFUSED_311]]
    with scripted(script) as port, client_of(port, subscriptions=["hadir/v1/e/down/ack"]):
        until(lambda: "refuses e a subscription (hadir/v1/e/down/ack)" in caplog.text, "it is told")


def test_a_packet_that_nobody_can_read_ends_in_a_new_session(caplog: pytest.LogCaptureFixture) -> None:
    with scripted([[ACCEPTED_5 + BAD_PACKET], [ACCEPTED_5]]) as port, client_of(port):
        until(lambda: caplog.text.count("no session with the MQTT broker") >= 1, "the loss is told")
        caplog.set_level(logging.INFO)
        until(lambda: "connected again" in caplog.text, "a new session")


def test_a_network_thread_that_dies_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deaths: list[int] = []
    alive = mqtt.Client.loop_forever

    def dies_once(
        client: mqtt.Client,
        timeout: float = 1.0,
        retry_first_connection: bool = False,  # noqa: FBT001, FBT002
    ) -> MQTTErrorCode:
        if not deaths:
            deaths.append(1)
            raise RuntimeError("a bug of a library")
        return alive(client, timeout, retry_first_connection)

    monkeypatch.setattr(mqtt.Client, "loop_forever", dies_once)
    with running_mosquitto() as broker, client_of(broker.port) as client:
        until(lambda: client.connected, "a session by a second thread")
        assert client.publish("hadir/v1/e/up/punches", b"") is not None
    assert caplog.text.count("the network thread ended: a bug of a library") == 1
