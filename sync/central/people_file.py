"""The `people` file read by itself, beside a terminal: whose pin is whose on a day. Needs no database."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from sync.central.load_csv import Columns, RowFault, as_code, read_rows, span_of

PEOPLE: Final = Columns(("nip", "name", "unit", "pin"), ("kind", "from", "to", "terminal_group"))
DEFAULT_GROUP: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinOwner:
    """Whose a pin is. `unit` is None for somebody who belongs to none on that day."""

    pin: str
    nip: str
    name: str
    unit: str | None


def owners_in_file(path: Path, group: str, day: date) -> tuple[list[PinOwner], list[tuple[int, str]]]:
    """The owners of a terminal group's pins on a day, and (line, fault) of rows that cannot be used.

    Raises DataError where the file as a whole cannot be used.
    """
    rows, faults = read_rows(path, PEOPLE)
    owners: list[PinOwner] = []
    for row in rows:
        try:
            first, last = span_of(row)
            owner = PinOwner(
                pin=as_code(row, "pin", example="1001"),
                nip=as_code(row, "nip", example="198503172010011001"),
                name=row.need("name"),
                unit=row.need("unit"),
            )
        except RowFault as fault:
            faults.append((row.line, str(fault)))
            continue
        if (row.get("terminal_group") or DEFAULT_GROUP) == group and first <= day.isoformat() <= last:
            owners.append(owner)
    return owners, faults
