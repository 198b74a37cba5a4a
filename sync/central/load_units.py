"""The `units` and `terminals` files."""

from typing import Final

from sqlalchemy import Connection, select

from sync.central import tables as t
from sync.central.load_csv import (
    Columns,
    Row,
    RowFault,
    as_edge_id,
    as_name,
    as_serial,
    as_zone,
    known_unit,
    span_of,
)
from sync.central.load_plan import Note, Plan, Values, differences

UNITS: Final = Columns(("unit", "name"), ("parent", "group", "timezone"))
TERMINALS: Final = Columns(("edge", "terminal", "serial", "unit"), ("group", "from", "to"))

_OPTIONAL_OF_UNITS: Final = {"parent": "parent", "group": "ranking_group", "timezone": "timezone"}


def plan_units(connection: Connection, rows: list[Row]) -> Plan:
    """Units by their code. An optional column that the file does not have keeps what is loaded."""
    plan = Plan()
    before = {row["unit"]: dict(row) for row in connection.execute(select(t.unit)).mappings()}
    seen: dict[str, tuple[int, Values]] = {}
    for row in rows:
        try:
            unit = _unit(row, before)
            again = _again(seen, str(unit["unit"]), row.line, unit)
        except RowFault as fault:
            plan.refused.append(Note(row.line, str(fault)))
            continue
        old = before.get(str(unit["unit"]))
        found = differences(old, unit)
        plan.tell(row.line, old, found, f"unit {unit['unit']}")
        if (old is None or found) and not again:
            plan.remove(t.unit, [unit])
            plan.put(t.unit, [unit])
    for line, kept in seen.values():
        parent = kept["parent"]
        if parent is not None and parent not in before and parent not in seen:
            plan.warnings.append(Note(line, f"parent: no unit {parent!r} is loaded"))
    return plan


def _unit(row: Row, before: dict[str, dict[str, object]]) -> dict[str, object]:
    unit: dict[str, object] = {"unit": as_name(row, "unit"), "name": row.need("name")}
    given: dict[str, object] = {
        "parent": row.get("parent") or None,
        "group": row.get("group") or None,
        "timezone": as_zone(row, "timezone"),
    }
    known = before.get(str(unit["unit"]), {})
    for column, field in _OPTIONAL_OF_UNITS.items():
        unit[field] = given[column] if column in row.cells else known.get(field)
    return unit


def _again(seen: dict[str, tuple[int, Values]], key: str, line: int, values: Values) -> bool:
    """Whether the file has said the same before. Raises RowFault where it has said something else."""
    earlier, what = seen.setdefault(key, (line, values))
    if what != values:
        raise RowFault(f"unit {key!r} stands already on line {earlier}, with other values")
    return earlier != line


def plan_terminals(connection: Connection, rows: list[Row]) -> Plan:
    """Terminals as the office lists them, by (edge, terminal, from); spans of one terminal never overlap."""
    plan = Plan()
    units = set(connection.scalars(select(t.unit.c.unit)))
    listing = connection.execute(select(t.terminal_listing)).mappings()
    before = {(row["edge"], row["terminal"], row["from_date"]): dict(row) for row in listing}
    parsed: list[tuple[int, dict[str, object]]] = []
    for row in rows:
        try:
            parsed.append((row.line, _terminal(row, units)))
        except RowFault as fault:
            plan.refused.append(Note(row.line, str(fault)))
    while faults := _overlaps(before, parsed):
        plan.refused.extend(faults)
        lines = {fault.line for fault in faults}
        parsed = [(line, terminal) for line, terminal in parsed if line not in lines]
    seen = set()
    for line, terminal in parsed:
        old = before.get(_key(terminal))
        found = differences(old, terminal)
        plan.tell(line, old, found, f"terminal {terminal['edge']}/{terminal['terminal']}")
        if (old is None or found) and _key(terminal) not in seen:
            plan.remove(t.terminal_listing, [terminal])
            plan.put(t.terminal_listing, [terminal])
        seen.add(_key(terminal))
    return plan


def _terminal(row: Row, units: set[str]) -> dict[str, object]:
    first, last = span_of(row)
    return {
        "edge": as_edge_id(row, "edge"),
        "terminal": as_edge_id(row, "terminal"),
        "from_date": first,
        "to_date": last,
        "serial": as_serial(row, "serial"),
        "unit": known_unit(row, "unit", units),
        "terminal_group": row.get("group") or None,
    }


def _key(terminal: Values) -> tuple[object, object, object]:
    return terminal["edge"], terminal["terminal"], terminal["from_date"]


def _overlaps(
    before: dict[tuple[object, object, object], dict[str, object]],
    parsed: list[tuple[int, dict[str, object]]],
) -> list[Note]:
    """Rows whose span touches another one of the same terminal, loaded or earlier in the file."""
    replaced = {_key(terminal) for _, terminal in parsed}
    standing: dict[tuple[object, object], list[tuple[str, Values]]] = {}
    for key, terminal in before.items():
        if key not in replaced:
            standing.setdefault(key[:2], []).append(("as loaded", terminal))
    faults = []
    for line, terminal in parsed:
        others = standing.setdefault(_key(terminal)[:2], [])
        clash = next(((where, other) for where, other in others if _clash(terminal, other)), None)
        if clash is None:
            others.append((f"on line {line}", terminal))
            continue
        where, other = clash
        faults.append(
            Note(
                line,
                f"terminal {terminal['edge']}/{terminal['terminal']} stands already {where} for "
                f"{other['from_date']} to {other['to_date']}; end that with 'to' before this begins",
            )
        )
    return faults


def _clash(one: Values, other: Values) -> bool:
    return one != other and (
        str(one["from_date"]) <= str(other["to_date"]) and str(other["from_date"]) <= str(one["to_date"])
    )
