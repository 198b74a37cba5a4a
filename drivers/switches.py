"""A switch of a simulated terminal: its name in plain words, what stands after it, and what it sets.

`hadir simulate` makes its options of lists of them, and docs/simulator.md its tables.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attendance.errors import ConfigError

Parse = Callable[[str], object]


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


def made_of(kind: Callable[..., object], *parts: Takes, needed: int = 1) -> Takes:
    """A value of a kind, from values with colons between; those after the first `needed` may be left out."""
    metavar = ":".join(part.metavar for part in parts[:needed])
    metavar += "".join(f"[:{part.metavar}]" for part in parts[needed:])
    right = f"{metavar}, " + ", ".join(f"{part.metavar} {part.right}" for part in parts)

    def parse(text: str) -> object:
        values = text.split(":")
        if not needed <= len(values) <= len(parts):
            raise ValueError(text)
        return kind(*(part.parse(value) for part, value in zip(parts, values, strict=False)))

    return Takes(metavar, right, parse)


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value
