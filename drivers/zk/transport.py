"""A TCP connection, and a UDP socket with one peer, both with deadlines. Knows no protocol."""

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar, Final, Protocol, Self

from attendance.errors import DeviceTimeout, DeviceUnreachable, Obstacle

RECEIVE_BYTES: Final = 256 * 1024

DATAGRAM_BYTES: Final = 65535
"""The longest there can be: of a shorter read the rest would be lost."""

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A peer without power is noticed within a minute, also when nothing is sent."""


class Transport(Protocol):
    """A way to one terminal, used by one thread. Deadlines are readings of `time.monotonic`."""

    datagrams: ClassVar[bool]
    """Whether each write and each read is one packet, which may be lost, doubled or late."""

    @property
    def where(self) -> str:
        """The terminal's address, for messages."""
        ...

    def send(self, data: bytes, *, deadline: float) -> None:
        """Write all of it, in one write. Raises DeviceTimeout, DeviceUnreachable."""
        ...

    def receive(self, *, deadline: float) -> bytes:
        """What has arrived; after the deadline only what is there already.

        Raises DeviceTimeout when nothing comes, DeviceUnreachable as soon as the peer is known to be gone.
        """
        ...

    def close(self) -> None:
        """End it; harmless twice."""
        ...


class _Socket(ABC):
    """A connected socket, each call of which has a deadline."""

    def __init__(self, connected: socket.socket, where: str) -> None:
        self._socket = connected
        self.where = where

    @contextmanager
    def _until(self, deadline: float, late: str) -> Iterator[None]:
        try:
            self._socket.settimeout(_left(deadline))
            yield
        except (TimeoutError, BlockingIOError):
            raise DeviceTimeout(f"{self.where} {late}") from None
        except OSError as error:
            raise self._lost(error) from error

    @abstractmethod
    def _lost(self, error: OSError) -> DeviceUnreachable: ...


class TcpTransport(_Socket):
    """One TCP connection: see Transport."""

    datagrams: ClassVar[bool] = False

    @classmethod
    def connect(cls, host: str, port: int, *, timeout_s: float) -> Self:
        """Connect. Raises DeviceUnreachable, which says what is in the way."""
        where = f"{host}:{port}"
        try:
            connection = socket.create_connection((host, port), timeout=timeout_s)
        except TimeoutError:
            text = (
                f"{where} does not answer (waited {timeout_s:g} s): is the terminal on and in this network?"
            )
            raise DeviceUnreachable(text, obstacle=Obstacle.NO_ANSWER) from None
        except ConnectionRefusedError:
            text = f"{where} refuses connections: is the port right, and is it a terminal?"
            raise DeviceUnreachable(text, obstacle=Obstacle.CLOSED) from None
        except socket.gaierror as error:
            text = f"no address is known for {host}: {error.strerror}"
            raise DeviceUnreachable(text, obstacle=Obstacle.NO_NAME) from error
        except OSError as error:
            text = f"{where} cannot be reached: {error.strerror or error}"
            raise DeviceUnreachable(text, obstacle=Obstacle.NO_ROUTE) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return cls(connection, where)

    def send(self, data: bytes, *, deadline: float) -> None:
        """See Transport."""
        with self._until(deadline, "takes no more bytes"):
            self._socket.sendall(data)

    def receive(self, *, deadline: float) -> bytes:
        """See Transport; at least one byte."""
        with self._until(deadline, "is silent"):
            chunk = self._socket.recv(RECEIVE_BYTES)
        if not chunk:
            text = f"{self.where} closed the connection"
            raise DeviceUnreachable(text, obstacle=Obstacle.ENDED)
        return chunk

    def close(self) -> None:
        """See Transport."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _lost(self, error: OSError) -> DeviceUnreachable:
        text = f"the connection to {self.where} broke: {error.strerror or error}"
        return DeviceUnreachable(text, obstacle=Obstacle.ENDED)


class UdpTransport(_Socket):
    """A UDP socket that hears one peer alone: see Transport."""

    datagrams: ClassVar[bool] = True

    @classmethod
    def connect(cls, host: str, port: int) -> Self:
        """Make ready; nothing is sent. Raises DeviceUnreachable where no way leads there."""
        where = f"{host}:{port} (UDP)"
        try:
            family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except socket.gaierror as error:
            text = f"no address is known for {host}: {error.strerror}"
            raise DeviceUnreachable(text, obstacle=Obstacle.NO_NAME) from error
        opened = socket.socket(family, kind, protocol)
        try:
            opened.connect(address)
        except OSError as error:
            opened.close()
            text = f"{where} cannot be reached: {error.strerror or error}"
            raise DeviceUnreachable(text, obstacle=Obstacle.NO_ROUTE) from error
        return cls(opened, where)

    def send(self, data: bytes, *, deadline: float) -> None:
        """See Transport."""
        with self._until(deadline, "takes no more bytes"):
            self._socket.send(data)

    def receive(self, *, deadline: float) -> bytes:
        """See Transport; one datagram, which may be empty."""
        with self._until(deadline, "is silent"):
            return self._socket.recv(DATAGRAM_BYTES)

    def close(self) -> None:
        """See Transport."""
        self._socket.close()

    def _lost(self, error: OSError) -> DeviceUnreachable:
        if isinstance(error, ConnectionRefusedError):
            text = f"{self.where} refuses datagrams: is the port right, and is it a terminal?"
            return DeviceUnreachable(text, obstacle=Obstacle.CLOSED)
        text = f"{self.where} cannot be reached: {error.strerror or error}"
        return DeviceUnreachable(text, obstacle=Obstacle.NO_ROUTE)


def _left(deadline: float) -> float:
    """Seconds until the deadline; 0, which asks only for what is there, when it is over."""
    return max(0.0, deadline - time.monotonic())
