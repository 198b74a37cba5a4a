"""`hadir import`: punches that somebody carried."""

import argparse
import json
import logging
import os
import pwd
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attendance.errors import AttendanceError, ConfigError, DataError

if TYPE_CHECKING:
    from config.model import EdgeConfig
    from daemon.importing import ImportOrder

LOOK_EVERY_S = 0.1

_EPILOG = """\
An edge that runs takes the file over and answers; it need not be stopped. Where none runs, the punches
go into its outbox, and its next run sends them. The same file twice changes nothing.
An import never makes a day complete: only a read of the terminal itself shows that nothing is missing.

exit code: 0 done (bad lines are kept as evidence), 1 refused or failed, 2 wrong usage or configuration

examples:
  hadir import --config /etc/hadir/edge.toml --terminal lobi CGKK204060001_attlog.dat
  hadir import --config /etc/hadir/edge.toml --terminal lobi --serial CGKK204060001 1_attlog.dat --dry-run
  hadir import --config /etc/hadir/edge.toml --terminal lobi --dates dmy scanlog.csv
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "import",
        help="import attlog.dat or an export that was carried from a terminal",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "file",
        type=Path,
        metavar="FILE",
        help="attlog.dat; CSV, tab-separated text or HTML (.xls) with a heading",
    )
    add("--config", type=Path, required=True, metavar="FILE", help="edge.toml")
    add("--terminal", required=True, metavar="ID", help="whose punches these are, as in edge.toml")
    add("--serial", default="", metavar="S", help="its serial number (default: the one last read from it)")
    add("--dates", default="", metavar="ORDER", help="dmy or mdy, where the dates in the file do not show it")
    add(
        "--columns",
        default="",
        metavar="NAMES",
        help="what the columns are, where the file does not show it: of pin,time,date,device,state,verify,"
        "work,serial and - (not read); attlog.dat has pin,time,device,state,verify,work",
    )
    add("--whole-minutes", action="store_true", help="take times without seconds as they are")
    add("--dry-run", action="store_true", help="say what would go in, and change nothing")
    add("--timeout", type=float, default=120.0, metavar="S", help="wait so long for the edge (default: 120)")
    add("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(func=_run)


def _run(arguments: argparse.Namespace) -> int:
    from config.load import load_edge
    from daemon.importing import terminal_named

    settings = load_edge(arguments.config)
    order = _order(arguments)
    try:
        terminal_named(settings, order.terminal)
    except ConfigError as error:
        raise ConfigError(f"{arguments.config}: --terminal: {error}") from None
    result = _imported(settings, arguments.file, order, arguments.timeout)
    if arguments.json:
        print(json.dumps(result))
    else:
        _print(result, arguments.file)
    return 0


def _order(arguments: argparse.Namespace) -> "ImportOrder":
    from pydantic import TypeAdapter, ValidationError

    from config.model import Serial
    from daemon.importing import ImportOrder
    from drivers.file.sheet import COLUMNS

    columns = tuple(arguments.columns.split(",")) if arguments.columns else ()
    named = [name for name in columns if name != "-"]
    if columns and not (
        set(named) <= COLUMNS and {"pin", "time"} <= set(named) and len(named) == len(set(named))
    ):
        raise ConfigError(
            f"--columns {arguments.columns}: should be names out of {','.join(sorted(COLUMNS))}, "
            "each once, pin and time among them"
        )
    if arguments.dates not in ("", "dmy", "mdy"):
        raise ConfigError(f"--dates {arguments.dates}: should be dmy (5 January is 05/01) or mdy")
    try:
        TypeAdapter(Serial).validate_python(arguments.serial or "-")
    except ValidationError:
        raise ConfigError(
            f"--serial {arguments.serial}: should be 1 to 64 letters, digits, - and _"
        ) from None
    return ImportOrder(
        terminal=arguments.terminal,
        file=arguments.file.name,
        serial=arguments.serial,
        dates=arguments.dates,
        columns=columns,
        whole_minutes=arguments.whole_minutes,
        dry_run=arguments.dry_run,
        by=os.environ.get("SUDO_USER") or _user(),
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _imported(settings: "EdgeConfig", file: Path, order: "ImportOrder", patience_s: float) -> dict[str, Any]:
    """Hand the file in, and wait for whoever has the outbox; that is us where no edge runs."""
    from attendance.clock import SystemClock
    from attendance.errors import OutboxInUse
    from daemon.edge import OUTBOX_FILE
    from daemon.imports import Imports
    from daemon.spool import Spool
    from sync.outbox import Outbox

    # What goes wrong is printed once, by us; the worker logs it for the edge.
    logging.getLogger().addHandler(logging.NullHandler())
    spool = Spool(settings.edge.state_dir)
    try:
        with file.open("rb") as stream:
            job = spool.hand_in(stream, order)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
    deadline = time.monotonic() + patience_s
    while (answer := spool.fetch(job)) is None:
        try:
            with Outbox(settings.edge.state_dir / OUTBOX_FILE, edge=settings.edge.id) as outbox:
                Imports(settings, outbox, SystemClock()).work_off()
        except OutboxInUse as busy:
            if time.monotonic() >= deadline:
                spool.withdraw(job)
                raise OutboxInUse(f"{busy}, and it did not take the file in {patience_s:g} s") from None
            time.sleep(LOOK_EVERY_S)
        except AttendanceError:
            spool.withdraw(job)
            raise
    if "error" in answer:
        raise (ConfigError if answer["usage"] else DataError)(answer["error"])
    found: dict[str, Any] = answer["result"]
    return found


def _print(result: dict[str, Any], file: Path) -> None:
    from daemon.importing import wall
    from daemon.wording import counted

    for bad in result["bad"]:
        print(f"{file}: line {bad['line']}: kept as evidence: {bad['reason']}", file=sys.stderr)
    if result["bad_lines"] > len(result["bad"]):
        more = counted(result["bad_lines"] - len(result["bad"]), "more bad line")
        print(f"{file}: {more}", file=sys.stderr)
    for warning in result["warnings"]:
        print(f"{file}: warning: {warning}", file=sys.stderr)
    dry = " (dry run: nothing was written)" if result["dry_run"] else ""
    left_out = (
        f", {counted(result['left_out'], 'row')} of other terminals left out" if result["left_out"] else ""
    )
    read = counted(result["read"], "punch", "punches")
    print(
        f"terminal {result['terminal']}, serial {result['serial']}: {read} read, {result['new']} new, "
        f"{result['known']} already known, {counted(result['bad_lines'], 'bad line')}{left_out}{dry}"
    )
    print(f"from {wall(result['first'])} to {wall(result['last'])}, by the terminal's own clock")
    columns = sorted(result["columns"].items(), key=lambda column: column[1])
    print(f"columns: {', '.join(f'{name} {place + 1}' for name, place in columns)}")
    print("no day is complete by this: only a read of the terminal itself shows that nothing is missing")
