"""`hadir terminal clear`: a terminal's log emptied, once the centre has every record of it."""

import argparse
import io
import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attendance.errors import AttendanceError, ConfigError, DataError, DeviceError
from daemon.bench.target import seconds
from daemon.wording import counted

if TYPE_CHECKING:
    from config.model import EdgeConfig

_EXAMPLES = """\
The log is read whole; it is cleared only if the centre has acknowledged every record, and nobody has punched
since it was looked at. Else nothing happens, and the condition that failed is told. An edge that runs does
it; it need not be stopped.

example:
  hadir terminal clear lobi --config /etc/hadir/edge.toml --yes
"""
LOOK_EVERY_S = 0.1


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = actions.add_parser(
        "clear",
        help="empty a terminal's log, if all of it is at the centre",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("terminal", metavar="ID", help="an id of edge.toml")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="edge.toml")
    parser.add_argument("--yes", action="store_true", help="without asking")
    parser.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="S", help="wait so long for it (default: 600)"
    )
    parser.add_argument("--json", action="store_true", help="print facts for machines")
    parser.set_defaults(func=_clear)


def _clear(arguments: argparse.Namespace) -> int:
    from config.load import load_edge
    from daemon.clear_orders import dialled

    settings = load_edge(arguments.config)
    terminal = dialled(settings, arguments.terminal)
    if not arguments.yes:
        _confirm(terminal.id)
    result = _cleared(settings, terminal.id, arguments.timeout)
    if arguments.json:
        print(json.dumps(result))
    else:
        records = counted(result["records"], "record")
        print(f"{terminal.id} ({result['serial']}): cleared; the centre has all of its {records}")
    return 0


def _confirm(terminal: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("this empties the terminal's log; add --yes")
    print(
        f"empty the log of terminal {terminal}? Type its id to confirm: ", end="", file=sys.stderr, flush=True
    )
    if sys.stdin.readline().strip() != terminal:
        raise DataError("nothing was cleared")


def _cleared(settings: "EdgeConfig", terminal: str, patience_s: float) -> dict[str, Any]:
    """Hand the order in, and wait for whoever has the outbox; that is us where no edge runs."""
    from attendance.clock import SystemClock
    from attendance.errors import OutboxInUse
    from daemon.clear_orders import ClearOrder, ClearOrders, clear_spool
    from daemon.clearing import NOT_KNOWN
    from daemon.edge import OUTBOX_FILE
    from sync.outbox import Outbox

    # What goes wrong is printed once, by us; the worker logs it for the edge.
    logging.getLogger().addHandler(logging.NullHandler())
    spool = clear_spool(settings)
    by = os.environ.get("SUDO_USER") or f"uid {os.getuid()}"
    order = ClearOrder(terminal=terminal, at=datetime.now(UTC).isoformat(), by=by)
    job = spool.hand_in(io.BytesIO(), order)
    deadline = time.monotonic() + patience_s
    try:
        while (answer := spool.fetch(job)) is None:
            try:
                with Outbox(settings.edge.state_dir / OUTBOX_FILE, edge=settings.edge.id) as outbox:
                    ClearOrders(settings, outbox, SystemClock()).work_off()
            except OutboxInUse as busy:
                if time.monotonic() >= deadline:
                    raise DeviceError(
                        f"{busy}, and it did not answer in {patience_s:g} s; "
                        "what became of it stands in its log and in hadir terminal list --probe"
                    ) from None
                time.sleep(LOOK_EVERY_S)
    except BaseException:
        spool.withdraw(job)
        raise
    if "error" in answer:
        error = str(answer["error"])
        said = f"{terminal}: " if error.startswith(NOT_KNOWN) else f"{terminal} is not cleared: "
        raise (ConfigError if answer["usage"] else AttendanceError)(said + error)
    found: dict[str, Any] = answer["result"]
    return found
