"""All that the scoring step reads from the central database, and all that it writes there."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from sys import intern
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, text

from scoring.fleet import FIRST, Fleet, Listed, Place, Reported, Span
from scoring.months import PersonMonth
from scoring.ranking import UnitMonth
from scoring.roster import Held, Roster, newest_first
from scoring.rules import Day, Scan
from scoring.sanctions import Reached
from sync.central import tables as t
from sync.central.coverage import covered, misdated

ROWS: Final = 5000
"""Rows that are held, read or written at a time."""

PEOPLE: Final = 500
"""People named in one statement, below every database's limit of parameters."""

_Item = TypeVar("_Item")

_DAY_COLUMNS: Final = tuple(t.day.c.keys())
_DayValues = tuple[object, ...]
"""A row of `day`, in the order of its columns."""


class Unit(NamedTuple):
    """A unit as scoring needs it."""

    group: str | None
    zone: str | None


class Stamp(NamedTuple):
    """A punch with the terminal it was made at."""

    place: Place
    day: str
    scan: Scan


class ScoredDay(NamedTuple):
    """A day, whose it is, and the unit it counts for."""

    nip: str
    unit: str
    day: Day


class StoredDay(NamedTuple):
    """A row of v1_day."""

    local_date: str
    unit: str
    status: str
    in_time: str | None
    out_time: str | None
    late_minutes: int | None
    early_minutes: int | None
    worked_minutes: int | None
    deduction_pct: float | None
    reasons: list[dict[str, object]]


class StoredMonth(NamedTuple):
    """A row of v1_month."""

    month: str
    unit: str
    working_days: int
    present_days: int
    absent_days: int
    excused_days: int
    incomplete_days: int
    late_minutes: int
    early_minutes: int
    deduction_pct: float | None
    discipline_score: float | None
    policy: str


def read_units(connection: Connection) -> dict[str, Unit]:
    """Every unit, by its code."""
    rows = connection.execute(select(t.unit.c.unit, t.unit.c.ranking_group, t.unit.c.timezone))
    return {row.unit: Unit(row.ranking_group, row.timezone) for row in rows}


def read_roster(connection: Connection, first: str, last: str) -> Roster:
    """Memberships and pins that hold on some day from `first` to `last`, and each person's kind."""
    units: dict[str, list[Held]] = {}
    member = t.membership.c
    for member_row in connection.execute(
        select(member.nip, member.from_date, member.to_date, member.unit).where(
            member.from_date <= last, member.to_date >= first
        )
    ):
        units.setdefault(member_row.nip, []).append(
            Held(member_row.from_date, member_row.to_date, member_row.unit)
        )
    pins: dict[tuple[str, str], list[Held]] = {}
    groups: dict[str, list[Held]] = {}
    mapped = t.pin_map.c
    for row in connection.execute(
        select(mapped.terminal_group, mapped.pin, mapped.from_date, mapped.to_date, mapped.nip).where(
            mapped.from_date <= last, mapped.to_date >= first
        )
    ):
        pins.setdefault((row.terminal_group, row.pin), []).append(Held(row.from_date, row.to_date, row.nip))
        groups.setdefault(row.nip, []).append(Held(row.from_date, row.to_date, row.terminal_group))
    kinds = {row.nip: row.kind for row in connection.execute(select(t.person.c.nip, t.person.c.kind))}
    return Roster(
        units={nip: newest_first(held) for nip, held in units.items()},
        pins={key: newest_first(held) for key, held in pins.items()},
        groups={nip: newest_first(held) for nip, held in groups.items()},
        kinds=kinds,
    )


def read_fleet(connection: Connection) -> Fleet:
    """Every terminal, listed or reported, and the coverage of its log that holds at the centre."""
    listed: dict[Place, list[Listed]] = {}
    listing = t.terminal_listing
    for row in connection.execute(select(listing).order_by(listing.c.from_date.desc())):
        listed.setdefault((row.edge, row.terminal), []).append(
            Listed(
                first=row.from_date,
                last=row.to_date,
                serial=row.serial,
                unit=row.unit,
                group=row.terminal_group,
            )
        )
    reported = {
        (row.edge, row.terminal): Reported(
            serial=row.serial, unit=row.unit, group=row.terminal_group, zone=row.timezone, since=row.since
        )
        for row in connection.execute(select(t.terminal))
    }
    spans: dict[Place, dict[str, tuple[Span, ...]]] = {}
    for held in covered(connection):
        serials = spans.setdefault((held.edge, held.terminal), {})
        serials[held.serial] = (*serials.get(held.serial, ()), Span(held.since or FIRST, held.until))
    wrong: dict[Place, dict[str, tuple[Span, ...]]] = {}
    for span in misdated(connection):
        serials = wrong.setdefault((span.edge, span.terminal), {})
        serials[span.serial] = (*serials.get(span.serial, ()), Span(span.first, span.last))
    return Fleet(
        listed={place: tuple(rows) for place, rows in listed.items()},
        reported=reported,
        covered=spans,
        misdated=wrong,
    )


