"""A simulated terminal in a process of its own: it must not share the interpreter that is measured."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

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
    _pipe: Connection

    def cpu_s(self) -> float:
        """CPU seconds that the terminal's process has used so far."""
        self._pipe.send(0)
        return float(self._pipe.recv())

    def punch(self, count: int) -> None:
        """Have so many people punch."""
        self._pipe.send(count)
        self._pipe.recv()


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
        yield TerminalProcess(ours.recv(), ours)
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
        pipe.send(server.port)
        while True:
            try:
                count = pipe.recv()
            except EOFError:
                return
            for _ in range(count):
                terminal.punch(str(FIRST_PIN + turn % people))
                turn += 1
            pipe.send(time.process_time())


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
