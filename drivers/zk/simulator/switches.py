"""What the switches that somebody chose make of a simulated terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from drivers.switches import Switch
from drivers.zk.simulator.faults import Fault
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.simulator.oddities import Oddities

FIRMWARE: Final = "firmware"
TERMINAL: Final = "terminal"
SERVER: Final = "server"
ODDITIES: Final = "oddities"
FAULT: Final = "fault"

T = TypeVar("T")


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
