"""What clearing a terminal's log needs to know of the outbox, and the mark that outlives a lost reply."""

import sqlite3
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sync.envelope import utc
from sync.outbox_file import transaction

_SEALED: Final = "coalesce((SELECT last FROM batch ORDER BY number DESC LIMIT 1), 0)"
_UNSETTLED: Final = (
    f"(entry.id > {_SEALED} OR EXISTS "  # noqa: S608 - constants
    "(SELECT 1 FROM batch WHERE settled = 0 AND entry.id BETWEEN batch.first AND batch.last))"
)
_OLDEST_UNSETTLED: Final = f"SELECT coalesce((SELECT min(first) FROM batch WHERE settled = 0), {_SEALED} + 1)"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearMark:
    """A clearing that was about to be sent at `at` (UTC); the terminal counted so many records before."""

    serial: str
    records: int
    at: datetime


class Clearings:
    """A part of the outbox: same file, lock and errors. What a method wrote is on disk when it returns."""

    def __init__(
        self, connection: sqlite3.Connection, at_work: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connection = connection
        self._at_work = at_work

    def settled_among(self, digests: Collection[bytes]) -> int:
        """How many entries with these digests, different ones, the centre has acknowledged."""
        marks = ",".join("?" * len(digests))
        query = f"SELECT count(*) FROM entry WHERE digest IN ({marks}) AND NOT {_UNSETTLED}"  # noqa: S608 - marks only
        with self._at_work():
            (count,) = self._connection.execute(query, tuple(digests)).fetchone()
        return int(count)

    def unsettled_of(self, terminal: str) -> int:
        """How many punches and bad records of a terminal the centre has not acknowledged."""
        query = (
            "SELECT count(*) FROM entry JOIN facts ON facts.id = entry.facts "  # noqa: S608 - constants
            f"WHERE entry.id >= ? AND kind IN ('punch', 'bad') AND facts.terminal = ? AND {_UNSETTLED}"
        )
        with self._at_work():
            (first,) = self._connection.execute(_OLDEST_UNSETTLED).fetchone()
            (count,) = self._connection.execute(query, (first, terminal)).fetchone()
        return int(count)

    def put(self, terminal: str, mark: ClearMark) -> None:
        """Note that a log is about to be cleared."""
        with self._at_work(), transaction(self._connection):
            self._connection.execute(
                "INSERT OR REPLACE INTO clearing (terminal, serial, records, at) VALUES (?, ?, ?, ?)",
                (terminal, mark.serial, mark.records, mark.at.isoformat()),
            )

    def get(self, terminal: str, serial: str) -> ClearMark | None:
        """The clearing of which it is not known whether it was carried out."""
        with self._at_work():
            row = self._connection.execute(
                "SELECT records, at FROM clearing WHERE terminal = ? AND serial = ?", (terminal, serial)
            ).fetchone()
        return None if row is None else ClearMark(serial=serial, records=row[0], at=utc(row[1]))

    def drop(self, terminal: str, serial: str) -> None:
        """Its outcome is known: forget the mark."""
        with self._at_work(), transaction(self._connection):
            self._connection.execute(
                "DELETE FROM clearing WHERE terminal = ? AND serial = ?", (terminal, serial)
            )
