"""Field types of settings: durations, times, zones, ids. Each refuses with what would be right."""

import re
from datetime import time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

_DURATION: Final = re.compile(r"(\d+)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_ID: Final = re.compile(r"[a-z0-9-]{1,40}")


def parse_duration(text: object) -> timedelta:
    """`500ms`, `60s`, `5m` or `24h` as a timedelta. Raises ValueError for anything else."""
    if isinstance(text, timedelta):
        return text
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no duration; write for example 500ms, 60s, 5m or 24h")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("a duration here must be longer than zero")
    return duration


def _zone(name: object) -> ZoneInfo:
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = "Asia/Jakarta (WIB), Asia/Makassar (WITA) or Asia/Jayapura (WIT)"
        raise ValueError(f"{name!r} is no time zone; write for example {hint}") from None


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(f"{text!r} must be 1 to 40 of a-z, 0-9 and -")
    return text


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"{name!r} is no encoding; write for example utf-8, gbk or windows-1256") from None
    return name


def _times_of_day(given: object) -> tuple[time, ...]:
    texts: list[object] = list(given) if isinstance(given, list | tuple) else [given]
    for text in texts:
        if not isinstance(text, str) or not _TIME_OF_DAY.fullmatch(text):
            raise ValueError(f'{text!r} is no time of day; write for example "07:30"')
    return tuple(time.fromisoformat(str(text)) for text in texts)


TimesOfDay = Annotated[tuple[time, ...], BeforeValidator(_times_of_day)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_positive)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Id = Annotated[str, AfterValidator(_id)]
Encoding = Annotated[str, AfterValidator(_encoding)]
