"""Reading a whole log: our driver beside pyzk's get_attendance and a bare reader, from the same terminal.

    python bench/read_log.py
    python bench/read_log.py --layouts 40 --records 100000 --runs 7 --pyzk-runs 3

The simulated terminal, with 2,000 people, runs in a process of its own on loopback. Each reader opens a
connection, reads the log into a list and closes; they take turns. pyzk is used as it is. The bare reader is
what no driver can do without: the same requests over a plain socket, and the same objects built, with nothing
checked. zk and the bare reader are first seen to read the same. CPU is the reading process's.
"""

import argparse
import gc
import multiprocessing
import platform
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from operator import itemgetter
from pathlib import Path
from struct import Struct

sys.path.insert(0, str(Path(__file__).parent))

from attendance.punch import RawPunch, Source
from attendance.terminal import Terminal
from drivers.zk.commands import Command, Reply
from drivers.zk.conversation import CHUNK_BYTES
from drivers.zk.driver import ZkDriver
from drivers.zk.packet import Packet, frame
from drivers.zk.records import ATT8A, ATT8B, ATT16, ATT40, pin_text
from drivers.zk.simulator.seeding import FIRST_PIN
from drivers.zk.times import unpack_time
from terminal_process import TerminalProcess, machine, peak_mib, terminal_process
from zk import ZK

PEOPLE = 2000
RECORDS = (100_000, 200_000)
LAYOUTS = ("40", "16", "8a", "8b")

_TOP = Struct("<4xI")
_REPLY = Struct("<HHHH")
_FORTY = Struct("<2x24sBIBI4x")
_SIXTEEN = Struct("<IIBB2xI")
_EIGHT_A = Struct("<HBIB")
_EIGHT_B = Struct("<HBxI")


def read_zk(port: int) -> list[object]:
    """By the driver "zk"."""
    terminal = Terminal(id="bench", host="127.0.0.1", port=port, timeout=timedelta(seconds=30))
    with ZkDriver().open(terminal) as session:
        return list(session.read_log())


def read_pyzk(port: int) -> list[object]:
    """By pyzk."""
    client = ZK("127.0.0.1", port=port, timeout=600, ommit_ping=True)
    client.connect()
    try:
        return list(client.get_attendance())
    finally:
        client.disconnect()


