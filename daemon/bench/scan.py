"""A network searched for terminals: gently, and with the real greeting.

A connection that is opened and left silent can freeze an old terminal for 8 seconds, so none is: each
begins with CONNECT at once and ends with EXIT (reference 2.1: ZEM200 to ZEM600).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import product
from pathlib import Path
from typing import Final

from attendance.errors import (
    ConfigError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    Obstacle,
    RemoteProtocolError,
    Unsupported,
)
from attendance.terminal import Identity, Terminal
from daemon.bench.advice import SECURE, WANTS_KEY
from daemon.bench.known import Known, KnownTerminals
from daemon.turns import Turn
from drivers.base import Driver

ANSWER_WITHIN: Final = timedelta(seconds=5)
"""For each question, once something is there."""
EDGE_GIVES_WAY_S: Final = 5.0
ASK_FIRST: Final = 1024
MOST_ADDRESSES: Final = 65_536
MOST_KEYS: Final = 5


class Kind(StrEnum):
    """What stands at an address."""

    TERMINAL = "terminal"
    WANTS_KEY = "wants_key"
    SECURE = "secure"
    NO_SERIAL = "no_serial"
    REFUSES = "refuses"
    SILENT = "silent"
    FOREIGN = "foreign"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Something that was found. `known`: what the settings say of it; `key_needed` None where unknown."""

    host: str
    port: int
    transport: str
    kind: Kind
    identity: Identity | None = None
    key_needed: bool | None = None
    known: str = ""
    known_id: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to search: where, how, and how many addresses at a time."""

    addresses: Sequence[str]
    ports: Sequence[int]
    transport: str
    reach: timedelta
    at_once: int
    comm_key: int = 0

    @property
    def longest_s(self) -> float:
        """How long it takes where nobody answers."""
        return len(self.addresses) * len(self.ports) * self.reach.total_seconds() / self.at_once


def addresses_in(text: str) -> list[str]:
    """The addresses of a network (192.0.2.0/24) or a single one. Raises ConfigError."""
    try:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no network; write for example 192.0.2.0/24, or one address: 192.0.2.10"
        ) from None
    if network.num_addresses > MOST_ADDRESSES:
        raise ConfigError(
            f"{text} has {network.num_addresses:,} addresses; at most {MOST_ADDRESSES:,} (a /16) are "
            "searched at a time: give the network that the terminals are in"
        )
    return [str(address) for address in network.hosts()]


class Scanner:
    """One search. `driver` speaks with whatever is found; turns are taken where the edge may be talking."""

    def __init__(self, search: Search, driver: Driver, known: KnownTerminals, state_dir: Path | None) -> None:
        self._search = search
        self._driver = driver
        self._known = known
        self._state_dir = state_dir

    def run(self, progress: Callable[[int, int], None]) -> list[Sighting]:
        """Everything found, by address. `progress` hears how many were asked and found."""
        places = list(product(self._search.addresses, self._search.ports))
        found: list[Sighting] = []
        pool = ThreadPoolExecutor(max_workers=self._search.at_once, thread_name_prefix="scan")
        try:
            asking = [pool.submit(self._look, host, port) for host, port in places]
            for asked, future in enumerate(as_completed(asking), start=1):
                if (sighting := future.result()) is not None:
                    found.append(sighting)
                progress(asked, len(found))
        finally:
            pool.shutdown(cancel_futures=True)
        return sorted(found, key=lambda one: (ip_address(one.host).packed, one.port))

    def _look(self, host: str, port: int) -> Sighting | None:
        here = self._known.at(host, port)
        if here is None or self._state_dir is None:
            return self._ask(host, port, here)
        try:
            with Turn(self._state_dir, here.settings.id).command(EDGE_GIVES_WAY_S):
                return self._ask(host, port, here)
        except DeviceTimeout as error:
            return self._sighting(self._terminal(host, port, "tcp"), Kind.BUSY, note=str(error))

    def _ask(self, host: str, port: int, here: Known | None) -> Sighting | None:
        """Over TCP and, where that leads nowhere though somebody is there, over UDP."""
        seen: Sighting | None = None
        for transport in {"auto": ("tcp", "udp")}.get(self._search.transport, (self._search.transport,)):
            terminal = self._terminal(host, port, transport)
            try:
                self._driver.check(terminal, {})
            except ConfigError:
                continue
            sighting, go_on = self._greet(terminal, here)
            seen = sighting if sighting is not None else seen
            if not go_on:
                break
        return seen

    def _terminal(self, host: str, port: int, transport: str) -> Terminal:
        reach = self._search.reach
        timeout = max(ANSWER_WITHIN, reach)
        return Terminal(id="scan", host=host, port=port, transport=transport, timeout=timeout, reach=reach)

    def _greet(self, terminal: Terminal, here: Known | None) -> tuple[Sighting | None, bool]:
        """What answers, and whether another transport may tell more."""
        error: DeviceError | None = None
        for number, key in enumerate(self._keys(here)):
            try:
                return self._identified(replace(terminal, comm_key=key), key_needed=number > 0), False
            except DeviceError as failure:
                error = failure
            if not (isinstance(error, DeviceRefused) and error.code == WANTS_KEY):
                break
        kind = _kind_of(error, terminal.transport)
        if kind is None:
            return None, isinstance(error, DeviceUnreachable) and error.obstacle is Obstacle.CLOSED
        note = str(error) if kind is Kind.REFUSES else ""
        key_needed = True if kind is Kind.WANTS_KEY else None
        return self._sighting(terminal, kind, key_needed=key_needed, note=note), kind is Kind.SILENT

    def _identified(self, terminal: Terminal, *, key_needed: bool) -> Sighting:
        with self._driver.open(terminal) as session:
            try:
                identity = session.identify()
            except Unsupported:
                return self._sighting(terminal, Kind.NO_SERIAL, key_needed=key_needed)
        return self._sighting(terminal, Kind.TERMINAL, identity=identity, key_needed=key_needed)

    def _keys(self, here: Known | None) -> Iterator[int]:
        """No key first, then the likeliest ones; a few only, for each costs a connection."""
        likely = [0, self._search.comm_key, here.settings.comm_key if here else 0]
        likely += [known.settings.comm_key for known in self._known.all]
        yield from list(dict.fromkeys(likely))[:MOST_KEYS]

    def _sighting(
        self,
        terminal: Terminal,
        kind: Kind,
        *,
        identity: Identity | None = None,
        key_needed: bool | None = None,
        note: str = "",
    ) -> Sighting:
        host, port = terminal.host, terminal.port
        here = self._known.at(host, port)
        same = self._known.with_serial(identity.serial) if identity else here
        if identity is not None:
            known = self._known.what_is(identity.serial, host, port)
        else:
            known = f"configured as {here.settings.id}" if here else ""
        return Sighting(
            host=host,
            port=port,
            transport=terminal.transport,
            kind=kind,
            identity=identity,
            key_needed=key_needed,
            known=known,
            known_id=same.settings.id if same else None,
            note=note,
        )


def _kind_of(error: DeviceError | None, transport: str) -> Kind | None:
    """What somebody is who did not open a session; None where nobody is there."""
    match error:
        case DeviceRefused():
            return {WANTS_KEY: Kind.WANTS_KEY, SECURE: Kind.SECURE}.get(error.code or 0, Kind.REFUSES)
        case DeviceUnreachable(obstacle=Obstacle.ENDED) | RemoteProtocolError():
            return Kind.FOREIGN
        case DeviceTimeout() if transport == "tcp":
            return Kind.SILENT
    return None
