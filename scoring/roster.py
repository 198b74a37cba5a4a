"""Who belonged where, and whose pin was whose, on a day. Pure; days are `YYYY-MM-DD` text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Held(NamedTuple):
    """A value that held from a day to a day, both inclusive."""

    first: str
    last: str
    value: str


@dataclass(frozen=True, slots=True)
class Roster:
    """The dated reference data about people. Of rows that overlap, the one that began last holds."""

    units: Mapping[str, tuple[Held, ...]]
    pins: Mapping[tuple[str, str], tuple[Held, ...]]
    groups: Mapping[str, tuple[Held, ...]]
    kinds: Mapping[str, str]

    def unit_on(self, nip: str, day: str) -> str | None:
        """The unit that a person belonged to."""
        return held_on(self.units.get(nip, ()), day)

    def nip_on(self, group: str, pin: str, day: str) -> str | None:
        """The person behind a pin of a terminal group: the rule of v1_punch."""
        return held_on(self.pins.get((group, pin), ()), day)

    def groups_on(self, nip: str, day: str) -> frozenset[str]:
        """The terminal groups in which a person had a pin."""
        return frozenset(held.value for held in self.groups.get(nip, ()) if held.first <= day <= held.last)

    def people_of(self, unit: str) -> set[str]:
        """Everyone who belonged to a unit on some day of what was read."""
        return {nip for nip, units in self.units.items() if any(held.value == unit for held in units)}


def held_on(dated: tuple[Held, ...], day: str) -> str | None:
    """The value in force on a day; `dated` is as `newest_first` leaves it."""
    for held in dated:
        if held.first <= day <= held.last:
            return held.value
    return None


def newest_first(dated: Iterable[Held]) -> tuple[Held, ...]:
    """In the order in which `held_on` looks."""
    return tuple(sorted(dated, reverse=True))
