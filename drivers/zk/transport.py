"""A TCP connection with deadlines. Knows no protocol."""

import socket
import time
from contextlib import suppress
from typing import Final, Self

from attendance.errors import DeviceTimeout, DeviceUnreachable, Obstacle

RECEIVE_BYTES: Final = 256 * 1024

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A peer without power is noticed within a minute, also when nothing is sent."""


class TcpTransport:
    """One TCP connection, used by one thread. `where` is its address, for messages.

    Deadlines are readings of `time.monotonic`.
    """

    def __init__(self, connection: socket.socket, where: str) -> None:
        self._socket = connection
        self.where = where

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
        """Write all of it, in one write. Raises DeviceTimeout, DeviceUnreachable."""
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(data)
        except (TimeoutError, BlockingIOError):
            raise DeviceTimeout(f"{self.where} takes no more bytes") from None
        except OSError as error:
            raise self._lost(error) from error

    def receive(self, *, deadline: float) -> bytes:
        """What has arrived, at least one byte; after the deadline only what is there already.

        Raises DeviceTimeout when nothing comes, DeviceUnreachable as soon as the peer has closed.
        """
        try:
            self._socket.settimeout(_left(deadline))
            chunk = self._socket.recv(RECEIVE_BYTES)
        except (TimeoutError, BlockingIOError):
            raise DeviceTimeout(f"{self.where} is silent") from None
        except OSError as error:
            raise self._lost(error) from error
        if not chunk:
            text = f"{self.where} closed the connection"
            raise DeviceUnreachable(text, obstacle=Obstacle.ENDED)
        return chunk

    def close(self) -> None:
        """End the connection; harmless twice."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _lost(self, error: OSError) -> DeviceUnreachable:
        text = f"the connection to {self.where} broke: {error.strerror or error}"
        return DeviceUnreachable(text, obstacle=Obstacle.ENDED)


def _left(deadline: float) -> float:
    """Seconds until the deadline; 0, which asks only for what is there, when it is over."""
    return max(0.0, deadline - time.monotonic())
