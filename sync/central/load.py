"""`hadir load`: a file of reference data into the database; what cannot be used is named and kept out."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine

from attendance.errors import ConfigError
from sync.central.load_csv import Columns, Row, read_rows
from sync.central.load_people import plan_people
from sync.central.load_plan import Note, Plan
from sync.central.load_units import TERMINALS, UNITS, plan_terminals, plan_units
from sync.central.people_file import PEOPLE
from sync.central.store import reading, writing

_LOADERS: Final[dict[str, tuple[Columns, Callable[[Connection, list[Row]], Plan]]]] = {
    "units": (UNITS, plan_units),
    "people": (PEOPLE, plan_people),
    "terminals": (TERMINALS, plan_terminals),
}

KINDS: Final = tuple(_LOADERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What a file did, or with `dry_run` would do. Rows, not database rows, are counted."""

    kind: str
    path: Path
    dry_run: bool
    added: tuple[Note, ...]
    changed: tuple[Note, ...]
    unchanged: int
    refused: tuple[Note, ...]
    warnings: tuple[Note, ...]


def load_file(engine: Engine, kind: str, path: Path, *, dry_run: bool = False) -> LoadResult:
    """Load a file in one transaction; the same file twice changes nothing.

    Raises ConfigError for a kind that this version does not load, DataError where the file as a
    whole cannot be used; a row that cannot be used is in `refused`, and the others are loaded.
    """
    if kind not in _LOADERS:
        near = get_close_matches(kind, KINDS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"load: this version loads {', '.join(KINDS)}; not {kind!r}{hint}")
    columns, make_plan = _LOADERS[kind]
    rows, faults = read_rows(path, columns)
    if dry_run:
        with reading(engine) as connection:
            plan = make_plan(connection, rows)
    else:
        with writing(engine) as connection:
            plan = make_plan(connection, rows)
            plan.carry_out(connection)
    refused = [*plan.refused, *(Note(line, text) for line, text in faults)]
    return LoadResult(
        kind=kind,
        path=path,
        dry_run=dry_run,
        added=tuple(plan.added),
        changed=tuple(plan.changed),
        unchanged=plan.unchanged,
        refused=tuple(sorted(refused)),
        warnings=tuple(sorted(plan.warnings)),
    )
