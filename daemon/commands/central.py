"""`hadir central run` and `hadir central init`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.model import CentralConfig


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("central", help="the server that receives and commits")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    run = actions.add_parser(
        "run",
        help="receive, commit, acknowledge",
        epilog="example: hadir central run --config /etc/hadir/central.toml",
    )
    init = actions.add_parser(
        "init",
        help="create or upgrade the database",
        epilog="example: hadir central init --config /etc/hadir/central.toml",
    )
    for action in (run, init):
        action.add_argument("--config", type=Path, required=True, metavar="FILE")
        action.add_argument("--verbose", action="store_true", help="log more")
    run.set_defaults(func=_run)
    init.set_defaults(func=_init)


def _settings(file: Path) -> "CentralConfig":
    """central.toml, with a policy that can be scored with: at the month's end is too late to learn it."""
    from config.load import load_central
    from daemon.commands.score import chosen_policy

    settings = load_central(file)
    chosen_policy(file, settings.scoring.policy)
    return settings


def _run(arguments: argparse.Namespace) -> int:
    from daemon import logs
    from daemon.central import run_daemon

    settings = _settings(arguments.config)
    logs.set_up(verbose=arguments.verbose)
    return run_daemon(settings)


def _init(arguments: argparse.Namespace) -> int:
    from daemon import logs
    from sync.central.store import initialise, open_engine

    settings = _settings(arguments.config)
    logs.set_up(verbose=arguments.verbose)
    engine = open_engine(settings.database.url)
    try:
        initialise(engine)
    finally:
        engine.dispose()
    print("the database is ready")
    return 0
