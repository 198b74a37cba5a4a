"""The scoring step: a month's punches in, days, months, ranks and ladder steps out. Idempotent."""

import calendar
import gc
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from typing import Final

from sqlalchemy import Connection, Engine

from attendance.errors import ConfigError
from scoring import queries
from scoring.calendar import free_days, knows_cuti_bersama
from scoring.fleet import Fleet, day_end
from scoring.months import PersonMonth, sum_month
from scoring.policy import Policy, load_ladders
from scoring.queries import ScoredDay, Unit
from scoring.ranking import UnitMonth, rank_units
from scoring.roster import Roster
from scoring.rules import Missing, Scan, score_day
from scoring.sanctions import Reached, reached
from sync.central.store import reading, writing

_MONTH: Final = re.compile(r"2\d{3}-(0[1-9]|1[0-2])")

_log = logging.getLogger(__name__)

Scans = Mapping[str, Mapping[str, list[Scan]]]
"""nip -> day -> that day's punches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a scoring step did. `unit` is None where everyone was scored; `units` are all of that month."""

    month: str
    policy: str
    unit: str | None
    people: int
    days: Mapping[str, int]
    units: tuple[UnitMonth, ...]
    sanctions: int
    notes: tuple[str, ...] = ()


def score_month(engine: Engine, policy: Policy, month: str, *, unit: str | None, now: datetime) -> Summary:
    """Score each day of `month` (`YYYY-MM`) that has ended at `now` (aware); store it in one transaction.

    With `unit`, only people who belong to it in that month are scored anew; the ranks are made
    over all stored months. Raises ConfigError for a month, policy or unit that cannot be meant,
    DatabaseUnavailable where the database does not answer.
    """
    with _without_cycle_search():
        return _score_month(engine, policy, month, unit, now)


def _score_month(engine: Engine, policy: Policy, month: str, unit: str | None, now: datetime) -> Summary:
    days = month_days(month)
    _check_in_force(policy, days)
    with reading(engine) as connection:
        book = _read(connection, policy, days, unit)
    scored = [ScoredDay(nip, unit, day) for nip, unit, day in _score(book, now)]
    months = list(_sum(scored, month))
    with writing(engine) as connection:
        queries.lock(connection)
        queries.forget(connection, month, book.nips)
        queries.replace_days(connection, (days[0], days[-1]), scored, policy.name, book.nips)
        queries.write_months(connection, months, policy.name)
        groups = {code: known.group for code, known in book.units.items()}
        ranked = rank_units(queries.read_scores(connection, month), groups, policy.ranking)
        queries.write_units(connection, month, ranked)
        sanctions = _sanctions(connection, policy, int(month[:4]), book)
    _log.info("scored %s: %d people, %d days", month, len(months), len(scored), extra={"action": "score"})
    return Summary(
        month=month,
        policy=policy.name,
        unit=unit,
        people=len(months),
        days=dict(sorted(Counter(str(row.day.status) for row in scored).items())),
        units=tuple(ranked),
        sanctions=sanctions,
        notes=_notes(days, months),
    )


@contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Pause the cyclic garbage collector: a month's many objects form no cycle, yet it walks them all."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def month_days(month: str) -> list[str]:
    """The days of `YYYY-MM`. Raises ConfigError for anything else."""
    if not _MONTH.fullmatch(month):
        raise ConfigError(f"--month: {month!r} is no month; write YYYY-MM, for example 2026-08")
    last = calendar.monthrange(int(month[:4]), int(month[5:]))[1]
    return [f"{month}-{number:02}" for number in range(1, last + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """All that a month's scoring looks at; `nips` are the people to score, None for everyone."""

    policy: Policy
    days: list[str]
    units: Mapping[str, Unit]
    roster: Roster
    fleet: Fleet
    scans: Scans
    nips: set[str] | None
    free: frozenset[str]
    _missing: dict[tuple[str, str, frozenset[str]], tuple[Missing, ...]] = field(default_factory=dict)
    _zones: dict[str, str] = field(default_factory=dict)

    def zone(self, unit: str) -> str:
        """The unit's own zone, else that of the terminals that serve it."""
        if unit not in self._zones:
            known = self.units.get(unit)
            self._zones[unit] = (known and known.zone) or self.fleet.zone_of(unit)
        return self._zones[unit]

    def missing(self, day: str, unit: str, groups: frozenset[str]) -> tuple[Missing, ...]:
        """The same for all who share day, unit and terminal groups."""
        key = (day, unit, groups)
        if key not in self._missing:
            self._missing[key] = self.fleet.missing(day, unit, groups, self.zone(unit))
        return self._missing[key]


def _read(connection: Connection, policy: Policy, days: list[str], unit: str | None) -> _Book:
    units = queries.read_units(connection)
    if unit is not None and unit not in units:
        near = get_close_matches(unit, units, n=1, cutoff=0)
        raise ConfigError(
            f"--unit: no unit {unit!r} is loaded; "
            + (f"the nearest one is {near[0]!r}" if near else "load units first: hadir load units FILE.csv")
        )
    roster = queries.read_roster(connection, days[0], days[-1])
    fleet = queries.read_fleet(connection)
    nips = None
    if unit is not None:
        nips = roster.people_of(unit) | queries.scored_in(connection, unit, days[0][:7])
    return _Book(
        policy=policy,
        days=days,
        units=units,
        roster=roster,
        fleet=fleet,
        scans=_scans(connection, days, roster, fleet, nips),
        nips=nips,
        free=frozenset(day.isoformat() for day in free_days([int(days[0][:4])])),
    )


def _scans(
    connection: Connection, days: list[str], roster: Roster, fleet: Fleet, nips: set[str] | None
) -> Scans:
    """The punches that count, by the person whose pin it was."""
    found: dict[str, dict[str, list[Scan]]] = {}
    groups: dict[tuple[tuple[str, str], str], str | None] = {}
    for place, day, scan in queries.read_stamps(connection, days[0], days[-1]):
        if (place, day) not in groups:
            groups[place, day] = fleet.group_on(place, day) if fleet.counts_on(place, day) else None
        group = groups[place, day]
        nip = None if group is None else roster.nip_on(group, scan.pin, day)
        if nip is not None and (nips is None or nip in nips):
            found.setdefault(nip, {}).setdefault(day, []).append(scan)
    return found


def _score(book: _Book, now: datetime) -> Iterator[ScoredDay]:
    """Every ended day of everyone, in order of nip and date."""
    dates = {day: date.fromisoformat(day) for day in book.days}
    for nip in sorted(book.roster.units):
        if book.nips is not None and nip not in book.nips:
            continue
        scans = book.scans.get(nip, {})
        for day in book.days:
            unit = book.roster.unit_on(nip, day)
            if unit is None or day_end(day, book.zone(unit)) > now:
                continue
            missing = book.missing(day, unit, book.roster.groups_on(nip, day))
            scored = score_day(
                dates[day], scans.get(day, ()), book.policy, free=day in book.free, missing=missing
            )
            yield ScoredDay(nip, unit, scored)


def _sum(scored: list[ScoredDay], month: str) -> Iterator[PersonMonth]:
    """A month for each person; `scored` is in order of nip and date."""
    start = 0
    for place, row in enumerate(scored):
        if place + 1 == len(scored) or scored[place + 1].nip != row.nip:
            yield sum_month(row.nip, month, row.unit, [own.day for own in scored[start : place + 1]])
            start = place + 1


def _sanctions(connection: Connection, policy: Policy, year: int, book: _Book) -> int:
    ladders = load_ladders(policy)
    steps = [step for each in ladders.values() for ladder in each for step in ladder.step]
    if not steps:
        return 0
    lowest = min(step.days for step in steps)
    found: dict[str, list[Reached]] = {}
    for nip, days in queries.read_absentees(connection, year, book.nips, lowest).items():
        for ladder in ladders.get(book.roster.kinds.get(nip, "other"), ()):
            found.setdefault(nip, []).extend(reached(ladder, year, days))
    return queries.write_sanctions(connection, found)


def _check_in_force(policy: Policy, days: list[str]) -> None:
    if not (policy.in_force(date.fromisoformat(days[0])) and policy.in_force(date.fromisoformat(days[-1]))):
        raise ConfigError(
            f"scoring.policy: {policy.name} holds from {policy.first_day} to {policy.last_day}, "
            f"not in all of {days[0][:7]}; name the policy that was in force"
        )


def _notes(days: list[str], months: list[PersonMonth]) -> tuple[str, ...]:
    notes = []
    year = int(days[0][:4])
    if not knows_cuti_bersama(year):
        notes.append(f"no cuti bersama is known for {year}; such days count as working days")
    unfinished = sum(month.incomplete_days > 0 for month in months)
    if unfinished:
        notes.append(f"{unfinished} people have days that are not complete: a terminal's data is not all in")
    return tuple(notes)
