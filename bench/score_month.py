"""Scoring a month of a whole Pemda, beside the bare reading of its punches and the bare insert of its days.

    python bench/score_month.py [--people 15000] [--runs 3] [--postgres]

Invented people in 38 offices and 18 districts, two terminals each, every log read to its end; two
punches a person and working day, some late, some forgotten. Each measurement runs in a process of its
own, so that its peak memory is its own; the bare ones pass the same rows through the database's driver
and do nothing with them. "Lock held" is the part of scoring in which nobody else can write to SQLite.
Prints minimum, median and maximum.
"""

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Final, ParamSpec, TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from sqlalchemy import event, select

import postgres
from offices import LATER, Office
from scoring.calendar import free_days
from scoring.policy import load_policy
from scoring.step import month_days, score_month
from sync.central import tables as t
from sync.central.store import initialise, open_engine, reading, writing

MONTH: Final = "2026-08"
UNITS: Final = tuple((f"opd{n:02}", "opd") for n in range(38)) + tuple(
    (f"kec{n:02}", "kec") for n in range(18)
)
ENTRANCES: Final = ("a", "b")
BATCH: Final = 5000

PUNCH: Final = ("edge", "terminal", "local_date", "local_time", "terminal_serial", "pin")
DAY: Final = tuple(t.day.c.keys())

Given = ParamSpec("Given")
Result = TypeVar("Result")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement; `locked` seconds of it in its last transaction, `rows` days or punches."""

    seconds: float
    locked: float
    memory: int
    rows: int


def main() -> None:
    """Fill a database once; score copies of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=15_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--postgres", action="store_true", help="on a PostgreSQL of its own instead of SQLite"
    )
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place: Place = (
            OnPostgres(stack.enter_context(postgres.running())) if given.postgres else OnSqlite(folder)
        )
        full, empty = place.new(), place.new()
        apart(fill, full, given.people)
        apart(make, empty)
        first, again, read, bare = [], [], [], []
        for _ in range(given.runs):
            copy = place.copy(full)
            read.append(apart(read_punches, copy))
            first.append(apart(score, copy))
            again.append(apart(score, copy))
            bare.append(apart(insert_days, copy, place.copy(empty)))
            place.drop_copies()
    punches, days = read[0].rows, first[0].rows
    print(f"{given.people:,} people, {len(UNITS)} units, {punches:,} punches, {days:,} days in {MONTH}")
    print(f"{place.name}, {given.runs} runs, seconds")
    print(f"{'what':36} {'min':>7} {'median':>7} {'max':>7} {'MiB':>6}")
    for what, runs in (("score_month, first run", first), ("score_month, again", again)):
        show(what, [run.seconds for run in runs], max(run.memory for run in runs))
        show("  of it, lock held", [run.locked for run in runs])
    show("bare reading of the punches", [run.seconds for run in read], max(run.memory for run in read))
    show("bare insert of the days", [run.seconds for run in bare])
    floor = median(run.seconds for run in read) + median(run.seconds for run in bare)
    print(f"first run: {median(run.seconds for run in first) / floor:.1f} times reading and insert together")


def show(what: str, seconds: Sequence[float], memory: int | None = None) -> None:
    """One line of figures; `memory` in KiB."""
    peak = "" if memory is None else f"{memory / 1024:6.0f}"
    print(f"{what:36} {min(seconds):7.2f} {median(seconds):7.2f} {max(seconds):7.2f} {peak:>6}")


class OnSqlite:
    """Databases that are files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.name = "SQLite"

    def new(self) -> str:
        """The URL of an empty database."""
        self._count += 1
        return f"sqlite:///{self._folder}/{self._count}.db"

    def copy(self, url: str) -> str:
        """The URL of a copy of a database that nobody has open."""
        shutil.copy(url.removeprefix("sqlite:///"), self._folder / f"copy{self._count}.db")
        self._count += 1
        return f"sqlite:///{self._folder}/copy{self._count - 1}.db"

    def drop_copies(self) -> None:
        """Give the disk back."""
        for file in self._folder.glob("copy*"):
            file.unlink()


class OnPostgres:
    """Databases of a server that is thrown away afterwards."""

    def __init__(self, server: postgres.Server) -> None:
        self._server = server
        self._copies: list[str] = []
        self._count = 0
        self.name = f"{server.version} (fsync off)"

    def new(self) -> str:
        """The URL of an empty database."""
        return self._server.new_database()

    def copy(self, url: str) -> str:
        """The URL of a copy of a database that nobody has open."""
        self._count += 1
        name = f"copy{self._count}"
        self._server.admin(f"CREATE DATABASE {name} TEMPLATE {url.rpartition('/')[2]}")
        self._copies.append(name)
        return self._server.url(name)

    def drop_copies(self) -> None:
        """Give the disk back."""
        while self._copies:
            self._server.admin(f"DROP DATABASE {self._copies.pop()}")


Place = OnSqlite | OnPostgres


def apart(work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """Run `work` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given, **named).result()