class Bare:
    """The least that a reader in Python does."""

    def __init__(self, layout: str) -> None:
        self._layout = layout

    def __call__(self, port: int) -> list[object]:
        """Read the log."""
        with socket.create_connection(("127.0.0.1", port)) as connection:
            body = self._transfer(connection)
        return self._build(body[4:])

    def _transfer(self, connection: socket.socket) -> bytes:
        session, _ = self._ask(connection, 0, Command.CONNECT)
        _, offer = self._ask(
            connection, session, Command.PREPARE_BUFFER, Struct("<BHii").pack(1, Command.ATTLOG_READ, 0, 0)
        )
        (length,) = Struct("<xI").unpack_from(offer)
        parts = []
        for at in range(0, length, CHUNK_BYTES):
            wanted = Struct("<ii").pack(at, min(CHUNK_BYTES, length - at))
            parts.append(self._ask(connection, session, Command.READ_BUFFER, wanted)[1])
        return b"".join(parts)

    def _ask(
        self, connection: socket.socket, session: int, command: int, data: bytes = b""
    ) -> tuple[int, bytes]:
        connection.sendall(frame(Packet(command, session, 0, data)))
        told, found, answer = self._receive(connection)
        if told != Reply.PREPARE_DATA:
            return found, answer
        parts = []
        while (part := self._receive(connection))[0] == Reply.DATA:
            parts.append(part[2])
        return found, b"".join(parts)

    @staticmethod
    def _receive(connection: socket.socket) -> tuple[int, int, bytes]:
        (length,) = _TOP.unpack(connection.recv(_TOP.size, socket.MSG_WAITALL))
        raw = connection.recv(length, socket.MSG_WAITALL)
        command, _, session, _ = _REPLY.unpack_from(raw)
        return command, session, raw[_REPLY.size :]

    def _build(self, records: bytes) -> list[object]:
        """The objects, in the quickest way known, with no look at what they are made of."""
        pins: dict[bytes | int, str] = {}
        hours: dict[int, datetime] = {}
        rows, pin_of = self._rows(records)
        make, log = tuple.__new__, Source.LOG
        return [
            make(
                RawPunch,
                (
                    pins.get(who) or pins.setdefault(who, pin_of(who)),
                    (
                        hours.get(when // 3600)
                        or hours.setdefault(when // 3600, unpack_time(when // 3600 * 3600))
                    )
                    + _SECONDS[when % 3600],
                    verify,
                    state,
                    work,
                    log,
                ),
            )
            for who, verify, when, state, work in rows
        ]

    def _rows(
        self, records: bytes
    ) -> tuple[Iterable[tuple[bytes | int, int, int, int, int]], Callable[[bytes | int], str]]:
        if self._layout == ATT40.name:
            return _FORTY.iter_unpack(records), lambda who: pin_text(bytes(who))
        if self._layout == ATT16.name:
            return map(itemgetter(0, 3, 1, 2, 4), _SIXTEEN.iter_unpack(records)), str
        rows = (
            ((*fields, 0) for fields in _EIGHT_A.iter_unpack(records))
            if self._layout == ATT8A.name
            else (
                (uid, bits >> 3 & 3, when, bits >> 5, 0) for uid, bits, when in _EIGHT_B.iter_unpack(records)
            )
        )
        # Who a uid is, the driver reads from the terminal; here it is taken as known.
        return rows, lambda who: str(int(who) + FIRST_PIN - 1) if isinstance(who, int) else ""


_SECONDS = tuple(timedelta(seconds=second) for second in range(3600))


def measured(read: Callable[[int], list[object]], port: int) -> tuple[float, float]:
    """Wall and CPU seconds of one repetition, with the garbage of the one before swept up."""
    gc.collect()
    gc.freeze()
    began, used = time.perf_counter(), time.process_time()
    held = read(port)
    took = time.perf_counter() - began, time.process_time() - used
    del held
    return took


def check(layout: str, port: int, records: int) -> None:
    """See that the readers give the same; pyzk's are compared in the tests, layout by layout."""
    ours = read_zk(port)
    assert len(ours) == records, f"{len(ours)} of {records} records read"
    assert ours == Bare(layout)(port), "zk and the bare reader differ"


def compare(layout: str, records: int, runs: int, pyzk_runs: int) -> None:
    """Time the readers on one log and print a line for each."""
    with terminal_process(layout, people=PEOPLE, records=records) as terminal:
        check(layout, terminal.port, records)
        zk, bare, served = [], [], []
        for _ in range(runs):
            before = terminal.cpu_s()
            zk.append(measured(read_zk, terminal.port))
            served.append(terminal.cpu_s() - before)
            bare.append(measured(Bare(layout), terminal.port))
        # pyzk takes 8B for 8A, and ends at the first date that this makes up.
        theirs = [measured(read_pyzk, terminal.port) for _ in range(0 if layout == ATT8B.name else pyzk_runs)]
        held = memory(terminal)
    show(layout, records, "zk", zk)
    show(layout, records, "bare", bare)
    ratios = [one / other for (one, _), (other, _) in zip(zk, bare, strict=True)]
    cpu = [one / other for (_, one), (_, other) in zip(zk, bare, strict=True)]
    print(
        f"{'':15} zk takes {statistics.median(ratios):.2f} times the bare read (CPU: "
        f"{statistics.median(cpu):.2f}); the terminal used {statistics.median(served):.3f} s of CPU"
    )
    if theirs:
        show(layout, records, "pyzk", theirs)
        gain = statistics.median(wall for wall, _ in theirs) / statistics.median(wall for wall, _ in zk)
        print(f"{'':15} pyzk takes {gain:.1f} times as long as zk")
    print(f"{'':15} memory added by zk {held:.1f} MiB", flush=True)


def show(layout: str, records: int, reader: str, times: list[tuple[float, float]]) -> None:
    """One line of figures."""
    walls, cpus = zip(*times, strict=True)
    shown = " ".join(f"{value:8.3f}" for value in (min(walls), statistics.median(walls), max(walls)))
    print(f"{layout:>4} {records:>9}  {reader:4} {shown} {statistics.median(cpus):8.3f}")


def memory(terminal: TerminalProcess) -> float:
    """MiB that a fresh process's peak grows by when it holds the whole log."""
    ours, readers = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_hold, args=(terminal.port, readers))
    reader.start()
    grown = float(ours.recv())
    reader.join()
    return grown


def _hold(port: int, pipe: Connection) -> None:
    before = peak_mib()
    held = read_zk(port)
    pipe.send(peak_mib() - before)
    del held


def main() -> int:
    """Compare the readers for every layout and size asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS), choices=LAYOUTS)
    parser.add_argument("--records", type=int, nargs="+", default=list(RECORDS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pyzk-runs", type=int, default=1)
    asked = parser.parse_args()
    print(
        f"python {platform.python_version()}, {machine()}, {asked.runs} runs, pyzk {asked.pyzk_runs}; seconds"
    )
    print(f"{'':4} {'records':>9}  {'':4} {'min':>8} {'median':>8} {'max':>8} {'CPU':>8}")
    for layout in asked.layouts:
        for records in asked.records:
            compare(layout, records, asked.runs, asked.pyzk_runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
