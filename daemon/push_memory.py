"""What the receiver must remember beyond a restart: resume points, commands, terminals' operation logs.

One SQLite file beside the outbox. Losing it costs a repeated upload, never a punch.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from attendance.clock import Clock
from attendance.errors import OutboxUnusable
from drivers.zk_push.lines import Operation
from drivers.zk_push.replies import Command, CommandResult

_log = logging.getLogger(__name__)

OFFER_AGAIN: Final = timedelta(minutes=2)
"""A command without a result is offered again after this: the reply that held it may have been lost."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS self (stream TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS stamp (
    serial TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (serial, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS command (
    id INTEGER PRIMARY KEY AUTOINCREMENT, serial TEXT NOT NULL, text TEXT NOT NULL,
    queued_at TEXT NOT NULL, ended_at TEXT, code INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS operation (
    serial TEXT NOT NULL, wall_time TEXT NOT NULL, code INTEGER NOT NULL, operator TEXT NOT NULL,
    objects TEXT NOT NULL, seen_at TEXT NOT NULL, PRIMARY KEY (serial, wall_time, code, operator, objects)
) STRICT, WITHOUT ROWID;
"""


class PushMemory:
    """One SQLite file. Any thread; what a method was given is on disk when it returns. Raises OutboxError.

    `stream` is the outbox's: resume points that another outbox answered for are forgotten.
    """

    def __init__(self, path: Path, *, stream: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._offered: dict[int, datetime] = {}
        with self._in_plain_words():
            try:
                self._connection = self._open()
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                self._set_aside(error)
                self._connection = self._open()
            self._belong_to(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._connection.close()

    # --- resume points

    def stamps(self, serial: str) -> Mapping[str, str]:
        """The resume point of each table, as the terminal gave it."""
        with self._at_work() as connection:
            return dict(connection.execute("SELECT kind, value FROM stamp WHERE serial = ?", (serial,)))

    def keep_stamp(self, serial: str, kind: str, value: str) -> None:
        """Keep a resume point verbatim."""
        with self._at_work() as connection:
            connection.execute("INSERT OR REPLACE INTO stamp VALUES (?, ?, ?)", (serial, kind, value))

    # --- commands

    def queue(self, serial: str, text: str) -> int:
        """Queue a command; its id. Raises LocalProtocolError for a text that is no single command."""
        _ = Command(0, text).line
        with self._at_work() as connection:
            added = connection.execute(
                "INSERT INTO command (serial, text, queued_at) VALUES (?, ?, ?)",
                (serial, text, self._clock.now().isoformat()),
            )
        return added.lastrowid or 0

    def due(self, serial: str) -> Sequence[Command]:
        """Commands without a result that were not offered just now; they count as offered from here on."""
        now = self._clock.now()
        with self._at_work() as connection:
            rows = connection.execute(
                "SELECT id, text FROM command WHERE serial = ? AND ended_at IS NULL ORDER BY id", (serial,)
            )
            found = [
                Command(number, text)
                for number, text in rows
                if number not in self._offered or now - self._offered[number] >= OFFER_AGAIN
            ]
            self._offered.update((command.id, now) for command in found)
        return found

    def end(self, serial: str, result: CommandResult) -> str | None:
        """Note a result; the command's text, None if none was waiting for it."""
        with self._at_work() as connection:
            row = connection.execute(
                "UPDATE command SET ended_at = ?, code = ? WHERE id = ? AND serial = ? AND ended_at IS NULL "
                "RETURNING text",
                (self._clock.now().isoformat(), result.code, result.id, serial),
            ).fetchone()
            self._offered.pop(result.id, None)
        return None if row is None else str(row[0])

    def terminal_of(self, command_id: int) -> str | None:
        """The serial number of the terminal that a command was for."""
        with self._at_work() as connection:
            row = connection.execute("SELECT serial FROM command WHERE id = ?", (command_id,)).fetchone()
        return None if row is None else str(row[0])

    # --- operations

    def keep_operations(self, serial: str, operations: Iterable[Operation]) -> Sequence[Operation]:
        """Keep lines of an operation log; those that were new."""
        seen_at = self._clock.now().isoformat()
        fresh = []
        with self._at_work() as connection:
            for one in operations:
                objects = ",".join("" if value is None else str(value) for value in one.values)
                added = connection.execute(
                    "INSERT OR IGNORE INTO operation VALUES (?, ?, ?, ?, ?, ?)",
                    (serial, one.wall_time.isoformat(), one.code, one.operator, objects, seen_at),
                )
                if added.rowcount:
                    fresh.append(one)
        return fresh

    # --- inside

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=2, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self._path.with_name(self._path.name + ".damaged")
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        _log.warning(
            "%s was damaged (%s) and lies in %s now; terminals may send again what they sent",
            self._path,
            error,
            aside.name,
            extra={"action": "push_memory_damaged"},
        )

    def _belong_to(self, stream: str) -> None:
        with self._at_work() as connection:
            row = connection.execute("SELECT stream FROM self").fetchone()
            if row is None or row[0] != stream:
                connection.execute("DELETE FROM stamp")
                connection.execute("DELETE FROM self")
                connection.execute("INSERT INTO self VALUES (?)", (stream,))

    @contextmanager
    def _at_work(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._in_plain_words(), self._connection:
            yield self._connection

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxUnusable(f"{self._path}: {error}") from error