def read_stamps(connection: Connection, first: str, last: str) -> Iterator[Stamp]:
    """Every punch from `first` to `last`, in no order."""
    punch = t.punch.c
    wanted = select(
        punch.edge, punch.terminal, punch.local_date, punch.local_time, punch.terminal_serial, punch.pin
    ).where(punch.local_date.between(first, last))
    # The same few texts come again and again: interned, they take their memory once.
    for row in connection.execute(wanted, execution_options={"yield_per": ROWS}):
        edge, terminal, day, moment, serial, pin = row
        yield Stamp((edge, terminal), day, Scan(intern(moment), intern(serial), intern(pin)))


def scored_in(connection: Connection, unit: str, month: str) -> set[str]:
    """Everyone who has a stored day or month in that unit."""
    days = select(t.day.c.nip).where(t.day.c.unit == unit, t.day.c.local_date.startswith(month))
    months = select(t.month.c.nip).where(t.month.c.unit == unit, t.month.c.month == month)
    return set(connection.scalars(days.union(months)))


def lock(connection: Connection) -> None:
    """Let no second scoring step write at the same time. SQLite has locked already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE day, month, unit_month, sanction IN SHARE ROW EXCLUSIVE MODE"))


def forget(connection: Connection, month: str, nips: Collection[str] | None) -> None:
    """Delete the months of these people (None: of everyone), and their sanctions of the year."""
    for some in [None] if nips is None else _chunks(sorted(nips), PEOPLE):
        for table, holds in (
            (t.month, t.month.c.month == month),
            (t.sanction, t.sanction.c.year == int(month[:4])),
        ):
            whose = [] if some is None else [table.c.nip.in_(some)]
            connection.execute(delete(table).where(holds, *whose))


def replace_days(
    connection: Connection,
    span: tuple[str, str],
    days: Sequence[ScoredDay],
    policy: str,
    nips: Collection[str] | None,
) -> int:
    """Make `days` the only days from `span[0]` to `span[1]` of these people (None: of everyone).

    Rows that are right already stay untouched, so that scoring again is cheap for the database;
    how many were deleted or written.
    """
    places: dict[str, dict[str, int]] = {}
    for place, scored in enumerate(days):
        places.setdefault(scored.nip, {})[scored.day.local_date.isoformat()] = place
    right = bytearray(len(days))
    wrong: list[dict[str, object]] = []
    for row in _stored_days(connection, span, nips):
        whose, on = str(row[0]), str(row[1])
        here = places.get(whose, {}).get(on)
        if here is not None and _day_values(days[here], policy) == row:
            right[here] = True
        else:
            wrong.append({"whose": whose, "on": on})
    if wrong:
        one = (t.day.c.nip == bindparam("whose")) & (t.day.c.local_date == bindparam("on"))
        connection.execute(delete(t.day).where(one), wrong)
    fresh = (
        dict(zip(_DAY_COLUMNS, _day_values(scored, policy), strict=True))
        for place, scored in enumerate(days)
        if not right[place]
    )
    _insert(connection, t.day, fresh)
    return len(wrong) + right.count(False)


def _stored_days(
    connection: Connection, span: tuple[str, str], nips: Collection[str] | None
) -> Iterator[_DayValues]:
    for some in [None] if nips is None else _chunks(sorted(nips), PEOPLE):
        whose = [] if some is None else [t.day.c.nip.in_(some)]
        wanted = select(t.day).where(t.day.c.local_date.between(*span), *whose)
        for row in connection.execute(wanted, execution_options={"yield_per": ROWS}):
            yield tuple(row)


def write_months(connection: Connection, months: Iterable[PersonMonth], policy: str) -> None:
    """Insert months; `forget` has removed what stood there."""
    _insert(connection, t.month, (_month_row(month, policy) for month in months))


def read_scores(connection: Connection, month: str) -> list[tuple[str, Decimal | None]]:
    """(unit, score) of every person whose month is stored."""
    rows = connection.execute(
        select(t.month.c.unit, t.month.c.discipline_score).where(t.month.c.month == month)
    )
    return [
        (row.unit, None if row.discipline_score is None else Decimal(str(row.discipline_score)))
        for row in rows
    ]


def read_name(connection: Connection, nip: str) -> str | None:
    """A person's name, None where no such person is loaded."""
    return connection.scalar(select(t.person.c.name).where(t.person.c.nip == nip))


