"""A TCP listener with a thread for each connection, that stops without leaving a thread or a socket."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from attendance.errors import ConfigError

Serve = Callable[[socket.socket], None]
"""Serves one connection until it ends; OSError is its usual end. The socket is closed for it."""


class Listener:
    """Listens from its making, accepts from `start` to `stop`.

    Raises ConfigError when the address cannot be had. With `in_turn` a connection is
    served only when the one before has ended. One that `refuses` holds its port closed.
    """

    def __init__(self, host: str, port: int, serve: Serve, *, refuses: bool = False) -> None:
        self._refuses = refuses
        try:
            self._listening = (_held if refuses else _opened)(host, port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another") from None
        self.host = host
        self.port = int(self._listening.getsockname()[1])
        self.in_turn = False
        self._serve = serve
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, name=f"listen-{self.port}", daemon=True)

    def start(self) -> Self:
        """Begin to accept."""
        if not self._refuses:
            self._acceptor.start()
        return self

    def stop(self) -> None:
        """End every connection; when this returns, all threads and sockets are gone. May be called again."""
        with self._lock:
            self._stopping = True
        # Closing alone does not wake a thread that waits in accept.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self.drop_all()
        if self._acceptor.ident is not None:
            self._acceptor.join()
        self._listening.close()

    def drop_all(self) -> None:
        """End the connections of the moment, as a network that breaks would; waits for their threads."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            threads = list(self._open.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    def __enter__(self) -> Self:
        """Begin to accept."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `stop`."""
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._run, args=(connection,), name=f"client-of-{self.port}", daemon=True
            )
            with self._lock:
                if self._stopping:
                    connection.close()
                    return
                self._open[connection] = thread
                thread.start()
            if self.in_turn:
                thread.join()

    def _run(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):
                self._serve(connection)
        finally:
            with self._lock:
                del self._open[connection]
                connection.close()


def _opened(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), backlog=128)


def _held(host: str, port: int) -> socket.socket:
    """A socket that has the port for itself and takes no connections."""
    holding = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        holding.bind((host, port))
    except OSError:
        holding.close()
        raise
    return holding
