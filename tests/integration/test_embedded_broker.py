"""The broker inside the centre: who is let in, and what is said when it cannot run."""

import logging
import socket
import threading

import pytest

from amqtt.broker import Broker
from attendance.errors import BrokerUnavailable, ConfigError
from centre import until
from mosquitto import free_port
from sync.broker import BrokerAddress, Message, PahoClient
from sync.embedded import EmbeddedBroker


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients spread their first reconnect over some seconds; here all take the shortest."""
    monkeypatch.setattr("random.randint", lambda low, _high: low)


def client(port: int, name: str, password: str | None = None, **rest: object) -> PahoClient:
    """A client as an edge's: with a last will, which makes an MQTT 5 CONNECT that amqtt cannot read."""
    address = BrokerAddress(
        host="127.0.0.1", port=port, username=None if password is None else "hadir", password=password
    )
    return PahoClient(address, client_id=name, will=("hadir/v1/x/up/state", b"{}"), **rest)  # type: ignore[arg-type]


def test_a_client_with_a_will_a_login_and_a_lasting_session_steps_down_from_mqtt_5() -> None:
    port = free_port()
    with EmbeddedBroker("127.0.0.1", port, "hadir", "secret"):
        edge = client(port, "setda-01", "secret", persistent_session=True, receive_maximum=20)
        edge.start()
        until(lambda: edge.connected, "the edge connects")
        assert edge.protocol == "3.1.1"
        edge.stop()


def test_who_does_not_know_the_login_is_not_let_in(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with EmbeddedBroker("127.0.0.1", port, "hadir", "secret"):
        for name, password in (("wrong", "guess"), ("without", None)):
            stranger = client(port, name, password)
            stranger.start()
            until(lambda: "wrong user name or password" in caplog.text, f"{name} is refused")
            assert not stranger.connected
            stranger.stop()
            caplog.clear()


def test_a_subscriber_that_is_away_for_a_moment_finds_its_messages() -> None:
    port = free_port()
    got: list[Message] = []

    def subscriber() -> PahoClient:
        made = client(port, "centre", persistent_session=True, subscriptions=["t"], on_message=got.append)
        made.start()
        until(lambda: made.connected, "the subscriber connects")
        return made

    with EmbeddedBroker("127.0.0.1", port):
        publisher = client(port, "edge")
        publisher.start()
        until(lambda: publisher.connected, "the publisher connects")
        first = subscriber()

        def heard() -> bool:
            publisher.publish("t", b"early")
            return bool(got)

        until(heard, "the subscription holds")
        first.stop()
        sent = iter(range(20))  # the first ones may come before the broker has noticed that nobody is there
        until(
            lambda: publisher.publish("t", b"late") is not None and next(sent, None) is None, "all are sent"
        )
        second = subscriber()
        until(lambda: got[-1].payload == b"late", "what came meanwhile is handed over")
        second.stop()
        publisher.stop()


def test_bytes_that_are_no_mqtt_end_only_their_own_connection(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with EmbeddedBroker("127.0.0.1", port) as broker:
        for noise in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x10",
            b"\x10\xff\xff\xff\x7f",
            b"\x10\x0a" + bytes(10),
            b"",
        ):
            with socket.create_connection(("127.0.0.1", port), 5) as stranger:
                stranger.sendall(noise)
                stranger.shutdown(socket.SHUT_WR)
                stranger.settimeout(10)
                assert stranger.recv(10) in (b"", bytes.fromhex("20020001"))
        good = client(port, "setda-01")
        good.start()
        until(lambda: good.connected, "a real client connects")
        good.stop()
        assert broker.failed is None
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{port} cannot listen: the port is in use"):
            EmbeddedBroker("127.0.0.1", port).start()


def test_stopping_frees_the_port_and_ends_the_thread() -> None:
    port = free_port()
    for _ in range(2):
        with EmbeddedBroker("127.0.0.1", port) as broker:
            assert broker.failed is None
        assert broker.failed is None
    assert "embedded-broker" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"host": "0.0.0.0"}, "anybody"),
        ({"host": "192.0.2.1"}, "anybody"),
        ({"host": "127.0.0.1", "username": "hadir"}, "go together"),
    ],
)
def test_terms_under_which_no_broker_may_run_are_refused(terms: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        EmbeddedBroker(port=1883, **terms)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"hadir\[embedded\]"):
        EmbeddedBroker("127.0.0.1", 1883)


def test_a_broker_that_ends_by_itself_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Broker] = []
    real = Broker.start

    async def start(broker: Broker) -> None:
        made.append(broker)
        await real(broker)

    monkeypatch.setattr(Broker, "start", start)
    with EmbeddedBroker("127.0.0.1", free_port()) as broker:
        task = made[0]._session_monitor_task  # noqa: SLF001 - what else could be made to end
        assert task is not None
        task.get_loop().call_soon_threadsafe(task.cancel)
        until(lambda: broker.failed is not None, "its end is noticed")
        assert "ended by itself" in str(broker.failed)
