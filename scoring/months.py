"""A person's month from its days. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from scoring.rules import NOTHING, Day, Status

FULL: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonMonth:
    """What v1_month shows. Working days are the ended ones that were neither off nor a holiday.

    `deduction` and `score` are None where no working day is complete.
    """

    nip: str
    month: str
    unit: str
    working_days: int
    present_days: int
    absent_days: int
    excused_days: int
    incomplete_days: int
    late_minutes: int
    early_minutes: int
    deduction: Decimal | None
    score: Decimal | None


def sum_month(nip: str, month: str, unit: str, days: Sequence[Day]) -> PersonMonth:
    """Sum up the days; `unit` is that of the last of them. The score is 100 less the cuts, never below 0."""
    counts = Counter(day.status for day in days)
    complete = counts[Status.PRESENT] + counts[Status.ABSENT] + counts[Status.EXCUSED]
    deduction = sum((day.deduction for day in days if day.deduction is not None), NOTHING)
    return PersonMonth(
        nip=nip,
        month=month,
        unit=unit,
        working_days=complete + counts[Status.INCOMPLETE],
        present_days=counts[Status.PRESENT],
        absent_days=counts[Status.ABSENT],
        excused_days=counts[Status.EXCUSED],
        incomplete_days=counts[Status.INCOMPLETE],
        late_minutes=sum(day.late_minutes or 0 for day in days),
        early_minutes=sum(day.early_minutes or 0 for day in days),
        deduction=deduction if complete else None,
        score=max(NOTHING, FULL - deduction) if complete else None,
    )
