"""A simulated terminal on a UDP port: one thread reads, one sends, and punches come from any."""

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, Self

from attendance.errors import ConfigError, RemoteProtocolError
from attendance.punch import RawPunch
from drivers.zk.packet import HEADER_BYTES, Packet, decode
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Fault, OneClient, chosen, delay_s, rest_s
from drivers.zk.simulator.line import DatagramLine
from drivers.zk.simulator.model import SimulatedTerminal

DATA_BYTES: Final = 1024
"""The most that a datagram carries beside its header, as captured; more of a request is lost."""

MOST_PEERS: Final = 64
"""The address that was heard first is forgotten when another one comes."""

Peer = tuple[str, int]


class _Client:
    """One address: its conversation and its line."""

    def __init__(self, terminal: SimulatedTerminal, faults: Sequence[Fault]) -> None:
        self.faults = faults
        self.conversation = TerminalConversation(
            terminal, terminal.next_session(), faults, most_data_bytes=DATA_BYTES
        )
        self.line = DatagramLine(faults)


class DatagramService:
    """Serves a terminal on a port of its own from `start` to `stop`.

    `faults` hold for addresses heard first after they were set. Raises ConfigError when
    the address cannot be had.
    """

    def __init__(self, terminal: SimulatedTerminal, host: str, port: int) -> None:
        self._terminal = terminal
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"cannot listen on {host}:{port} over UDP: {reason}; choose another") from None
        self.port = int(self._socket.getsockname()[1])
        self.faults: Sequence[Fault] = ()
        self._guard = threading.Lock()
        self._clients: dict[Peer, _Client] = {}
        self._out: SimpleQueue[tuple[Peer, _Client, list[Packet]] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"{name}-{self.port}", daemon=True)
            for name, work in (("datagrams-to", self._read), ("datagrams-of", self._write))
        ]

    def start(self) -> Self:
        """Begin to answer."""
        self._end_events = self._terminal.on_punch(self._tell)
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """When this returns, threads and socket are gone. May be called again."""
        if not self._stopping.is_set() and self._threads[0].ident is not None:
            self._stopping.set()
            self._end_events()
            self._out.put(None)
            # Closing does not wake a thread that waits for a datagram; one does.
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
                waking.sendto(b"", self._socket.getsockname())
            for thread in self._threads:
                thread.join()
        self._socket.close()

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return sum(client.conversation.connected for client in list(self._clients.values()))

    def forget_all(self) -> None:
        """Drop every session, as a terminal that restarts would."""
        with self._guard:
            self._clients.clear()

    def _read(self) -> None:
        while not self._stopping.is_set():
            with suppress(OSError, RemoteProtocolError):
                datagram, peer = self._socket.recvfrom(HEADER_BYTES + DATA_BYTES)
                with self._guard:
                    self._take(datagram, peer)

    def _take(self, datagram: bytes, peer: Peer) -> None:
        client = self._client(peer)
        if client is None:
            return
        for arrived in client.line.takes(datagram):
            answer = client.conversation.answer(decode(arrived))
            self._out.put((peer, client, answer))
        if client.conversation.ended:
            del self._clients[peer]

    def _client(self, peer: Peer) -> _Client | None:
        if peer in self._clients:
            return self._clients[peer]
        if chosen(self.faults, OneClient) and self.sessions:
            return None
        if len(self._clients) >= MOST_PEERS:
            del self._clients[next(iter(self._clients))]
        self._clients[peer] = _Client(self._terminal, self.faults)
        return self._clients[peer]

    def _tell(self, punch: RawPunch) -> None:
        with self._guard:
            for peer, client in self._clients.items():
                if event := client.conversation.tell(punch):
                    self._out.put((peer, client, event))

    def _write(self) -> None:
        while (due := self._out.get()) is not None:
            peer, client, answer = due
            self._stopping.wait(delay_s(client.faults))
            for datagram in client.line.writes(answer):
                with suppress(OSError):
                    self._socket.sendto(datagram, peer)
                self._stopping.wait(rest_s(client.faults, len(datagram)))
