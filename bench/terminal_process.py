"""A simulated terminal in a process of its own: it must not share the interpreter that is measured."""

import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

from drivers.zk.packet import MAGIC
from drivers.zk.simulator.firmware import KINDS
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.seeding import FIRST_PIN, enrol_people, fill_log
from drivers.zk.simulator.server import TerminalServer

PACKET_BYTES = 65528
"""As newer terminals send; pyzk stalls where the parts of an answer arrive together."""


@dataclass(frozen=True, slots=True)
class TerminalProcess:
    """What a benchmark may ask of its terminal."""

    port: int
    counted_port: int
    """The way through a relay that counts what passes."""
    _pipe: Connection

    def cpu_s(self) -> float:
        """CPU seconds that the terminal's process has used so far."""
        return self._ask(0)[0]

    def traffic(self) -> tuple[int, int]:
        """Requests, and bytes of both directions, that the relay has passed so far."""
        return self._ask(0)[1]

    def punch(self, count: int) -> None:
        """Have so many people punch."""
        self._ask(count)

    def _ask(self, count: int) -> tuple[float, tuple[int, int]]:
        self._pipe.send(count)
        cpu_s, traffic = self._pipe.recv()
        return float(cpu_s), traffic


class CountingRelay:
    """Passes on what a client and a terminal say to each other, and counts it."""

    def __init__(self, target: int) -> None:
        self.requests = self.bytes = 0
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread(self._accept)

    @staticmethod
    def _thread(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listening.accept()
            terminal = socket.create_connection(("127.0.0.1", self._target))
            for end in (client, terminal):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._thread(self._pass, client, terminal)
            self._thread(self._pass, terminal, client)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        from_client = sink.getpeername()[1] == self._target
        with suppress(OSError):
            while data := source.recv(65536):
                self.bytes += len(data)
                self.requests += data.count(MAGIC) if from_client else 0
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def terminal_process(layout: str, *, people: int, records: int) -> Iterator[TerminalProcess]:
    """A terminal with so many people and records, in one of the layouts of the simulator."""
    ours, terminals = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(layout, people, records, terminals), daemon=True
    )
    process.start()
    terminals.close()
    try:
        port, counted_port = ours.recv()
        yield TerminalProcess(port, counted_port, ours)
    finally:
        ours.close()
        process.join()


def _serve(layout: str, people: int, records: int, pipe: Connection) -> None:
    firmware = replace(KINDS[layout], packet_bytes=PACKET_BYTES)
    # Room beyond the records: a full log is read anew at every poll, for good reason.
    terminal = SimulatedTerminal(firmware=firmware, record_capacity=records * 2)
    enrol_people(terminal, people, seed=1)
    fill_log(terminal, records, seed=1, last_day=date(2026, 6, 30))
    turn = 0
    with TerminalServer(terminal) as server:
        relay = CountingRelay(server.port)
        pipe.send((server.port, relay.port))
        while True:
            try:
                count = pipe.recv()
            except EOFError:
                return
            for _ in range(count):
                terminal.punch(str(FIRST_PIN + turn % people))
                turn += 1
            pipe.send((time.process_time(), (relay.requests, relay.bytes)))


def peak_mib() -> float:
    """The most memory that this process has held at once, MiB."""
    return memory_mib("VmHWM", "self")


def memory_mib(what: str, process: str | int) -> float:
    """A figure of a process's memory, by its name in Linux's status file, MiB."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{what}:")]
    return int(line.split()[1]) / 1024


def machine() -> str:
    """What the figures were measured on, as far as it sways them."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}"
