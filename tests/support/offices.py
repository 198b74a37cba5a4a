"""A small office for scoring tests, put straight into the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, Table, insert, select

from sync.central import tables as t
from sync.central.store import reading, writing

STREAM = "0" * 32
LATER = datetime(2026, 9, 3, tzinfo=UTC)
"""When all of August 2026 has long ended everywhere."""


@dataclass
class Office:
    """Rows go in one call at a time; what is not said is the plain case."""

    engine: Engine

    def put(self, table: Table, *rows: Mapping[str, object]) -> None:
        with writing(self.engine) as connection:
            connection.execute(insert(table), [dict(row) for row in rows])

    def unit(self, code: str, group: str | None = None, zone: str | None = None) -> None:
        self.put(t.unit, {"unit": code, "name": f"Unit {code}", "ranking_group": group, "timezone": zone})

    def person(self, nip: str, unit: str, pin: str, *, kind: str = "pns", group: str = "default") -> None:
        self.put(t.person, {"nip": nip, "name": f"Person {nip}", "kind": kind})
        self.put(t.membership, {"nip": nip, "unit": unit})
        self.put(t.pin_map, {"nip": nip, "terminal_group": group, "pin": pin})

    def terminal(self, name: str, *, serial: str | None = None, **facts: str | None) -> None:
        row = {"edge": "e1", "terminal": name, "serial": serial or name.upper(), "state": "online"}
        self.put(t.terminal, {"terminal_group": "default", "timezone": "Asia/Makassar", **row, **facts})

    def covered(
        self,
        name: str,
        until: datetime,
        *,
        since: datetime | None = None,
        number: int = 1,
        serial: str | None = None,
    ) -> None:
        with writing(self.engine) as connection:
            known = connection.execute(select(t.stream).where(t.stream.c.edge == "e1")).first()
            if known is None:
                stream = {"edge": "e1", "stream": STREAM, "watermark": 10, "updated_at": until}
                connection.execute(insert(t.stream), [stream])
        self.put(
            t.coverage,
            {
                "edge": "e1",
                "stream": STREAM,
                "number": number,
                "terminal": name,
                "terminal_serial": serial or name.upper(),
                "since": since,
                "until": until,
                "records": 1,
            },
        )

    def punch(self, name: str, pin: str, day: str, *moments: str, serial: str | None = None) -> None:
        self.put(
            t.punch,
            *(
                {
                    "local_date": day,
                    "local_time": moment,
                    "terminal_serial": serial or name.upper(),
                    "pin": pin,
                    "edge": "e1",
                    "terminal": name,
                    "punched_at": LATER,
                    "verify": "face",
                    "direction": "in",
                    "source": "log",
                    "verify_code": 15,
                    "state_code": 0,
                    "work_code": 0,
                    "flags": [],
                    "ingested_at": LATER,
                }
                for moment in moments
            ),
        )

    def faultless(self, name: str, pin: str, month: str, *, but: tuple[str, ...] = ()) -> None:
        """In at 07:20 and out at 16:45 on every weekday of the month."""
        day = date.fromisoformat(f"{month}-01")
        while day.isoformat()[:7] == month:
            if day.weekday() < 5 and day.isoformat() not in but:
                self.punch(name, pin, day.isoformat(), "07:20:00", "16:45:00")
            day += timedelta(days=1)

    def rows(self, table: Table) -> list[dict[str, object]]:
        keys = list(table.primary_key.columns)
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(select(table).order_by(*keys)).mappings()]

    def day(self, nip: str, day: str) -> dict[str, object]:
        (row,) = [row for row in self.rows(t.day) if (row["nip"], row["local_date"]) == (nip, day)]
        return row
