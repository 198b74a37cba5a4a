"""What happened to terminals, and how their clocks stood, beside the punches.

Every function works in the caller's transaction, and gives the same rows however often, and in whatever
order, a thing arrives.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, tuple_

from sync.central.copies import whole_seconds
from sync.central.intake import insert_or
from sync.central.tables import clock_reading, terminal_event
from sync.envelope import WireClock, WireEvent, event_identity


def put_events(connection: Connection, edge: str, events: Iterable[WireEvent], now: datetime) -> None:
    """Keep events; one that is told in several ways (another edge, another word for it) once."""
    rows = [
        {
            "identity": event_identity(event).hex(),
            "edge": edge,
            "terminal": event.terminal,
            "terminal_serial": event.serial,
            "kind": event.kind,
            "source": event.source.value,
            "happened_at": event.at,
            "wall_time": event.wall,
            "operator": event.operator,
            "code": event.code,
            "code_values": ",".join(event.values),
            "detail": event.detail,
            "ingested_at": now,
        }
        for event in events
    ]
    told = ("edge", "terminal", "kind", "happened_at", "detail")
    statement = insert_or(connection, terminal_event)
    chosen = statement.on_conflict_do_update(
        index_elements=["identity"],
        set_={name: statement.excluded[name] for name in told},
        where=tuple_(*(statement.excluded[name] for name in told))
        < tuple_(*(terminal_event.c[name] for name in told)),
    )
    connection.execute(chosen, rows)


def put_clocks(connection: Connection, edge: str, readings: Iterable[WireClock]) -> None:
    """Keep measurements of clocks; the same moment of the same terminal once."""
    rows = [
        {
            "edge": edge,
            "terminal": reading.terminal,
            "terminal_serial": reading.serial,
            "measured_at": whole_seconds(reading.at),
            "offset_s": reading.offset_s,
            "error_s": reading.error_s,
            "trusted": reading.trusted,
            "verdict": reading.verdict,
        }
        for reading in readings
    ]
    connection.execute(insert_or(connection, clock_reading).on_conflict_do_nothing(), rows)
