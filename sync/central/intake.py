"""What ingest writes beside the punches: bad records, quarantine, streams, coverage, health.

Every function works in the caller's transaction, and gives the same rows however often a thing arrives.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, TypeVar

from sqlalchemy import Connection, Table, and_, delete, exists, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError

from sync.central.copies import whole_seconds
from sync.central.faults import blames_a_row
from sync.central.tables import bad_record, coverage, edge, quarantine, stream, stream_ahead, terminal
from sync.envelope import EdgeState, TerminalHealth, WireBadRecord, WireCoverage, WireTerminal

MOST_RANGES: Final = 50
"""Most missing ranges that a receipt names; the rest is named when these are filled."""

_INGEST_LOCK: Final = 0x68616470  # any number that no other program takes: "hadp"

_CLAIM: Final = text(
    "SELECT pg_advisory_xact_lock(:lock), set_config('plan_cache_mode', 'force_custom_plan', true)"
)

_ANSWERED: Final = {
    "serial", "model", "firmware", "last_seen_at", "clock_offset_s", "records", "capacity",
    "reading", "clock_state", "records_per_day", "days_left",
}  # fmt: skip
"""What an edge knows of a terminal, by the names that the table and the wire share."""

_T = TypeVar("_T")


def claim(connection: Connection) -> None:
    """Be the only one who ingests until this transaction ends (on SQLite its one writer is that already).

    PostgreSQL must plan each statement anew: a plan made while a table was empty scans it for ever.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_CLAIM, {"lock": _INGEST_LOCK})


def put_good(
    connection: Connection, items: Sequence[_T], put: Callable[[Connection, Sequence[_T]], None]
) -> list[tuple[_T, str]]:
    """Put items in one go; where the database refuses their values, find the culprits by halves.

    Returns the culprits with the database's reason; all others are put.
    """
    if not items:
        return []
    try:
        with connection.begin_nested():
            put(connection, items)
    except (StatementError, OverflowError) as error:
        if not blames_a_row(error):
            raise
        if len(items) == 1:
            cause = error.orig if isinstance(error, StatementError) else error
            return [(items[0], " ".join(str(cause).split())[:200])]
        half = len(items) // 2
        return put_good(connection, items[:half], put) + put_good(connection, items[half:], put)
    return []


def put_bad(
    connection: Connection, source_edge: str, records: Iterable[WireBadRecord], now: datetime
) -> None:
    """Keep records that could not be a punch; the same bytes of the same terminal once."""
    rows = [
        {
            "edge": source_edge,
            "terminal": record.terminal,
            "terminal_serial": record.serial,
            "raw": record.raw,
            "reason": record.reason,
            "source": record.source.value,
            "ingested_at": now,
        }
        for record in records
    ]
    told = ("edge", "terminal", "reason", "source")
    statement = insert_or(connection, bad_record)
    chosen = statement.on_conflict_do_update(
        index_elements=["terminal_serial", "raw"],
        set_={name: statement.excluded[name] for name in told},
        where=tuple_(*(statement.excluded[name] for name in told))
        < tuple_(*(bad_record.c[name] for name in told)),
    )
    connection.execute(chosen, rows)


def set_aside(connection: Connection, rejected: Iterable[tuple[str, bytes, str]], now: datetime) -> None:
    """Keep (topic, payload, reason) of what cannot be stored; the same bytes once."""
    rows = [
        {
            "digest": hashlib.sha256(topic.encode() + b"\0" + payload).hexdigest(),
            "topic": topic[:200],
            "payload": payload,
            "reason": reason[:200],
            "received_at": now,
        }
        for topic, payload, reason in rejected
    ]
    if rows:
        connection.execute(insert_or(connection, quarantine).on_conflict_do_nothing(), rows)


# --- streams ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a stream stands: all numbers up to `watermark` are committed, and those in `ahead`."""

    watermark: int
    ahead: tuple[int, ...]

    @property
    def highest(self) -> int:
        return self.ahead[-1] if self.ahead else self.watermark

    def has(self, number: int) -> bool:
        """Whether this number is committed."""
        return number <= self.watermark or number in self.ahead

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The gaps, as inclusive ranges."""
        known = (self.watermark, *self.ahead)
        gaps = ((before + 1, after - 1) for before, after in pairwise(known) if after - before > 1)
        return tuple(gaps)[:MOST_RANGES]

    def with_numbers(self, numbers: Iterable[int]) -> "Progress":
        """The same stream after these numbers, too, are committed."""
        waiting = sorted({*self.ahead, *(number for number in numbers if number > self.watermark)})
        watermark, taken = self.watermark, 0
        for number in waiting:
            if number != watermark + 1:
                break
            watermark, taken = number, taken + 1
        return Progress(watermark, tuple(waiting[taken:]))


def progress(connection: Connection, name: str, stream_id: str) -> Progress:
    """Where a stream stands; an unknown one at 0."""
    watermark = connection.scalar(
        select(stream.c.watermark).where(stream.c.edge == name, stream.c.stream == stream_id)
    )
    ahead = connection.scalars(
        select(stream_ahead.c.number)
        .where(stream_ahead.c.edge == name, stream_ahead.c.stream == stream_id)
        .order_by(stream_ahead.c.number)
    )
    return Progress(watermark or 0, tuple(ahead))


def advance(
    connection: Connection, key: tuple[str, str], before: Progress, after: Progress, now: datetime
) -> None:
    """Write a stream's new place."""
    named = {"edge": key[0], "stream": key[1]}
    statement = insert_or(connection, stream)
    moved = statement.on_conflict_do_update(
        index_elements=["edge", "stream"],
        set_={"watermark": statement.excluded.watermark, "updated_at": statement.excluded.updated_at},
    )
    connection.execute(moved, {**named, "watermark": after.watermark, "updated_at": now})
    if before.ahead and after.watermark > before.watermark:
        mine = and_(stream_ahead.c.edge == key[0], stream_ahead.c.stream == key[1])
        connection.execute(delete(stream_ahead).where(mine, stream_ahead.c.number <= after.watermark))
    new = [{**named, "number": number} for number in after.ahead if number not in before.ahead]
    if new:
        connection.execute(insert(stream_ahead), new)


