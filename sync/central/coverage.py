"""From when to when a terminal's punches are known to be all in: what tells `incomplete` from `absent`."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, case, func, or_, select

from sync.central.tables import clock_reading, coverage, stream

MISDATES: Final = timedelta(hours=6)
"""A clock off by this much writes punches of office hours under another day."""


class Covered(NamedTuple):
    """All punches that a terminal made from `since` to `until` (aware, UTC, true time) are in `punch`.

    `since` is None where the log reaches back for ever.
    """

    edge: str
    terminal: str
    serial: str
    since: datetime | None
    until: datetime


def covered(connection: Connection) -> list[Covered]:
    """What is covered of each terminal, and holds: every batch up to its own is committed."""
    of = coverage.c
    query = (
        select(of.edge, of.terminal, of.terminal_serial, of.since, of.until)
        .join(stream, and_(stream.c.edge == of.edge, stream.c.stream == of.stream))
        .where(of.number <= stream.c.watermark)
        .order_by(of.edge, of.terminal, of.terminal_serial, of.until)
    )
    return [Covered._make(row) for row in connection.execute(query)]


class Misdated(NamedTuple):
    """Between two instants (aware, UTC) a terminal's clock may have written punches under other days."""

    edge: str
    terminal: str
    serial: str
    first: datetime
    last: datetime


def misdated(connection: Connection) -> list[Misdated]:
    """For each reading of a clock that stood that wrong: from the reading before it to the one after.

    Readings of a host that did not know the time itself count only where there are no others.
    """
    clock = clock_reading.c
    one = (clock.edge, clock.terminal, clock.terminal_serial)
    sure = func.max(case((clock.trusted, 1), else_=0)).over(partition_by=one)
    every = select(*one, clock.measured_at, clock.offset_s, clock.trusted, sure.label("sure")).subquery().c
    named = (every.edge, every.terminal, every.terminal_serial)
    at = every.measured_at
    found = (
        select(
            *named,
            func.lag(at, type_=at.type).over(partition_by=named, order_by=at).label("before"),
            func.lead(at, type_=at.type).over(partition_by=named, order_by=at).label("after"),
            every.offset_s,
        )
        .where(or_(every.trusted, every.sure == 0))
        .subquery()
        .c
    )
    wrong = or_(found.offset_s.is_(None), func.abs(found.offset_s) >= MISDATES.total_seconds())
    rows = connection.execute(
        select(found.edge, found.terminal, found.terminal_serial, found.before, found.after).where(wrong)
    )
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    return [
        Misdated(edge, terminal, serial, before or begin, after or end)
        for edge, terminal, serial, before, after in rows
    ]
