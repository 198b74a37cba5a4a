"""`hadir explain`: every deduction of one person's month, in plain words."""

import argparse
import json
from pathlib import Path


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="every deduction of one person: date, punches, rule, article",
        epilog="example: hadir explain --config central.toml --nip 198503172010011001 --month 2026-08",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="central.toml")
    parser.add_argument("--nip", required=True, metavar="NIP", help="or the office's own number")
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument("--lang", choices=("id", "en"), default="id", help="Indonesian or English")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    parser.set_defaults(func=_run)


def _run(arguments: argparse.Namespace) -> int:
    from config.load import load_central
    from daemon.commands.score import chosen_policy
    from scoring.explain import explain_month, facts_of, read_story
    from sync.central.nip import clean_nip
    from sync.central.store import open_engine

    settings = load_central(arguments.config)
    policy = chosen_policy(arguments.config, settings.scoring.policy)
    engine = open_engine(settings.database.url)
    try:
        story = read_story(engine, clean_nip(arguments.nip), arguments.month, policy)
    finally:
        engine.dispose()
    if arguments.json:
        print(json.dumps(facts_of(story), indent=2, ensure_ascii=False))
    else:
        print(explain_month(story, arguments.lang))
    return 0
