"""Every switch of a simulated terminal: its name in plain words, what it takes, and what it sets.

The one list of them: `hadir simulate` makes its options of it, docs/simulator.md its table, and a test
compares it with the fields of `Firmware`, `SimulatedTerminal` and `Oddities` and with the faults.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from attendance.errors import ConfigError
from drivers.zk.simulator.faults import Fault
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.simulator.oddities import Oddities

FIRMWARE: Final = "firmware"
TERMINAL: Final = "terminal"
SERVER: Final = "server"
ODDITIES: Final = "oddities"
FAULT: Final = "fault"

Parse = Callable[[str], object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Takes:
    """What stands after a switch: how it is shown, what would be right, and how it is read.

    `parse` raises ValueError for anything else.
    """

    metavar: str
    right: str
    parse: Parse


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch. `sets` is a part of a simulated terminal and a name in it, such as `firmware.users`.

    Without `takes` it stands alone and sets `value`.
    """

    name: str
    group: str
    words: str
    sets: str
    takes: Takes | None = None
    value: object = True

    def read(self, text: str) -> object:
        """The value that a text stands for. Raises ConfigError, which names the switch and what is right."""
        if self.takes is None:
            return self.value
        try:
            return self.takes.parse(text)
        except ValueError:
            raise ConfigError(f"--{self.name} {text}: should be {self.takes.right}") from None


def whole(low: int, high: int, metavar: str = "N") -> Takes:
    """A whole number."""
    return Takes(metavar, f"{low} to {high}", lambda text: _within(int(text), low, high))


def decimal(low: float, high: float, metavar: str) -> Takes:
    """A number."""
    return Takes(metavar, f"{low:g} to {high:g}", lambda text: _within(float(text), low, high))


def one_of(values: Mapping[str, object], metavar: str = "NAME") -> Takes:
    """A name out of several."""

    def parse(text: str) -> object:
        if text not in values:
            raise ValueError(text)
        return values[text]

    return Takes(metavar, f"one of {', '.join(values)}", parse)


def matching(pattern: str, right: str, metavar: str = "TEXT", parse: Parse = str) -> Takes:
    """A text of a form."""

    def checked(text: str) -> object:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return parse(text)

    return Takes(metavar, right, checked)


def made_of(fault: Callable[..., Fault], *parts: Takes, needed: int = 1) -> Takes:
    """A fault, from values with colons between; those after the first `needed` may be left out."""
    metavar = ":".join(part.metavar for part in parts[:needed])
    metavar += "".join(f"[:{part.metavar}]" for part in parts[needed:])
    right = f"{metavar}, " + ", ".join(f"{part.metavar} {part.right}" for part in parts)

    def parse(text: str) -> object:
        values = text.split(":")
        if not needed <= len(values) <= len(parts):
            raise ValueError(text)
        return fault(*(part.parse(value) for part, value in zip(parts, values, strict=False)))

    return Takes(metavar, right, parse)


@dataclass(frozen=True, slots=True)
class Settings:
    """What chosen switches set, by part; the rest is as it was."""

    firmware: Mapping[str, Any] = field(default_factory=dict)
    terminal: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    oddities: Oddities = field(default_factory=Oddities)
    faults: tuple[Fault, ...] = ()

    def changed(self, kind: Firmware) -> Firmware:
        """A kind of firmware with what the switches set."""
        return _replaced(kind, self.firmware)


def settings(chosen: Iterable[tuple[Switch, str]]) -> Settings:
    """What switches set together; of two that set the same the last counts, and faults add up.

    Raises ConfigError for a value that is none.
    """
    parts: dict[str, dict[str, object]] = {FIRMWARE: {}, TERMINAL: {}, SERVER: {}, ODDITIES: {}}
    faults: list[Fault] = []
    for switch, text in chosen:
        value = switch.read(text)
        part, _dot, name = switch.sets.partition(".")
        if part == FAULT:
            faults.append(value)  # type: ignore[arg-type]  # the table's test holds that it is one
        else:
            parts[part] |= dict.fromkeys(name.split("+"), value)
    return Settings(
        parts[FIRMWARE], parts[TERMINAL], parts[SERVER], _replaced(Oddities(), parts[ODDITIES]), tuple(faults)
    )


def _replaced(base: T, values: Mapping[str, object]) -> T:
    known = {each.name for each in fields(base)}  # type: ignore[arg-type]
    unknown = values.keys() - known
    if unknown:
        raise LookupError(f"{type(base).__name__} has no {', '.join(sorted(unknown))}")
    return replace(base, **values)  # type: ignore[type-var]


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value
