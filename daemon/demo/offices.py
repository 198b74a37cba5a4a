"""The files that the demo's offices would hand in, and what the database then says."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from daemon.demo.scenario import EDGE, GROUP, TERMINALS, UNITS, Scenario
from scoring.calendar import free_days
from scoring.explain import explain_day, read_story
from scoring.policy import Policy
from sync.central.store import reading

PERFECT: Final = 100


def write_files(folder: Path, scenario: Scenario, serials: dict[str, str]) -> dict[str, Path]:
    """units.csv, people.csv and terminals.csv, by the kind that `hadir load` calls them."""
    files = {kind: folder / f"{kind}.csv" for kind in ("units", "people", "terminals")}
    _write(files["units"], ("unit", "name", "timezone"), ((unit, name, "") for unit, name in UNITS.items()))
    _write(
        files["people"],
        ("nip", "name", "unit", "pin", "kind", "terminal_group"),
        ((who.nip, who.name, who.unit, who.pin, who.kind, GROUP) for who in scenario.people),
    )
    _write(
        files["terminals"],
        ("edge", "terminal", "serial", "unit", "group"),
        ((EDGE, name, serials[name], unit, GROUP) for name, unit in TERMINALS.items()),
    )
    return files


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


@dataclass(frozen=True, slots=True)
class Standing:
    """A person's month, as the summary shows it."""

    nip: str
    name: str
    unit: str
    score: float | None
    late_minutes: int
    absent_days: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A unit's month, as the summary shows it."""

    unit: str
    name: str
    people: int
    score: float | None
    rank: int | None
    ranked_of: int


def stored_punches(engine: Engine) -> set[tuple[str, str, str, str]]:
    """The identity of every row of v1_punch: serial, pin, date, time."""
    query = text("SELECT terminal_serial, pin, local_date, local_time FROM v1_punch")
    with reading(engine) as connection:
        return {(row[0], row[1], row[2], row[3]) for row in connection.execute(query)}


def standings(engine: Engine, month: str) -> list[Standing]:
    """Everyone's month, the best first."""
    query = text(
        "SELECT m.nip, p.name, m.unit, m.discipline_score, m.late_minutes, m.absent_days"
        " FROM v1_month m JOIN person p ON p.nip = m.nip WHERE m.month = :month"
        " ORDER BY m.discipline_score DESC, m.late_minutes, m.nip"
    )
    with reading(engine) as connection:
        return [Standing(*row) for row in connection.execute(query, {"month": month})]


def ranking(engine: Engine, month: str) -> list[Ranked]:
    """The units' month, the best first."""
    query = text(
        "SELECT u.unit, n.name, u.people, u.discipline_score, u.rank, u.ranked_of"
        " FROM v1_unit_month u JOIN unit n ON n.unit = u.unit WHERE u.month = :month ORDER BY u.rank, u.unit"
    )
    with reading(engine) as connection:
        return [Ranked(*row) for row in connection.execute(query, {"month": month})]


def count_unknown(engine: Engine) -> int:
    """Punches whose pin belongs to nobody."""
    with reading(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM v1_punch WHERE nip IS NULL")).scalar_one())


def count_days(engine: Engine, month: str) -> dict[str, int]:
    """How many days of people there are of each status, the most frequent first."""
    query = text(
        "SELECT status, count(*) FROM v1_day WHERE local_date LIKE :days"
        " GROUP BY status ORDER BY count(*) DESC"
    )
    with reading(engine) as connection:
        return {row[0]: int(row[1]) for row in connection.execute(query, {"days": f"{month}-%"})}


def holidays_of(engine: Engine, month: str) -> list[str]:
    """The dates on which the scored calendar is free, with their names."""
    query = text("SELECT DISTINCT local_date FROM v1_day WHERE status = 'holiday' AND local_date LIKE :days")
    with reading(engine) as connection:
        dates = sorted(row[0] for row in connection.execute(query, {"days": f"{month}-%"}))
    free = free_days([int(month[:4])])
    return [f"{day} {free[date.fromisoformat(day)].name}" for day in dates]


def is_stored(engine: Engine, identity: tuple[str, str, str, str]) -> bool:
    """Whether v1_punch has this punch."""
    query = text(
        "SELECT count(*) FROM v1_punch WHERE terminal_serial = :serial AND pin = :pin"
        " AND local_date = :date AND local_time = :time"
    )
    names = ("serial", "pin", "date", "time")
    with reading(engine) as connection:
        return bool(connection.execute(query, dict(zip(names, identity, strict=True))).scalar_one())


def explained_day(engine: Engine, people: Sequence[Standing], month: str, policy: Policy) -> str:
    """The day that cost most, of the one in the middle of those who lost anything, in both languages."""
    losers = [person for person in people if person.score is not None and person.score < PERFECT]
    if not losers:
        return "nobody lost anything"
    person = losers[len(losers) // 2]
    story = read_story(engine, person.nip, month, policy)
    day = max(story.days, key=lambda day: day.deduction_pct or 0)
    return "\n".join((f"{person.name}, NIP {person.nip}", explain_day(day, "id"), explain_day(day, "en")))
