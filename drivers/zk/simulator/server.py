"""A simulated terminal on a TCP port and on the UDP port of the same number."""

import socket
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self

from attendance.errors import ConfigError, RemoteProtocolError
from attendance.punch import RawPunch
from drivers.zk.packet import Packet
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.datagrams import DatagramService
from drivers.zk.simulator.faults import Fault, OneClient, SilentTcp, Speed, chosen, delay_s, merges, rest_s
from drivers.zk.simulator.line import Line, pieces
from drivers.zk.simulator.listener import Listener
from drivers.zk.simulator.model import SimulatedTerminal

RECEIVE_BYTES: Final = 65536

SLOW_BYTES: Final = 2048
"""A terminal whose speed is limited sends so much at once."""

TCP: Final = "tcp"
UDP: Final = "udp"
TRANSPORTS: Final = frozenset({TCP, UDP})

PORTS_TRIED: Final = 50
"""A free TCP port may be taken for UDP."""


class TerminalServer:
    """Serves a terminal while its `with` block lasts; its ports are held from its making on.

    Without "tcp" among its transports the TCP port refuses connections; without "udp" that
    port is closed. `faults` may be replaced at any time and hold for clients that come
    after that. Raises ConfigError when the address cannot be had.
    """

    def __init__(
        self,
        terminal: SimulatedTerminal,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[Fault] = (),
        transports: Collection[str] = TRANSPORTS,
    ) -> None:
        self.terminal = terminal
        self._stopping = threading.Event()
        self.transports = frozenset(transports)
        self._accepts = TCP in transports
        self._listener, self._datagrams = self._bound(host, port, wants_udp=UDP in transports)
        self.faults = faults

    def _bound(self, host: str, port: int, *, wants_udp: bool) -> tuple[Listener, DatagramService | None]:
        for left in reversed(range(PORTS_TRIED)):
            listener = Listener(host, port, self._serve, refuses=not self._accepts)
            if not wants_udp:
                return listener, None
            try:
                return listener, DatagramService(self.terminal, host, listener.port)
            except ConfigError:
                listener.stop()
                if port or not left:
                    raise
        raise AssertionError("the last port tried is returned or raised")

    @property
    def faults(self) -> Sequence[Fault]:
        """What goes wrong for new clients."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._listener.in_turn = bool(chosen(self._faults, OneClient))
        if self._datagrams is not None:
            self._datagrams.faults = self._faults

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._listener.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    @property
    def connections(self) -> int:
        """How many clients are connected, over TCP and UDP together."""
        return self._listener.connections + (self._datagrams.sessions if self._datagrams else 0)

    def start(self) -> Self:
        """Begin to accept."""
        self._listener.start()
        if self._datagrams is not None:
            self._datagrams.start()
        return self

    def stop(self) -> None:
        """End every connection; when this returns, all threads and sockets are gone."""
        self._stopping.set()
        if self._datagrams is not None:
            self._datagrams.stop()
        self._listener.stop()

    def drop_connections(self) -> None:
        """End the connections and sessions of the moment; new ones are welcome."""
        if self._datagrams is not None:
            self._datagrams.forget_all()
        self._listener.drop_all()

    def __enter__(self) -> Self:
        """Begin to accept."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `stop`."""
        self.stop()

    def _serve(self, connection: socket.socket) -> None:
        _Connection(connection, self.terminal, self._faults, self._stopping).run()


class _Connection:
    """One client: the listener's thread reads, a second one writes, and punches come from any.

    The writer has a queue, so that neither a slow client nor a fault can hold up whoever punches.
    """

    def __init__(
        self,
        connection: socket.socket,
        terminal: SimulatedTerminal,
        faults: Sequence[Fault],
        stopping: threading.Event,
    ) -> None:
        self._socket = connection
        self._terminal = terminal
        self._faults = faults
        self._mute = bool(chosen(faults, SilentTcp))
        self._stopping = stopping
        self._conversation = TerminalConversation(terminal, terminal.next_session(), faults)
        self._guard = threading.Lock()
        self._out: SimpleQueue[list[Packet] | None] = SimpleQueue()

    def run(self) -> None:
        """Serve until the client or the terminal ends it."""
        writer = threading.Thread(target=self._write, name="terminal-writer", daemon=True)
        writer.start()
        end_events = self._terminal.on_punch(self._tell)
        try:
            self._read()
        finally:
            end_events()
            self._out.put(None)
            writer.join()

    def _read(self) -> None:
        with suppress(OSError, RemoteProtocolError):
            while chunk := self._socket.recv(RECEIVE_BYTES):
                with self._guard:
                    for answer in self._conversation.receive(chunk):
                        self._out.put(answer)
                    if self._conversation.ended:
                        return

    def _tell(self, punch: RawPunch) -> None:
        with self._guard:
            if event := self._conversation.tell(punch):
                self._out.put(event)

    def _write(self) -> None:
        line = Line(self._faults)
        with suppress(OSError):
            while not line.broken and (packets := self._out.get()) is not None:
                self._stopping.wait(delay_s(self._faults))
                if merges(self._faults):
                    packets = packets + self._waiting()
                for part in line.writes(packets if not self._mute else []):
                    self._send(part)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _send(self, part: bytes) -> None:
        for piece in pieces(part, SLOW_BYTES) if chosen(self._faults, Speed) else [part]:
            self._socket.sendall(piece)
            self._stopping.wait(rest_s(self._faults, len(piece)))

    def _waiting(self) -> list[Packet]:
        """Packets of further answers and events that are there already."""
        more: list[Packet] = []
        with suppress(Empty):
            while (packets := self._out.get_nowait()) is not None:
                more += packets
            self._out.put(None)
        return more
