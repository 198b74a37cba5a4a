"""The handshake: what a terminal says of itself, and its options in return. No network, no clock."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SERVER_VERSION: Final = "2.4.1"
"""Without a version the client falls back to its oldest mode (old stamp names, photographs)."""

STAMPS: Final = ("ATTLOG", "OPERLOG", "ATTPHOTO", "BIODATA", "IDCARD", "ERRORLOG")
"""Tables with a resume point of their own, by the names of version 2."""

_FIRST_NAMES: Final = {"ATTLOG": "Stamp", "OPERLOG": "OpStamp", "ATTPHOTO": "PhotoStamp"}
_ALWAYS: Final = ("ATTLOG", "OPERLOG")
_STAMP: Final = re.compile(r"[!-~]{1,64}")
_SERIAL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WANTED: Final = "~SerialNumber,FWVersion,~DeviceName,~MaxAttLogCount,TransactionCount"
_ERROR_DELAY_S: Final = 60
_MOST_COUNT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """How a terminal that is let in is to behave. `delay` is the time between two polls, 2 to 60 s."""

    zone: ZoneInfo
    delay: timedelta = timedelta(seconds=30)
    with_users: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFacts:
    """What a request tells of its terminal; None for what it does not tell."""

    model: str | None = None
    firmware: str | None = None
    records: int | None = None
    capacity: int | None = None
    push_version: str | None = None


def is_serial(text: str) -> bool:
    """Whether a text may be a terminal's serial number."""
    return _SERIAL.fullmatch(text) is not None


def is_stamp(text: str) -> bool:
    """Whether a resume point may be kept: one that is given back must not bring lines of its own."""
    return _STAMP.fullmatch(text) is not None


def access_control(query: Mapping[str, str]) -> bool:
    """Whether a handshake comes from access-control firmware, which never sends attendance logs."""
    return query.get("pushver", "").startswith("3.") and query.get("devicetype", "").lower() == "acc"


def handshake_reply(
    serial: str,
    query: Mapping[str, str],
    options: PushOptions,
    stamps: Mapping[str, str],
    now: datetime,
) -> bytes:
    """The options for one terminal; every line ends with a line feed, the last one too.

    Stamps go back as they came. The clock is told by TimeZone: whole hours, else minutes.
    """
    lines = [f"GET OPTION FROM: {serial}"]
    lines += [f"{name}={value}" for name, value in _stamp_lines(stamps, oldest="pushver" not in query)]
    lines += [
        f"ErrorDelay={_ERROR_DELAY_S}",
        f"Delay={min(max(int(options.delay.total_seconds()), 2), 60)}",
        "TransInterval=1",
        f"TransFlag={trans_flag(with_users=options.with_users)}",
        f"TimeZone={time_zone(options.zone, now)}",
        "Realtime=1",
        "Encrypt=0",
        f"ServerVer={SERVER_VERSION}",
        f"PushProtVer={SERVER_VERSION}",
    ]
    if query.get("pushoptionsflag") == "1":
        lines += ["PushOptionsFlag=1", f"PushOptions={_WANTED}"]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def trans_flag(*, with_users: bool) -> str:
    """Which data is wanted, by names and real tabs: as bits it would mean templates to some firmware."""
    names = ["AttLog", "OpLog", *(("EnrollUser", "ChgUser") if with_users else ())]
    return "TransData " + "\t".join(names)


def time_zone(zone: ZoneInfo, now: datetime) -> int:
    """The zone's offset from UTC at `now` (aware) in whole hours, or in minutes where it is not whole."""
    offset = now.astimezone(zone).utcoffset() or timedelta(0)
    minutes = round(offset.total_seconds() / 60)
    return minutes // 60 if minutes % 60 == 0 else minutes


def time_reply(zone: ZoneInfo, now: datetime) -> bytes:
    """The answer to `type=time`: the wall time there and its offset."""
    return f"Time={now.astimezone(zone).isoformat(timespec='seconds')}\n".encode("ascii")


def read_info(text: str) -> PushFacts:
    """The counters of a heartbeat, by position: firmware, users, fingerprints, records."""
    parts = [part.strip() for part in text.split(",")]
    return PushFacts(
        firmware=parts[0] or None,
        records=_count(parts[3]) if len(parts) > 3 else None,
    )


def read_options(pairs: Iterable[str]) -> PushFacts:
    """Key=value texts of an options upload or of the answer to INFO; other settings are not kept."""
    given = {
        key.strip().lstrip("~"): value.strip() for key, _, value in (pair.partition("=") for pair in pairs)
    }
    capacity = _count(given.get("MaxAttLogCount", ""))
    if capacity is not None and capacity < 1000:
        capacity *= 10_000  # older firmware counts in tens of thousands
    return PushFacts(
        model=given.get("DeviceName") or None,
        firmware=given.get("FWVersion") or None,
        records=_count(given.get("TransactionCount", "")),
        capacity=capacity,
    )


def _stamp_lines(stamps: Mapping[str, str], *, oldest: bool) -> Iterable[tuple[str, str]]:
    for table in STAMPS:
        name = _FIRST_NAMES.get(table) if oldest else f"{table}Stamp"
        value = stamps.get(table, "0" if table in _ALWAYS else None)
        if name is not None and value is not None:
            yield name, value


def _count(text: str) -> int | None:
    """A count; None for text, and for the negative numbers that mean "not supported"."""
    return int(text) if re.fullmatch(r"\d{1,10}", text) and int(text) <= _MOST_COUNT else None
