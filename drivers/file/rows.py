"""A file's bytes to rows of cells, whatever its encoding, delimiter or disguise. Sans-io: a stream is given.

At most one line is held at a time; one that is longer than LONGEST is given as far as that, with a fault.
"""

import codecs
import csv
import io
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import BinaryIO, Final, NamedTuple

from attendance.errors import DataError

LONGEST: Final = 16_384
"""Bytes of a line (of a table's row: characters) that are looked at."""

_HEAD: Final = 4096
_CHUNK: Final = 65_536
_UNREADABLE_HTML: Final = 1 << 20
_PADDING: Final = "\r\n\0\x1a"
_HTML: Final = re.compile(r"\s*(?:<!--|<\?xml|<!doctype|<html|<table|<meta|<head|<style)", re.IGNORECASE)

_SAVE_AS: Final = (
    "open it in a spreadsheet program, save it as CSV with the whole date and seconds shown, and import that"
)
_BINARY: Final = {
    b"\xd0\xcf\x11\xe0": f"an Excel workbook of the old kind (.xls); {_SAVE_AS}",
    b"\x09\x08": f"an Excel workbook of the old kind (.xls); {_SAVE_AS}",
    b"PK\x03\x04": f"an Excel workbook (.xlsx) or another packed file; {_SAVE_AS}",
    b"%PDF": "a PDF; export the records as text or CSV",
    b"\x1f\x8b": "a packed file; unpack it first",
}
"""First bytes of what is no text -> what it is, and what to do."""

DELIMITERS: Final = ("\t", ";", ",", "|")


@dataclass(frozen=True, slots=True)
class Form:
    """How a file's bytes are text: `encoding` is UTF-16's, or empty for one in which LF is one byte."""

    encoding: str
    table: bool


class Row(NamedTuple):
    """A line and its cells. `line` counts from 1 (in a table: rows); `whole`: it ended with a line feed.

    `raw` holds the line's bytes without its end (of UTF-16 and of HTML: its text in UTF-8). A row
    with a `fault` has no cells.
    """

    line: int
    raw: bytes
    cells: list[str]
    whole: bool = True
    fault: str = ""


def form_of(stream: BinaryIO) -> Form:
    """Look at a file's first bytes; the stream stands at its start again. Raises DataError for no text."""
    head = stream.read(_HEAD)
    stream.seek(0)
    for first, what in _BINARY.items():
        if head.startswith(first):
            raise DataError(f"is {what}")
    encoding = _wide_encoding(head)
    text = head.decode(encoding or "utf-8-sig", "replace").lstrip("\ufeff")
    return Form(encoding, _HTML.match(text) is not None)


def rows(stream: BinaryIO, form: Form, delimiter: str, encoding: str) -> Generator[Row, None, None]:
    """Every row that holds something. `encoding` is tried on lines that are not UTF-8."""
    if form.table:
        yield from _table_rows(stream, form)
        return
    lines = _wide_lines(stream, form.encoding) if form.encoding else _lines(stream, encoding)
    for row in lines:
        text = row.cells[0]
        if row.fault:
            yield row
        elif text and not text.isspace():
            yield _split(row, text, delimiter)


def _wide_encoding(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    text = head.rstrip(b"\0")
    low, high = text[::2].count(0), text[1::2].count(0)
    if max(low, high) * 5 < len(text) or min(low, high) * 20 > len(text):
        return ""
    return "utf-16-le" if high > low else "utf-16-be"


def _lines(stream: BinaryIO, encoding: str) -> Iterator[Row]:
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        whole = line.endswith(b"\n")
        raw = line.strip(b"\r\n\0\x1a")
        if not whole and len(line) >= LONGEST:
            _skip_line(stream)
            yield Row(number, raw, [""], whole=False, fault=f"longer than {LONGEST} bytes")
        else:
            yield Row(number, raw, [_decoded(raw, encoding)], whole=whole)


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(LONGEST)) and not rest.endswith(b"\n"):
        pass


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace")


def _wide_lines(stream: BinaryIO, encoding: str) -> Iterator[Row]:
    wrapped = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
    number = 0
    try:
        while text := wrapped.readline(LONGEST):
            number += 1
            if number == 1:
                text = text.removeprefix("\ufeff")
            whole, long = text.endswith("\n"), len(text) >= LONGEST
            text = text.strip(_PADDING)
            raw = text.encode("utf-8", "replace")
            if long and not whole:
                while (rest := wrapped.readline(LONGEST)) and not rest.endswith("\n"):
                    pass
                yield Row(number, raw, [""], whole=False, fault=f"longer than {LONGEST} characters")
            else:
                yield Row(number, raw, [text], whole=whole)
    finally:
        wrapped.detach()


def _split(row: Row, text: str, delimiter: str) -> Row:
    if '"' not in text:
        return Row(row.line, row.raw, text.split(delimiter), row.whole)
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        return Row(row.line, row.raw, [], row.whole, fault=f"no row of cells: {error}")
    return Row(row.line, row.raw, cells, row.whole)


def _table_rows(stream: BinaryIO, form: Form) -> Iterator[Row]:
    decode = codecs.getincrementaldecoder(form.encoding or "utf-8-sig")("replace").decode
    table = _Table()
    while chunk := stream.read(_CHUNK):
        table.take(decode(chunk))
        yield from table.given()
    table.take(decode(b"", True), last=True)
    yield from table.given()


class _Table(HTMLParser):
    """The rows of every table, of HTML or of a spreadsheet in XML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._rows: list[Row] = []
        self._cells: list[list[str]] | None = None
        self._room = LONGEST
        self._open = False
        self._line = 0

    def take(self, text: str, *, last: bool = False) -> None:
        """Read on. Raises DataError for markup that cannot be read."""
        try:
            self.feed(text)
            if last:
                self.close()
                self._end_row(whole=False)
        except AssertionError as error:
            raise DataError(f"row {self._line}: the table cannot be read: {error}") from None
        if len(self.rawdata) > _UNREADABLE_HTML:
            raise DataError(f"row {self._line}: the table cannot be read: a tag that never ends")

    def given(self) -> list[Row]:
        """The rows that are complete since the last call."""
        rows, self._rows = self._rows, []
        return [row for row in rows if row.fault or any(cell for cell in row.cells)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - theirs
        name = tag.rpartition(":")[2]
        if name in ("tr", "row"):
            self._end_row()
            self._cells, self._room, self._line = [], LONGEST, self._line + 1
        elif name in ("td", "th", "cell") and self._cells is not None:
            self._room -= 1
            if self._room > 0:
                self._cells.append([])
                self._open = True

    def handle_endtag(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in ("tr", "row", "table"):
            self._end_row()
        elif name in ("td", "th", "cell"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open and self._cells:
            self._room -= len(data)
            if self._room > 0:
                self._cells[-1].append(data)

    def _end_row(self, *, whole: bool = True) -> None:
        if self._cells is not None:
            cells = [" ".join("".join(parts).split()) for parts in self._cells]
            raw = "\t".join(cells).encode("utf-8", "replace")
            fault = f"longer than {LONGEST} characters" if self._room <= 0 else ""
            self._rows.append(Row(self._line, raw, [] if fault else cells, whole, fault))
        self._cells, self._open = None, False
