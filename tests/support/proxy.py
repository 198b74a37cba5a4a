"""A TCP proxy that breaks connections in the ways that networks do."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Stands before a port of this machine. Every switch holds for all connections, at once.

    `deaf_client`: what the server says is thrown away. `cut_after`: bytes that a
    client may still send before its connection is reset in the middle of whatever it says.
    `passed_bytes`: in both directions together.
    """

    def __init__(self, target_port: int) -> None:
        self.deaf_client = False
        self.cut_after: int | None = None
        self.cuts = 0
        self.passed_bytes = 0
        self._target = target_port
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def cut(self) -> None:
        """Reset every connection now."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RDWR)
            self.cuts += 1

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: object, *arguments: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            self._start(self._pump, client, server, True)
            self._start(self._pump, server, client, False)

    def _pump(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if from_client and not self._may_pass(len(data)):
                    sink.sendall(data[: len(data) // 2])
                    self.cut()
                    break
                if from_client or not self.deaf_client:
                    sink.sendall(data)
                    self._count(len(data))
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def _count(self, size: int) -> None:
        with self._lock:
            self.passed_bytes += size

    def _may_pass(self, size: int) -> bool:
        with self._lock:
            if self.cut_after is None:
                return True
            self.cut_after -= size
            if self.cut_after >= 0:
                return True
            self.cut_after = None
            return False


@contextlib.contextmanager
def proxy_before(target_port: int) -> Iterator[Proxy]:
    """A proxy for the length of a test."""
    proxy = Proxy(target_port)
    try:
        yield proxy
    finally:
        proxy.close()
