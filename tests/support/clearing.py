"""A terminal that is nearly full, an outbox, and the edge's work between them; a test plays the centre."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attendance.terminal import Terminal
from config.model import TerminalSettings
from daemon.clearing import Clearing
from daemon.collector import Collector
from daemon.keeper import Keeper
from daemon.turns import Line, Turn
from drivers.zk.driver import ZkDriver
from drivers.zk.session import ZkSession
from drivers.zk.simulator.faults import Fault
from drivers.zk.simulator.firmware import TFT, Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from sync.envelope import Batch, Receipt, WireEvent
from sync.outbox import Outbox
from terminals import START, Running, StillClock, serving, some_terminal

SERIAL = "SIM0000000001"
RECORDS = 40
ROOT = Path(__file__).parents[2]


def nothing(_session: ZkSession) -> None:
    """No hook."""


class Hooked(ZkSession):
    """A real session; `before_clear` is called when the clear command is about to leave."""

    before_clear: Callable[[ZkSession], None] = staticmethod(nothing)
    tries = 0

    def clear_log(self) -> None:
        Hooked.tries += 1
        Hooked.before_clear(self)
        super().clear_log()


class HookedDriver(ZkDriver):
    """The real driver with hooked sessions."""

    @contextmanager
    def open(self, terminal: Terminal) -> Iterator[Hooked]:
        with super().open(terminal) as session:
            session.__class__ = Hooked
            assert isinstance(session, Hooked)
            yield session


class Site:
    """One terminal, an outbox, and the edge's work between them; the centre is played by `acknowledge`."""

    def __init__(self, running: Running, outbox: Outbox, state_dir: Path, **settings: object) -> None:
        self.running = running
        self.outbox = outbox
        self.clock = StillClock()
        device = running.as_configured()
        given = {"id": "lobi", "host": "127.0.0.1", "port": running.port, "clear": "when-full"} | settings
        self.settings = TerminalSettings.model_validate(given)
        self.line = Line(device, HookedDriver(), Turn(state_dir, "lobi"))
        self.collector = Collector(self.settings, self.line, outbox, lambda _health: None, self.clock)
        self.keeper = Keeper(self.settings, device, outbox, self.clock)
        self.clearing = Clearing(self.settings, self.keeper, outbox, self.clock)

    @property
    def terminal(self) -> SimulatedTerminal:
        return self.running.terminal

    def poll(self) -> int:
        return self.collector.poll_once()

    def acknowledge(self, upto: int | None = None) -> None:
        self.outbox.seal()
        last = self.outbox.last_number if upto is None else upto
        self.outbox.settle(Receipt(edge="e", stream=self.outbox.stream, committed=((1, last),)))

    def read_and_acknowledge(self) -> None:
        self.poll()
        self.acknowledge()

    def clear_by_command(self) -> int:
        with self.line.driver.open(self.running.as_configured(timeout_s=2)) as session:
            return self.clearing.clear(session, SERIAL)

    def batches(self) -> list[Batch]:
        self.outbox.seal()
        return [Batch.model_validate_json(one.payload) for one in self.outbox.batches([(1, 10**6)], 10**6)]

    def cleared_events(self) -> list[WireEvent]:
        return [one for one in self.events_of_hadir() if one.kind == "log_cleared"]

    def events_of_hadir(self) -> list[WireEvent]:
        """The terminal's own operation log may tell of the same."""
        return [one for batch in self.batches() for one in batch.events if one.source == "hadir"]

    def walls(self) -> set[str]:
        return {punch.wall for batch in self.batches() for punch in batch.punches}

    @property
    def mark(self) -> object:
        return self.outbox.clearings.get("lobi", SERIAL)


Build = Callable[..., Site]


@contextmanager
def sites(tmp_path: Path) -> Iterator[Build]:
    """Makes sites, each with a terminal of RECORDS records that is nearly full."""
    with ExitStack() as stack:

        def made(
            *,
            firmware: Firmware = TFT,
            records: int = RECORDS,
            capacity: int = RECORDS + 5,
            faults: Sequence[Fault] = (),
            **settings: object,
        ) -> Site:
            terminal = some_terminal(records=0, firmware=firmware)
            terminal.record_capacity = capacity
            for number in range(records):
                minute = START.replace(hour=7 + number // 60, minute=number % 60)
                terminal.punch(str(1001 + number % 10), at=minute)
            running = stack.enter_context(serving(terminal, faults))
            outbox = stack.enter_context(Outbox(tmp_path / "outbox.db", edge="e"))
            return Site(running, outbox, tmp_path, **settings)

        try:
            yield made
        finally:
            Hooked.before_clear = staticmethod(nothing)
            Hooked.tries = 0
