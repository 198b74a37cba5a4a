"""Hundreds of terminals in one edge: CPU, memory, threads, and how soon a punch is in the outbox.

    python bench/fleet.py [--terminals 500] [--rate 50] [--seconds 60] [--modes live poll]

One process each for the simulated terminals, the broker (Mosquitto), the centre and the edge, all on this
machine. Once the edge has read every log, people punch in turn over all terminals; the outbox is looked into
every few milliseconds. Without live a punch waits for its terminal's poll, one a minute, by design.
"""

import argparse
import json
import os
import re
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from mosquitto import running_mosquitto
from program import Process, running_hadir, write_central
from terminal_process import machine, memory_mib

PEOPLE, RECORDS = 20, 200
LOOK_EVERY_S = 0.01
PATIENCE_S = {"live": 10.0, "poll": 90.0}
"""After the last punch: so long for the edge to have it."""

Key = tuple[str, str, str]
"""serial, pin, wall time"""


@dataclass(slots=True)
class Watch:
    """What the outbox has, and since when."""

    file: Path
    seen: dict[Key, float] = field(default_factory=dict)
    last: int = 0

    def look(self) -> None:
        """Note the entries that have come since the last look."""
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)
        rows = connection.execute("SELECT id, kind, body FROM entry WHERE id > ? ORDER BY id", (self.last,))
        found = rows.fetchall()
        connection.close()
        now = time.time()
        for number, kind, body in found:
            self.last = number
            if kind == "punch":
                punch = json.loads(body)
                self.seen.setdefault((punch["serial"], punch["pin"], punch["wall"]), now)

    def look_until(self, moment: float) -> None:
        """Look every few milliseconds."""
        while time.time() < moment:
            self.look()
            time.sleep(LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used."""

    cpu_s: float
    resident_mib: float
    threads: int
    files: int

    @classmethod
    def of(cls, process: Process) -> "Usage":
        """At this moment."""
        pid = process.popen.pid
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return cls(
            ticks / os.sysconf("SC_CLK_TCK"),
            memory_mib("VmRSS", pid),
            int(fields[17]),
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
        )


@contextmanager
def running_fleet(folder: Path, terminals: int, rate: float) -> Iterator[Process]:
    """The terminals, with people who punch at them."""
    with running_hadir(
        *("simulate", "--fleet", str(terminals), "--users", str(PEOPLE), "--records", str(RECORDS)),
        *("--port", "0", "--timezone", "Asia/Jakarta", "--punch-rate", str(rate)),
        *("--punch-log", folder / "punches.jsonl", "--write-config", folder / "edge.toml"),
        log=folder / "fleet.log",
    ) as fleet:
        while not (folder / "punches.jsonl").exists():
            if fleet.popen.poll() is not None:
                raise SystemExit(fleet.log)
            time.sleep(0.1)
        yield fleet


def configure(folder: Path, broker_port: int, *, live: bool) -> Path:
    """The edge.toml that the fleet wrote, for this broker."""
    file = folder / "edge.toml"
    text = file.read_text("utf-8").replace("port = 1883", f"port = {broker_port}")
    file.write_text(text if live else text.replace("live = true", "live = false"), "utf-8")
    return file


def run(mode: str, terminals: int, rate: float, seconds: float) -> None:
    """One edge with all the terminals."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            running_mosquitto() as broker,
            running_fleet(folder, terminals, rate),
            running_hadir(
                *(
                    "central",
                    "run",
                    "--config",
                    write_central(folder, f"sqlite:///{folder}/c.db", broker.port),
                ),
                log=folder / "central.log",
            ),
            running_hadir(
                *("edge", "run", "--config", configure(folder, broker.port, live=mode == "live")),
                log=folder / "edge.log",
            ) as edge,
        ):
            watch, read_s = first_read(folder, edge, terminals)
            before, began = Usage.of(edge), time.time()
            watch.look_until(began + seconds)
            after, ended = Usage.of(edge), time.time()
            made = punches(folder, began, ended)
            while any(key not in watch.seen for key in made) and time.time() < ended + PATIENCE_S[mode]:
                watch.look_until(time.time() + 0.2)
            stop_s = stopping(edge)
        tell(mode, made, watch)
        cpu = (after.cpu_s - before.cpu_s) / (ended - began)
        print(
            f"{'':5} edge: CPU {cpu:.0%} of a core, {after.resident_mib:.0f} MiB, {after.threads} threads, "
            f"{after.files} files; first read of all {read_s:.1f} s, stop {stop_s:.1f} s, "
            f"{len(edge.log.splitlines())} log lines",
            flush=True,
        )
        print("".join(f"      {line}\n" for line in troubles(edge.log)), end="")


def first_read(folder: Path, edge: Process, terminals: int) -> tuple[Watch, float]:
    """Wait until every log was read whole; how long that took."""
    began = time.time()
    file = folder / "edge-state" / "outbox.db"
    query = "SELECT count(*) FROM memory"
    while time.time() < began + 300:
        if edge.popen.poll() is not None:
            raise SystemExit(edge.log)
        time.sleep(0.5)
        try:
            connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
            (read,) = connection.execute(query).fetchone()
            connection.close()
        except sqlite3.OperationalError:
            continue
        if read == terminals:
            watch = Watch(file)
            watch.look()
            return watch, time.time() - began
    raise SystemExit(f"not every terminal was read within 300 s: {edge.log[-2000:]}")


def punches(folder: Path, began: float, ended: float) -> dict[Key, float]:
    """What people punched in that time, and when the terminal had it."""
    made: dict[Key, float] = {}
    for line in (folder / "punches.jsonl").read_text("utf-8").splitlines():
        punch = json.loads(line)
        if began <= punch["made_at"] <= ended:
            made[punch["terminal"], punch["pin"], punch["wall_time"]] = punch["made_at"]
    return made


def tell(mode: str, made: dict[Key, float], watch: Watch) -> None:
    """The latencies."""
    waits = sorted(watch.seen[key] - at for key, at in made.items() if key in watch.seen)
    cuts = statistics.quantiles(waits, n=100)
    print(
        f"{mode:5} {len(made)} punches, {len(made) - len(waits)} missing; punch to outbox, ms: "
        f"min {waits[0] * 1000:.0f}, p50 {cuts[49] * 1000:.0f}, p99 {cuts[98] * 1000:.0f}, "
        f"max {waits[-1] * 1000:.0f}"
    )


def stopping(edge: Process) -> float:
    """Seconds from SIGTERM to the end."""
    began = time.monotonic()
    edge.popen.send_signal(signal.SIGTERM)
    edge.popen.wait(60)
    return time.monotonic() - began


def troubles(log: str) -> list[str]:
    """The first few lines that are no information."""
    return [line[:200] for line in log.splitlines() if re.search("ERROR|WARNING|Traceback", line)][:5]


def main() -> int:
    """Measure live and polled fleets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--terminals", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--modes", nargs="+", choices=PATIENCE_S, default=list(PATIENCE_S))
    asked = parser.parse_args()
    print(f"{asked.terminals} terminals, {asked.rate:g} punches/s, {asked.seconds:g} s; {machine()}")
    for mode in asked.modes:
        run(mode, asked.terminals, asked.rate, asked.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
