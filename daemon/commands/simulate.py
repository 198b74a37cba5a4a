"""`hadir simulate`: terminals that speak the real protocol, for training and tests."""

import argparse
import json
import re
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attendance.errors import ConfigError
from daemon.simulation import allow_open_files, punch_log, write_edge_settings

if TYPE_CHECKING:
    from drivers.switches import Switch
    from drivers.zk.simulator.fleet import Fleet
    from drivers.zk.simulator.model import SimulatedTerminal
    from drivers.zk.simulator.switches import Settings

_EXAMPLES = """\
examples:
  hadir simulate                                     one terminal with 50 people on 127.0.0.1:4370
  hadir simulate --terminals 4 --control-port 4400   four, on 4370 to 4373, at which punches can be made:
  hadir simulate --layout 22                         an AK3750: records of 22 bytes, no buffered reads
  hadir simulate --fleet 500 --punch-rate 50 --write-config edge.toml   500 of all kinds, in use
  hadir simulate --push http://127.0.0.1:8081/ --serial CGKK204060001   one that dials in
  hadir simulate punch --control 127.0.0.1:4400 --terminal SIM0000000002 1001
"""
_STOPS = (signal.SIGINT, signal.SIGTERM)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="simulated terminals that speak the real protocol, for training and tests",
        description="Run simulated terminals until Ctrl-C or SIGTERM.",
        usage="hadir simulate [OPTION ...]\n       hadir simulate punch --control HOST:PORT [OPTION ...] PIN",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_options(parser)
    parser.set_defaults(func=_run)
    _add_punch(parser.add_subparsers(title="while it runs", metavar="[punch ...]"))


def _add_options(parser: argparse.ArgumentParser) -> None:
    from drivers.zk.simulator.switch_table import SWITCHES
    from drivers.zk_push.switch_table import PUSH_SWITCHES

    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=int, default=4370, help="first port; 0 takes free ones (default: 4370)")
    add("--terminals", type=int, default=1, metavar="N", help="how many, on consecutive ports (default: 1)")
    add("--users", type=int, default=50, metavar="N", help="people enrolled in each (default: 50)")
    add("--records", type=int, default=1000, metavar="N", help="past punches in each log (default: 1000)")
    add("--serial", default="SIM0000000001", help="serial number of the first (default: SIM0000000001)")
    add("--comm-key", type=int, default=0, metavar="K", help="0 to 999999; 0 asks for none (default: 0)")
    add(
        "--layout",
        metavar="NAME",
        help="of the log: 40, 49, 22, 16, 8a, 8b, mixed, each with the traits of terminals that have it;"
        " or a family: jz4725, ngteco; several with commas are taken in turn (default: 40, in a fleet all)",
    )
    add("--timezone", default="Asia/Jakarta", help="zone of the wall clock (default: Asia/Jakarta)")
    add("--seed", type=int, default=1, metavar="N", help="the same seed invents the same people (default: 1)")
    add(
        "--control-port", type=int, metavar="P", help="take punches on this loopback port; 0 takes a free one"
    )
    add("--list-switches", action="store_true", help="name every switch below and end")
    add("--json", action="store_true", help="print one JSON object a line")
    _add_fleet_options(parser)
    _add_switches(parser, SWITCHES, "switches")
    add = parser.add_argument_group("a terminal that dials in").add_argument
    add(
        "--push", metavar="URL", help="push to this address, as typed into the terminal, instead of listening"
    )
    add("--push-once", action="store_true", help="end when nothing waits; fail when that takes over a minute")
    _add_switches(parser, PUSH_SWITCHES, "push_switches")


def _add_switches(parser: argparse.ArgumentParser, switches: "Sequence[Switch]", dest: str) -> None:
    groups = {switch.group: parser.add_argument_group(switch.group) for switch in switches}
    for switch in switches:
        add = groups[switch.group].add_argument
        name, words = f"--{switch.name}", switch.words
        if switch.takes is None:
            add(name, dest=dest, action="append_const", const=(switch, ""), help=words)
        else:
            metavar, named = switch.takes.metavar, partial(_named, switch)
            add(name, dest=dest, action="append", type=named, metavar=metavar, help=words)


def _named(switch: "Switch", text: str) -> "tuple[Switch, str]":
    """A switch with the text after it, still to be read."""
    return switch, text


