"""One carried file into the outbox: whose it is, whether that can be, and what of it was new.

An import gives no coverage: a file may be a part of a log, and nothing in it shows that it is whole.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Final

from attendance.clock import Clock
from attendance.errors import ConfigError, DataError
from attendance.punch import BadRecord, RawPunch
from attendance.timekeeping import Offsets
from config.model import EdgeConfig, TerminalSettings
from daemon.keeper import Keeper
from drivers.file.dates import Order
from drivers.file.driver import FileSession
from drivers.file.sheet import Choices
from sync.outbox import Outbox

_log = logging.getLogger(__name__)

PAGE: Final = 4000
"""Lines made durable at a time."""

SAMPLE: Final = 4000
"""Punches, spread over a file, that are looked up under the serial numbers of other terminals."""

FEW: Final = 3
"""So many punches, or one in a hundred, may be the same at two terminals by chance."""

_CHUNK: Final = 1 << 20

MOST_TOLD: Final = 1000
"""Bad lines that are named; the others are counted, and kept all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """What a technician asked for. `file` is its name; `serial` is empty where none was given."""

    terminal: str
    file: str
    serial: str = ""
    dates: str = ""
    columns: tuple[str, ...] = ()
    whole_minutes: bool = False
    dry_run: bool = False
    by: str = ""

    def choices(self, encoding: str) -> Choices:
        """How the driver is to read. UTF-8 is tried in any case, so that `encoding` is for other bytes."""
        return Choices(
            encoding="latin-1" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding,
            order=Order(self.dates) if self.dates else None,
            columns=self.columns,
            whole_minutes=self.whole_minutes,
        )


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is kept as evidence."""

    line: int
    reason: str


@dataclass(slots=True, kw_only=True)
class ImportResult:
    """What became of a file. `read` punches stand in it: `new` to this edge, or `known`. Wall times.

    `bad_lines` counts the lines of which `bad` names the first; `left_out` the rows of other terminals.
    """

    terminal: str
    serial: str
    file: str
    sha256: str
    columns: dict[str, int]
    dates: str
    dry_run: bool
    read: int = 0
    new: int = 0
    known: int = 0
    bad_lines: int = 0
    left_out: int = 0
    first: str | None = None
    last: str | None = None
    bad: list[BadLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def count(self, page: list[RawPunch], bad: list[BadRecord]) -> None:
        """Take a page into account."""
        self.read += len(page)
        self.bad_lines += len(bad)
        self.bad += [BadLine(one.position, one.reason) for one in bad[: MOST_TOLD - len(self.bad)]]
        if page:
            first, last = min(one.wall_time for one in page), max(one.wall_time for one in page)
            self.first = min(self.first or "9", first.isoformat())
            self.last = max(self.last or "", last.isoformat())


class Importer:
    """Imports files into one edge's outbox. Any thread."""

    def __init__(self, settings: EdgeConfig, outbox: Outbox, clock: Clock) -> None:
        self._settings = settings
        self._outbox = outbox
        self._clock = clock

    def run(self, stream: BinaryIO, order: ImportOrder) -> ImportResult:
        """Import one file; what is counted is on disk when this returns.

        Raises ConfigError where no serial number is known, DataError for a file that cannot be used
        or is another terminal's, OutboxError. After an OutboxError a part may be in: import again.
        """
        try:
            return self._run(stream, order)
        except DataError as error:
            raise DataError(f"{order.file}: {error}") from None

    def _run(self, stream: BinaryIO, order: ImportOrder) -> ImportResult:
        settings = self._known_terminal(order.terminal)
        device = self._settings.device(settings)
        keeper = Keeper(settings, device, self._outbox, self._clock)
        session = FileSession(stream, order.file, order.choices(device.encoding))
        memory = keeper.recall()
        last = memory.serial if memory else settings.serial or ""
        serial, doubts = self._serial(order, last, session)
        rows = session.layout.serials
        told = [name for name in rows if rows[name]]
        session.only = serial if told else ""
        result = ImportResult(
            terminal=order.terminal,
            serial=serial,
            file=order.file,
            sha256=_digest(stream),
            columns=dict(session.layout.columns),
            dates=session.layout.order or "",
            dry_run=order.dry_run,
            left_out=sum(rows[name] for name in told if name != serial),
            warnings=doubts,
        )
        self._refuse_another(keeper, session, serial)
        self._take(keeper, session, result)
        if session.strange:
            words = ", ".join(sorted(session.strange))
            result.warnings.append(f"words that are no state or verification: {words}; taken as none")
        self._tell(result, order)
        return result

    def _known_terminal(self, name: str) -> TerminalSettings:
        """Raises DataError: whoever handed the file in has the terminal in its own settings."""
        try:
            return terminal_named(self._settings, name)
        except ConfigError:
            raise DataError(
                f"the edge that runs does not know terminal {name} yet: restart it to read its settings anew"
            ) from None

    def _take(self, keeper: Keeper, session: FileSession, result: ImportResult) -> None:
        items = iter(session.read_log())
        known_clock = Offsets(keeper.clocks(result.serial))
        while page := list(islice(items, PAGE)):
            punches = [item for item in page if isinstance(item, RawPunch)]
            bad = [item for item in page if isinstance(item, BadRecord)]
            if result.dry_run:
                result.known += keeper.count_known(result.serial, punches)
            else:
                result.new += keeper.keep(result.serial, punches, known_clock.at)
                keeper.keep(result.serial, bad, warn=False)
            result.count(punches, bad)
        if result.read == 0 and result.bad_lines:
            raise DataError(f"line {result.bad[0].line}: {result.bad[0].reason}; no line of it is a punch")
        result.new = result.read - result.known if result.dry_run else result.new
        result.known = result.read - result.new

    # --- whose file it is

    def _serial(self, order: ImportOrder, last: str, session: FileSession) -> tuple[str, list[str]]:
        """The serial number to import under, and doubts about it. Raises ConfigError, DataError."""
        named = {one.casefold(): one for one in session.serials}
        serial = order.serial or last
        if not serial:
            hint = session.serials[0] if session.serials else "CGKK204060001"
            raise ConfigError(
                f"no serial number was ever read from terminal {order.terminal}: say whose file {order.file} "
                f"is with --serial, for example --serial {hint}, or with serial in the settings"
            )
        rows = session.layout.serials
        if any(rows.values()) and not rows.get(serial):
            raise DataError(
                f"its rows are of terminal {', '.join(rows)}, none of {serial}{self._known_as(serial)}"
            )
        if named and serial.casefold() not in named:
            other = next(iter(named.values()))
            if not order.serial:
                raise DataError(
                    f"it is of terminal {other}{self._known_as(other)}, and what stands at "
                    f"{order.terminal} is {serial}: name the right --terminal, or say --serial {other} "
                    f"if it is {order.terminal}'s all the same"
                )
            return serial, [f"its name says {other}, --serial says {serial}"]
        if order.serial and last and order.serial != last:
            return serial, [f"the serial number last read from {order.terminal} is {last}, not {serial}"]
        return serial, []

    def _known_as(self, serial: str) -> str:
        names = sorted(self._outbox.serials().get(serial, ()))
        return f" (known as {', '.join(names)})" if names else ""

    def _refuse_another(self, keeper: Keeper, session: FileSession, serial: str) -> None:
        """Raises DataError for a file whose punches are known of another terminal, more than of this one."""
        others = self._outbox.serials().keys() - {serial}
        if not others:
            return
        sample = _sample(session)
        here = keeper.count_known(serial, sample)
        for other in sorted(others):
            there = keeper.count_known(other, sample)
            if there > max(FEW, here, len(sample) // 100):
                raise DataError(
                    f"{there} of {len(sample)} punches looked at are known of terminal {other}"
                    f"{self._known_as(other)}, and {here} of {serial}: it is another terminal's file"
                )

    def _tell(self, result: ImportResult, order: ImportOrder) -> None:
        _log.info(
            "terminal %s: %s%s: %d punches, %d of them new, %d bad lines, sha256 %s, by %s",
            result.terminal,
            "tried only: " if result.dry_run else "",
            result.file,
            result.read,
            result.new,
            result.bad_lines,
            result.sha256,
            order.by or "unknown",
            extra={"action": "imported", "terminal": result.terminal},
        )


def terminal_named(settings: EdgeConfig, name: str) -> TerminalSettings:
    """The settings of one terminal. Raises ConfigError that names those that there are."""
    for terminal in settings.terminal:
        if terminal.id == name:
            return terminal
    known = ", ".join(terminal.id for terminal in settings.terminal) or "none"
    raise ConfigError(f"no terminal {name!r} in the settings; there are: {known}")


def _sample(session: FileSession) -> list[RawPunch]:
    punches: Iterator[RawPunch] = (item for item in session.read_log() if isinstance(item, RawPunch))
    return list(islice(punches, 0, None, max(1, session.layout.rows // SAMPLE)))


def _digest(stream: BinaryIO) -> str:
    stream.seek(0)
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def wall(text: str | None) -> str:
    """A time of a result for people."""
    return str(datetime.fromisoformat(text)) if text else "none"
