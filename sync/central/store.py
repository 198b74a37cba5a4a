"""Open the discipline database, and bring its tables and views up to date."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from attendance.errors import ConfigError, DatabaseUnavailable, SyncError
from sync.central import views
from sync.central.faults import place, plain_errors

BUSY_S: Final = 5
"""How long SQLite waits for another writer before it says "locked"."""

RIGHT_URL: Final = "sqlite:////var/lib/hadir/central.db or postgresql+psycopg://user@host/name"

_MIGRATION_LOCK: Final = 0x68616469  # any number that no other program takes: "hadi"
_READING: Final = "hadir_reading"


def open_engine(url: str) -> Engine:
    """Open the database at `url` and try it once.

    Raises ConfigError for a URL that hadir cannot use or a driver that is not installed, and
    DatabaseUnavailable (one line, no password in it) when the database does not answer.
    """
    where = _checked(url)
    if where.get_backend_name() == "sqlite":
        engine = create_engine(where, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = _postgresql(where)
    try:
        with reading(engine) as connection:
            connection.execute(text("SELECT 1"))
    except DatabaseUnavailable:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write, committed at the end; SQLite takes the write lock at its start.

    Errors of the database come out as DatabaseUnavailable; those that blame a row as they are.
    """
    with plain_errors(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads: on SQLite it neither waits for a writer nor stops one."""
    with (
        plain_errors(engine.url),
        engine.connect() as connection,
        connection.execution_options(**{_READING: True}).begin(),
    ):
        yield connection


def initialise(engine: Engine) -> None:
    """Create or upgrade the tables and make the views anew, in one transaction.

    Safe when two processes do it at once: the second waits and finds nothing to do.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        try:
            command.upgrade(migration_config(connection), "head")
        except CommandError as error:
            raise SyncError(
                f"database {place(engine.url)}: it was made by a newer hadir ({error}); run that version"
            ) from error
        views.create(connection)


def migration_config(connection: Connection) -> Config:
    """Alembic's settings for our packaged migrations, run on `connection`."""
    config = Config()
    config.set_main_option("script_location", "sync.central:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head_revision(connection: Connection) -> str | None:
    """The newest migration that this version of hadir brings."""
    return ScriptDirectory.from_config(migration_config(connection)).get_current_head()


def _checked(url: str) -> URL:
    try:
        where = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"[database] url is no database address; write {RIGHT_URL}") from error
    if where.drivername == "postgresql+psycopg":
        return where
    if where.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ConfigError(f"[database] url: {where.drivername!r} is not what hadir knows; write {RIGHT_URL}")
    if not where.database or where.database == ":memory:":
        raise ConfigError(f"[database] url names no file, and all must survive a restart; write {RIGHT_URL}")
    directory = Path(where.database.removeprefix("file:")).absolute().parent
    if not directory.is_dir():
        raise DatabaseUnavailable(
            f"database {where.database}: there is no directory {directory}; make it first"
        )
    return where


def _postgresql(where: URL) -> Engine:
    try:
        return create_engine(where, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except ImportError as error:
        raise ConfigError(
            "[database] url names PostgreSQL, whose driver is not installed; install hadir[postgres]"
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The module's own BEGIN comes too late: we say BEGIN ourselves (SQLAlchemy, "Serializable isolation").
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once, whatever the time-out.
    reads_only = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
