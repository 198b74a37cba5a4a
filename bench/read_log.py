"""Reading a whole log: our driver beside pyzk's get_attendance, from the same simulated terminal.

    python bench/read_log.py
    python bench/read_log.py --records 10000 50000 100000 --repeat 5

The terminal runs in a process of its own on loopback. Each reader opens a connection, reads
the log and closes, once to warm up and then as often as told; the two take turns. pyzk
is used as it is, without the adapter of ours. Both readers are first checked to have read the same.
"""

import argparse
import gc
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from multiprocessing.connection import Connection

from attendance.punch import RawPunch
from attendance.terminal import Terminal
from drivers.zk.driver import ZkDriver
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.seeding import enrol_people, fill_log
from drivers.zk.simulator.server import TerminalServer
from zk import ZK

PEOPLE = 500
Row = tuple[str, str, int, int]
"""pin, wall time, verify code, state code."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each repetition."""

    seconds: list[float]

    def __str__(self) -> str:
        """Smallest, median, largest."""
        low, high = min(self.seconds), max(self.seconds)
        return f"{low:8.3f} {statistics.median(self.seconds):8.3f} {high:8.3f}"


def serve(records: int, ready: Connection) -> None:
    """Be a terminal with so many records until the other end of `ready` closes."""
    terminal = SimulatedTerminal()
    enrol_people(terminal, PEOPLE, seed=1)
    fill_log(terminal, records, seed=1, last_day=date(2026, 6, 30))
    with TerminalServer(terminal) as server:
        ready.send(server.port)
        ready.poll(None)


def read_ours(port: int) -> list[Row]:
    """The log by the driver "zk"."""
    terminal = Terminal(id="bench", host="127.0.0.1", port=port, timeout=timedelta(seconds=30))
    with ZkDriver().open(terminal) as session:
        punches = [item for item in session.read_log() if isinstance(item, RawPunch)]
    return [(p.pin, str(p.wall_time), p.verify_code, p.state_code) for p in punches]


def time_ours(port: int) -> float:
    """Seconds from connecting to the last punch in memory."""
    terminal = Terminal(id="bench", host="127.0.0.1", port=port, timeout=timedelta(seconds=30))
    start = time.perf_counter()
    with ZkDriver().open(terminal) as session:
        held = list(session.read_log())
    took = time.perf_counter() - start
    del held
    return took


def read_pyzk(port: int) -> list[Row]:
    """The log by pyzk; its `status` is the verify code and its `punch` the state."""
    client = ZK("127.0.0.1", port=port, timeout=300, ommit_ping=True)
    client.connect()
    try:
        found = client.get_attendance()
    finally:
        client.disconnect()
    return [(record.user_id, str(record.timestamp), record.status, record.punch) for record in found]


def time_pyzk(port: int) -> float:
    """Seconds from connecting to the last record in memory."""
    client = ZK("127.0.0.1", port=port, timeout=300, ommit_ping=True)
    start = time.perf_counter()
    client.connect()
    held = client.get_attendance()
    client.disconnect()
    took = time.perf_counter() - start
    del held
    return took


def measured(read: Callable[[int], float], port: int) -> float:
    """One repetition, with the garbage of the one before swept up."""
    gc.collect()
    return read(port)


def compare(records: int, repeat: int) -> None:
    """Time both readers on a log of so many records and print a line for each."""
    ours_end, terminals_end = multiprocessing.Pipe()
    terminal = multiprocessing.get_context("spawn").Process(target=serve, args=(records, terminals_end))
    terminal.start()
    try:
        port = ours_end.recv()
        read = read_ours(port)
        assert len(read) == records, f"{len(read)} of {records} records read"
        assert read == read_pyzk(port), "the two readers differ"
        ours, theirs = [], []
        for _ in range(repeat):
            ours.append(measured(time_ours, port))
            theirs.append(measured(time_pyzk, port))
    finally:
        ours_end.close()
        terminals_end.close()
        terminal.terminate()
        terminal.join()
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"{records:>8}  zk    {Times(ours)}")
    print(f"{records:>8}  pyzk  {Times(theirs)}   {ratio:.1f} times as long", flush=True)


def main() -> int:
    """Compare the readers for every size asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    print(f"python {platform.python_version()}, {asked.repeat} repetitions, seconds")
    print(f"{'records':>8}  {'':4}  {'min':>8} {'median':>8} {'max':>8}")
    for records in asked.records:
        compare(records, asked.repeat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