def make(url: str) -> None:
    """The tables, empty."""
    engine = open_engine(url)
    initialise(engine)
    engine.dispose()


def fill(url: str, people: int) -> None:
    """The reference data, the terminals and a month of punches."""
    engine = open_engine(url)
    initialise(engine)
    office = Office(engine)
    for unit, group in UNITS:
        office.unit(unit, group)
        for entrance in ENTRANCES:
            office.terminal(f"{unit}{entrance}", unit=unit)
    with engine.connect() as connection:
        terminals = list(connection.scalars(select(t.terminal.c.terminal)))
    for terminal in terminals:
        office.covered(terminal, LATER)
    nips = [f"{198001010000000000 + n}" for n in range(people)]
    office.put(t.person, *({"nip": nip, "name": f"Person {nip}", "kind": "pns"} for nip in nips))
    office.put(t.membership, *({"nip": nip, "unit": UNITS[n % len(UNITS)][0]} for n, nip in enumerate(nips)))
    office.put(
        t.pin_map,
        *({"nip": nip, "terminal_group": "default", "pin": str(n)} for n, nip in enumerate(nips)),
    )
    for rows in batches(punches(people)):
        office.put(t.punch, *rows)
    engine.dispose()


def punches(people: int) -> Iterator[dict[str, object]]:
    """In and out of everyone on every working day, as they came in: day after day, none twice."""
    chance = random.Random(1)
    free = free_days([int(MONTH[:4])])
    for day in map(date.fromisoformat, month_days(MONTH)):
        if day.weekday() >= 5 or day in free:
            continue
        for person in range(people):
            unit = UNITS[person % len(UNITS)][0]
            for state, middle, spread in ((0, 7 * 3600 + 900, 900), (1, 16 * 3600 + 2700, 1200)):
                if chance.random() < 0.01:
                    continue
                second = round(chance.gauss(middle, spread))
                terminal = unit + chance.choice(ENTRANCES)
                yield {
                    "local_date": day.isoformat(),
                    "local_time": f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}",
                    "terminal_serial": terminal.upper(),
                    "pin": str(person),
                    "edge": "e1",
                    "terminal": terminal,
                    "punched_at": LATER,
                    "verify": "face",
                    "direction": "out" if state else "in",
                    "source": "log",
                    "verify_code": 15,
                    "state_code": state,
                    "work_code": 0,
                    "flags": [],
                    "ingested_at": LATER,
                }


def score(url: str) -> Run:
    """What `hadir score` does, from the open database to the last commit."""
    engine = open_engine(url)
    began_at, ended_at = [0.0], [0.0]
    event.listen(engine, "begin", lambda _: began_at.append(time.perf_counter()))
    event.listen(engine, "commit", lambda _: ended_at.append(time.perf_counter()))
    policy = load_policy("tulang-bawang")
    start = time.perf_counter()
    summary = score_month(engine, policy, MONTH, unit=None, now=LATER)
    took = time.perf_counter() - start
    engine.dispose()
    locked = ended_at[-1] - began_at[-1]
    return Run(seconds=took, locked=locked, memory=peak(), rows=sum(summary.days.values()))


def read_punches(url: str) -> Run:
    """The columns that scoring reads, out of the driver and thrown away."""
    engine = open_engine(url)
    last = month_days(MONTH)[-1]
    wanted = f"SELECT {', '.join(PUNCH)} FROM punch WHERE local_date BETWEEN '{MONTH}-01' AND '{last}'"  # noqa: S608
    rows = 0
    start = time.perf_counter()
    with reading(engine) as connection:
        found = connection.connection.cursor()
        found.execute(wanted)
        while some := found.fetchmany(BATCH):
            rows += len(some)
    took = time.perf_counter() - start
    engine.dispose()
    return Run(seconds=took, locked=0, memory=peak(), rows=rows)


def insert_days(scored: str, url: str) -> Run:
    """The stored days, from memory into an empty table of the same kind, in one transaction."""
    engine = open_engine(scored)
    reasons = "CAST(reasons AS TEXT)"
    with reading(engine) as connection:
        columns = ", ".join(reasons if name == "reasons" else name for name in DAY)
        days = [tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM day")]  # noqa: S608
    engine.dispose()
    engine = open_engine(url)
    sqlite = engine.dialect.name == "sqlite"
    values = ", ".join("?" if sqlite else "%s::jsonb" if name == "reasons" else "%s" for name in DAY)
    statement = f"INSERT INTO day ({', '.join(DAY)}) VALUES ({values})"  # noqa: S608
    start = time.perf_counter()
    with writing(engine) as connection:
        for some in batches(days):
            connection.exec_driver_sql(statement, some)
    took = time.perf_counter() - start
    engine.dispose()
    return Run(seconds=took, locked=took, memory=peak(), rows=len(days))


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The same rows, so many at a time."""
    rest = iter(rows)
    while some := list(islice(rest, BATCH)):
        yield some


def peak() -> int:
    """The most memory that this process has held, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
