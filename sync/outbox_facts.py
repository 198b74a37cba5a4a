"""What an open outbox file knows: facts of terminals, and which entries it has. The caller holds its lock."""

import json
import sqlite3
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

from sync.envelope import WireTerminal

_CHUNK: Final = 2000


def facts_id(connection: sqlite3.Connection, terminal: str, facts: WireTerminal) -> int:
    """The row of what the settings say of a terminal now; made where it is new."""
    key = (terminal, facts.model_dump_json(exclude_none=True))
    row = connection.execute("SELECT id FROM facts WHERE terminal = ? AND body = ?", key).fetchone()
    if row is None:
        added = connection.execute("INSERT INTO facts (terminal, body) VALUES (?, ?)", key)
        return added.lastrowid or 0
    return int(row[0])


def known_digests(connection: sqlite3.Connection, digests: AbstractSet[bytes]) -> set[bytes]:
    """Those of the digests that an entry has."""
    known: set[bytes] = set()
    source = iter(digests)
    while chunk := tuple(islice(source, _CHUNK)):
        marks = ",".join("?" * len(chunk))
        rows = connection.execute(f"SELECT digest FROM entry WHERE digest IN ({marks})", chunk)  # noqa: S608
        known.update(digest for (digest,) in rows)
    return known


def serials(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """Every serial number that entries were put under, and the terminals' names beside it."""
    found: dict[str, set[str]] = {}
    for terminal, body in connection.execute("SELECT terminal, body FROM facts"):
        found.setdefault(str(json.loads(body)["serial"]), set()).add(terminal)
    return found
