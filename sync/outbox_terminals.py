"""What the edge remembers of its terminals, in the outbox's file: how far it read, notes, their clocks.

Every function works in the caller's transaction on the outbox's connection.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from attendance.timekeeping import ClockReading, Verdict
from sync.envelope import WireClock, utc

CLOCKS_KEPT: Final = 500
"""Clock readings of one terminal that are looked at: at four a day, some four months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalMemory:
    """How far a terminal has been read: its log's first `records` records.

    `tail_digest` is the sha256 (hex) of the last few of them, `last_record` the last one as text; both are
    empty where not known. `covered_since` is from when on (aware, UTC) every punch was read, None without
    a beginning. Of a whole read that broke off, `begun` records are durable, and `begun_digest` is as above.
    """

    serial: str
    records: int
    last_full_read_at: datetime | None
    last_contact_at: datetime | None
    tail_digest: str = ""
    last_record: str = ""
    covered_since: datetime | None = None
    begun: int = 0
    begun_digest: str = ""


_READ: Final = """
SELECT serial, records, last_full_read_at, last_contact_at, tail_digest, last_record, covered_since,
       begun, begun_digest
  FROM memory WHERE terminal = ?
"""

_WRITE: Final = """
INSERT OR REPLACE INTO memory (terminal, serial, records, last_full_read_at, last_contact_at, tail_digest,
                               last_record, covered_since, begun, begun_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def recall(connection: sqlite3.Connection, terminal: str) -> TerminalMemory | None:
    """What was last remembered of a terminal."""
    row = connection.execute(_READ, (terminal,)).fetchone()
    if row is None:
        return None
    serial, records, read_at, contact_at, digest, last, since, begun, begun_digest = row
    return TerminalMemory(
        serial=serial,
        records=records,
        last_full_read_at=_instant(read_at),
        last_contact_at=_instant(contact_at),
        tail_digest=digest,
        last_record=last,
        covered_since=_instant(since),
        begun=begun,
        begun_digest=begun_digest,
    )


def remember(connection: sqlite3.Connection, terminal: str, memory: TerminalMemory) -> None:
    """Keep how far a terminal has been read."""
    connection.execute(
        _WRITE,
        (
            terminal,
            memory.serial,
            memory.records,
            _text(memory.last_full_read_at),
            _text(memory.last_contact_at),
            memory.tail_digest,
            memory.last_record,
            _text(memory.covered_since),
            memory.begun,
            memory.begun_digest,
        ),
    )


def _instant(text: str | None) -> datetime | None:
    return utc(text) if text else None


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def memo(connection: sqlite3.Connection, terminal: str, name: str) -> str | None:
    """What was noted under a name."""
    row = connection.execute(
        "SELECT value FROM memo WHERE terminal = ? AND name = ?", (terminal, name)
    ).fetchone()
    return None if row is None else str(row[0])


def set_memo(connection: sqlite3.Connection, terminal: str, name: str, value: str) -> None:
    """Note something under a name, in place of what stood there."""
    connection.execute("INSERT OR REPLACE INTO memo VALUES (?, ?, ?)", (terminal, name, value))


def clocks(connection: sqlite3.Connection, terminal: str, serial: str) -> Sequence[ClockReading]:
    """The newest readings of a terminal's clock that were put, oldest first."""
    rows = connection.execute(
        "SELECT body FROM entry WHERE kind = 'clock' AND facts IN (SELECT id FROM facts WHERE terminal = ?) "
        "ORDER BY id DESC LIMIT ?",
        (terminal, CLOCKS_KEPT),
    ).fetchall()
    found = [_reading(body, serial) for (body,) in reversed(rows)]
    return [reading for reading in found if reading is not None]


def _reading(body: str, serial: str) -> ClockReading | None:
    """None for another machine's, and for one that a newer version wrote in words of its own."""
    try:
        wire = WireClock.model_validate_json(body)
        verdict = Verdict(wire.verdict)
    except (ValidationError, ValueError):
        return None
    if wire.serial != serial:
        return None
    return ClockReading(
        at=wire.at.astimezone(UTC),
        offset_s=wire.offset_s,
        error_s=wire.error_s,
        trusted=wire.trusted,
        verdict=verdict,
    )
