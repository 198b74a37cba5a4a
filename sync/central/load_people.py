"""The `people` file: who belongs to which unit, and whose pin is whose, from when to when."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from sync.central import tables as t
from sync.central.days import FIRST_DAY, LAST_DAY
from sync.central.load_csv import Row, RowFault, as_code, known_unit, span_of
from sync.central.load_plan import Note, Plan
from sync.central.nip import clean_nip, kind_of, oddities
from sync.central.people_file import DEFAULT_GROUP

KINDS: Final = ("pns", "cpns", "pppk", "other")


class Member(NamedTuple):
    """A membership that begins on a known day."""

    last: str
    unit: str


class Owner(NamedTuple):
    """Whose a pin is from a known day on."""

    last: str
    nip: str


PinKey = tuple[str, str, str]
"""(terminal group, pin, from)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A row of the file, checked by itself."""

    line: int
    nip: str
    name: str
    kind: str
    unit: str
    pin: str
    group: str
    first: str
    last: str

    @property
    def pin_key(self) -> PinKey:
        return self.group, self.pin, self.first


@dataclass(slots=True)
class _State:
    """Memberships by person and first day, pins by group and number and first day."""

    members: dict[str, dict[str, Member]]
    pins: dict[tuple[str, str], dict[str, Owner]]

    def without(self, entries: list[_Entry]) -> "_State":
        """A copy in which nothing stands of what these rows say anew.

        A row speaks for the membership (nip, from) and for all pins of (nip, group, from).
        """
        said = {(entry.nip, entry.first) for entry in entries}
        pinned = {(entry.nip, entry.group, entry.first) for entry in entries}
        return _State(
            {
                nip: {first: member for first, member in dated.items() if (nip, first) not in said}
                for nip, dated in self.members.items()
            },
            {
                key: {
                    first: owner for first, owner in dated.items() if (owner.nip, key[0], first) not in pinned
                }
                for key, dated in self.pins.items()
            },
        )

    def take(self, entry: _Entry) -> None:
        """Let a row in. Raises RowFault, and changes nothing, if it contradicts what stands."""
        dated = self.members.setdefault(entry.nip, {})
        owners = self.pins.setdefault((entry.group, entry.pin), {})
        within = self._check_member(entry, dated)
        self._check_pin(entry, owners)
        if not within:
            dated[entry.first] = Member(entry.last, entry.unit)
        owners[entry.first] = Owner(entry.last, entry.nip)

    @staticmethod
    def _check_member(entry: _Entry, dated: dict[str, Member]) -> bool:
        """Whether the row's span lies within a membership of the same unit already."""
        for first, member in dated.items():
            if first > entry.last or entry.first > member.last:
                continue
            if member.unit == entry.unit and first <= entry.first and entry.last <= member.last:
                return True
            raise RowFault(
                f"{entry.nip} is in unit {member.unit} {_span(first, member.last)} already; "
                f"end that with 'to' before unit {entry.unit} begins"
            )
        return False

    @staticmethod
    def _check_pin(entry: _Entry, owners: dict[str, Owner]) -> None:
        for first, owner in owners.items():
            if owner.nip != entry.nip and first <= entry.last and entry.first <= owner.last:
                raise RowFault(
                    f"pin {entry.pin} of terminal group {entry.group} is {owner.nip}'s "
                    f"{_span(first, owner.last)}; it cannot be {entry.nip}'s at the same time"
                )


def plan_people(connection: Connection, rows: list[Row]) -> Plan:
    """People, their memberships and pins. People who are not in the file stay as they are."""
    plan = Plan()
    people = {row["nip"]: dict(row) for row in connection.execute(select(t.person)).mappings()}
    units = set(connection.scalars(select(t.unit.c.unit)))
    before = _stored(connection)
    entries = _parse(rows, units, people, plan)
    while True:
        after, faults = _settle(before, entries)
        if not faults:
            break
        plan.refused.extend(faults)
        lines = {fault.line for fault in faults}
        entries = [entry for entry in entries if entry.line not in lines]
    for entry in entries:
        _tell(plan, entry, people.get(entry.nip), before, after)
        plan.warnings.extend(
            Note(entry.line, f"nip {entry.nip}: {odd}") for odd in oddities(entry.nip, entry.kind)
        )
    _write_people(plan, entries, people)
    _write_spans(plan, before, after)
    return plan


def _stored(connection: Connection) -> _State:
    state = _State({}, {})
    for row in connection.execute(select(t.membership)):
        state.members.setdefault(row.nip, {})[row.from_date] = Member(row.to_date, row.unit)
    for row in connection.execute(select(t.pin_map)):
        state.pins.setdefault((row.terminal_group, row.pin), {})[row.from_date] = Owner(row.to_date, row.nip)
    return state


