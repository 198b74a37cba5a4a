"""A simulated terminal on a TCP port."""

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self

from attendance.errors import RemoteProtocolError
from attendance.punch import RawPunch
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Fault, Line, OneClient, delay_s, merges, pace_s, refusals
from drivers.zk.simulator.listener import Listener
from drivers.zk.simulator.model import SimulatedTerminal

RECEIVE_BYTES: Final = 65536


class TerminalServer:
    """Serves a terminal while its `with` block lasts; it listens from its making on.

    `faults` may be replaced at any time and hold for connections made after that.
    Raises ConfigError when the address cannot be had.
    """

    def __init__(
        self,
        terminal: SimulatedTerminal,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.terminal = terminal
        self._listener = Listener(host, port, self._serve)
        self._stopping = threading.Event()
        self.faults = faults

    @property
    def faults(self) -> Sequence[Fault]:
        """What goes wrong on new connections."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._listener.in_turn = OneClient() in self._faults

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
        """How many clients are connected."""
        return self._listener.connections

    def start(self) -> Self:
        """Begin to accept."""
        self._listener.start()
        return self

    def stop(self) -> None:
        """End every connection; when this returns, all threads and sockets are gone."""
        self._stopping.set()
        self._listener.stop()

    def drop_connections(self) -> None:
        """End the connections of the moment; new ones are welcome."""
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
        self._stopping = stopping
        self._conversation = TerminalConversation(terminal, terminal.next_session(), refusals(faults))
        self._guard = threading.Lock()
        self._out: SimpleQueue[list[bytes] | None] = SimpleQueue()

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
                    self._out.put(self._conversation.receive(chunk))
                    if self._conversation.ended:
                        return

    def _tell(self, punch: RawPunch) -> None:
        with self._guard:
            if frames := self._conversation.tell(punch):
                self._out.put(frames)

    def _write(self) -> None:
        line = Line(self._faults)
        with suppress(OSError):
            while not line.broken and (frames := self._out.get()) is not None:
                self._stopping.wait(delay_s(self._faults))
                if merges(self._faults):
                    frames = frames + self._waiting()
                for part in line.writes(frames):
                    self._socket.sendall(part)
                    self._stopping.wait(pace_s(self._faults))
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _waiting(self) -> list[bytes]:
        """Frames of further answers and events that are there already."""
        more: list[bytes] = []
        with suppress(Empty):
            while (frames := self._out.get_nowait()) is not None:
                more += frames
            self._out.put(None)
        return more
