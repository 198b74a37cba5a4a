"""Why a terminal could not be talked with, and what to do: for the person who stands before it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attendance.errors import (
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    Obstacle,
    RemoteProtocolError,
)

WANTS_KEY: Final = 2005
SECURE: Final = 6001

ARP: Final = Path("/proc/net/arp")
_COMPLETE: Final = 0x2


@dataclass(frozen=True, slots=True)
class Advice:
    """The step that failed, the likely cause, and what to do."""

    step: str
    cause: str
    remedy: str


def advice_on(error: DeviceError, where: str, key: int) -> Advice:
    """What an attempt to open a session failed at. `key` is the comm key that was used."""
    match error:
        case DeviceRefused(code=2005):
            return _on_key(key)
        case DeviceRefused(code=6001):
            return Advice(
                "handshake",
                "its secure firmware refuses this protocol (reply 6001)",
                "let it dial in instead: driver zk-push, see docs/push.md",
            )
        case DeviceUnreachable():
            return _on_obstacle(error, where)
        case DeviceTimeout():
            return Advice(
                "handshake",
                f"{where} takes the connection and stays silent",
                "another program may hold it (it serves one at a time): end that; or it hangs: restart it",
            )
        case RemoteProtocolError():
            return Advice(
                "handshake",
                f"what answers does not speak the protocol of ZKTeco terminals ({error})",
                "is it a terminal? door controllers (C3, inBIO) use the same port for another protocol",
            )
        case _:
            return Advice(
                "handshake", str(error), "note the number and the firmware; a terminal may need push"
            )


def _on_key(key: int) -> Advice:
    if key == 0:
        return Advice(
            "key",
            "it asks for a comm key",
            "read it in the terminal's menu (Comm. > Comm Key) and give it with --comm-key-file FILE",
        )
    return Advice(
        "key", "it refuses this comm key", "compare it with the terminal's menu (Comm. > Comm Key); 0 is none"
    )


def _on_obstacle(error: DeviceUnreachable, where: str) -> Advice:
    host = where.rpartition(":")[0]
    match error.obstacle:
        case Obstacle.NO_NAME:
            return Advice(
                "address",
                f"no address is known for {host}",
                "write the IP address that its menu shows; for an id of edge.toml add --config FILE",
            )
        case Obstacle.NO_ROUTE:
            return Advice("connection", str(error), f"{_neighbour(host)}check cable, address and gateway")
        case Obstacle.CLOSED:
            return Advice(
                "connection",
                f"{host} is there, and its port {where.rpartition(':')[2]} is closed",
                "look for the port in the terminal's menu, or is this another device?",
            )
        case Obstacle.ENDED:
            return Advice(
                "handshake",
                f"{where} ends the connection instead of answering",
                "it may be busy with another program, or be no terminal: try again in a minute",
            )
        case _:
            return Advice(
                "connection",
                f"nothing answers at {where}",
                f"{_neighbour(host)}is it on, and is the address still its own? hadir terminal scan finds it",
            )


def _neighbour(host: str) -> str:
    """What this machine's network card knows of an address of its own network."""
    known = neighbour_of(host, ARP)
    if known is None:
        return ""
    return (
        f"a device has this address ({known}) and drops what is sent to the port; "
        if known
        else ("nobody in this network has this address; ")
    )


def neighbour_of(host: str, table: Path) -> str | None:
    """The hardware address behind an IPv4 address in a table like /proc/net/arp.

    Empty where it was asked for in vain; None where the table does not say.
    """
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) >= 4 and fields[0] == host:
            try:
                return fields[3] if int(fields[2], 16) & _COMPLETE else ""
            except ValueError:
                return None
    return None
