"""What a poll costs: requests and bytes at a relay, time without one, and the daemon's memory.

    python bench/poll.py [--records 100000 200000] [--runs 50]

The edge's own collector, with its outbox on disk, polls a simulated terminal in a process of its own. Without
live it connects for each poll and leaves; with live the session stays. Memory: that of the first, whole read
in a fresh process. pyzk, which has but one way to learn of news, reads the log whole.
"""

import argparse
import gc
import multiprocessing
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from attendance.clock import SystemClock
from config.model import EdgeConfig
from daemon.collector import Collector
from daemon.turns import Line, Turn
from drivers.zk.driver import ZkDriver
from sync.envelope import TerminalHealth
from sync.outbox import Outbox
from terminal_process import TerminalProcess, machine, peak_mib, terminal_process
from zk import ZK

PEOPLE = 2000
NEW = 5
SETTLES_S = 0.25
"""After a poll: so long for EXIT, and for live punches to be acknowledged."""


class Polled:
    """A collector at work."""

    def __init__(
        self, collector: Collector, outbox: Outbox, told: "queue.SimpleQueue[TerminalHealth]"
    ) -> None:
        self._collector = collector
        self._told = told
        self.outbox = outbox

    def poll(self) -> float:
        """Seconds from the moment a poll is due until its outcome is told; punches are on disk by then."""
        began = time.perf_counter()
        self._collector.poke()
        self.wait()
        return time.perf_counter() - began

    def wait(self) -> None:
        """Until the poll under way is over."""
        health = self._told.get(timeout=300)
        if health.error:
            raise SystemExit(health.error)


@contextmanager
def polled(port: int, *, live: bool) -> Iterator[Polled]:
    """A collector that has read the whole log."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = {"id": "lobi", "host": "127.0.0.1", "port": port, "live": live, "every": "1h"}
        settings = EdgeConfig.model_validate(
            {
                "edge": {"id": "bench", "timezone": "Asia/Jakarta", "state_dir": folder},
                "mqtt": {"host": "127.0.0.1"},
                "terminal": [terminal],
            }
        )
        (entry,) = settings.terminal
        told: queue.SimpleQueue[TerminalHealth] = queue.SimpleQueue()
        clock, stop = SystemClock(), threading.Event()
        with Outbox(Path(folder) / "outbox.db", edge="bench") as outbox:
            line = Line(settings.device(entry), ZkDriver(), Turn(Path(folder), "lobi"))
            collector = Collector(entry, line, outbox, told.put, clock)
            thread = threading.Thread(target=collector.run, args=(stop,), daemon=True)
            thread.start()
            ready = Polled(collector, outbox, told)
            ready.wait()
            yield ready
            stop.set()
            collector.wake()
            thread.join()


def count(terminal: TerminalProcess, *, live: bool, news: int) -> tuple[int, int]:
    """Requests and bytes of one poll, connecting and leaving included where it does so."""
    with polled(terminal.counted_port, live=live) as edge:
        edge.poll()
        terminal.punch(news)
        time.sleep(SETTLES_S + (1 if live else 0))
        requests, passed = terminal.traffic()
        edge.poll()
        time.sleep(SETTLES_S)
        after = terminal.traffic()
    return after[0] - requests, after[1] - passed


def timed(terminal: TerminalProcess, runs: int) -> tuple[list[float], list[float]]:
    """Seconds of polls without news and with five new records, connecting included."""
    without, with_news = [], []
    with polled(terminal.port, live=False) as edge:
        before = edge.outbox.queued()
        for _ in range(runs):
            time.sleep(0.02)
            without.append(edge.poll())
            terminal.punch(NEW)
            time.sleep(0.02)
            with_news.append(edge.poll())
        arrived = edge.outbox.queued() - before
    if arrived < NEW * runs:
        raise SystemExit(f"{arrived} entries of {NEW * runs} punches")
    return without, with_news


def pyzk_read(port: int) -> float:
    """Seconds of what pyzk does to learn of five new records."""
    client = ZK("127.0.0.1", port=port, timeout=600, ommit_ping=True)
    began = time.perf_counter()
    client.connect()
    client.get_attendance()
    client.disconnect()
    return time.perf_counter() - began


def _memory_of(reader: str, port: int, pipe: Connection) -> None:
    gc.collect()
    before = peak_mib()
    if reader == "pyzk":
        pyzk_read(port)
    else:
        with polled(port, live=False):
            pass
    pipe.send(peak_mib() - before)


def memory(reader: str, port: int) -> float:
    """MiB by which a fresh process's peak grows while it reads the whole log."""
    ours, readers = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_memory_of, args=(reader, port, readers))
    process.start()
    grown = float(ours.recv())
    process.join()
    return grown


def show(what: str, seconds: list[float]) -> None:
    """One line of times."""
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    print(f"{what:38} {low * 1000:9.1f} {middle * 1000:9.1f} {high * 1000:9.1f} ms", flush=True)


def main() -> int:
    """Measure polls of every size asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 200_000])
    parser.add_argument("--runs", type=int, default=50)
    asked = parser.parse_args()
    for records in asked.records:
        print(f"{records} records; {machine()}")
        with terminal_process("40", people=PEOPLE, records=records) as terminal:
            for live, session in ((False, "connecting"), (True, "in a kept session")):
                for news in (0, NEW):
                    requests, passed = count(terminal, live=live, news=news)
                    print(f"{f'{news} new records, {session}':38} {requests:3} requests {passed:6} bytes")
            without, with_news = timed(terminal, asked.runs)
            show("0 new records, connecting", without)
            show(f"{NEW} new records, connecting", with_news)
            show("pyzk, the whole log", [pyzk_read(terminal.port)])
            for reader in ("edge", "pyzk"):
                print(f"memory added by the first read, {reader:6} {memory(reader, terminal.port):9.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
