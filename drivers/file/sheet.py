"""From rows of cells to punches: first what the whole file shows of its layout, then row by row. Sans-io.

A file is read twice, so that nothing is guessed from its first lines: whether the day or the month
comes first, what the third column of an attlog.dat is, whether "No" counts rows.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import BinaryIO, Final

from attendance.errors import DataError
from attendance.punch import BadRecord, RawPunch, Source
from drivers.fields import NO_STATE, read_code, read_pin
from drivers.file.dates import NoTime, Order, read_plain, read_written
from drivers.file.headings import COUNTERS, STATES, VERIFIES, columns_of, pin_columns, plain
from drivers.file.rows import DELIMITERS, Form, Row, form_of, rows

ATTLOG: Final = ("pin", "time", "device", "state", "verify", "work")
"""The columns of attlog.dat as ZKTeco's SDK has them (adms.md 14)."""

COLUMNS: Final = frozenset({*ATTLOG, "date", "serial", "-"})
"""What a column may be said to be; `-` is one that is not read."""

_LOOK: Final = 50
"""Rows in which a heading is looked for; exports have titles above it."""

_MOST_KINDS: Final = 1000
_MOST_WORDS: Final = 10
_STATES: Final = frozenset({"", "0", "1", "2", "3", "4", "5", "255"})
_SERIAL_TITLE: Final = re.compile(
    r"\s*(?:sn|s/n|serial|serial ?(?:no|number)\.?|(?:no|nomor)\.? seri)"
    r"\s*(?:[:=]\s*([A-Za-z0-9_-]{1,64})?)?\s*",
    re.IGNORECASE,
)
_SERIAL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHORTENED: Final = re.compile(r"[+-]?\d+[.,]\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a technician says of a file beyond what it shows. `encoding` is for lines that are not UTF-8."""

    encoding: str = "latin-1"
    order: Order | None = None
    columns: tuple[str, ...] = ()
    whole_minutes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is read. `heading` is the heading's line, 0 where there is none.

    `rows`: how many have a time; `serials`: how many of them each serial number in the file has; one that
    a title above the heading names has none.
    """

    form: Form
    delimiter: str
    heading: int
    columns: Mapping[str, int]
    width: int
    rows: int
    order: Order | None
    halves: bool
    serials: Mapping[str, int]


def survey(stream: BinaryIO, choices: Choices) -> Layout:
    """Read a whole file for its layout; the stream stands at its start again.

    Raises DataError where the file as a whole cannot be used, with what would be right.
    """
    form = form_of(stream)
    delimiter, heading, columns, serial = _begin(stream, form, choices)
    found = _Found(columns)
    for row in _data(rows(stream, form, delimiter, choices.encoding), heading):
        found.take(row)
    stream.seek(0)
    columns = _settled(found, heading, choices)
    serials = dict(found.serials) if found.serials else {serial: 0} if serial else {}
    return Layout(
        form=form,
        delimiter=delimiter,
        heading=heading.line if heading else 0,
        columns=columns,
        width=found.widths.most_common(1)[0][0] if found.widths else 0,
        rows=found.counts,
        order=choices.order or found.order(),
        halves=found.halves > 0,
        serials=serials,
    )


def read(
    stream: BinaryIO, layout: Layout, choices: Choices, *, only: str = "", strange: set[str]
) -> Iterator[RawPunch | BadRecord]:
    """Every punch, and every line that is none; the position of a BadRecord is its line, from 1.

    A line whose user id and time can be read is a punch, also where a code beside them cannot: then it is
    given as a BadRecord too. Under a heading a word that is no code goes into `strange` instead: such
    columns hold all kinds of remarks. Rows that name another serial number than `only` are left out.
    """
    heading = None
    for row in rows(stream, layout.form, layout.delimiter, choices.encoding):
        if row.line < layout.heading:
            continue
        if row.line == layout.heading:
            heading = [plain(cell) for cell in row.cells]
            continue
        if heading is not None and [plain(cell) for cell in row.cells] == heading:
            continue  # a heading is repeated on every printed page
        if only and "serial" in layout.columns and _cell(row, layout.columns, "serial") not in ("", only):
            continue
        yield from _records(row, layout, choices, strange)


def _begin(stream: BinaryIO, form: Form, choices: Choices) -> tuple[str, Row | None, dict[str, int], str]:
    """Delimiter, heading, columns, and the serial number in a title above them."""
    given = {name: place for place, name in enumerate(choices.columns) if name != "-"}
    some = False
    for delimiter in DELIMITERS[:1] if form.table else DELIMITERS:
        first, columns = _look(stream, form, delimiter, choices)
        some = some or bool(first)
        if columns is not None:
            return delimiter, first[-1], given or columns, _titled_serial(first[:-1])
        if any(_is_punch(row, given or {"pin": 0, "time": 1}) for row in first):
            return delimiter, None, given or {name: place for place, name in enumerate(ATTLOG)}, ""
    if not some:
        raise DataError("is empty")
    raise DataError(
        "no line of it is a punch, and no heading names a user id (PIN, AC-No, ID) "
        "and a time (Tanggal, Waktu, Date/Time)"
    )


def _look(
    stream: BinaryIO, form: Form, delimiter: str, choices: Choices
) -> tuple[list[Row], dict[str, int] | None]:
    """The first rows, up to a heading where there is one, and what that says."""
    first: list[Row] = []
    columns: dict[str, int] | None = None
    with closing(rows(stream, form, delimiter, choices.encoding)) as given:
        for row in islice(given, _LOOK):
            first.append(row)
            columns = columns_of(row.cells)
            if columns is not None:
                break
    stream.seek(0)
    return first, columns


def _is_punch(row: Row, columns: Mapping[str, int]) -> bool:
    written = read_written(_time_text(row, columns))
    return written is not None and read_pin(_cell(row, columns, "pin").encode()) is not None


def _titled_serial(titles: Iterable[Row]) -> str:
    for row in titles:
        cells = [cell.strip() for cell in row.cells if cell.strip()]
        for cell, beside in zip(cells, [*cells[1:], ""], strict=False):
            title = _SERIAL_TITLE.fullmatch(cell)
            if title and (title[1] or _SERIAL.fullmatch(beside)):
                return title[1] or beside
    return ""


def _data(source: Iterable[Row], heading: Row | None) -> Iterator[Row]:
    line = heading.line if heading else 0
    return (row for row in source if row.line > line and not row.fault)


@dataclass(slots=True)
class _Found:
    """What all rows together show."""

    columns: Mapping[str, int]
    widths: Counter[int] = field(default_factory=Counter)
    third: set[str] = field(default_factory=set)
    serials: Counter[str] = field(default_factory=Counter)
    says: dict[Order, int] = field(default_factory=dict)
    open_line: int = 0
    seconds: int = 0
    no_seconds: int = 0
    halves: int = 0
    counts: int = 0
    counter: dict[int, int] = field(default_factory=dict)

    def take(self, row: Row) -> None:
        if row.whole:
            self.widths[len(row.cells)] += 1
        text = _time_text(row, self.columns)
        if read_plain(text) is not None:
            self.seconds += 1
        elif (written := read_written(text)) is None:
            return
        else:
            if written.says is not None:
                self.says.setdefault(written.says, row.line)
            elif written.open and not self.open_line:
                self.open_line = row.line
            self.seconds += written.seconds is not None
            self.no_seconds += written.seconds is None and written.hours is not None
            self.halves += bool(written.half)
        if len(row.cells) > 2 and len(self.third) < _MOST_KINDS:
            self.third.add(row.cells[2].strip())
        serial = _cell(row, self.columns, "serial") if "serial" in self.columns else ""
        if _SERIAL.fullmatch(serial) and (serial in self.serials or len(self.serials) < _MOST_KINDS):
            self.serials[serial] += 1
        self._count(row)

    def _count(self, row: Row) -> None:
        """Whether the first columns go 1, 2, 3 as the rows do."""
        self.counts += 1
        for place, cell in enumerate(row.cells[:3]):
            if self.counter.get(place, self.counts - 1) == self.counts - 1 and cell.strip() == str(
                self.counts
            ):
                self.counter[place] = self.counts

    def is_counter(self, place: int) -> bool:
        return self.counts > 1 and self.counter.get(place) == self.counts

    def order(self) -> Order | None:
        """The one that the dates prove. Raises DataError where they prove none, or both."""
        if len(self.says) > 1:
            raise DataError(
                f"line {self.says[Order.DAY_FIRST]} has the day first, line {self.says[Order.MONTH_FIRST]} "
                "the month: say which is right with --dates dmy or mdy; the other lines then stay as evidence"
            )
        if not self.says and self.open_line:
            raise DataError(
                f"line {self.open_line}: no date shows whether the day or the month comes first; "
                "say it with --dates dmy (5 January is 05/01) or --dates mdy"
            )
        return next(iter(self.says), None)


def _settled(found: _Found, heading: Row | None, choices: Choices) -> dict[str, int]:
    """The columns after all rows were seen. Raises DataError."""
    columns = dict(found.columns)
    if found.no_seconds and not found.seconds and not choices.whole_minutes:
        raise DataError(
            "its times have no seconds, and two punches are the same by their second: export it with seconds "
            "shown, or take them as they are with --whole-minutes, if this terminal is read in no other way"
        )
    if choices.columns:
        return columns
    if heading is None:
        names = _attlog_columns(found.third)
        return {name: place for place, name in enumerate(names)}
    if plain(heading.cells[columns["pin"]]) in COUNTERS and found.is_counter(columns["pin"]):
        others = [place for place in pin_columns(heading.cells) if place != columns["pin"]]
        if not others:
            raise DataError(
                f"line {heading.line}: column {heading.cells[columns['pin']]!r} counts the rows, and no "
                "other names the user id (PIN, AC-No, ID); say which column is what with --columns"
            )
        columns["pin"] = others[0]
    return columns


def _attlog_columns(third: set[str]) -> Sequence[str]:
    """A terminal has one number: a third column with several is the state or, on some models, verify."""
    if len(third) < 2:
        return ATTLOG
    if third <= _STATES:
        return ("pin", "time", "state", "verify", "work")
    return ("pin", "time", "verify", "state", "-", "work")


def _records(row: Row, layout: Layout, choices: Choices, strange: set[str]) -> Iterator[RawPunch | BadRecord]:
    if row.fault:
        yield _bad(row, row.fault)
        return
    pin = _cell(row, layout.columns, "pin")
    name = read_pin((pin.removeprefix("'") if layout.heading else pin).encode())
    try:
        wall_time = _moment(row, layout, choices)
    except NoTime as error:
        yield _bad(row, str(error) if len(row.cells) > 1 else "no user id and time: fewer than two fields")
        return
    if name is None:
        yield _bad(row, "the user id is empty, too long or not plain text")
        return
    if layout.heading and _SHORTENED.fullmatch(name):
        yield _bad(row, "the user id is a number that a spreadsheet has changed: format the column as text")
        return
    codes = {
        "state": _code(row, layout.columns, "state", STATES, absent=NO_STATE, most=255),
        "verify": _code(row, layout.columns, "verify", VERIFIES, absent=0, most=255),
        "work": _code(row, layout.columns, "work", {}, absent=0, most=0xFFFFFFFF),
    }
    yield RawPunch(
        pin=name,
        wall_time=wall_time,
        state_code=NO_STATE if codes["state"] is None else codes["state"],
        verify_code=codes["verify"] or 0,
        work_code=codes["work"] or 0,
        source=Source.FILE,
    )
    unread = [name for name, code in codes.items() if code is None]
    words = {_cell(row, layout.columns, name) for name in unread} if layout.heading else set()
    if words and not any(sign.isdigit() for word in words for sign in word):
        strange.update(words if len(strange) < _MOST_WORDS else ())
    elif unread:
        yield _bad(row, f"punch taken without its {' and '.join(unread)} code: no number or word of ours")


def _moment(row: Row, layout: Layout, choices: Choices) -> datetime:
    """Raises NoTime."""
    text = _time_text(row, layout.columns)
    cut = not row.whole and not layout.form.table
    if cut and len(row.cells) < layout.width:
        raise NoTime("the last line is cut: the file ends within it")
    plainly = read_plain(text)
    if plainly is not None:
        return plainly
    written = read_written(text)
    if written is None:
        raise NoTime("no date and time in it that can be read")
    if layout.halves and not written.half and written.hours is not None:
        raise NoTime("the time has no AM or PM, which the others have")
    if cut and not layout.halves and not re.search(r"[:.]\d\d$", text):
        raise NoTime("the last line is cut: the file ends within its time")
    return written.moment(layout.order, whole_minutes=choices.whole_minutes)


def _time_text(row: Row, columns: Mapping[str, int]) -> str:
    time = _cell(row, columns, "time")
    if "date" not in columns:
        return time
    return f"{_cell(row, columns, 'date').removesuffix(' 00:00:00')} {time}"


def _cell(row: Row, columns: Mapping[str, int], name: str) -> str:
    """The cell of a column without the blanks around it; empty where the row is too short."""
    place = columns.get(name, len(row.cells))
    return row.cells[place].strip() if place < len(row.cells) else ""


def _code(
    row: Row, columns: Mapping[str, int], name: str, words: Mapping[str, int], *, absent: int, most: int
) -> int | None:
    text = _cell(row, columns, name)
    code = read_code(text.encode(), absent=absent, most=most)
    return words.get(plain(text)) if code is None else code


def _bad(row: Row, reason: str) -> BadRecord:
    return BadRecord(raw=row.raw, reason=reason, position=row.line, source=Source.FILE)
