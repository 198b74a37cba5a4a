"""The terminal's packed wall clock. Naive times of whole seconds, no zone, 2000 to 2099.

Source: captures (attendance records, command 201) of several models; agrees with pyzk 0.9.
"""

from datetime import datetime
from struct import Struct
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError

_SIX: Final = Struct("<6B")
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2099


def pack_time(wall_time: datetime) -> int:
    """A wall time as u32. Raises LocalProtocolError outside 2000 to 2099."""
    _check_year(wall_time)
    days = ((wall_time.year - FIRST_YEAR) * 12 + wall_time.month - 1) * 31 + wall_time.day - 1
    return (days * 24 + wall_time.hour) * 3600 + wall_time.minute * 60 + wall_time.second


def unpack_time(word: int) -> datetime:
    """Read a packed wall clock; it counts as if every month had 31 days.

    Raises RemoteProtocolError for a word that is no date (31 February, the year 2133).
    """
    days, seconds = divmod(word, 86400)
    months, day = divmod(days, 31)
    years, month = divmod(months, 12)
    hour, seconds = divmod(seconds, 3600)
    return _date(FIRST_YEAR + years, month + 1, day + 1, hour, *divmod(seconds, 60))


def pack_event_time(wall_time: datetime) -> bytes:
    """A wall time as the six bytes of an event: yy mm dd hh mm ss."""
    _check_year(wall_time)
    year = wall_time.year - FIRST_YEAR
    return _SIX.pack(year, wall_time.month, wall_time.day, wall_time.hour, wall_time.minute, wall_time.second)


def unpack_event_time(raw: bytes) -> datetime:
    """Read the six bytes of an event's time. Raises RemoteProtocolError for no date."""
    if len(raw) != _SIX.size:
        raise RemoteProtocolError(f"an event time has {len(raw)} bytes, should have {_SIX.size}")
    year, *rest = _SIX.unpack(raw)
    return _date(FIRST_YEAR + year, *rest)


def _date(*fields: int) -> datetime:
    try:
        wall_time = datetime(*fields)  # type: ignore[arg-type]
    except ValueError:
        shown = "-".join(str(field) for field in fields[:3])
        raise RemoteProtocolError(f"no such date: {shown}") from None
    if wall_time.year > LAST_YEAR:
        raise RemoteProtocolError(f"no such date: the year {wall_time.year}")
    return wall_time


def _check_year(wall_time: datetime) -> None:
    if not FIRST_YEAR <= wall_time.year <= LAST_YEAR:
        raise LocalProtocolError(f"a terminal's clock knows 2000 to 2099, not {wall_time.year}")
