"""What an outbox remembers of its terminals, read beside the edge that owns it; nothing is written."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sync.envelope import utc
from sync.outbox import TerminalMemory
from sync.outbox_file import in_plain_words

_ROWS = "SELECT terminal, serial, records, last_full_read_at, last_contact_at FROM memory"
"""Columns that every version of the file has: it may have been written by an older one."""


def remembered(path: Path) -> dict[str, TerminalMemory]:
    """How far each terminal had been read, by its id, without digests; nothing where no edge has run yet.

    Raises OutboxUnusable without the right to read, OutboxCorrupt for a damaged file.
    """
    with in_plain_words(path):
        if not path.exists():
            return {}
        source = f"file:{quote(str(path.resolve()))}?mode=ro"
        with closing(sqlite3.connect(source, uri=True, timeout=2)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            rows = connection.execute(_ROWS).fetchall() if version else []
    return {
        terminal: TerminalMemory(
            serial=serial,
            records=records,
            last_full_read_at=utc(read_at) if read_at else None,
            last_contact_at=utc(contact_at) if contact_at else None,
        )
        for terminal, serial, records, read_at, contact_at in rows
    }
