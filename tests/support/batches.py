"""Batches as an edge would send them, and what the central database holds of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, Table, select, text

from attendance.punch import Direction, Source, Verify
from sync.arrivals import Arrival, read
from sync.central import store
from sync.deposit import deposit
from sync.envelope import Batch, Receipt, WirePunch, WireTerminal, topic

EDGE = "setda-01"
STREAM = "0123456789abcdef" * 2
NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
MAKASSAR = timedelta(hours=8)


def wire_punch(
    pin: str = "7",
    wall: str = "2026-03-02T07:28:00",
    *,
    source: Source = Source.LOG,
    codes: tuple[int, int, int] = (1, 0, 0),
    serial: str = "CQZ7224460246",
    offset: float | None = 0.5,
) -> WirePunch:
    """One copy of a punch at the terminal `lobi`."""
    at = datetime.fromisoformat(wall).replace(tzinfo=UTC) - MAKASSAR
    return WirePunch(
        serial=serial,
        terminal="lobi",
        pin=pin,
        wall=wall,
        at=at,
        verify=Verify.FINGERPRINT,
        direction=Direction.OUT if codes[1] == 1 else Direction.IN,
        source=source,
        verify_code=codes[0],
        state_code=codes[1],
        work_code=codes[2],
        clock_offset_s=offset,
    )


def batch(number: int, punches: Sequence[WirePunch] = (), **rest: object) -> Batch:
    """A numbered batch of the one edge."""
    terminals = {"lobi": WireTerminal(serial="CQZ7224460246", group="opd", timezone="Asia/Makassar")}
    given: dict[str, object] = {"edge": EDGE, "stream": STREAM, "terminals": terminals, **rest}
    return Batch.model_validate({**given, "number": number, "punches": tuple(punches)})


def arrival(payload: Batch | bytes, edge: str = EDGE) -> Arrival:
    """What the centre makes of a message on an edge's topic."""
    raw = payload.to_bytes() if isinstance(payload, Batch) else payload
    what = read(topic(edge, "up", "punches"), raw, NOW)
    assert what is not None
    return what


def send(engine: Engine, *payloads: Batch | bytes) -> list[Receipt]:
    """Give messages to the centre, each in a transaction of its own."""
    return [receipt for payload in payloads for receipt in deposit(engine, [arrival(payload)], NOW)]


def rows(
    engine: Engine, table: Table, *, leave_out: Iterable[str] = ("id", "ingested_at")
) -> list[tuple[object, ...]]:
    """All rows of a table as plain values, in an order of their own."""
    columns = [column for column in table.columns if column.name not in leave_out]
    with store.reading(engine) as connection:
        return sorted((tuple(row) for row in connection.execute(select(*columns))), key=repr)


def view(engine: Engine, name: str, order: str = "1") -> list[dict[str, object]]:
    """All rows of a view as its readers get them."""
    with store.reading(engine) as connection:
        found = connection.execute(text(f"SELECT * FROM {name} ORDER BY {order}"))
        return [dict(row) for row in found.mappings()]
