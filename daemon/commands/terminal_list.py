"""`hadir terminal list`: the configured terminals."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.bench.target import seconds
from daemon.wording import counted

if TYPE_CHECKING:
    from daemon.bench.known import Known
    from daemon.bench.roll import Now

_EXAMPLES = """\
Exit code 1 where --probe finds a terminal that cannot be asked.

examples:
  hadir terminal list --config /etc/hadir/edge.toml
  hadir terminal list --config /etc/hadir/edge.toml --probe
"""


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = actions.add_parser(
        "list",
        help="the configured terminals, and what is known of each",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="edge.toml")
    parser.add_argument("--probe", action="store_true", help="ask each of them now, side by side")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=30.0,
        metavar="S",
        help="how long the edge on this machine may take to give way (default: 30)",
    )
    parser.add_argument("--json", action="store_true", help="print facts for machines")
    parser.set_defaults(func=_list)


def _list(arguments: argparse.Namespace) -> int:
    from attendance.clock import SystemClock
    from config.load import load_edge
    from daemon.bench.known import KnownTerminals
    from daemon.bench.roll import ask_all
    from drivers.zk.driver import ZkDriver

    config = load_edge(arguments.config)
    terminals = KnownTerminals(config).all
    answers: dict[str, Now] = {}
    if arguments.probe:
        answers = ask_all(config, terminals, ZkDriver(), SystemClock(), arguments.wait)
    if arguments.json:
        print(json.dumps([_facts(known, answers.get(known.settings.id)) for known in terminals]))
    else:
        _tell(terminals, answers, probed=arguments.probe)
    return 1 if any(now.identity is None for now in answers.values()) else 0


def _facts(known: "Known", now: "Now | None") -> dict[str, object]:
    settings, memory = known.settings, known.memory
    facts: dict[str, object] = {
        "id": settings.id,
        "driver": settings.driver,
        "host": settings.host or None,
        "port": settings.port if settings.polled else None,
        "transport": settings.transport if settings.polled else None,
        "group": settings.group,
        "unit": settings.unit,
        "serial": known.serial,
        "records": memory.records if memory else None,
        "last_contact_at": _iso(memory.last_contact_at) if memory else None,
        "last_full_read_at": _iso(memory.last_full_read_at) if memory else None,
    }
    if now is not None:
        facts["now"] = {
            "answers": now.identity is not None,
            "serial": now.identity.serial if now.identity else None,
            "model": now.identity.model if now.identity else None,
            "firmware": now.identity.firmware if now.identity else None,
            "users": now.sizes.users if now.sizes else None,
            "records": now.sizes.records if now.sizes else None,
            "capacity": now.sizes.record_capacity if now.sizes else None,
            "clock_offset_s": now.clock.facts["clock_offset_s"] if now.clock else None,
            "clock_right": now.clock.right if now.clock else None,
            "trouble": now.trouble or None,
        }
    return facts


def _tell(terminals: "list[Known]", answers: "dict[str, Now]", *, probed: bool) -> None:
    rows = [("id", "address", "serial", "records", "last contact", "now" if probed else "")]
    rows += [_row(known, answers.get(known.settings.id), probed=probed) for known in terminals]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not terminals:
        print("no terminal is configured; hadir terminal add writes one")


def _row(known: "Known", now: "Now | None", *, probed: bool) -> tuple[str, str, str, str, str, str]:
    memory = known.memory
    state = ""
    if now is not None:
        state = now.trouble or "answers"
        if now.sizes is not None and now.sizes.records is not None:
            state += f", {counted(now.sizes.records, 'record')}"
    elif probed:
        state = f"not dialled ({known.settings.driver})"
    return (
        known.settings.id,
        known.address or known.settings.driver,
        known.serial or "-",
        f"{memory.records:,}" if memory else "-",
        _ago(memory.last_contact_at) if memory and memory.last_contact_at else "never",
        state,
    )


def _ago(at: datetime) -> str:
    from daemon.bench.wall_clock import in_words

    return f"{in_words(datetime.now(UTC) - at)} ago"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
