"""`hadir terminal clock`: how right a terminal's clock is, and set right."""

import argparse
import json
from collections.abc import Callable

from attendance.errors import ConfigError
from daemon.bench.target import Target, add_target, target_of

_EXAMPLES = """\
A clock is set to this machine's time, and only while that follows a time server, or with --force.

examples:
  hadir terminal clock lobi --config edge.toml
  hadir terminal clock lobi --config edge.toml --set
  hadir terminal clock 192.0.2.10 --timezone Asia/Makassar --set
"""


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = actions.add_parser(
        "clock",
        help="how right a terminal's clock is; set it",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    parser.add_argument("--set", action="store_true", help="set it to this machine's time, and read it again")
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --set: although this machine follows no time server, or people come or go now",
    )
    parser.add_argument("--json", action="store_true", help="print facts for machines")
    parser.set_defaults(func=_clock)


def _clock(arguments: argparse.Namespace) -> int:
    from attendance.clock import SystemClock
    from daemon.bench.wall_clock import correct_clock, look_at_clock
    from drivers.zk.driver import ZkDriver

    target = target_of(arguments)
    if arguments.set and not target.zone_given:
        raise ConfigError("a clock is set only by a stated zone: add --timezone, such as Asia/Makassar")
    ZkDriver().check(target.terminal, {})
    clock, zone, trusted = SystemClock(), target.terminal.zone, _trust(target)
    with target.turn(), ZkDriver().open(target.terminal) as session:
        if not arguments.set:
            look = look_at_clock(session, zone, clock, zone_given=target.zone_given, trusted=trusted)
            lines, facts = [look.text, *([f"-> {look.remedy}"] if look.remedy else [])], look.facts
        else:
            slots = target.config.slots_of(target.settings) if target.config and target.settings else ()
            before, after = correct_clock(
                session, zone, clock, force=arguments.force, slots=slots, trusted=trusted
            )
            lines = [f"before: {before.text}", f"now:    {after.text}"]
            facts = {**after.facts, "before": before.facts}
    if arguments.json:
        print(json.dumps(facts))
    else:
        print("\n".join([target.name, *(f"  {line}" for line in lines)]))
    return 0


def _trust(target: Target) -> Callable[[], bool]:
    from daemon.host_clock import synchronised

    if target.config is not None and target.config.edge.host_clock == "trusted":
        return lambda: True
    return synchronised
