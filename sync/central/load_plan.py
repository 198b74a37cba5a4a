"""What a file would do to the database: decided first, then written, or only told (`--dry-run`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, and_, bindparam, delete, insert

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """Something to say about a line of the file."""

    line: int
    text: str


@dataclass(slots=True)
class Plan:
    """The fate of each row, and the database rows to take away and to put in."""

    added: list[Note] = field(default_factory=list)
    changed: list[Note] = field(default_factory=list)
    unchanged: int = 0
    refused: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    _old: dict[str, tuple[Table, list[Values]]] = field(default_factory=dict)
    _new: dict[str, tuple[Table, list[Values]]] = field(default_factory=dict)

    def remove(self, table: Table, rows: Iterable[Values]) -> None:
        """Take away the rows with these primary keys; other columns are not looked at."""
        self._old.setdefault(table.name, (table, []))[1].extend(rows)

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        """Put in new rows."""
        self._new.setdefault(table.name, (table, []))[1].extend(rows)

    def tell(self, line: int, before: Values | None, differences: list[str], what: str) -> None:
        """Count a usable row as added, changed or unchanged."""
        if before is None:
            self.added.append(Note(line, what))
        elif differences:
            self.changed.append(Note(line, f"{what}: {', '.join(differences)}"))
        else:
            self.unchanged += 1

    def carry_out(self, connection: Connection) -> None:
        """Write it: all removals before all insertions, so that keys may change hands."""
        for table, rows in self._old.values():
            keys = [column.name for column in table.primary_key]
            if rows:
                connection.execute(
                    delete(table).where(and_(*(table.c[key] == bindparam(f"key_{key}") for key in keys))),
                    [{f"key_{key}": row[key] for key in keys} for row in rows],
                )
        for table, rows in self._new.values():
            if rows:
                connection.execute(insert(table), [dict(row) for row in rows])


def differences(before: Values | None, after: Values) -> list[str]:
    """`column old -> new` for each column that changes."""
    if before is None:
        return []
    return [
        f"{name} {_said(before[name])} -> {_said(value)}"
        for name, value in after.items()
        if before[name] != value
    ]


def _said(value: object) -> str:
    return "(none)" if value is None else str(value)
