"""People and past punches for simulated terminals: invented, and the same again for the same seed."""

import math
import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import groupby, islice
from typing import Final

from attendance.punch import RawPunch
from attendance.terminal import User
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.names import invent_names_in
from drivers.zk.simulator.oddities import Oddities, odd

FIRST_PIN: Final = 1001
NAME_BYTES: Final = 24
MOST_DAYS: Final = 2500
"""Working days that a filled log may reach back: about ten years."""

TIDY: Final = Oddities()

_OPENS: Final = time(7, 30)
_OPEN_FOR: Final = timedelta(hours=8, minutes=30)
_WEEKEND: Final = (5, 6)
_VERIFIES: Final = (1, 1, 1, 15, 15, 4)


def enrol_people(terminal: SimulatedTerminal, count: int, *, seed: int, oddities: Oddities = TIDY) -> None:
    """Enrol people with the pins 1001, 1002 and on."""
    for _ in range(oddities.empty_slots):
        terminal.add_empty_slot()
    names = islice(invent_names_in(oddities.names, seed), count)
    terminal.enrol(
        User(uid=uid, pin=str(FIRST_PIN + uid - 1), name="", name_raw=name[:NAME_BYTES])
        for uid, name in enumerate(names, start=1)
    )


def fill_log(
    terminal: SimulatedTerminal, count: int, *, seed: int, last_day: date, oddities: Oddities = TIDY
) -> None:
    """Append punches of working days up to and including `last_day`, in the order of time.

    No two are of one person in one second. Where many are wanted of few people, they punch
    more than twice a day. A terminal without people gets none. Oddities alter some, so that only
    duplicates make the log longer.
    """
    punches = past_punches([user.pin for user in terminal.users()], count, seed=seed, last_day=last_day)
    for is_raw, entries in groupby(
        odd(punches, oddities, terminal.firmware, seed=seed), lambda entry: isinstance(entry, bytes)
    ):
        if is_raw:
            terminal.load(b"".join(entry for entry in entries if isinstance(entry, bytes)))
        else:
            terminal.remember(entry for entry in entries if isinstance(entry, RawPunch))


def past_punches(people: list[str], count: int, *, seed: int, last_day: date) -> list[RawPunch]:
    """So many punches of these pins on working days up to and including `last_day`; none where nobody is."""
    if not people or count <= 0:
        return []
    a_day = max(2, math.ceil(count / len(people) / MOST_DAYS))
    days = list(islice(_working_days_back(last_day), math.ceil(count / len(people) / a_day)))
    chance = random.Random(seed)
    punches = [
        made
        for day in reversed(days)
        for made in sorted(_day(day, people, a_day, chance), key=lambda made: made.wall_time)
    ]
    return punches[-count:]


def _working_days_back(last_day: date) -> Iterator[date]:
    day = last_day
    while True:
        if day.weekday() not in _WEEKEND:
            yield day
        day -= timedelta(days=1)


def _day(day: date, people: list[str], a_day: int, chance: random.Random) -> Iterator[RawPunch]:
    gap = _OPEN_FOR / (a_day - 1)
    spread = int(min(timedelta(minutes=20), gap / 3).total_seconds())
    for pin in people:
        for turn in range(a_day):
            moved = timedelta(seconds=chance.randint(-spread, spread))
            moment = datetime.combine(day, _OPENS) + gap * turn + moved
            yield RawPunch(
                pin=pin,
                wall_time=moment.replace(microsecond=0),
                verify_code=chance.choice(_VERIFIES),
                state_code=turn % 2,
            )
