"""Files that offices send: CSV to rows of text, and text to dates, ids and codes."""

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attendance.errors import DataError
from sync.central.days import FIRST_DAY, LAST_DAY

LONGEST: Final = 200

_SCIENTIFIC: Final = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_SPREADSHEET_DATE: Final = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_EDGE_ID: Final = re.compile(r"[a-z0-9-]{1,40}")
_CODE: Final = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")


class RowFault(Exception):
    """Why a row cannot be used, in words for the person who made the file."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the line on which it begins, and its cells by column; an optional column may be absent."""

    line: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The cell, empty where the file has no such column."""
        return self.cells.get(column, "")

    def need(self, column: str) -> str:
        """The cell. Raises RowFault if it is empty."""
        text = self.get(column)
        if not text:
            raise RowFault(f"{column} is empty")
        return text


@dataclass(frozen=True, slots=True)
class Columns:
    """What a kind of file has in its header."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


def read_rows(path: Path, columns: Columns) -> tuple[list[Row], list[tuple[int, str]]]:
    """The rows of a file, and (line, fault) of those whose cells do not fit the header.

    Raises DataError where the file as a whole cannot be used.
    """
    text = _text(path)
    records = _records(path, text)
    line, header = next(records, (1, []))
    names = _header(path, line, header, columns)
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    for line, record in records:
        cells = [cell.strip() for cell in record]
        if not any(cells):
            continue
        try:
            rows.append(Row(line, _cells(names, cells)))
        except RowFault as fault:
            faults.append((line, str(fault)))
    return rows, faults


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line}: byte 0x{raw[error.start]:02X} is not UTF-8; "
            "save the file again as 'CSV UTF-8 (comma delimited)'"
        ) from None


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells); the header decides between `,` and `;`."""
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}: line {line}: not valid CSV: {error}; is a quotation mark open?"
            ) from None
        yield line, record


def _header(path: Path, line: int, header: Sequence[str], columns: Columns) -> list[str]:
    names = [name.strip().lower() for name in header]
    known = (*columns.required, *columns.optional)
    faults = [
        f"unknown column {name!r}; the nearest one is {get_close_matches(name, known, n=1, cutoff=0)[0]!r}"
        for name in names
        if name not in known
    ]
    faults += [f"column {name!r} is missing" for name in columns.required if name not in names]
    faults += [f"column {name!r} stands twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise DataError(f"{path}: line {line}: {'; '.join(faults)}. The columns are: {_listing(columns)}")
    return names


def _listing(columns: Columns) -> str:
    return ", ".join([*columns.required, *(f"[{name}]" for name in columns.optional)])


def _cells(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) < len(names) or any(cells[len(names) :]):
        raise RowFault(f"{len(cells)} cells, where the header has {len(names)}")
    for name, cell in zip(names, cells, strict=False):
        if _CONTROL.search(cell):
            raise RowFault(f"{name}: holds a line break or another control character")
        if len(cell) > LONGEST:
            raise RowFault(f"{name}: longer than {LONGEST} characters")
    return dict(zip(names, cells, strict=False))


def span_of(row: Row) -> tuple[str, str]:
    """`from` and `to` of a row, open where empty. Raises RowFault."""
    first = as_date(row, "from", FIRST_DAY)
    last = as_date(row, "to", LAST_DAY)
    if first > last:
        raise RowFault(f"from ({first}) is later than to ({last})")
    return first, last


def as_date(row: Row, column: str, default: str) -> str:
    """`YYYY-MM-DD`, or `default` where the cell is empty. Raises RowFault."""
    text = row.get(column)
    if not text:
        return default
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise RowFault(f"{column}: {text!r} is no day of the calendar") from None
    raise RowFault(f"{column}: {text!r} is no date that can be read; write YYYY-MM-DD{_meant(text)}")


def _meant(text: str) -> str:
    """What a spreadsheet's date was probably meant to be: day, month, year, as Indonesia writes it."""
    if _SPREADSHEET_DATE.fullmatch(text):
        parts = re.sub(r"[/.]", "-", text)
        for form in ("%d-%m-%Y", "%Y-%m-%d"):
            try:
                return f", for example {datetime.strptime(parts, form).date().isoformat()}"
            except ValueError:
                continue
    return ", for example 2026-12-31"


def as_code(row: Row, column: str, *, example: str) -> str:
    """An id that must come through untouched: printable ASCII, at most 64. Raises RowFault."""
    text = row.need(column)
    if _SCIENTIFIC.fullmatch(text):
        raise RowFault(
            f"{column}: {text!r} is a number that a spreadsheet has shortened; "
            f"format the column as text and enter it again, for example {example}"
        )
    if not _CODE.fullmatch(text):
        raise RowFault(f"{column}: {text!r} must be 1 to 64 plain letters, digits and signs")
    return text


def as_serial(row: Row, column: str) -> str:
    """A terminal's serial number: no space and no `/`, which punch ids are made with. Raises RowFault."""
    text = as_code(row, column, example="CGKK204960119")
    if "/" in text or " " in text:
        raise RowFault(f"{column}: {text!r} must have no space and no '/'")
    return text


def as_edge_id(row: Row, column: str) -> str:
    """The id of an edge or terminal, as in edge.toml. Raises RowFault."""
    text = row.need(column)
    if not _EDGE_ID.fullmatch(text):
        raise RowFault(f"{column}: {text!r} must be 1 to 40 of a-z, 0-9 and -, as in edge.toml")
    return text


def as_zone(row: Row, column: str) -> str | None:
    """A time zone, None where the cell is empty. Raises RowFault."""
    text = row.get(column)
    if not text:
        return None
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = "Asia/Jakarta (WIB), Asia/Makassar (WITA) or Asia/Jayapura (WIT)"
        raise RowFault(f"{column}: {text!r} is no time zone; write {hint}") from None
    return text


def as_name(row: Row, column: str) -> str:
    """A code that may hold any letters, such as a unit's. Raises RowFault."""
    text = row.need(column)
    if _SCIENTIFIC.fullmatch(text):
        raise RowFault(
            f"{column}: {text!r} is a number that a spreadsheet has shortened; format the column as text"
        )
    return text


def known_unit(row: Row, column: str, units: Collection[str]) -> str:
    """A unit that is loaded. Raises RowFault that names the nearest one."""
    text = as_name(row, column)
    if text not in units:
        near = get_close_matches(text, sorted(units), n=1, cutoff=0)
        hint = f"the nearest one is {near[0]!r}" if near else "none is loaded yet"
        raise RowFault(f"{column}: no unit {text!r} is loaded ({hint}); load units first")
    return text
