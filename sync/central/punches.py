"""Put copies of punches into the database: each identity once, every differing form kept.

The result does not depend on the order of arrival, nor on how often a copy arrives.
Callers hold the database's one place of ingest (see `intake.claim`).
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from sqlalchemy import (
    Connection,
    Table,
    TextClause,
    TextualSelect,
    and_,
    bindparam,
    delete,
    insert,
    text,
    update,
)
from sqlalchemy.dialects import postgresql

from sync.central.copies import Copy, Identity, merge, shown
from sync.central.tables import punch, punch_copy
from sync.central.types import instant_text

_KEY: Final = ("local_date", "terminal_serial", "pin", "local_time")

_UPDATE: Final = (
    update(punch)
    .where(and_(*(punch.c[name] == bindparam(f"key_{name}") for name in _KEY)))
    .values({name: bindparam(name) for name in Copy._fields if name not in (*_KEY, "ingested_at")})
)
_FORGET: Final = delete(punch_copy).where(
    and_(*(punch_copy.c[name] == bindparam(f"key_{name}") for name in _KEY))
)


def put(connection: Connection, copies: Iterable[Copy]) -> None:
    """Store copies, in the caller's transaction. Sorted by key, so that two writers cannot deadlock."""
    arrived: dict[Identity, list[Copy]] = {}
    for copy in copies:
        arrived.setdefault(copy.identity, []).append(copy)
    if not arrived:
        return
    identities = sorted(arrived)
    stored = _rows(connection, punch, identities)
    new: list[Copy] = []
    changed: list[Identity] = []
    for identity in identities:
        present, coming = stored.get(identity), arrived[identity]
        if present is None:
            forms = merge(coming) if len(coming) > 1 else coming
            new.append(shown(forms) if len(forms) > 1 else forms[0])
            if len(forms) > 1:
                changed.append(identity)
        elif not all(present[0].same_as(copy) for copy in coming):
            changed.append(identity)
    if new:
        _insert_new(connection, new)
    if changed:
        _change(connection, changed, stored, arrived)


def _change(
    connection: Connection,
    identities: Sequence[Identity],
    stored: dict[Identity, list[Copy]],
    arrived: dict[Identity, list[Copy]],
) -> None:
    """The rare case: punches that are there in more than one form, or in another than before."""
    kept = _rows(connection, punch_copy, identities)
    rows: list[dict[str, object]] = []
    forms: list[dict[str, object]] = []
    touched: list[dict[str, object]] = []
    for identity in identities:
        before = kept.get(identity) or stored.get(identity, [])
        after = merge([*before, *arrived[identity]])
        key: dict[str, object] = {f"key_{name}": part for name, part in zip(_KEY, identity, strict=True)}
        if identity in stored and not stored[identity][0].same_as(shown(after)):
            rows.append(shown(after)._asdict() | key)
        if len(after) > 1 and not _same(kept.get(identity, []), after):
            touched.append(key)
            forms.extend(copy._asdict() for copy in after)
    if rows:
        connection.execute(_UPDATE, rows)
    if touched:
        connection.execute(_FORGET, touched)
        connection.execute(insert(punch_copy), forms)


def _same(before: Sequence[Copy], after: Sequence[Copy]) -> bool:
    return len(before) == len(after) and all(a.same_as(b) for a, b in zip(merge(before), after, strict=True))


def _insert_new(connection: Connection, copies: Sequence[Copy]) -> None:
    """Rows that are not there yet, the quickest way that each database has."""
    rows = [copy._asdict() for copy in copies]
    for row, copy in zip(rows, copies, strict=True):
        row["punched_at"] = instant_text(copy.punched_at)
        row["ingested_at"] = instant_text(copy.ingested_at)
    if connection.dialect.name == "postgresql":
        connection.execute(_insert_as_json(), {"rows": json.dumps(rows)})
        return
    for row, copy in zip(rows, copies, strict=True):
        row["flags"] = json.dumps(copy.flags) if copy.flags else "[]"
    marks = ", ".join("?" * len(Copy._fields))
    connection.exec_driver_sql(
        f"INSERT INTO punch ({', '.join(Copy._fields)}) VALUES ({marks})",  # noqa: S608 - our own names
        [tuple(row.values()) for row in rows],
    )


@cache
def _insert_as_json() -> TextClause:
    """All rows as one value: an executemany costs twice the time (one plan, one round trip a row)."""
    names = ", ".join(Copy._fields)
    return text(
        f"INSERT INTO punch ({names}) SELECT {names} "  # noqa: S608 - our own names
        f"FROM json_to_recordset(CAST(:rows AS json)) AS r({_typed(Copy._fields)})"
    )


def _rows(connection: Connection, table: Table, identities: Sequence[Identity]) -> dict[Identity, list[Copy]]:
    """The rows of these identities, in one query."""
    query = _find(connection.dialect.name, table)
    found: dict[Identity, list[Copy]] = {}
    for row in connection.execute(
        query, {"keys": json.dumps([dict(zip(_KEY, i, strict=True)) for i in identities])}
    ):
        copy = Copy._make(row)
        found.setdefault(copy.identity, []).append(copy)
    return found


@cache
def _find(dialect: str, table: Table) -> TextualSelect:
    """The keys come as one value, so that any number of them is one statement."""
    names = ", ".join(f"t.{name}" for name in Copy._fields)
    on = " AND ".join(f"t.{name} = k.{name}" for name in _KEY)
    if dialect == "postgresql":  # OFFSET 0: look each key up by the index, never scan the table
        query = (
            f"SELECT t.* FROM json_to_recordset(CAST(:keys AS json)) AS k({_typed(_KEY)}) "  # noqa: S608
            f"CROSS JOIN LATERAL (SELECT {names} FROM {table.name} t WHERE {on} OFFSET 0) AS t"
        )
    else:  # CROSS JOIN: the keys are the outer loop
        parts = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in _KEY)
        query = (
            f"SELECT {names} FROM (SELECT {parts} FROM json_each(:keys)) AS k "  # noqa: S608
            f"CROSS JOIN {table.name} t ON {on}"
        )
    return text(query).columns(*(table.c[name] for name in Copy._fields))


def _typed(names: Iterable[str]) -> str:
    """Names with PostgreSQL's types, as a column definition list wants them."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return ", ".join(f"{name} {punch.c[name].type.compile(dialect)}" for name in names)
