"""The driver "zk": our own codec over TCP or UDP; and how any driver that dials comes by its session."""

import codecs
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Final, Protocol, TypeVar

from attendance.errors import ConfigError, DeviceTimeout, DeviceUnreachable, Obstacle
from attendance.terminal import Terminal
from drivers.zk.commkey import MAX_COMM_KEY
from drivers.zk.session import ZkSession
from drivers.zk.transport import TcpTransport, Transport, UdpTransport

AUTO: Final = "auto"

AUTO_TCP_S: Final = 5.0
"""So long at most is TCP given to connect, and then to answer, before UDP is tried."""


class DialledSession(Protocol):
    """What a session over a transport has besides what drivers.base says."""

    def connect(self, timeout_s: float | None = None) -> None:
        """Open the conversation: to be called once, first."""
        ...

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        ...


S = TypeVar("S", bound=DialledSession)
logger = logging.getLogger(__name__)


class ZkDriver:
    """See drivers.base.Driver."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return "zk"

    def check(self, terminal: Terminal, options: Mapping[str, object]) -> None:
        """See drivers.base.Driver."""
        check_dialled(self.name, terminal, options)

    @contextmanager
    def open(self, terminal: Terminal) -> Iterator[ZkSession]:
        """See drivers.base.Driver."""
        session = dialled(terminal, ZkSession)
        try:
            yield session
        finally:
            session.close()


def dialled(terminal: Terminal, over: Callable[[Terminal, Transport], S]) -> S:
    """A session that is connected over the terminal's transport; whoever takes it closes it.

    "auto" is TCP, and UDP where TCP is refused, leads nowhere, or takes the connection and
    stays silent, as some old terminals do. A terminal that answers over TCP, be it with a
    refusal, is not tried over UDP. Raises DeviceError.
    """
    if terminal.transport != AUTO:
        return _connected(terminal, over, _TRANSPORTS[terminal.transport])
    try:
        return _connected(terminal, over, _TRANSPORTS["tcp"], AUTO_TCP_S)
    except (DeviceUnreachable, DeviceTimeout) as error:
        if isinstance(error, DeviceUnreachable) and error.obstacle is Obstacle.NO_NAME:
            raise
        over_tcp = error
    try:
        session = _connected(terminal, over, _TRANSPORTS["udp"])
    except (DeviceUnreachable, DeviceTimeout) as over_udp:
        raise type(over_tcp)(f"{over_tcp}; and over UDP: {over_udp}") from over_udp
    logger.warning(
        'Terminal %s answers over UDP only (%s): set transport = "udp" to spare it the attempt over TCP.',
        terminal.id,
        over_tcp,
        extra={"action": "udp_found", "terminal": terminal.id},
    )
    return session


def _connected(
    terminal: Terminal,
    over: Callable[[Terminal, Transport], S],
    way: Callable[[Terminal, float], Transport],
    longest_s: float = inf,
) -> S:
    reach_s = (terminal.reach or terminal.timeout).total_seconds()
    session = over(terminal, way(terminal, min(reach_s, longest_s)))
    # Where there is no connection to make, the first sign is the first answer.
    first_s = reach_s if way is _udp else terminal.timeout.total_seconds()
    try:
        session.connect(min(first_s, longest_s))
    except BaseException:
        session.close()
        raise
    return session


def _tcp(terminal: Terminal, timeout_s: float) -> Transport:
    return TcpTransport.connect(terminal.host, terminal.port, timeout_s=timeout_s)


def _udp(terminal: Terminal, _timeout_s: float) -> Transport:
    return UdpTransport.connect(terminal.host, terminal.port)


_TRANSPORTS: Final = {"tcp": _tcp, "udp": _udp}


def check_dialled(driver: str, terminal: Terminal, options: Mapping[str, object]) -> None:
    """What any driver that dials a terminal needs. Raises ConfigError."""
    where = f"terminal {terminal.id}"
    if options:
        raise ConfigError(f"{where}: driver {driver} has no option {', '.join(sorted(options))}")
    if not terminal.host:
        raise ConfigError(f"{where}: host is missing: the terminal's address, for example 192.0.2.10")
    if terminal.transport not in (*_TRANSPORTS, AUTO):
        raise ConfigError(
            f'{where}: transport "{terminal.transport}" is unknown; write "tcp", "udp" or "auto"'
        )
    if not 0 <= terminal.comm_key <= MAX_COMM_KEY:
        raise ConfigError(f"{where}: comm_key has at most 6 digits, 0 to {MAX_COMM_KEY}")
    if terminal.timeout.total_seconds() <= 0:
        raise ConfigError(f'{where}: timeout must be longer than nothing, for example "10s"')
    try:
        codecs.lookup(terminal.encoding)
    except LookupError:
        raise ConfigError(f'{where}: encoding "{terminal.encoding}" is unknown; "utf-8" is usual') from None