def read_unit_name(connection: Connection, unit: str) -> str | None:
    """A unit's name, None where it is no longer loaded."""
    return connection.scalar(select(t.unit.c.name).where(t.unit.c.unit == unit))


def read_month(connection: Connection, nip: str, month: str) -> StoredMonth | None:
    """A person's stored month."""
    columns = [t.month.c[name] for name in StoredMonth._fields]
    row = connection.execute(select(*columns).where(t.month.c.nip == nip, t.month.c.month == month)).first()
    return None if row is None else StoredMonth(*row)


def read_days(connection: Connection, nip: str, first: str, last: str) -> list[StoredDay]:
    """A person's stored days, in order of date."""
    columns = [t.day.c[name] for name in StoredDay._fields]
    rows = connection.execute(
        select(*columns)
        .where(t.day.c.nip == nip, t.day.c.local_date.between(first, last))
        .order_by(t.day.c.local_date)
    )
    return [StoredDay(*row) for row in rows]


def write_units(connection: Connection, month: str, units: Iterable[UnitMonth]) -> None:
    """Replace the units' rows of a month."""
    connection.execute(delete(t.unit_month).where(t.unit_month.c.month == month))
    rows: Iterable[dict[str, object]] = (
        {
            "unit": unit.unit,
            "month": month,
            "people": unit.people,
            "discipline_score": _number(unit.score),
            "rank": unit.rank,
            "ranked_of": unit.ranked_of,
        }
        for unit in units
    )
    _insert(connection, t.unit_month, rows)


def read_absentees(
    connection: Connection, year: int, nips: Collection[str] | None, at_least: int
) -> dict[str, list[tuple[str, str]]]:
    """(local_date, status) in date order of each person (None: anyone) with so many absent days that year."""
    in_year = t.day.c.local_date.between(f"{year:04}-01-01", f"{year:04}-12-31")
    absentees = connection.scalars(
        select(t.day.c.nip)
        .where(in_year, t.day.c.status == "absent")
        .group_by(t.day.c.nip)
        .having(func.count() >= at_least)
    )
    wanted = sorted(nip for nip in absentees if nips is None or nip in nips)
    found: dict[str, list[tuple[str, str]]] = {}
    for some in _chunks(wanted, PEOPLE):
        rows = connection.execute(
            select(t.day.c.nip, t.day.c.local_date, t.day.c.status)
            .where(in_year, t.day.c.nip.in_(some))
            .order_by(t.day.c.nip, t.day.c.local_date)
        )
        for row in rows:
            found.setdefault(row.nip, []).append((row.local_date, row.status))
    return found


def write_sanctions(connection: Connection, steps: Mapping[str, Sequence[Reached]]) -> int:
    """Insert the steps that each person has reached; how many."""
    rows: list[dict[str, object]] = [
        {
            "nip": nip,
            "year": step.year,
            "level": step.level,
            "absent_days": step.absent_days,
            "article": step.article,
            "reached_on": step.reached_on,
        }
        for nip, reached in steps.items()
        for step in reached
    ]
    _insert(connection, t.sanction, rows)
    return len(rows)


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, object]]) -> None:
    for some in _chunks(rows, ROWS):
        connection.execute(insert(table), some)


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _day_values(scored: ScoredDay, policy: str) -> _DayValues:
    day = scored.day
    return (
        scored.nip,
        day.local_date.isoformat(),
        scored.unit,
        str(day.status),
        day.in_time,
        day.out_time,
        day.late_minutes,
        day.early_minutes,
        day.worked_minutes,
        _number(day.deduction),
        [reason.as_json() for reason in day.reasons],
        policy,
    )


def _month_row(month: PersonMonth, policy: str) -> dict[str, object]:
    return {
        "nip": month.nip,
        "month": month.month,
        "unit": month.unit,
        "working_days": month.working_days,
        "present_days": month.present_days,
        "absent_days": month.absent_days,
        "excused_days": month.excused_days,
        "incomplete_days": month.incomplete_days,
        "late_minutes": month.late_minutes,
        "early_minutes": month.early_minutes,
        "deduction_pct": _number(month.deduction),
        "discipline_score": _number(month.score),
        "policy": policy,
    }


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
