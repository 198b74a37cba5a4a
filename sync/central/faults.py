"""What a database error means for the person who must act, and whether a row is to blame for it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from attendance.errors import DatabaseUnavailable

_LIMIT: Final = 300

_SQLITE: Final = (
    ("locked", "it is locked by another program; end that, or wait until it has finished"),
    ("readonly", "it cannot be written; give this user the right to write the file and its directory"),
    ("read-only", "it cannot be written; give this user the right to write the file and its directory"),
    ("unable to open", "it cannot be opened; is its directory there, with the right to write for this user?"),
    ("full", "the disk is full; make room"),
    ("not a database", "the file is no SQLite database; name another, or set this file aside"),
    ("malformed", "the file is damaged; set it aside and restore a backup"),
)


def place(url: URL) -> str:
    """Where a database is, without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    port = f":{url.port}" if url.port else ""
    return f"{url.database or ''} at {url.host or 'the local socket'}{port}"


def unavailable(url: URL, error: Exception) -> DatabaseUnavailable:
    """The database's own words, as one line that says where and, where it is known, what to do."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = " ".join(str(cause).split())[:_LIMIT] or type(cause).__name__
    if isinstance(cause, sqlite3.Error):
        said = next((advice for words, advice in _SQLITE if words in said), said)
    elif isinstance(cause, PoolTimeout):
        said = "all connections are in use"
    return DatabaseUnavailable(f"database {place(url)}: {said}")


def blames_a_row(error: Exception) -> bool:
    """Whether the values of a row are at fault, not the database: trying again would never help."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError) and not error.connection_invalidated
    return isinstance(error, StatementError | OverflowError | ValueError)


@contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turn errors of the database into DatabaseUnavailable; those that blame a row pass as they are."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if blames_a_row(error):
            raise
        raise unavailable(url, error) from error
