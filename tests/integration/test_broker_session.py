"""The session with the broker: what it survives, and what it says when it cannot come about."""

import asyncio
import logging
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from amqtt.broker import Broker
from attendance.errors import ConfigError
from centre import until
from mosquitto import Mosquitto, free_port, running_mosquitto
from proxy import proxy_before
from sync.broker import BrokerAddress, Message, PahoClient, ProtocolName

TOPIC = "hadir/v1/e/up/punches"


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients spread their first reconnect over some seconds; here all take the shortest."""
    monkeypatch.setattr("random.randint", lambda low, _high: low)


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with running_mosquitto() as running:
        yield running


def local(port: int) -> BrokerAddress:
    return BrokerAddress(host="127.0.0.1", port=port)


@contextmanager
def connecting(client: PahoClient) -> Iterator[PahoClient]:
    client.start()
    try:
        yield client
    finally:
        client.stop()


@contextmanager
def connected(client: PahoClient) -> Iterator[PahoClient]:
    with connecting(client):
        until(lambda: client.connected, "a session")
        yield client


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_stale_acknowledgement_is_not_taken_for_a_new_message(
    broker: Mosquitto, protocol: ProtocolName
) -> None:
    held: list[Message] = []

    def receiver() -> PahoClient:
        return PahoClient(
            local(broker.port),
            client_id="centre",
            subscriptions=[TOPIC],
            on_message=held.append,
            persistent_session=True,
            manual_ack=True,
            receive_maximum=50,
            protocol=protocol,
        )

    with connected(PahoClient(local(broker.port), client_id="e", protocol=protocol)) as sender:
        with connected(receiver()) as centre:
            for place in range(5):
                sender.publish(TOPIC, b"old %d" % place)
            until(lambda: len(held) == 5, "five messages come and are held")
            broker.kill()
            broker.forget()
            old = held.copy()
            held.clear()
            until(lambda: not centre.connected and not sender.connected, "the loss is noticed")
            broker.start()
            until(lambda: centre.connected and sender.connected, "both are back")
            for place in range(5):
                sender.publish(TOPIC, b"new %d" % place)
            until(lambda: len(held) == 5, "five new ones come, with the same packet ids")
            assert {message.token[0] for message in held} == {message.token[0] for message in old}
            for message in old:
                centre.ack(message)
        held.clear()
        with connected(receiver()):
            until(lambda: len(held) == 5, "the new ones come again: nobody has acknowledged them")
    assert {message.payload for message in held} == {b"new %d" % place for place in range(5)}


def test_a_handler_that_fails_gets_its_message_again(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[bytes] = []

    def fails_once(message: Message) -> None:
        seen.append(message.payload)
        if len(seen) == 1:
            raise RuntimeError("a bug")

    centre = PahoClient(
        local(broker.port),
        client_id="centre",
        subscriptions=[TOPIC],
        on_message=fails_once,
        persistent_session=True,
        manual_ack=True,
    )
    with connected(centre), connected(PahoClient(local(broker.port), client_id="e")) as sender:
        sender.publish(TOPIC, b"punches")
        until(lambda: seen == [b"punches", b"punches"], "it comes again in a new session")
    assert caplog.text.count("opening a new session") == 1


def test_a_session_that_is_cut_again_and_again_comes_back(broker: Mosquitto) -> None:
    sessions = threading.Semaphore(0)
    with proxy_before(broker.port) as proxy:
        client = PahoClient(local(proxy.port), client_id="e", on_connected=sessions.release)
        with connected(client):
            for _ in range(2):
                assert sessions.acquire(timeout=20)
                proxy.cut()
            assert sessions.acquire(timeout=20)
            assert client.publish(TOPIC, b"still here") is not None


def test_nothing_is_taken_without_a_session() -> None:
    client = PahoClient(local(free_port()), client_id="e")
    assert client.publish(TOPIC, b"") is None
    with connecting(client):
        assert client.publish(TOPIC, b"") is None
        client.ack(Message(TOPIC, b"", (1, 1)))
    client.stop()


@contextmanager
def running_amqtt(port: int) -> Iterator[None]:
    """A broker that knows MQTT 3.1.1 only."""
    loop = asyncio.new_event_loop()
    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    begun = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        running = Broker(settings, loop=loop)
        loop.run_until_complete(running.start())
        begun.set()
        loop.run_forever()
        loop.run_until_complete(running.shutdown())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sync")
    port = free_port()
    got: list[Message] = []
    with running_amqtt(port):
        edge = PahoClient(local(port), client_id="e", subscriptions=[TOPIC], on_message=got.append)
        with connected(edge):
            assert edge.protocol == "3.1.1"
            assert edge.publish(TOPIC, b"punches") is not None
            until(lambda: bool(got), "a message goes through")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("sync.")]
    assert ours == [
        f"the MQTT broker at 127.0.0.1:{port} does not speak MQTT 5; going on with 3.1.1",
        f"connected to the MQTT broker at 127.0.0.1:{port} (MQTT 3.1.1)",
    ]


def test_a_port_that_is_no_broker_is_one_clear_line(caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        visits: list[int] = []

        def hang_up() -> None:
            while len(visits) < 2:
                visitor, _ = server.accept()
                visitor.recv(1024)
                visitor.close()
                visits.append(1)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with connecting(PahoClient(local(server.getsockname()[1]), client_id="e")):
            until(lambda: len(visits) == 2, "it tries twice")
        thread.join(10)
    (line,) = warnings_in(caplog)
    assert "closed the connection without an answer" in line
    assert "TLS" in line


def test_two_clients_with_one_id_are_named(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with (
        connected(PahoClient(local(broker.port), client_id="twin")),
        connected(PahoClient(local(broker.port), client_id="twin")),
    ):
        until(lambda: "does another client use the id 'twin'?" in caplog.text, "it is told")


# --- TLS


def openssl(directory: Path, *arguments: str) -> None:
    program = shutil.which("openssl")
    assert program is not None, "openssl is missing: apt-get install openssl"
    subprocess.run([program, *arguments], cwd=directory, check=True, capture_output=True)


def make_authority(directory: Path, name: str) -> None:
    openssl(
        directory,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
    )


@pytest.fixture
def tls_broker() -> Iterator[Mosquitto]:
    """A broker whose certificate is signed by `ours.pem`; `other.pem` is a stranger."""
    running = Mosquitto()
    directory = running.directory
    for name in ("ours", "other"):
        make_authority(directory, name)
    openssl(
        directory,
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"),
        *("-keyout", "server.key", "-out", "server.csr"),
    )
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        directory,
        *("x509", "-req", "-in", "server.csr", "-CA", "ours.pem", "-CAkey", "ours.key", "-CAcreateserial"),
        *("-days", "2", "-extfile", "names", "-out", "server.pem"),
    )
    running.settings = (
        f"allow_anonymous true\ncafile {directory}/ours.pem\n"
        f"certfile {directory}/server.pem\nkeyfile {directory}/server.key\n"
    )
    try:
        running.start()
        yield running
    finally:
        running.remove()


def test_tls_is_used_where_ca_file_is_given(tls_broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    address = BrokerAddress(host="127.0.0.1", port=tls_broker.port, ca_file=tls_broker.directory / "ours.pem")
    with connected(PahoClient(address, client_id="e")) as client:
        assert client.publish(TOPIC, b"punches") is not None
    assert warnings_in(caplog) == []


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
def test_a_broker_with_a_strangers_certificate_is_not_trusted(
    tls_broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    address = BrokerAddress(
        host="127.0.0.1", port=tls_broker.port, ca_file=tls_broker.directory / "other.pem"
    )
    with connecting(PahoClient(address, client_id="e")) as client:
        until(lambda: bool(warnings_in(caplog)), "the trouble is told")
        assert not client.connected
    (line,) = warnings_in(caplog)
    assert "its certificate is not accepted" in line
    assert "ca_file" in line


def test_a_key_that_does_not_fit_is_wrong_configuration(tls_broker: Mosquitto) -> None:
    directory = tls_broker.directory
    address = BrokerAddress(
        host="127.0.0.1",
        port=tls_broker.port,
        ca_file=directory / "ours.pem",
        cert_file=directory / "ours.pem",
        key_file=directory / "other.key",
    )
    with pytest.raises(
        ConfigError, match=r"\[mqtt\] cert_file .*ours.pem, key_file .*other.key: cannot be used"
    ):
        PahoClient(address, client_id="e").start()


def test_an_empty_host_is_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="host is empty"):
        PahoClient(BrokerAddress(host="", port=1883), client_id="e").start()
