"""`hadir config check` and `hadir config init`."""

import argparse
import json
from importlib.resources import files
from pathlib import Path

from attendance.errors import ConfigError
from config.load import load_any
from config.model import CentralConfig, EdgeConfig
from daemon.commands.score import chosen_policy
from daemon.wording import counted


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("config", help="check a settings file, or write a starting one")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="say whether a settings file is right",
        epilog="example: hadir config check /etc/hadir/edge.toml",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="print facts for machines")
    check.set_defaults(func=_check)
    init = actions.add_parser(
        "init", help="print a commented starting file", epilog="example: hadir config init edge > edge.toml"
    )
    init.add_argument("kind", choices=("edge", "central"))
    init.set_defaults(func=_init)


def _check(arguments: argparse.Namespace) -> int:
    settings = load_any(arguments.file)
    _check_choices(arguments.file, settings)
    kind = "edge" if isinstance(settings, EdgeConfig) else "central"
    facts: dict[str, object] = {"file": str(arguments.file), "kind": kind}
    summary = ""
    if isinstance(settings, EdgeConfig):
        facts["edge"] = settings.edge.id
        facts["terminals"] = [terminal.id for terminal in settings.terminal]
        summary = f" {settings.edge.id} with {counted(len(settings.terminal), 'terminal')}"
    print(json.dumps(facts) if arguments.json else f"{arguments.file}: right ({kind}{summary})")
    return 0


def _check_choices(file: Path, settings: EdgeConfig | CentralConfig) -> None:
    """What the settings name must be there too: what the drivers can do, the policy. Raises ConfigError."""
    if isinstance(settings, CentralConfig):
        chosen_policy(file, settings.scoring.policy)
        return
    from drivers.table import driver_named

    for terminal in settings.terminal:
        if terminal.polled:
            try:
                driver_named(terminal.driver).check(settings.device(terminal), {})
            except ConfigError as error:
                raise ConfigError(f"{file}: {error}") from None


def _init(arguments: argparse.Namespace) -> int:
    print(files("config").joinpath(f"{arguments.kind}.sample.toml").read_text(encoding="utf-8"), end="")
    return 0
