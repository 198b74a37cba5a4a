"""The driver "zk": our own codec over TCP."""

import codecs
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from attendance.errors import ConfigError
from attendance.terminal import Terminal
from drivers.zk.commkey import MAX_COMM_KEY
from drivers.zk.session import ZkSession
from drivers.zk.transport import TcpTransport


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
        reach_s = (terminal.reach or terminal.timeout).total_seconds()
        transport = TcpTransport.connect(terminal.host, terminal.port, timeout_s=reach_s)
        session = ZkSession(terminal, transport)
        try:
            session.connect()
            yield session
        finally:
            session.close()


def check_dialled(driver: str, terminal: Terminal, options: Mapping[str, object]) -> None:
    """What any driver that dials a terminal over TCP needs. Raises ConfigError."""
    where = f"terminal {terminal.id}"
    if options:
        raise ConfigError(f"{where}: driver {driver} has no option {', '.join(sorted(options))}")
    if not terminal.host:
        raise ConfigError(f"{where}: host is missing: the terminal's address, for example 192.0.2.10")
    if terminal.transport != "tcp":
        given = f'transport = "{terminal.transport}"'
        raise ConfigError(f'{where}: {given} comes in a later version; this one speaks "tcp" only')
    if not 0 <= terminal.comm_key <= MAX_COMM_KEY:
        raise ConfigError(f"{where}: comm_key has at most 6 digits, 0 to {MAX_COMM_KEY}")
    if terminal.timeout.total_seconds() <= 0:
        raise ConfigError(f'{where}: timeout must be longer than nothing, for example "10s"')
    try:
        codecs.lookup(terminal.encoding)
    except LookupError:
        raise ConfigError(f'{where}: encoding "{terminal.encoding}" is unknown; "utf-8" is usual') from None
