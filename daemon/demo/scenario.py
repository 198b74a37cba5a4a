"""The demo's regency: units, terminals, people, and a month of their mornings and evenings. Pure, by seed."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final

from attendance.punch import RawPunch

ZONE: Final = "Asia/Makassar"
EDGE: Final = "demo-edge"
GROUP: Final = "opd"
UNITS: Final = {
    "setda": "Sekretariat Daerah",
    "dinkes": "Dinas Kesehatan",
    "disdik": "Dinas Pendidikan",
}
TERMINALS: Final = {
    "setda-lobi": "setda",
    "setda-belakang": "setda",
    "dinkes-lobi": "dinkes",
    "disdik-lobi": "disdik",
}
VISITOR_PIN: Final = "9999"
"""Enrolled on a terminal, known to nobody at the centre."""

_START: Final = time(7, 30)
_END: Final = time(16, 0)
_FRIDAY_END: Final = time(16, 30)
_FRIDAY: Final = 4


@dataclass(frozen=True, slots=True)
class Habits:
    """How likely, each day, a person is late, leaves early, forgets to punch out, or stays away."""

    late: float = 0.0
    longest_late_min: int = 20
    early: float = 0.0
    forgets_out: float = 0.0
    away: float = 0.0


FAULTLESS: Final = Habits()
_MIX: Final = (
    *[FAULTLESS] * 10,
    *[Habits(late=0.15, longest_late_min=25)] * 5,
    *[Habits(late=0.45, longest_late_min=110, early=0.1)] * 2,
    *[Habits(late=0.05, forgets_out=0.2)] * 2,
    Habits(late=0.2, longest_late_min=60, away=0.2),
)
"""The habits of a unit's people; each unit has all of them."""

PEOPLE_PER_UNIT: Final = len(_MIX)

_MORE_LATE: Final = {"setda": 0.0, "dinkes": 0.05, "disdik": 0.12}


@dataclass(frozen=True, slots=True)
class Employee:
    """One person of the demo."""

    nip: str
    name: str
    unit: str
    pin: str
    kind: str
    habits: Habits


@dataclass(slots=True)
class Scenario:
    """Everything that happens: who there is, and what each terminal's log will hold, in its order."""

    month: str
    people: list[Employee]
    logs: dict[str, list[RawPunch]] = field(default_factory=dict)


def imagine(names: list[str], month: str, is_workday: Callable[[date], bool], seed: int = 1) -> Scenario:
    """Invent people for `names`, spread over the units, and a month of punches, the same for a seed."""
    random = Random(seed)
    scenario = Scenario(month=month, people=_people(names, random), logs={name: [] for name in TERMINALS})
    year, number = (int(part) for part in month.split("-"))
    for day in range(1, calendar.monthrange(year, number)[1] + 1):
        if is_workday(today := date(year, number, day)):
            _work(scenario, today, random)
    for log in scenario.logs.values():
        log.sort(key=lambda punch: punch.wall_time)
    return scenario


def _people(names: list[str], random: Random) -> list[Employee]:
    people = []
    habits_of = {unit: random.sample(_MIX, PEOPLE_PER_UNIT) for unit in UNITS}
    for number, name in enumerate(names):
        unit = list(UNITS)[number // PEOPLE_PER_UNIT]
        habits = habits_of[unit][number % PEOPLE_PER_UNIT]
        if habits is not FAULTLESS:
            habits = Habits(
                habits.late + _MORE_LATE[unit],
                habits.longest_late_min,
                habits.early,
                habits.forgets_out,
                habits.away,
            )
        kind = "pppk" if random.random() < 0.2 else "pns"
        people.append(Employee(_nip(random, kind, number), name, unit, str(1001 + number), kind, habits))
    return people


def _nip(random: Random, kind: str, number: int) -> str:
    """18 digits: birth date, appointment (PNS: year and month; PPPK: year and 21), sex, serial."""
    born = date(1968, 1, 1) + timedelta(days=random.randrange(365 * 28))
    appointed = max(born.year + 22, 2021 if kind == "pppk" else 1992)
    month = "21" if kind == "pppk" else f"{random.randint(1, 12):02d}"
    return f"{born:%Y%m%d}{appointed}{month}{random.randint(1, 2)}{number % 9 + 1:03d}"


def _work(scenario: Scenario, today: date, random: Random) -> None:
    end = _FRIDAY_END if today.weekday() == _FRIDAY else _END
    for person in scenario.people:
        habits = person.habits
        if random.random() < habits.away:
            continue
        doors = [name for name, unit in TERMINALS.items() if unit == person.unit]
        if random.random() < habits.late:
            arrival = _shift(
                today, _START, 60 * random.randint(1, habits.longest_late_min) + random.randrange(60)
            )
        else:
            arrival = _shift(today, _START, -random.randint(20, 40 * 60))
        _punch(scenario, random.choice(doors), person.pin, arrival, 0)
        if random.random() < 0.03:
            _punch(scenario, doors[0], person.pin, arrival + timedelta(seconds=random.randint(2, 9)), 0)
        if random.random() < habits.forgets_out:
            continue
        early = random.random() < habits.early
        leaving = _shift(today, end, -random.randint(300, 5400) if early else random.randint(5, 45 * 60))
        _punch(scenario, random.choice(doors), person.pin, leaving, 1)
    if random.random() < 0.2:
        _punch(scenario, "setda-lobi", VISITOR_PIN, _shift(today, time(10, 0), random.randrange(3600)), 0)


def _shift(today: date, base: time, seconds: int) -> datetime:
    return datetime.combine(today, base) + timedelta(seconds=seconds)


def _punch(scenario: Scenario, terminal: str, pin: str, wall_time: datetime, state: int) -> None:
    scenario.logs[terminal].append(RawPunch(pin=pin, wall_time=wall_time, verify_code=1, state_code=state))
