"""The demo from end to end: invent, start, wait, punch live, score, compare, tell."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from attendance.errors import ConfigError
from attendance.punch import RawPunch
from config.load import load_central
from daemon.demo import machines, offices
from daemon.demo.scenario import PEOPLE_PER_UNIT, UNITS, Scenario, imagine
from daemon.demo.summary import Outcome, print_summary
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.names import invent_names
from scoring.calendar import free_days
from scoring.policy import load_policy
from scoring.step import score_month
from sync.central.load import load_file
from sync.central.store import initialise, open_engine

WEEKEND: Final = 5
LIVE_PUNCHES: Final = 6
PATIENCE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.02

Identity = tuple[str, str, str, str]


@dataclass(slots=True)
class Progress:
    """Says what is being done, on stderr, so that stdout holds the result alone."""

    started: float = field(default_factory=time.monotonic)

    def tell(self, text: str) -> None:
        """One line with the seconds since the start."""
        print(f"[{time.monotonic() - self.started:4.1f} s] {text}", file=sys.stderr, flush=True)


def run_demo(folder: Path | None, *, seed: int = 1, as_json: bool = False) -> int:
    """Run it in `folder` (made if missing, must be empty); 0 only if what was made equals what is stored."""
    folder = _empty_folder(folder)
    progress = Progress()
    month, scenario = _story(seed)
    people = len(scenario.people)
    progress.tell(f"invented {people} people in {len(UNITS)} units and their punches of {month}")
    terminals = machines.build_terminals(scenario)
    with ExitStack() as stack:
        ports = stack.enter_context(machines.serving(terminals))
        progress.tell(
            f"{len(ports)} simulated terminals answer on ports {', '.join(map(str, ports.values()))}"
        )
        central_file, edge_file = machines.write_settings(folder, ports)
        settings = load_central(central_file, environ={})
        engine = open_engine(settings.database.url)
        stack.callback(engine.dispose)
        _load_offices(engine, folder, scenario, terminals)
        progress.tell("the database is made; units, people and terminals are loaded")
        outcome = _collect(engine, folder, (central_file, edge_file), (terminals, scenario), progress)
        policy = load_policy(settings.scoring.policy)
        score_month(engine, policy, month, unit=None, now=datetime.now(UTC))
        progress.tell(f"scored {month} by policy {settings.scoring.policy}")
        outcome.read_scores(engine, policy)
    print(json.dumps(outcome.facts()) if as_json else print_summary(outcome), flush=True)
    return 0 if outcome.agrees else 1


def _empty_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="hadir-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"--dir {folder}: is not empty; give a new folder")
    except OSError as error:
        raise ConfigError(f"--dir {folder}: cannot be used: {error.strerror}") from None
    return folder.resolve()


def _story(seed: int) -> tuple[str, Scenario]:
    """The last past month that has a holiday on a weekday, and what happened in it."""
    month = date.today().replace(day=1)  # noqa: DTZ011 - the reader's own calendar
    free = free_days([month.year - 1, month.year])
    working_holidays = {(day.year, day.month) for day in free if day.weekday() < WEEKEND}
    month -= timedelta(days=1)
    while (month.year, month.month) not in working_holidays:
        month = month.replace(day=1) - timedelta(days=1)
    names = list(islice(invent_names(seed), PEOPLE_PER_UNIT * len(UNITS)))
    text = f"{month:%Y-%m}"
    return text, imagine(names, text, lambda day: day.weekday() < WEEKEND and day not in free, seed)


def _load_offices(
    engine: Engine, folder: Path, scenario: Scenario, terminals: dict[str, SimulatedTerminal]
) -> None:
    initialise(engine)
    serials = {name: terminal.serial for name, terminal in terminals.items()}
    for kind, path in offices.write_files(folder, scenario, serials).items():
        load_file(engine, kind, path)


def _collect(
    engine: Engine,
    folder: Path,
    settings: tuple[Path, Path],
    world: tuple[dict[str, SimulatedTerminal], Scenario],
    progress: Progress,
) -> Outcome:
    """Centre and edge run; the logs arrive; a few people punch now; both end in order."""
    terminals, scenario = world
    made = {_identity(terminals[name].serial, punch) for name, log in scenario.logs.items() for punch in log}
    central = machines.Service("central", settings[0], folder / "central.log", up="receives")
    edge = machines.Service("edge", settings[1], folder / "edge.log", up="runs")
    with central, edge:
        progress.tell("centre (with the embedded broker) and edge run, each a process of its own")

        def check() -> None:
            central.check()
            edge.check()

        began = time.monotonic()
        stored = _wait_for(engine, made, check)
        seconds = time.monotonic() - began
        progress.tell(f"{len(stored)} punches of {len(made)} are in the database")
        delays = _punch_live(engine, world, made, check)
        shown = f"{sorted(delays)[len(delays) // 2] * 1000:.0f} ms" if delays else "none arrived"
        progress.tell(f"{len(delays)} punches made just now arrived; half of them within {shown}")
        edge.stop()
        central.stop()
    progress.tell("edge and centre have ended in order")
    return Outcome(
        folder=folder,
        month=scenario.month,
        people=len(scenario.people),
        made=made,
        stored=offices.stored_punches(engine),
        seconds=seconds,
        live_delays=delays,
    )


def _wait_for(engine: Engine, wanted: set[Identity], check: Callable[[], None]) -> set[Identity]:
    """Look until everything wanted is stored, or the patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        check()
        stored = offices.stored_punches(engine)
        if wanted <= stored or time.monotonic() > deadline:
            return stored
        time.sleep(LOOK_EVERY_S * 10)


def _punch_live(
    engine: Engine,
    world: tuple[dict[str, SimulatedTerminal], Scenario],
    made: set[Identity],
    check: Callable[[], None],
) -> list[float]:
    """A few people punch now, one after the other; how many seconds each took to stand in the view."""
    terminals, scenario = world
    delays = []
    for number in range(LIVE_PUNCHES):
        name, terminal = list(terminals.items())[number % len(terminals)]
        person = [who for who in scenario.people if name.startswith(who.unit)][number]
        began = time.monotonic()
        identity = _identity(terminal.serial, terminal.punch(person.pin))
        made.add(identity)
        while time.monotonic() - began < PATIENCE_S / LIVE_PUNCHES:
            check()
            if offices.is_stored(engine, identity):
                delays.append(time.monotonic() - began)
                break
            time.sleep(LOOK_EVERY_S)
    return delays


def _identity(serial: str, punch: RawPunch) -> Identity:
    return (serial, punch.pin, f"{punch.wall_time:%Y-%m-%d}", f"{punch.wall_time:%H:%M:%S}")
