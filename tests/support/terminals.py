"""Simulated terminals for tests: made, filled and served in one line."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attendance.clock import Clock, SystemClock
from attendance.punch import RawPunch
from attendance.terminal import Terminal, User
from drivers.zk.simulator.faults import Fault
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.server import TRANSPORTS, TerminalServer

START = datetime(2026, 1, 5, 7, 30)
"""The wall time of the first record that `some_terminal` holds."""


@dataclass(slots=True)
class StillClock:
    """A clock that shows what a test sets; waits end at once."""

    at: datetime = field(default=datetime(2026, 1, 5, 1, 0, tzinfo=UTC))
    counter: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.counter

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.advance(timeout_s)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.counter += seconds


def some_terminal(
    *,
    serial: str = "SIM0000000001",
    users: int = 10,
    records: int = 0,
    comm_key: int = 0,
    firmware: Firmware | None = None,
    clock: Clock | None = None,
) -> SimulatedTerminal:
    """A terminal with pins 1001, 1002, ... and records one minute apart from START on, pin after pin."""
    terminal = SimulatedTerminal(
        serial=serial,
        comm_key=comm_key,
        firmware=firmware or Firmware(),
        zone=ZoneInfo("Asia/Jakarta"),
        clock=clock or SystemClock(),
    )
    terminal.enrol(
        User(uid=uid, pin=str(1000 + uid), name="", name_raw=f"Pegawai {uid}".encode())
        for uid in range(1, users + 1)
    )
    for number in range(records):
        pin = str(1001 + number % max(users, 1))
        terminal.punch(pin, at=START + timedelta(minutes=number), state=number % 2)
    return terminal


def made_log(count: int) -> list[RawPunch]:
    """What `some_terminal(records=count)` holds."""
    return [
        RawPunch(
            pin=str(1001 + n % 10), wall_time=START + timedelta(minutes=n), verify_code=1, state_code=n % 2
        )
        for n in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Running:
    """A terminal that is being served on loopback."""

    terminal: SimulatedTerminal
    server: TerminalServer
    transport: str = "tcp"

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self.server.port

    def as_configured(self, timeout_s: float = 5.0) -> Terminal:
        """The same terminal as a driver's caller names it."""
        return Terminal(
            id="lobi",
            host="127.0.0.1",
            port=self.port,
            transport=self.transport,
            comm_key=self.terminal.comm_key,
            zone=self.terminal.zone,
            timeout=timedelta(seconds=timeout_s),
        )


@contextmanager
def serving(
    terminal: SimulatedTerminal, faults: Sequence[Fault] = (), transport: str = "tcp"
) -> Iterator[Running]:
    """Serve a terminal on a free loopback port while the block lasts, configured with that transport.

    One that is to be reached over UDP refuses TCP.
    """
    transports = ("udp",) if transport == "udp" else TRANSPORTS
    with TerminalServer(terminal, faults=faults, transports=transports) as server:
        yield Running(terminal, server, transport)


@contextmanager
def running_terminal(
    *,
    users: int = 10,
    records: int = 0,
    comm_key: int = 0,
    firmware: Firmware | None = None,
    clock: Clock | None = None,
    faults: Sequence[Fault] = (),
    transport: str = "tcp",
) -> Iterator[Running]:
    """Make a terminal as `some_terminal` does and serve it while the block lasts."""
    terminal = some_terminal(users=users, records=records, comm_key=comm_key, firmware=firmware, clock=clock)
    with serving(terminal, faults, transport) as running:
        yield running


@contextmanager
def running_terminals(count: int, *, users: int = 10, records: int = 0) -> Iterator[list[Running]]:
    """As many terminals, SIM0000000001 and on."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                serving(some_terminal(serial=f"SIM{number:010d}", users=users, records=records))
            )
            for number in range(1, count + 1)
        ]
