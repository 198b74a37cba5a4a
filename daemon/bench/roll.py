"""The configured terminals: what is remembered of each and, where it is asked for, how each is now."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from attendance.clock import Clock
from attendance.errors import AttendanceError, DeviceError
from attendance.terminal import Identity, Sizes
from daemon.bench.advice import advice_on
from daemon.bench.known import Known
from daemon.bench.target import REACH, states_zone
from daemon.bench.wall_clock import ClockLook, look_at_clock
from daemon.turns import Turn
from drivers.base import Driver

if TYPE_CHECKING:
    from config.model import EdgeConfig

AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What a terminal answered just now; `trouble` says why it did not, or what is wrong with it."""

    identity: Identity | None = None
    sizes: Sizes | None = None
    clock: ClockLook | None = None
    trouble: str = ""


def ask_all(
    config: "EdgeConfig", terminals: Sequence[Known], driver: Driver, clock: Clock, wait_s: float
) -> dict[str, Now]:
    """Every terminal that is dialled, side by side; by id."""
    dialled = [known for known in terminals if known.settings.polled]
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="list") as pool:
        answers = pool.map(lambda known: _ask(config, known, driver, clock, wait_s), dialled)
        return {known.settings.id: now for known, now in zip(dialled, answers, strict=True)}


def _ask(config: "EdgeConfig", known: Known, driver: Driver, clock: Clock, wait_s: float) -> Now:
    terminal = config.device(known.settings)
    terminal = replace(terminal, reach=min(terminal.timeout, REACH))
    try:
        with Turn(config.edge.state_dir, terminal.id).command(wait_s), driver.open(terminal) as session:
            identity, sizes = session.identify(), session.read_sizes()
            stated = states_zone(config, known.settings)
            look = look_at_clock(session, terminal.zone, clock, zone_given=stated)
    except DeviceError as error:
        advice = advice_on(error, known.address, terminal.comm_key)
        return Now(trouble=advice.cause)
    except AttendanceError as error:
        return Now(trouble=str(error))
    trouble = ""
    if known.serial is not None and known.serial != identity.serial:
        trouble = f"another terminal: its serial is {identity.serial}, not {known.serial}"
    elif not look.right:
        trouble = look.text
    return Now(identity=identity, sizes=sizes, clock=look, trouble=trouble)
