"""Driver `file`: a file that somebody carries, read as a terminal's log is."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from attendance.errors import ConfigError, DataError, Unsupported
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal
from drivers.file.sheet import Choices, Layout, read, survey

_NAMED: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{5,63}?)[_-]?attlog", re.IGNORECASE)
_DAY: Final = re.compile(r"20\d{6}|\d{1,5}|\d{6}")


def serial_in_name(name: str) -> str:
    """The serial number before `_attlog`, as newer units write it; empty for a device number or a date."""
    found = _NAMED.match(name)
    serial = found[1] if found else ""
    return serial if any(sign.isdigit() for sign in serial) and not _DAY.fullmatch(serial) else ""


class FileSession:
    """One file, as a session with the terminal that wrote it. Every method may raise DataError.

    `only`: the serial number whose rows are read, where rows name one; empty for all. `strange`: words in
    the columns of codes that mean nothing known, as far as the log was read.
    """

    def __init__(self, stream: BinaryIO, name: str, choices: Choices) -> None:
        """Reads the file once, for its layout."""
        self._stream = stream
        self._name = name
        self._choices = choices
        self.only = ""
        self.strange: set[str] = set()
        self.layout: Layout = survey(stream, choices)

    @property
    def serials(self) -> tuple[str, ...]:
        """The serial numbers that the file itself names, the name's first."""
        named = serial_in_name(self._name)
        return tuple(dict.fromkeys([*([named] if named else []), *self.layout.serials]))

    def identify(self, known: Identity | None = None) -> Identity:  # noqa: ARG002 - nothing is asked
        """The one serial number that the file names. Raises Unsupported where it names none, or several."""
        if len(self.serials) != 1:
            raise Unsupported(f"{self._name}: names {', '.join(self.serials) or 'no serial number'}")
        return Identity(serial=self.serials[0])

    def read_clock(self) -> datetime:
        """Raises Unsupported: a file has no clock."""
        raise Unsupported(f"{self._name}: a file has no clock")

    def read_sizes(self) -> Sizes:
        """Nothing: a file may be a part of a log."""
        return Sizes()

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        """Every line, read as it is asked for; again from the start at each call."""
        self._stream.seek(0)
        return read(self._stream, self.layout, self._choices, only=self.only, strange=self.strange)


@dataclass(frozen=True, slots=True)
class FileDriver:
    """Reads the file at `path`, as `choices` say; what is not UTF-8 in the terminal's encoding."""

    path: Path
    choices: Choices = field(default_factory=Choices)

    @property
    def name(self) -> str:
        return "file"

    def check(self, terminal: Terminal, options: Mapping[str, object]) -> None:
        """Refuse options. Raises ConfigError."""
        for option in options:
            raise ConfigError(f"terminal {terminal.id}: driver file has no option {option}")

    @contextmanager
    def open(self, terminal: Terminal) -> Iterator[FileSession]:
        """The file as a session. Raises DataError where it cannot be used."""
        encoding = self.choices.encoding if terminal.encoding == "utf-8" else terminal.encoding
        choices = replace(self.choices, encoding=encoding)
        try:
            with self.path.open("rb") as stream:
                yield FileSession(stream, self.path.name, choices)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from None
