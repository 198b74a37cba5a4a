"""`hadir terminal probe`: what stands at an address."""

import argparse
import json
from datetime import timedelta


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("terminal", help="the technician's bench")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    probe = actions.add_parser(
        "probe",
        help="ask a terminal who it is, what it holds and what time it has",
        epilog="example: hadir terminal probe 192.0.2.10:4370 --comm-key 12345",
    )
    probe.add_argument("address", metavar="HOST[:PORT]")
    probe.add_argument(
        "--comm-key", type=int, default=0, metavar="K", help="the terminal's comm key (default: 0)"
    )
    probe.add_argument("--transport", choices=("tcp", "udp"), default="tcp")
    probe.add_argument("--driver", choices=("zk", "pyzk"), default="zk")
    probe.add_argument("--timeout", type=float, default=10.0, metavar="S", help="for each step (default: 10)")
    probe.add_argument("--json", action="store_true", help="print facts for machines")
    probe.set_defaults(func=_probe)


def _probe(arguments: argparse.Namespace) -> int:
    from attendance.errors import ConfigError
    from attendance.terminal import Terminal
    from drivers.table import driver_named

    host, _, port = arguments.address.partition(":")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 1 << 16)):
        raise ConfigError(
            f"{arguments.address!r} is no address; write for example 192.0.2.10 or 192.0.2.10:4370"
        )
    terminal = Terminal(
        id="probe",
        host=host,
        port=int(port or 4370),
        transport=arguments.transport,
        comm_key=arguments.comm_key,
        timeout=timedelta(seconds=arguments.timeout),
    )
    driver = driver_named(arguments.driver)
    driver.check(terminal, {})
    with driver.open(terminal) as session:
        identity, sizes, wall_time = session.identify(), session.read_sizes(), session.read_clock()
    facts = {
        "serial": identity.serial,
        "model": identity.model,
        "firmware": identity.firmware,
        "platform": identity.platform,
        "users": sizes.users,
        "records": sizes.records,
        "capacity": sizes.record_capacity,
        "clock": wall_time.isoformat(sep=" "),
    }
    if arguments.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:9} {'not told' if value in (None, '') else value}")
    return 0
