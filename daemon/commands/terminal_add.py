"""`hadir terminal add`: a terminal probed, and written into edge.toml."""

import argparse
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from attendance.errors import ConfigError, DeviceError, DeviceRefused, DeviceTimeout
from daemon.bench.target import REACH, add_key, given_key, parse_address, seconds

if TYPE_CHECKING:
    from attendance.terminal import Terminal
    from config.model import EdgeConfig
    from daemon.bench.adding import Value

_EXAMPLES = """\
The terminal is probed first, and a table is appended to the file; nothing else in it changes.

examples:
  hadir terminal add --config /etc/hadir/edge.toml --id lobi 192.0.2.10
  hadir terminal add --config edge.toml --id gudang 192.0.2.11 --comm-key-file /etc/hadir/gudang.key --live
"""
_COPIED = ("every", "group", "unit", "timezone", "encoding", "since")


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = actions.add_parser(
        "add",
        help="write a terminal into edge.toml",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("address", metavar="HOST[:PORT]")
    add("--config", type=Path, required=True, metavar="FILE", help="edge.toml")
    add("--id", required=True, help="what to call it: a-z, 0-9 and -, such as lobi")
    add_key(parser)
    add("--transport", choices=("tcp", "udp", "auto"), help="default: what the probe finds")
    add("--live", action="store_true", help="also listen to punches as they are made")
    add("--every", metavar="DURATION", help="poll interval, such as 60s")
    add("--group", metavar="NAME", help="terminals that share one set of pins")
    add("--unit", metavar="UNIT", help="whose people use it")
    add("--timezone", metavar="ZONE", help="where it differs from the edge's")
    add("--encoding", metavar="NAME", help="of the names on the terminal")
    add("--since", metavar="DATE", help="older punches are stored, never scored")
    add("--timeout", type=seconds, default=10.0, metavar="S", help="for each step (default: 10)")
    add("--no-probe", action="store_true", help="write it unseen")
    add("--json", action="store_true", help="print facts for machines")
    parser.set_defaults(func=_add)


def _add(arguments: argparse.Namespace) -> int:
    from config.load import load_edge
    from daemon.bench.adding import append_table, refuse_duplicates, table_text

    config = load_edge(arguments.config)
    host, port = parse_address(arguments.address)
    refuse_duplicates(config, arguments.id, host, port, None)
    values = _values(arguments, host, port)
    facts: dict[str, object] = {}
    if not arguments.no_probe:
        facts = _probe(config, arguments, host, port)
        serial = str(facts["serial"])
        refuse_duplicates(config, arguments.id, host, port, serial)
        values["serial"] = serial
        if facts["transport"] != "tcp" and arguments.transport is None:
            values["transport"] = str(facts["transport"])
    table = table_text(values)
    append_table(arguments.config, table)
    if arguments.json:
        print(json.dumps({"id": arguments.id, "file": str(arguments.config), "table": table, **facts}))
    else:
        print(f"{arguments.config}: terminal {arguments.id} is written:\n\n{table}")
        print("The edge takes it up when it is started again: systemctl restart hadir-edge")
    return 0


def _values(arguments: argparse.Namespace, host: str, port: int) -> "dict[str, Value]":
    """The keys of the table: what was given; everything else keeps its default."""
    from daemon.bench.target import DEFAULT_PORT

    values: dict[str, Value] = {"id": arguments.id, "host": host}
    if port != DEFAULT_PORT:
        values["port"] = port
    if arguments.transport:
        values["transport"] = arguments.transport
    if arguments.comm_key_file is not None:
        values["comm_key_file"] = str(arguments.comm_key_file.absolute())
    elif arguments.comm_key is not None:
        values["comm_key"] = arguments.comm_key
    if arguments.live:
        values["live"] = True
    values |= {name: getattr(arguments, name) for name in _COPIED if getattr(arguments, name) is not None}
    return values


def _probe(config: "EdgeConfig", arguments: argparse.Namespace, host: str, port: int) -> dict[str, object]:
    """Who it is. Raises DeviceError with cause and remedy where it cannot be asked."""
    from attendance.terminal import Terminal
    from daemon.bench.advice import advice_on

    timeout = timedelta(seconds=arguments.timeout)
    terminal = Terminal(
        id=arguments.id,
        host=host,
        port=port,
        transport=arguments.transport or "tcp",
        comm_key=given_key(arguments),
        zone=config.edge.timezone,
        timeout=timeout,
        reach=min(timeout, REACH),
    )
    try:
        return _over(terminal, ("tcp", "udp") if arguments.transport is None else (terminal.transport,))
    except DeviceError as error:
        advice = advice_on(error, f"{host}:{port}", terminal.comm_key)
        raise DeviceError(
            f"{host}:{port}: {advice.step}: {advice.cause}; {advice.remedy} "
            "(nothing was written; --no-probe writes it unseen)"
        ) from error


def _over(terminal: "Terminal", transports: tuple[str, ...]) -> dict[str, object]:
    """Ask over the first transport, and over the next ones where it fails; the first failure tells."""
    try:
        return _who(replace(terminal, transport=transports[0]))
    except DeviceRefused:
        raise
    except DeviceError as error:
        with suppress(DeviceError, ConfigError):
            if transports[1:]:
                facts = _over(terminal, transports[1:])
                # Silent over TCP: it may speak UDP only, or another program holds it just now.
                return facts | {"transport": "auto"} if isinstance(error, DeviceTimeout) else facts
        raise


def _who(terminal: "Terminal") -> dict[str, object]:
    from drivers.zk.driver import ZkDriver

    ZkDriver().check(terminal, {})
    with ZkDriver().open(terminal) as session:
        identity, sizes = session.identify(), session.read_sizes()
    return {
        "transport": terminal.transport,
        "serial": identity.serial,
        "model": identity.model,
        "firmware": identity.firmware,
        "users": sizes.users,
        "records": sizes.records,
        "capacity": sizes.record_capacity,
    }
