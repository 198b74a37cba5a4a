"""Put copies of punches into the database: each identity once, every differing form kept.

The result does not depend on the order of arrival, nor on how often a copy arrives.
Callers hold the database's one place of ingest (see `intake.claim`).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import (
    ARRAY,
    Connection,
    FromClause,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from sync.central.copies import Copy, Identity, merge, shown
from sync.central.tables import punch, punch_copy

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
        connection.execute(insert(punch), [copy._asdict() for copy in new])
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


def _rows(connection: Connection, table: Table, identities: Sequence[Identity]) -> dict[Identity, list[Copy]]:
    """The rows of these identities, in one query."""
    wanted = _wanted(connection, identities)
    columns = [table.c[name] for name in Copy._fields]
    on = and_(*(table.c[name] == wanted.c[name] for name in _KEY))
    found: dict[Identity, list[Copy]] = {}
    for row in connection.execute(select(*columns).select_from(wanted.join(table, on))):
        copy = Copy._make(row)
        found.setdefault(copy.identity, []).append(copy)
    return found


def _wanted(connection: Connection, identities: Sequence[Identity]) -> FromClause:
    """The identities as a table expression of one bound value, so that any number is one statement."""
    if connection.dialect.name == "postgresql":
        parts = [literal(list(part), ARRAY(String)) for part in zip(*identities, strict=True)]
        return func.unnest(*parts).table_valued(*_KEY).render_derived(name="wanted")
    each = func.json_each(json.dumps(identities)).table_valued("value")
    columns = [func.json_extract(each.c.value, f"$[{i}]").label(name) for i, name in enumerate(_KEY)]
    return select(*columns).subquery("wanted")
