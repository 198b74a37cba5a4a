"""Which days are free for everyone: national holidays and cuti bersama, from the `holidays` package."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from holidays import country_holidays


class FreeKind(StrEnum):
    """Why a day is free, in the words of the `calendar` import."""

    HOLIDAY = "holiday"
    CUTI_BERSAMA = "cuti_bersama"


@dataclass(frozen=True, slots=True)
class FreeDay:
    """A free day and its Indonesian name; `(perkiraan)` in the name marks an estimate."""

    kind: FreeKind
    name: str


def free_days(years: Iterable[int]) -> dict[date, FreeDay]:
    """Every free day of these years. A day that is both a holiday and cuti bersama is a holiday."""
    span = list(years)
    days = {day: FreeDay(FreeKind.CUTI_BERSAMA, name) for day, name in _named("government", span).items()}
    for day, name in _named("public", span).items():
        days[day] = FreeDay(FreeKind.HOLIDAY, name)
    return {day: days[day] for day in sorted(days)}


def knows_cuti_bersama(year: int) -> bool:
    """Whether the package has the government's list for that year (2002 to 2027 in release 0.109)."""
    return bool(_named("government", [year]))


def _named(category: str, years: list[int]) -> dict[date, str]:
    return dict(country_holidays("ID", categories=(category,), language="id", years=years))
