"""`hadir load KIND FILE`: reference data into the centre."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from attendance.errors import ConfigError, DataError

if TYPE_CHECKING:
    from sync.central.load import LoadResult

_EPILOG = """\
kinds that this version loads: units, people, terminals (in that order the first time)
exit code: 0 all rows are in, 1 some rows were refused and the others are in, 2 nothing was done

examples:
  hadir load people pegawai.csv --config /etc/hadir/central.toml --dry-run
  hadir load people pegawai.csv --config /etc/hadir/central.toml
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "load",
        help="load units, people and terminals from CSV files",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", metavar="KIND", help="units, people or terminals")
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, UTF-8, one header row")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="central.toml")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(func=_run)


def _run(arguments: argparse.Namespace) -> int:
    from config.load import load_central
    from sync.central.load import load_file
    from sync.central.store import initialise, open_engine

    engine = open_engine(load_central(arguments.config).database.url)
    try:
        initialise(engine)
        result = load_file(engine, arguments.kind, arguments.file, dry_run=arguments.dry_run)
    except DataError as error:
        raise ConfigError(str(error)) from None
    finally:
        engine.dispose()
    if arguments.json:
        print(json.dumps({**asdict(result), "path": str(result.path)}, indent=2))
    else:
        _print(result)
    return 1 if result.refused else 0


def _print(result: "LoadResult") -> None:
    for note in result.refused:
        print(f"{result.path}: line {note.line}: refused: {note.text}", file=sys.stderr)
    for note in result.warnings:
        print(f"{result.path}: line {note.line}: warning: {note.text}", file=sys.stderr)
    if result.dry_run:
        for note in result.added:
            print(f"line {note.line}: would add {note.text}")
        for note in result.changed:
            print(f"line {note.line}: would change {note.text}")
    print(
        f"{result.kind}: {len(result.added)} added, {len(result.changed)} changed, "
        f"{result.unchanged} unchanged, {len(result.refused)} refused"
        + (" (dry run: nothing was written)" if result.dry_run else "")
    )
