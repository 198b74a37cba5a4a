"""Terminal to view: punches a second over the whole path, beside the bare insert of the same rows.

One process each for the simulated terminals, the broker (Mosquitto), the centre and the edge, all on this
machine, on SQLite and, where its server is installed, on PostgreSQL. Prints minimum, median and maximum.

    python bench/whole_path.py [--records 100000] [--terminals 4] [--runs 3]
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from sqlalchemy import Table, create_engine, insert

import postgres
from mosquitto import running_mosquitto
from program import query, run_hadir, running_hadir, write_central, write_edge
from sync.central import tables
from sync.central.store import initialise, open_engine
from terminals import running_terminals


def main() -> None:
    """Run it on both databases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--terminals", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        server = stack.enter_context(postgres.running())
        print(f"{given.records} records on {given.terminals} terminals, {given.runs} runs; {server.version}")
        print(f"{'database':12} {'what':34} {'min':>9} {'median':>9} {'max':>9}  punches/s")
        for name in ("sqlite", "postgresql"):
            whole, bare = [], []
            for _ in range(given.runs):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                url = f"sqlite:///{folder}/central.db" if name == "sqlite" else server.new_database()
                whole.append(run_path(folder, url, given.terminals, given.records // given.terminals))
                bare.append(run_bare(folder, name, url, server))
            show(name, "terminal log -> v1_punch", whole)
            show(name, "bare insert of the same rows", bare)
            print(f"{name:12} {'share of the bare insert':34} {median(whole) / median(bare):29.0%}")


def show(database: str, what: str, rates: list[float]) -> None:
    """One line of figures."""
    print(f"{database:12} {what:34} {min(rates):9,.0f} {median(rates):9,.0f} {max(rates):9,.0f}")


def run_path(folder: Path, url: str, terminals: int, records: int) -> float:
    """Punches a second from the start of `hadir edge run --once` until the last one is acknowledged."""
    with (
        running_mosquitto() as broker,
        running_terminals(terminals, users=200, records=records) as running,
        running_hadir(
            "central", "run", "--config", write_central(folder, url, broker.port), log=folder / "central.log"
        ) as centre,
    ):
        while "receives" not in centre.log:
            time.sleep(0.05)
        edge = write_edge(folder, broker.port, {f"t{n}": item.port for n, item in enumerate(running)})
        began = time.perf_counter()
        done = run_hadir("edge", "run", "--config", edge, "--once", "--timeout", "600", timeout_s=700)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(done.stderr)
    ((stored,),) = query(url, "SELECT count(*) FROM v1_punch")
    if stored != terminals * records:
        raise SystemExit(f"{stored} punches stored, {terminals * records} made")
    return terminals * records / seconds


def run_bare(folder: Path, name: str, url: str, server: postgres.Server) -> float:
    """Punches a second when the stored rows go from memory into an empty database of the same kind."""
    table: Table = tables.punch
    source = create_engine(url)
    with source.connect() as connection:
        rows = [dict(row) for row in connection.execute(table.select()).mappings()]
    source.dispose()
    engine = open_engine(f"sqlite:///{folder}/bare.db" if name == "sqlite" else server.new_database())
    initialise(engine)
    began = time.perf_counter()
    for start in range(0, len(rows), 500):
        with engine.begin() as connection:
            connection.execute(insert(table), rows[start : start + 500])
    seconds = time.perf_counter() - began
    engine.dispose()
    return len(rows) / seconds


if __name__ == "__main__":
    main()
