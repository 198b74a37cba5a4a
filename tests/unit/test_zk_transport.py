"""What the network does to a connection, in words for whoever must go and look."""

import socket
from collections.abc import Iterator
from time import monotonic

import pytest

from attendance.errors import DeviceTimeout, DeviceUnreachable, Obstacle
from drivers.zk.transport import TcpTransport, UdpTransport

SOON = 5.0


@pytest.fixture
def pair() -> Iterator[tuple[TcpTransport, socket.socket]]:
    ours, theirs = socket.socketpair()
    transport = TcpTransport(ours, "192.0.2.10:4370")
    yield transport, theirs
    transport.close()
    theirs.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), r"192.0.2.10:4370 does not answer \(waited 3 s\)"),
        (ConnectionRefusedError(), "refuses connections"),
        (socket.gaierror(-2, "Name or service not known"), "no address is known for 192.0.2.10"),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
    ],
)
def test_a_connection_that_fails_says_what_is_in_the_way(
    error: OSError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(DeviceUnreachable, match=words):
        TcpTransport.connect("192.0.2.10", 4370, timeout_s=3)


def test_what_is_there_already_is_given_also_after_the_deadline(
    pair: tuple[TcpTransport, socket.socket],
) -> None:
    transport, theirs = pair
    theirs.sendall(b"here")
    assert transport.receive(deadline=monotonic() - 1) == b"here"
    with pytest.raises(DeviceTimeout, match="silent"):
        transport.receive(deadline=monotonic() - 1)


def test_a_peer_that_closed_is_noticed_when_reading(pair: tuple[TcpTransport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(DeviceUnreachable, match=r"192\.0\.2\.10:4370 closed the connection"):
        transport.receive(deadline=monotonic() + SOON)


def test_a_peer_that_closed_is_noticed_when_writing(pair: tuple[TcpTransport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(DeviceUnreachable, match="broke: Broken pipe"):
        transport.send(b"hello", deadline=monotonic() + SOON)


def test_a_peer_that_reads_nothing_does_not_hold_us_for_ever(
    pair: tuple[TcpTransport, socket.socket],
) -> None:
    transport, _theirs = pair
    with pytest.raises(DeviceTimeout, match="takes no more"):
        transport.send(bytes(10_000_000), deadline=monotonic() + 0.05)


def test_closing_twice_is_harmless(pair: tuple[TcpTransport, socket.socket]) -> None:
    transport, _theirs = pair
    transport.close()
    transport.close()
    with pytest.raises(DeviceUnreachable):
        transport.receive(deadline=monotonic() + SOON)


@pytest.fixture
def datagrams() -> Iterator[tuple[UdpTransport, socket.socket]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        transport = UdpTransport.connect("127.0.0.1", theirs.getsockname()[1])
        yield transport, theirs
        transport.close()


def test_each_write_is_one_datagram_and_so_is_each_read(
    datagrams: tuple[UdpTransport, socket.socket],
) -> None:
    transport, theirs = datagrams
    transport.send(b"request", deadline=monotonic() + SOON)
    request, ours = theirs.recvfrom(100)
    assert request == b"request"
    for answer in (b"x" * 60_000, b"", b"second"):
        theirs.sendto(answer, ours)
    assert transport.receive(deadline=monotonic() + SOON) == b"x" * 60_000
    assert transport.receive(deadline=monotonic() + SOON) == b""
    assert transport.receive(deadline=monotonic() - 1) == b"second"
    with pytest.raises(DeviceTimeout, match=r"\(UDP\) is silent"):
        transport.receive(deadline=monotonic() - 1)


def test_a_port_without_a_listener_is_told(datagrams: tuple[UdpTransport, socket.socket]) -> None:
    transport, theirs = datagrams
    theirs.close()
    transport.send(b"request", deadline=monotonic() + SOON)
    with pytest.raises(DeviceUnreachable, match="refuses datagrams") as caught:
        transport.receive(deadline=monotonic() + SOON)
    assert caught.value.obstacle is Obstacle.CLOSED


def test_a_name_without_an_address_is_told_for_udp_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DeviceUnreachable, match="no address is known for lobi") as caught:
        UdpTransport.connect("lobi", 4370)
    assert caught.value.obstacle is Obstacle.NO_NAME
