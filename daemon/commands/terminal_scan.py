"""`hadir terminal scan`: the terminals in a network."""

import argparse
import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.bench.target import DEFAULT_PORT, add_key, given_key, load_config, seconds
from daemon.wording import counted

if TYPE_CHECKING:
    from daemon.bench.scan import Search, Sighting

_EXAMPLES = """\
Every address is greeted as a terminal is, a few at a time. With --config the terminals that are
configured are named, also those whose address has changed.

examples:
  hadir terminal scan 192.0.2.0/24
  hadir terminal scan 192.0.2.0/24 --config /etc/hadir/edge.toml --json
"""
_WORDS = {
    "wants_key": "asks for a comm key: its menu shows it (Comm. > Comm Key)",
    "secure": "secure firmware: let it dial in instead (driver zk-push)",
    "no_serial": "a terminal without a serial number: it cannot be used",
    "silent": "open, and silent: held by another program, or it hangs",
    "foreign": "something else: it does not speak the protocol of ZKTeco terminals",
}


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    scan = actions.add_parser(
        "scan",
        help="find the terminals in a network",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scan.add_argument("network", metavar="CIDR", help="such as 192.0.2.0/24; or a single address")
    scan.add_argument("--config", type=Path, metavar="FILE", help="edge.toml: name the terminals in it")
    scan.add_argument("--port", type=_ports, default=[DEFAULT_PORT], metavar="P[,P...]", help="default: 4370")
    scan.add_argument(
        "--transport",
        choices=("auto", "tcp", "udp"),
        default="auto",
        help="auto: UDP where TCP is closed or silent (default)",
    )
    add_key(scan)
    scan.add_argument(
        "--timeout", type=seconds, default=1.0, metavar="S", help="for a first sign of each (default: 1)"
    )
    scan.add_argument(
        "--parallel",
        type=_at_once,
        default=32,
        metavar="N",
        help="addresses at a time (default: 32)",
    )
    scan.add_argument("--yes", action="store_true", help="search more than 1,024 addresses")
    scan.add_argument("--json", action="store_true", help="print facts for machines")
    scan.set_defaults(func=_scan)


def _scan(arguments: argparse.Namespace) -> int:
    from attendance.errors import ConfigError
    from daemon.bench.known import KnownTerminals
    from daemon.bench.scan import ASK_FIRST, Scanner, Search, addresses_in
    from drivers.zk.driver import ZkDriver

    config = load_config(arguments.config)
    search = Search(
        addresses=addresses_in(arguments.network),
        ports=arguments.port,
        transport=arguments.transport,
        reach=timedelta(seconds=arguments.timeout),
        at_once=arguments.parallel,
        comm_key=given_key(arguments),
    )
    number = len(search.addresses)
    if number > ASK_FIRST and not arguments.yes:
        raise ConfigError(
            f"{arguments.network} has {number:,} addresses: about {_long(search.longest_s)}; "
            "add --yes, or give the network that the terminals are in"
        )
    scanner = Scanner(search, ZkDriver(), KnownTerminals(config), config.edge.state_dir if config else None)
    print(
        f"asking {counted(number, 'address', 'addresses')}, {_long(search.longest_s)} at most",
        file=sys.stderr,
    )
    began = time.monotonic()
    found = scanner.run(Progress(number * len(search.ports), live=sys.stderr.isatty()))
    if arguments.json:
        print(json.dumps(_facts(arguments.network, search, found, time.monotonic() - began)))
    else:
        _tell(found, number)
    return 0


class Progress:
    """Tells a person at a screen how far the search is; a log file gets nothing."""

    def __init__(self, total: int, *, live: bool) -> None:
        self._total = total
        self._live = live

    def __call__(self, asked: int, found: int) -> None:
        """So many were asked and found."""
        if self._live:
            end = "\n" if asked == self._total else ""
            print(f"\r{asked} of {self._total} asked, {found} found", end=end, file=sys.stderr, flush=True)


def _tell(found: "list[Sighting]", addresses: int) -> None:
    for one in found:
        where = f"{one.host}:{one.port}" + (" UDP" if one.transport == "udp" else "")
        if one.identity is not None:
            parts = [one.identity.serial, one.identity.model, one.identity.firmware]
            if one.key_needed:
                parts.append("with a comm key")
        else:
            parts = [_WORDS.get(one.kind, one.note)]
        print("  ".join([f"{where:22}", *(part for part in [*parts, one.known] if part)]))
    terminals = sum(one.kind not in ("silent", "foreign") for one in found)
    print(f"{counted(terminals, 'terminal')} at {counted(addresses, 'address', 'addresses')}")


def _facts(network: str, search: "Search", found: "list[Sighting]", took_s: float) -> dict[str, object]:
    return {
        "network": network,
        "addresses": len(search.addresses),
        "ports": list(search.ports),
        "took_s": round(took_s, 1),
        "found": [
            {
                "host": one.host,
                "port": one.port,
                "transport": one.transport,
                "kind": one.kind.value,
                "serial": one.identity.serial if one.identity else None,
                "model": one.identity.model if one.identity else None,
                "firmware": one.identity.firmware if one.identity else None,
                "platform": one.identity.platform if one.identity else None,
                "key_needed": one.key_needed,
                "push_advised": one.kind == "secure",
                "terminal": one.known_id,
                "known": one.known or None,
                "note": one.note or _WORDS.get(one.kind),
            }
            for one in found
        ],
    }


def _long(seconds_: float) -> str:
    return f"{seconds_ / 60:.0f} minutes" if seconds_ >= 120 else f"{max(seconds_, 1):.0f} s"


def _ports(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and 0 < int(part) < 1 << 16 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} should be ports, such as 4370 or 4370,4371")
    return [int(part) for part in parts]


def _at_once(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 256):
        raise argparse.ArgumentTypeError(f"{text!r} should be 1 to 256")
    return int(text)