def _add_fleet_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("a fleet").add_argument
    add("--fleet", type=int, metavar="N", help="so many terminals of mixed kinds")
    add(
        "--addresses",
        action="store_true",
        help="an address for each, counted up from --host, at the one --port",
    )
    add(
        "--punch-rate", type=float, metavar="R", help="people punch in turn, so many a second at all together"
    )
    add("--punch-log", type=Path, metavar="FILE", help="append each of those punches as a line of JSON")
    add("--write-config", type=Path, metavar="FILE", help="write an edge.toml that names these terminals")


def _add_punch(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    punch = subparsers.add_parser(
        "punch",
        help="make a punch at a simulated terminal that runs",
        epilog="example: hadir simulate punch --control 127.0.0.1:4400 1001 --state 1",
    )
    punch.add_argument("pin", metavar="PIN", help="who punches")
    punch.add_argument("--control", required=True, metavar="HOST:PORT", help="its control port")
    punch.add_argument("--terminal", metavar="SERIAL", help="at which one, where several run")
    punch.add_argument(
        "--at", metavar="TIME", help="wall time YYYY-MM-DDTHH:MM:SS (default: its clock's now)"
    )
    punch.add_argument(
        "--verify", type=int, default=1, metavar="N", help="1 finger, 4 card, 15 face (default: 1)"
    )
    punch.add_argument("--state", type=int, default=0, metavar="N", help="0 in, 1 out (default: 0)")
    punch.add_argument("--json", action="store_true", help="print what was stored as JSON")
    punch.set_defaults(func=_punch)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.list_switches:
        return _list_switches(as_json=arguments.json)
    from drivers.zk.simulator.fleet import Fleet, Place
    from drivers.zk.simulator.switches import settings

    if arguments.fleet is not None:
        arguments.terminals = arguments.fleet
    _check(arguments)
    if arguments.push is not None or arguments.push_switches or arguments.push_once:
        return _push(arguments)
    chosen = settings(arguments.switches or ())
    layouts = cycle(_layouts(arguments))
    terminals = [_terminal(arguments, number, next(layouts), chosen) for number in range(arguments.terminals)]
    place = Place(arguments.host, arguments.port, by_address=arguments.addresses)
    allow_open_files(len(terminals))
    return _serve(arguments, Fleet(terminals, place, chosen.faults, **chosen.server))


def _serve(arguments: argparse.Namespace, fleet: "Fleet") -> int:
    from drivers.zk.simulator.control import control_listener
    from drivers.zk.simulator.fleet import Punching

    # Blocked here, and so in every thread that follows, the signals wait for sigwait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        with ExitStack() as stack:
            stack.enter_context(fleet)
            if arguments.write_config:
                write_edge_settings(arguments.write_config, fleet, arguments.timezone)
            _announce(fleet, arguments)
            if arguments.control_port is not None:
                control = stack.enter_context(control_listener(fleet.terminals, port=arguments.control_port))
                where = f"{control.host}:{control.port}"
                print(json.dumps({"control": where}) if arguments.json else f"punches at {where}", flush=True)
            if arguments.punch_rate is not None:
                told = stack.enter_context(punch_log(arguments.punch_log))
                stack.enter_context(Punching(fleet.terminals, arguments.punch_rate, told))
            signal.sigwait(_STOPS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _push(arguments: argparse.Namespace) -> int:
    from daemon.simulated_push import People, PushRun, run_push

    if arguments.push is None:
        raise ConfigError("--push URL is missing: where to push to, such as http://127.0.0.1:8081/")
    if arguments.switches or arguments.control_port is not None:
        raise ConfigError("--push goes with the --push-... switches only, and without --control-port")
    serials = [_serial(arguments.serial, number) for number in range(arguments.terminals)]
    people = People(arguments.users, arguments.records, arguments.seed, _zone(arguments.timezone))
    run = PushRun(arguments.push, serials, people, arguments.punch_rate or 0.0, once=arguments.push_once)
    return run_push(run, arguments.push_switches or (), as_json=arguments.json)


def _list_switches(*, as_json: bool) -> int:
    from drivers.zk.simulator.switch_table import SWITCHES
    from drivers.zk_push.switch_table import PUSH_SWITCHES

    for switch in (*SWITCHES, *PUSH_SWITCHES):
        takes = switch.takes.metavar if switch.takes else ""
        facts = {"switch": f"--{switch.name}", "takes": takes, "group": switch.group, "does": switch.words}
        named = f"--{switch.name} {takes}".rstrip()
        print(json.dumps(facts) if as_json else f"{named:28}  {switch.words}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    ports = 1 if arguments.addresses else arguments.terminals
    limits = (
        ("--terminals" if arguments.fleet is None else "--fleet", arguments.terminals, 1, 1000),
        ("--users", arguments.users, 0, 60_000),
        ("--records", arguments.records, 0, 1_000_000),
        ("--comm-key", arguments.comm_key, 0, 999_999),
        ("--port", arguments.port, int(arguments.addresses), 65536 - ports),
        ("--control-port", arguments.control_port or 0, 0, 65535),
    )
    for option, value, low, high in limits:
        if not low <= value <= high:
            raise ConfigError(f"{option} {value}: should be {low} to {high}")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", arguments.serial):
        raise ConfigError(f"--serial {arguments.serial!r}: should be letters, digits and hyphens")


def _terminal(
    arguments: argparse.Namespace, number: int, layout: str, chosen: "Settings"
) -> "SimulatedTerminal":
    from drivers.zk.simulator.firmware import KINDS
    from drivers.zk.simulator.model import SimulatedTerminal
    from drivers.zk.simulator.seeding import enrol_people, fill_log

    capacities = {
        "user_capacity": max(5_000, arguments.users),
        "record_capacity": max(200_000, 2 * arguments.records),
    }
    terminal = SimulatedTerminal(
        serial=_serial(arguments.serial, number),
        firmware=chosen.changed(KINDS[layout]),
        comm_key=arguments.comm_key,
        zone=_zone(arguments.timezone),
        **(capacities | dict(chosen.terminal)),
    )
    seed, oddities = arguments.seed + number, chosen.oddities
    enrol_people(terminal, arguments.users, seed=seed, oddities=oddities)
    yesterday = terminal.wall_time().date() - timedelta(days=1)
    fill_log(terminal, arguments.records, seed=seed, last_day=yesterday, oddities=oddities)
    return terminal


def _layouts(arguments: argparse.Namespace) -> list[str]:
    """The kinds that terminals have in turn: those of --layout; without it one, or all in a fleet."""
    from drivers.zk.simulator.firmware import KINDS, TFT

    if arguments.layout is None:
        return [name for name, kind in KINDS.items() if kind is TFT or arguments.fleet is not None]
    layouts = str(arguments.layout).split(",")
    for layout in layouts:
        if layout not in KINDS:
            raise ConfigError(f"--layout {layout}: should be one of {', '.join(KINDS)}")
    return layouts


def _serial(first: str, number: int) -> str:
    """The serial number that many after the first: SIM0000000009, SIM0000000010."""
    stem = first.rstrip("0123456789")
    digits = first[len(stem) :]
    if not digits:
        return f"{first}-{number + 1}" if number else first
    return f"{stem}{int(digits) + number:0{len(digits)}d}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--timezone {name}: no such zone; should be one such as Asia/Makassar") from None


def _announce(fleet: "Fleet", arguments: argparse.Namespace) -> None:
    told = list(zip(fleet.addresses, fleet.terminals, strict=True))
    if arguments.json:
        lines = [
            json.dumps(
                {
                    "address": address,
                    "serial": terminal.serial,
                    "users": terminal.user_count,
                    "records": terminal.record_count,
                }
            )
            for address, terminal in told
        ]
    elif arguments.fleet is None:
        lines = [
            f"{address}  {each.serial}  {each.user_count} users  {each.record_count} records"
            for address, each in told
        ]
    else:
        users = sum(terminal.user_count for terminal in fleet.terminals)
        records = sum(terminal.record_count for terminal in fleet.terminals)
        places = f"{fleet.addresses[0]} to {fleet.addresses[-1]}"
        lines = [f"{len(told)} terminals, {places}, {users:,} users, {records:,} records"]
    print("\n".join(lines), flush=True)


def _punch(arguments: argparse.Namespace) -> int:
    from drivers.zk.simulator.control import ask

    host, port = _address(arguments.control)
    wanted: dict[str, object] = {"pin": arguments.pin, "verify": arguments.verify, "state": arguments.state}
    if arguments.at:
        wanted["at"] = _wall_time(arguments.at)
    request: dict[str, object] = {"punch": wanted}
    if arguments.terminal:
        request["terminal"] = arguments.terminal
    stored = ask(host, port, request)
    line = "stored at {terminal}: pin {pin}, {wall_time}, verify {verify}, state {state}; {records} records"
    print(json.dumps(stored) if arguments.json else line.format(**stored))
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--control {text}: should be HOST:PORT, such as 127.0.0.1:4400")
    return host, int(port)


def _wall_time(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--at {text}: should be YYYY-MM-DDTHH:MM:SS, such as 2026-01-05T07:29:00"
        ) from None
    if at.tzinfo is not None:
        raise ConfigError(f"--at {text}: should be the terminal's own wall time, without an offset")
    return at.isoformat()
