"""`hadir demo`."""

import argparse
from pathlib import Path


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="everything on this machine: terminals, broker, edge, centre, scores",
        description="Simulated terminals that speak the real protocol, an embedded broker, one edge, "
        "the centre on SQLite, a month scored. Nothing to set up; about ten seconds.",
        epilog="example: hadir demo --dir ./demo",
    )
    parser.add_argument(
        "--dir", type=Path, metavar="PATH", help="an empty folder to work in (default: a new one)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="another number, other people (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome for machines")
    parser.set_defaults(func=_run)


def _run(arguments: argparse.Namespace) -> int:
    from daemon.demo.run import run_demo

    return run_demo(arguments.dir, seed=arguments.seed, as_json=arguments.json)
