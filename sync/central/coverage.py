"""Up to when a terminal's punches are known to be all in: what tells `incomplete` from `absent`."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from sync.central.tables import coverage, stream


class Covered(NamedTuple):
    """All punches that a terminal had made before `until` (aware, UTC, true time) are in `punch`."""

    edge: str
    terminal: str
    serial: str
    until: datetime


def covered_until(connection: Connection) -> list[Covered]:
    """The furthest coverage of each terminal that holds: every batch up to its own is committed."""
    query = (
        select(
            coverage.c.edge,
            coverage.c.terminal,
            coverage.c.terminal_serial,
            func.max(coverage.c.until, type_=coverage.c.until.type),
        )
        .join(stream, and_(stream.c.edge == coverage.c.edge, stream.c.stream == coverage.c.stream))
        .where(coverage.c.number <= stream.c.watermark)
        .group_by(coverage.c.edge, coverage.c.terminal, coverage.c.terminal_serial)
        .order_by(coverage.c.edge, coverage.c.terminal, coverage.c.terminal_serial)
    )
    return [Covered._make(row) for row in connection.execute(query)]
