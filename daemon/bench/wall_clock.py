"""A terminal's clock, measured and told in words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attendance.clock import Clock
from daemon.host_clock import synchronised
from drivers.base import Session

RIGHT_WITHIN: Final = timedelta(seconds=10)
NEAR: Final = timedelta(minutes=5)
"""Another zone explains a clock that would be so near the truth there."""
ZONES: Final = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura", "UTC": "UTC"}


@dataclass(frozen=True, slots=True)
class ClockLook:
    """What a clock shows, in words, and whether it is right."""

    right: bool
    text: str
    remedy: str
    facts: dict[str, object]


def look_at_clock(session: Session, zone: ZoneInfo, clock: Clock, *, zone_given: bool) -> ClockLook:
    """Ask a terminal for its time. Without `zone_given` any zone of the country is right.

    Raises DeviceError; Unsupported where it shows no date.
    """
    asked = clock.monotonic()
    wall_time = session.read_clock()
    now = clock.now()
    half = timedelta(seconds=(clock.monotonic() - asked) / 2)
    # Whole seconds, cut off: half a second is the mean error.
    shown, error = wall_time + timedelta(seconds=0.5), half + timedelta(seconds=0.5)
    offset = _offset(shown, zone, now - half)
    trusted = synchronised()
    facts: dict[str, object] = {
        "clock": wall_time.isoformat(sep=" "),
        "clock_offset_s": round(offset.total_seconds(), 1),
        "clock_error_s": round(error.total_seconds(), 1),
        "clock_zone": zone.key,
        "host_clock_synchronised": trusted,
    }
    there = {name: _offset(shown, ZoneInfo(key), now - half) for name, key in ZONES.items()}
    fits = next((name for name, other in there.items() if abs(other) <= NEAR), None)
    doubt = "" if trusted else " (this machine's own clock follows no time server)"
    text = f"{wall_time:%F %T}"
    if wall_time.year == 2000:
        return ClockLook(
            False,
            f"{text}: it began anew in 2000",
            "its battery is empty: change it, then set the clock",
            facts,
        )
    if not zone_given and fits is not None:
        return ClockLook(True, f"{text}, right in {fits} ({ZONES[fits]}){doubt}", "", facts)
    if abs(offset) <= RIGHT_WITHIN:
        return ClockLook(True, f"{text}, right within {error.total_seconds():.1f} s{doubt}", "", facts)
    if fits is not None and ZONES[fits] != zone.key:
        remedy = "set the clock, or mend timezone in edge.toml, whichever is wrong"
        return ClockLook(
            False, f"{text}: it shows {fits}, and {zone.key} is configured{doubt}", remedy, facts
        )
    text += f": {in_words(offset)} {'ahead' if offset > timedelta(0) else 'behind'}{doubt}"
    return ClockLook(False, text, "set it: hadir terminal clock ... --set", facts)


def in_words(offset: timedelta) -> str:
    """`2 days 3 h`, `1 h 5 min`, `12 min 3 s`, `7 s`: the two largest parts, without the sign."""
    seconds = round(abs(offset.total_seconds()))
    sizes = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in sizes:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {name}{'s' if name == 'day' and number > 1 else ''}")
    return " ".join(parts[:2]) or "0 s"


def _offset(shown: datetime, zone: ZoneInfo, now: datetime) -> timedelta:
    return shown.replace(tzinfo=zone).astimezone(UTC) - now
