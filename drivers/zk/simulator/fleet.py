"""Many simulated terminals in one process, and people who punch at them at a steady rate."""

import ipaddress
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Final, Self

from attendance.errors import ConfigError, DeviceRefused
from attendance.punch import RawPunch
from drivers.zk.simulator.faults import Fault
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.server import TRANSPORTS, TerminalServer

SECONDS_BETWEEN_PUNCHES: Final = 3
"""A person of a fleet punches at most so often: two punches in one second would be one."""

_LATE_S: Final = 1.0

Told = Callable[[SimulatedTerminal, RawPunch], None]
"""Told of each punch after the terminal has it, on the fleet's own thread."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where terminals listen: on consecutive ports of one address, or on consecutive addresses at one port.

    Port 0 takes a free one for each.
    """

    host: str = "127.0.0.1"
    port: int = 0
    by_address: bool = False

    def of(self, number: int) -> tuple[str, int]:
        """Address and port of the nth terminal, from 0."""
        if not self.by_address:
            return self.host, self.port + number if self.port else 0
        try:
            first = ipaddress.ip_address(self.host)
            return str(first + number), self.port
        except ValueError:
            raise ConfigError(
                f"{self.host} is no address to count up from; should be one such as 127.1.0.1"
            ) from None


class Fleet:
    """Serves terminals while its `with` block lasts. Raises ConfigError when an address cannot be had."""

    def __init__(
        self,
        terminals: Iterable[SimulatedTerminal],
        place: Place | None = None,
        faults: Sequence[Fault] = (),
        transports: Collection[str] = TRANSPORTS,
    ) -> None:
        self.terminals = list(terminals)
        self.servers: list[TerminalServer] = []
        self._place = place or Place()
        self._faults = faults
        self._transports = transports
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin to accept; all of them, or none."""
        with ExitStack() as stack:
            for number, terminal in enumerate(self.terminals):
                where = self._place.of(number)
                server = TerminalServer(terminal, *where, self._faults, self._transports)
                self.servers.append(stack.enter_context(server))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection; when this returns, all threads and sockets are gone."""
        self._stack.close()
        self.servers.clear()

    @property
    def addresses(self) -> list[str]:
        """HOST:PORT of each, in the order of `terminals`."""
        return [f"{server.host}:{server.port}" for server in self.servers]


class Punching:
    """While its `with` block lasts, the people of all terminals punch in turn.

    They make `rate` punches a second together, each person coming and going by turns, by the terminals'
    own clocks. Where a client holds a terminal disabled, nobody punches there; a machine too busy for
    the rate makes fewer, never a burst. Raises ConfigError where somebody would have to punch twice in
    a second.
    """

    def __init__(
        self, terminals: Iterable[SimulatedTerminal], rate: float, told: Told = lambda _terminal, _punch: None
    ) -> None:
        self._people = [(terminal, [user.pin for user in terminal.users()]) for terminal in terminals]
        people = sum(len(pins) for _terminal, pins in self._people)
        most = min((len(pins) for _terminal, pins in self._people), default=0) * len(self._people)
        if not 0 < rate <= most / SECONDS_BETWEEN_PUNCHES:
            raise ConfigError(
                f"{rate:g} punches a second: {people} people at {len(self._people)} terminals"
                f" can make up to {most / SECONDS_BETWEEN_PUNCHES:.3g}"
            )
        self._rate = rate
        self._told = told
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="punching", daemon=True)
        self.made = 0
        """How many punches were made so far."""

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the punch of the moment is complete when this returns."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        for terminal, pin, state in self._turns():
            now = time.monotonic()
            due = max(due + 1 / self._rate, now - _LATE_S)
            if self._stopping.wait(max(0.0, due - now)):
                return
            try:
                punch = terminal.punch(pin, state=state)
            except DeviceRefused:
                continue
            self.made += 1
            self._told(terminal, punch)

    def _turns(self) -> Iterator[tuple[SimulatedTerminal, str, int]]:
        """Everybody at every terminal, one terminal after the other, without end."""
        for turn in count():
            for terminal, pins in self._people:
                yield terminal, pins[turn % len(pins)], turn // len(pins) % 2
