"""Dates and times as people and spreadsheets write them. Pure.

Which of two numbers is the day is never guessed from one date: see `Written.says`.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

LONGEST: Final = 64
"""Characters of a cell that may be a time."""


class Order(StrEnum):
    """What comes first in a date that begins with neither the year nor a month's name."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


class NoTime(ValueError):
    """Why a cell is no time of a punch."""


_PLAIN: Final = re.compile(r"(20\d\d)-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_DATE: Final = (
    r"(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})[-/. ](?P<second>\d{1,2}|[a-z]{3,9})[-/. ](?P<last>\d{4}|\d{2}))"
)
_TIME: Final = (
    r"(?P<hours>\d{1,2})[:.](?P<minutes>\d{2})(?:[:.](?P<seconds>\d{1,2})(?:[.,]\d{1,6})?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?"
)
_MOMENT: Final = re.compile(rf"(?:[a-z']{{3,9}},? ?)?{_DATE}(?:[ t,]{{1,2}}{_TIME})?", re.ASCII)

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan januari january",
            "feb februari february",
            "mar maret march",
            "apr april",
            "mei may",
            "jun juni june",
            "jul juli july",
            "agu agt ags agustus aug august",
            "sep sept september",
            "okt oct oktober october",
            "nov nop november nopember",
            "des dec desember december",
        ),
        start=1,
    )
    for name in names.split()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A date and time as written; the order of `first` and `second`, day and month, may be open."""

    year: int
    first: int
    second: int
    fixed: bool
    hours: int | None
    minutes: int
    seconds: int | None
    half: str

    @property
    def says(self) -> Order | None:
        """The order that this date proves by itself; None where it proves none, or needs none."""
        if self.fixed or self.first == self.second:
            return None
        if self.first > 12:
            return Order.DAY_FIRST
        return Order.MONTH_FIRST if self.second > 12 else None

    @property
    def open(self) -> bool:
        """Whether it is another day in the other order."""
        return not self.fixed and self.first != self.second and max(self.first, self.second) <= 12

    def moment(self, order: Order | None, *, whole_minutes: bool = False) -> datetime:
        """The naive time. Raises NoTime."""
        if self.hours is None:
            raise NoTime("the date has no time of the day beside it")
        if self.seconds is None and not whole_minutes:
            raise NoTime("the time has no seconds")
        day, month = self.first, self.second
        if not self.fixed and order is Order.MONTH_FIRST:
            day, month = month, day
        hours = self.hours
        if self.half:
            if not 1 <= hours <= 12:
                raise NoTime("no time between 2000 and 2099 in it")
            hours = hours % 12 + (12 if self.half == "p" else 0)
        try:
            found = datetime(self.year, month, day, hours, self.minutes, self.seconds or 0)
        except ValueError:
            raise NoTime("no day or no hour that exists") from None
        if not 2000 <= found.year <= 2099:
            raise NoTime("no time between 2000 and 2099 in it")
        return found


def read_plain(text: str) -> datetime | None:
    """`2026-01-05 07:30:00` as a naive time; None for every other form, and for what is no time."""
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime(*map(int, found.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def read_written(text: str) -> Written | None:
    """A date, with or without a time, in any of the forms that exports have; None for anything else."""
    found = _MOMENT.fullmatch(" ".join(text.lower().split())) if len(text) <= LONGEST else None
    if found is None:
        return None
    part = found.groupdict(default="")
    if part["year"]:
        year, first, second, fixed = int(part["year"]), int(part["day"]), int(part["month"]), True
    else:
        fixed = part["second"].isalpha()
        month = _MONTHS.get(part["second"]) if fixed else int(part["second"])
        if month is None:
            return None
        year, first, second = (
            int(part["last"]) + (2000 if len(part["last"]) == 2 else 0),
            int(part["first"]),
            month,
        )
    return Written(
        year=year,
        first=first,
        second=second,
        fixed=fixed,
        hours=int(part["hours"]) if part["hours"] else None,
        minutes=int(part["minutes"] or 0),
        seconds=int(part["seconds"]) if part["seconds"] else None,
        half=part["half"],
    )
