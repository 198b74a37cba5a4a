"""The terminals of an edge.toml, and what the edge's outbox remembers of them."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync.outbox import TerminalMemory
from sync.outbox_memory import remembered

if TYPE_CHECKING:
    from config.model import EdgeConfig, TerminalSettings

OUTBOX_FILE = "outbox.db"


@dataclass(frozen=True, slots=True)
class Known:
    """One configured terminal."""

    settings: "TerminalSettings"
    memory: TerminalMemory | None

    @property
    def serial(self) -> str | None:
        """The serial last read from it, else the one in the settings."""
        return self.memory.serial if self.memory else self.settings.serial

    @property
    def address(self) -> str:
        """Where it is dialled; empty for one that is not."""
        return f"{self.settings.host}:{self.settings.port}" if self.settings.polled else ""


class KnownTerminals:
    """All of them, to be found by serial or by address. Raises OutboxError when it is made."""

    def __init__(self, config: "EdgeConfig | None") -> None:
        memories = remembered(config.edge.state_dir / OUTBOX_FILE) if config else {}
        terminals = config.terminal if config else ()
        self.all = [Known(settings, memories.get(settings.id)) for settings in terminals]
        self._by_address: dict[tuple[str, int], Known] = {}
        for known in self.all:
            if known.settings.polled:
                for host in {known.settings.host, *_addresses(known.settings.host)}:
                    self._by_address[host, known.settings.port] = known

    def at(self, host: str, port: int) -> Known | None:
        """The one that is dialled at this address."""
        return self._by_address.get((host, port))

    def with_serial(self, serial: str) -> Known | None:
        """The one with this serial."""
        return next((known for known in self.all if known.serial == serial), None)

    def what_is(self, serial: str, host: str, port: int) -> str:
        """What the settings know of a terminal that was found, in words; empty for nothing."""
        same, here = self.with_serial(serial), self.at(host, port)
        if same is not None and same.settings.polled and same is not here:
            return f"known as {same.settings.id}, but its address changed from {same.address}"
        if same is not None:
            return f"known as {same.settings.id}"
        if here is None:
            return ""
        if here.serial is None:
            return f"known as {here.settings.id}, never read yet"
        return f"stands where {here.settings.id} should be, whose serial is {here.serial}"


def _addresses(host: str) -> set[str]:
    with suppress(OSError, UnicodeError):
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    return set()