def _parse(
    rows: list[Row], units: set[str], people: dict[str, dict[str, object]], plan: Plan
) -> list[_Entry]:
    """Rows that are right by themselves and agree with each other about each person's name and kind."""
    entries: list[_Entry] = []
    first_of: dict[str, _Entry] = {}
    for row in rows:
        try:
            entry = _entry(row, units, people)
            _agree(first_of.setdefault(entry.nip, entry), entry)
        except RowFault as fault:
            plan.refused.append(Note(row.line, str(fault)))
        else:
            entries.append(entry)
    return entries


def _entry(row: Row, units: set[str], people: dict[str, dict[str, object]]) -> _Entry:
    nip = clean_nip(as_code(row, "nip", example="198503172010011001"))
    first, last = span_of(row)
    kind = row.get("kind").lower()
    if kind and kind not in KINDS:
        raise RowFault(f"kind: {kind!r} must be one of {', '.join(KINDS)}")
    known = people.get(nip)
    return _Entry(
        line=row.line,
        nip=nip,
        name=row.need("name"),
        kind=kind or (str(known["kind"]) if known else kind_of(nip)),
        unit=known_unit(row, "unit", units),
        pin=as_code(row, "pin", example="1001"),
        group=row.get("terminal_group") or DEFAULT_GROUP,
        first=first,
        last=last,
    )


def _agree(earlier: _Entry, entry: _Entry) -> None:
    if (earlier.name, earlier.kind) != (entry.name, entry.kind):
        raise RowFault(
            f"{entry.nip} is {earlier.name!r} ({earlier.kind}) on line {earlier.line}, "
            f"but {entry.name!r} ({entry.kind}) here"
        )


def _settle(before: _State, entries: list[_Entry]) -> tuple[_State, list[Note]]:
    """What would stand with all these rows, and those that contradict another."""
    after = before.without(entries)
    faults = []
    for entry in sorted(entries, key=lambda entry: (entry.first, entry.line)):
        try:
            after.take(entry)
        except RowFault as fault:
            faults.append(Note(entry.line, str(fault)))
    return after, faults


def _tell(plan: Plan, entry: _Entry, person: dict[str, object] | None, before: _State, after: _State) -> None:
    found = []
    if person is not None:
        found = [
            f"{column} {person[column]} -> {value}"
            for column, value in (("name", entry.name), ("kind", entry.kind))
            if person[column] != value
        ]
    old = before.members.get(entry.nip, {}).get(entry.first)
    new = after.members.get(entry.nip, {}).get(entry.first)
    if old != new:
        found.append(f"unit {_said(entry.first, old)} -> {_said(entry.first, new)}")
    if before.pins.get(entry.pin_key[:2], {}).get(entry.first) != Owner(entry.last, entry.nip):
        found.append(f"pin {entry.pin} of {entry.group} {_span(entry.first, entry.last)}")
    plan.tell(entry.line, person, found, f"{entry.nip} {entry.name}")


def _write_people(plan: Plan, entries: list[_Entry], people: dict[str, dict[str, object]]) -> None:
    wanted = {entry.nip: {"nip": entry.nip, "name": entry.name, "kind": entry.kind} for entry in entries}
    fresh = [person for nip, person in wanted.items() if people.get(nip) != person]
    plan.remove(t.person, fresh)
    plan.put(t.person, fresh)


def _write_spans(plan: Plan, before: _State, after: _State) -> None:
    old = dict(_member_rows(before))
    new = dict(_member_rows(after))
    plan.remove(t.membership, (row for key, row in old.items() if new.get(key) != row))
    plan.put(t.membership, (row for key, row in new.items() if old.get(key) != row))
    old_pins, new_pins = dict(_pin_rows(before)), dict(_pin_rows(after))
    plan.remove(t.pin_map, (row for key, row in old_pins.items() if new_pins.get(key) != row))
    plan.put(t.pin_map, (row for key, row in new_pins.items() if old_pins.get(key) != row))


def _member_rows(state: _State) -> Iterator[tuple[tuple[str, str], dict[str, object]]]:
    for nip, dated in state.members.items():
        for first, member in dated.items():
            yield (
                (nip, first),
                {"nip": nip, "from_date": first, "to_date": member.last, "unit": member.unit},
            )


def _pin_rows(state: _State) -> Iterator[tuple[PinKey, dict[str, object]]]:
    for (group, pin), dated in state.pins.items():
        for first, owner in dated.items():
            yield (
                (group, pin, first),
                {
                    "terminal_group": group,
                    "pin": pin,
                    "from_date": first,
                    "to_date": owner.last,
                    "nip": owner.nip,
                },
            )


def _said(first: str, member: Member | None) -> str:
    return "(none)" if member is None else f"{member.unit} {_span(first, member.last)}"


def _span(first: str, last: str) -> str:
    if first == FIRST_DAY and last == LAST_DAY:
        return "at all times"
    if last == LAST_DAY:
        return f"from {first}"
    return f"until {last}" if first == FIRST_DAY else f"from {first} to {last}"
