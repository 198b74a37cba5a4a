"""A slow, far and lossy network before a port of this machine, for TCP and UDP."""

import heapq
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

SEGMENT_BYTES = 1400


@dataclass(frozen=True, slots=True)
class Link:
    """What a network does, in each direction for itself.

    `bytes_per_s` is its width, `delay_s` the way once, `jitter_s` what may come on top of it (over
    UDP packets then overtake each other), `loss` the part of packets lost. TCP sees a loss as a
    stall of `stall_s`, after which everything goes on in order.
    """

    bytes_per_s: float = 1e9
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    stall_s: float = 1.0
    seed: int = 1


GPRS = Link(bytes_per_s=10_000, delay_s=0.3, jitter_s=0.05, loss=0.02)


class _Direction:
    """One way of a link: carries packets to where they belong when they are due."""

    def __init__(self, link: Link, seed: str) -> None:
        self._link = link
        self._dice = random.Random(f"{link.seed} {seed}")
        self._free_at = 0.0
        self._last_due = 0.0
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._changed = threading.Condition()
        self._ended = False
        self.thread = threading.Thread(target=self._deliver, name="relay-direction")
        self.thread.start()

    def datagram(self, size: int, deliver: Callable[[], object]) -> None:
        """One packet that may be lost and may overtake."""
        due = self._sent(size)
        if self._dice.random() >= self._link.loss:
            self._put(due, deliver)

    def stream(self, size: int, deliver: Callable[[], object]) -> None:
        """A piece of a stream: it comes, in order, and late where packets of it are lost."""
        due = self._sent(size)
        for _ in range(0, max(size, 1), SEGMENT_BYTES):
            if self._dice.random() < self._link.loss:
                due += self._link.stall_s
        self._last_due = max(self._last_due, due)
        self._put(self._last_due, deliver)

    def end(self) -> None:
        """Drop what has not arrived."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self.thread is not threading.current_thread():
            self.thread.join()

    def _sent(self, size: int) -> float:
        self._free_at = max(self._free_at, monotonic()) + size / self._link.bytes_per_s
        return self._free_at + self._link.delay_s + self._dice.random() * self._link.jitter_s

    def _put(self, due: float, deliver: Callable[[], object]) -> None:
        with self._changed:
            self._count += 1
            heapq.heappush(self._waiting, (due, self._count, deliver))
            self._changed.notify()

    def _deliver(self) -> None:
        while True:
            with self._changed:
                while not self._ended and not (self._waiting and self._waiting[0][0] <= monotonic()):
                    left = self._waiting[0][0] - monotonic() if self._waiting else None
                    self._changed.wait(left)
                if self._ended:
                    return
                _due, _count, deliver = heapq.heappop(self._waiting)
            with suppress(OSError):
                deliver()


class Relay:
    """Listens on a port of its own, TCP and UDP, for as long as its block lasts."""

    def __init__(self, target_port: int, link: Link) -> None:
        self._target = ("127.0.0.1", target_port)
        self._link = link
        self._directions: list[_Direction] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._tcp, self._udp = _both_on_one_port()
        self.port: int = self._tcp.getsockname()[1]
        self._sockets += [self._tcp, self._udp]
        self._start(self._accept)
        self._start(self._forward_datagrams)

    def close(self) -> None:
        """End everything."""
        for direction in self._directions:
            direction.end()
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"", ("127.0.0.1", self.port))
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for opened in self._sockets:
            opened.close()

    def _start(self, work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work, name="relay")
        self._threads.append(thread)
        thread.start()

    def _direction(self, name: str) -> _Direction:
        self._directions.append(_Direction(self._link, name))
        return self._directions[-1]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _peer = self._tcp.accept()
                server = socket.create_connection(self._target, 5)
                server.settimeout(None)
                self._sockets += [client, server]
                for source, sink, name in ((client, server, "up"), (server, client, "down")):
                    sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    way = self._direction(name)
                    self._start(partial(_pump, source, sink, way))

    def _forward_datagrams(self) -> None:
        up = self._direction("up")
        down = self._direction("down")
        servers: dict[tuple[str, int], socket.socket] = {}
        with suppress(OSError):
            while True:
                data, client = self._udp.recvfrom(65535)
                if not data:
                    return
                if client not in servers:
                    server = servers[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    server.connect(self._target)
                    self._sockets.append(server)
                    self._start(partial(self._back, server, client, down))
                up.datagram(len(data), partial(servers[client].send, data))

    def _back(self, server: socket.socket, client: tuple[str, int], down: _Direction) -> None:
        with suppress(OSError):
            while data := server.recv(65535):
                down.datagram(len(data), partial(self._udp.sendto, data, client))


def _pump(source: socket.socket, sink: socket.socket, way: _Direction) -> None:
    with suppress(OSError):
        while data := source.recv(SEGMENT_BYTES):
            way.stream(len(data), partial(sink.sendall, data))
    way.stream(0, partial(sink.shutdown, socket.SHUT_RDWR))


def _both_on_one_port() -> tuple[socket.socket, socket.socket]:
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp


@contextmanager
def relay_before(target_port: int, link: Link) -> Iterator[Relay]:
    """A relay for the length of a test."""
    relay = Relay(target_port, link)
    try:
        yield relay
    finally:
        relay.close()
