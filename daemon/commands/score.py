"""`hadir score`: a month's punches into days, months, ranks and ladder steps."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from attendance.errors import ConfigError
from daemon.wording import counted

if TYPE_CHECKING:
    from scoring.policy import Policy
    from scoring.step import Summary


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "score",
        help="score a month; doing it again changes nothing",
        epilog="example: hadir score --config /etc/hadir/central.toml --month 2026-08",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="central.toml")
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument(
        "--unit", metavar="UNIT", help="score only the people of one unit; all are ranked anew"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(func=_run)


def chosen_policy(config: Path, name: str) -> "Policy":
    """The policy that central.toml names; a path is relative to that file. Raises ConfigError."""
    from scoring.policy import load_policy

    if name.endswith(".toml"):
        return load_policy(str(config.parent / name))
    try:
        return load_policy(name)
    except ConfigError as error:
        raise ConfigError(f"{config}: {error}") from None


def _run(arguments: argparse.Namespace) -> int:
    from attendance.clock import SystemClock
    from config.load import load_central
    from scoring.step import month_days, score_month
    from sync.central.store import initialise, open_engine

    settings = load_central(arguments.config)
    policy = chosen_policy(arguments.config, settings.scoring.policy)
    month_days(arguments.month)
    engine = open_engine(settings.database.url)
    try:
        initialise(engine)
        now = SystemClock().now()
        summary = score_month(engine, policy, arguments.month, unit=arguments.unit, now=now)
    finally:
        engine.dispose()
    if arguments.json:
        print(json.dumps(asdict(summary), indent=2, default=float))
    else:
        _print(summary)
    return 0


def _print(summary: "Summary") -> None:
    whose = f"unit {summary.unit}" if summary.unit else "all units"
    days = ", ".join(f"{number} {status}" for status, number in summary.days.items()) or "none"
    people = counted(summary.people, "person", "people")
    print(f"{summary.month}, policy {summary.policy}, {whose}: {people}; days: {days}")
    for unit in sorted(summary.units, key=lambda unit: (unit.rank is None, unit.rank, unit.unit)):
        rank = "not ranked" if unit.rank is None else f"rank {unit.rank} of {unit.ranked_of}"
        score = "no score" if unit.score is None else f"{unit.score.normalize():f}"
        print(f"  {unit.unit}: {score}, {rank}, {counted(unit.people, 'person', 'people')}")
    if summary.sanctions:
        steps = counted(
            summary.sanctions, "step of the sanction ladder is", "steps of the sanction ladder are"
        )
        print(f"  {steps} reached: see v1_sanction")
    for note in summary.notes:
        print(f"  note: {note}")
