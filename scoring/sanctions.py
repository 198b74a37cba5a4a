"""Which steps of a sanction ladder a person has reached. Pure; a step is a flag, never a penalty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from scoring.policy import Ladder, Step
from scoring.rules import Status

FREE = (Status.OFF, Status.HOLIDAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A step, the day on which it was reached, and the year's absent days counted so far."""

    year: int
    level: str
    article: str
    absent_days: int
    reached_on: str


def reached(ladder: Ladder, year: int, days: Sequence[tuple[str, str]]) -> list[Reached]:
    """The steps reached in `year`, from a person's (local_date, status) rows in date order.

    Weekends and holidays do not break a row of absent workdays; a workday of any other status
    does, an incomplete one and a date without a row too.
    """
    span = [
        (day, status)
        for day, status in days
        if day.startswith(f"{year:04}-") and ladder.in_force(date.fromisoformat(day))
    ]
    absent = [day for day, status in span if status == Status.ABSENT]
    found = []
    for step in ladder.step:
        on = _in_a_row(span, step) if step.in_a_row else _in_all(absent, step)
        if on is not None:
            found.append(
                Reached(
                    year=year,
                    level=step.level,
                    article=step.article,
                    absent_days=len(absent),
                    reached_on=on,
                )
            )
    return found


def _in_all(absent: Sequence[str], step: Step) -> str | None:
    return absent[step.days - 1] if len(absent) >= step.days else None


def _in_a_row(span: Sequence[tuple[str, str]], step: Step) -> str | None:
    row, before = 0, None
    for text, status in span:
        day = date.fromisoformat(text)
        if before is not None and day != before + timedelta(days=1):
            row = 0
        before = day
        if status == Status.ABSENT:
            row += 1
        elif status not in FREE:
            row = 0
        if row >= step.days:
            return text
    return None
