"""`hadir edge run`."""

import argparse
from datetime import timedelta
from pathlib import Path

from config.fields import parse_duration

DEFAULT_TIMEOUT = "120s"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("edge", help="the daemon beside the terminals")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    run = actions.add_parser(
        "run",
        help="poll the terminals, keep the punches, send them to the centre",
        epilog="example: hadir edge run --config /etc/hadir/edge.toml --once",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE")
    run.add_argument(
        "--once", action="store_true", help="read every terminal once, deliver everything, and end"
    )
    run.add_argument(
        "--timeout",
        type=_seconds,
        default=_seconds(DEFAULT_TIMEOUT),
        metavar="S",
        help="for --once (default: 120)",
    )
    run.add_argument("--json", action="store_true", help="with --once: print the outcome for machines")
    run.add_argument("--verbose", action="store_true", help="log more")
    run.set_defaults(func=_run)


def _seconds(text: str) -> timedelta:
    try:
        duration = parse_duration(text if text[-1:].isalpha() else f"{text}s")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return duration


def _run(arguments: argparse.Namespace) -> int:
    from config.load import load_edge
    from daemon import logs
    from daemon.edge import run_daemon
    from daemon.once import run_once

    settings = load_edge(arguments.config)
    logs.set_up(verbose=arguments.verbose)
    if arguments.once:
        return run_once(settings, arguments.timeout, as_json=arguments.json)
    return run_daemon(settings)