# --- coverage --------------------------------------------------------------------------


def put_coverage(
    connection: Connection, key: tuple[str, str], entries: Iterable[tuple[int, WireCoverage]]
) -> None:
    """Note (batch number, coverage) of a stream; whether it holds depends on the stream's watermark."""
    rows = [
        {
            "edge": key[0],
            "stream": key[1],
            "number": number,
            "terminal": entry.terminal,
            "terminal_serial": entry.serial,
            "since": entry.since,
            "until": entry.until,
            "records": entry.records,
        }
        for number, entry in entries
    ]
    connection.execute(insert_or(connection, coverage).on_conflict_do_nothing(), rows)


def prune_coverage(connection: Connection, key: tuple[str, str], watermark: int) -> None:
    """Forget coverage that holds and lies wholly within another of the same terminal that holds."""
    better = coverage.alias("better")
    connection.execute(
        delete(coverage).where(
            coverage.c.edge == key[0],
            coverage.c.stream == key[1],
            coverage.c.number <= watermark,
            exists().where(
                better.c.edge == coverage.c.edge,
                better.c.stream == coverage.c.stream,
                better.c.terminal == coverage.c.terminal,
                better.c.terminal_serial == coverage.c.terminal_serial,
                better.c.number <= watermark,
                or_(better.c.since.is_(None), better.c.since <= coverage.c.since),
                or_(
                    better.c.until > coverage.c.until,
                    and_(better.c.until == coverage.c.until, better.c.number > coverage.c.number),
                ),
            ),
        )
    )


# --- what edges say of themselves and their terminals ----------------------------------


def learn_terminals(connection: Connection, facts: Collection[tuple[str, str, WireTerminal]]) -> None:
    """What an edge's settings say of its terminals: (edge, terminal, facts)."""
    rows = [
        {
            "edge": name,
            "terminal": id_,
            "serial": fact.serial,
            "terminal_group": fact.group,
            "unit": fact.unit,
            "timezone": fact.timezone,
            "since": fact.since,
            "state": "unknown",
        }
        for name, id_, fact in facts
    ]
    statement = insert_or(connection, terminal)
    told = ("serial", "terminal_group", "unit", "timezone", "since")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["edge", "terminal"], set_={name: statement.excluded[name] for name in told}
        ),
        rows,
    )


def report_edge(connection: Connection, said: EdgeState) -> None:
    """An edge's state. An `online` older than what is known is stale; a will is as old as its session."""
    row = said.model_dump(include={"edge", "state", "at", "version", "protocol", "queued"}, exclude_none=True)
    known = connection.scalar(select(edge.c.at).where(edge.c.edge == said.edge))
    if known is None:
        connection.execute(insert(edge), row)
        return
    if whole_seconds(said.at) < known:
        if said.state == "online":
            return
        row["at"] = known
    connection.execute(update(edge).where(edge.c.edge == said.edge).values(row))


def report_terminal(connection: Connection, name: str, said: TerminalHealth) -> None:
    """A terminal's health, unless a later one is known. What it did not say this time stays as it was."""
    key = and_(terminal.c.edge == name, terminal.c.terminal == said.terminal)
    row = said.model_dump(include=_ANSWERED, exclude_none=True)
    row |= {"state": said.state, "state_at": said.at, "error": said.error}
    known = connection.execute(select(terminal.c.state_at, terminal.c.last_seen_at).where(key)).one_or_none()
    if known is None:
        connection.execute(insert(terminal), {"edge": name, "terminal": said.terminal, **row})
        return
    if known.state_at is not None and whole_seconds(said.at) < known.state_at:
        return
    if known.last_seen_at is not None:
        row["last_seen_at"] = max(known.last_seen_at, said.last_seen_at or known.last_seen_at)
    connection.execute(update(terminal).where(key).values(row))


def insert_or(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT: both databases speak the same of it."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
