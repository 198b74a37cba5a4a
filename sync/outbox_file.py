"""The SQLite file under the outbox: opening, checking, upgrading, and errors in one clear line."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attendance.errors import OutboxCorrupt, OutboxInUse, OutboxUnusable

APPLICATION_ID: Final = 0x68616469
"""Marks a file as an outbox of hadir (SQLite's application_id)."""

_SCHEMA: Final = Path(__file__).with_name("outbox_schema")
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY_S: Final = 2.0


@contextmanager
def in_plain_words(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into an OutboxError that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise OutboxCorrupt(_damaged(path, str(error))) from error
        raise OutboxUnusable(f"outbox {path}: {_WORDS.get(code, str(error))}") from error
    except OSError as error:
        raise OutboxUnusable(f"outbox {path}: {error.strerror or error}") from error


_WORDS: Final = {
    sqlite3.SQLITE_BUSY: "locked by another program; close it",
    sqlite3.SQLITE_READONLY: "read-only; the service's user must own it",
    sqlite3.SQLITE_PERM: "no permission; the service's user must own it",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; the service's user must own its directory",
    sqlite3.SQLITE_FULL: "the disk is full; the terminals keep their punches until there is room",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written, or is full",
}


@contextmanager
def sole_use(path: Path) -> Iterator[None]:
    """Hold the outbox for this process alone. Raises OutboxInUse naming the process that has it."""
    with ExitStack() as stack:
        with in_plain_words(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.with_name(path.name + ".lock").open("a+"))
            give_to_owner(Path(lock.name), path.parent)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            raise OutboxInUse(f"outbox {path}: in use by another hadir (pid {pid})") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def open_file(path: Path) -> sqlite3.Connection:
    """Open, check and upgrade an outbox file; a new one is made. For use from many threads, one at a time.

    Raises OutboxCorrupt for a damaged or foreign file, OutboxUnusable for one that cannot be used now.
    """
    with in_plain_words(path), ExitStack() as stack:
        path.touch(mode=0o600, exist_ok=True)
        give_to_owner(path, path.parent)
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        stack.callback(connection.close)
        _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute("PRAGMA foreign_keys = ON")
        _upgrade(connection, path)
        stack.pop_all()
    return connection


def give_to_owner(path: Path, folder: Path) -> None:
    """What root makes beside the service belongs to the user whom `folder` belongs to. Raises OSError."""
    owner = folder.stat()
    if os.geteuid() == 0 and path.stat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; on disk when it ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and mark != APPLICATION_ID:
        raise OutboxCorrupt(f"outbox {path}: this file belongs to another program; set another state_dir")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise OutboxCorrupt(_damaged(path, verdict))


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    steps = sorted(_SCHEMA.glob("[0-9][0-9][0-9][0-9].sql"))
    if version > len(steps):
        raise OutboxUnusable(f"outbox {path}: written by a newer hadir; upgrade this one")
    for number, step in enumerate(steps[version:], start=version + 1):
        with transaction(connection):
            for statement in _statements(step.read_text()):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: executescript would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _damaged(path: Path, fault: str) -> str:
    fault = " ".join(fault.split())
    return (
        f"outbox {path}: damaged or no SQLite file ({fault}); keep it under another name and start again: "
        "a new one is made and the terminals are read anew"
    )
