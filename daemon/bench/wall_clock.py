"""A terminal's clock, measured and told in words; set where somebody asks for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attendance.clock import Clock
from attendance.errors import DeviceError, DeviceRefused, Unsupported
from attendance.timekeeping import ClockReading, Verdict, explain, judge
from daemon.clocks import CorrectionPolicy, measure, set_right
from daemon.host_clock import synchronised
from drivers.base import CanSetClock, Session

ZONES: Final = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura", "UTC": "UTC"}
_REMEDIES: Final = {
    Verdict.YEAR_2000: "change its battery, then set the clock: hadir terminal clock ... --set",
    Verdict.WRONG_ZONE: "set the clock, or mend timezone in edge.toml: whichever is wrong",
    Verdict.UTC: "set the clock, or mend timezone in edge.toml: whichever is wrong",
}
_SET_IT: Final = "set it: hadir terminal clock ... --set"


class NotSet(DeviceError):
    """The clock is as it was; the text says why."""


@dataclass(frozen=True, slots=True)
class ClockLook:
    """What a clock shows, in words, and whether it is right."""

    right: bool
    text: str
    remedy: str
    facts: dict[str, object]


def look_at_clock(
    session: Session,
    zone: ZoneInfo,
    clock: Clock,
    *,
    zone_given: bool,
    trusted: Callable[[], bool] = synchronised,
) -> ClockLook:
    """Ask for the time. Without `zone_given` any zone of the country is right. Raises DeviceError."""
    reading, trouble = measure(session, zone, clock, trusted=trusted)
    return _told(reading, zone, trouble, zone_given=zone_given)


def correct_clock(
    session: Session,
    zone: ZoneInfo,
    clock: Clock,
    *,
    force: bool,
    slots: tuple[time, ...],
    trusted: Callable[[], bool] = synchronised,
) -> tuple[ClockLook, ClockLook]:
    """Set a terminal's clock to the host's time: how it was, and how it is. Raises DeviceError, NotSet."""
    before, trouble = measure(session, zone, clock, trusted=trusted)
    if not (before.trusted or force):
        raise NotSet("this machine's own clock follows no time server: mend that first, or --force")
    policy = CorrectionPolicy(timedelta(0), slots, any_time=False)
    now = clock.now().astimezone(zone).replace(tzinfo=None)
    if slots and not force and not policy.quiet(before, now):
        shown = ", ".join(f"{slot:%H:%M}" for slot in slots)
        raise NotSet(f"somebody could become late or on time by it now (slots: {shown}): wait, or --force")
    if not isinstance(session, CanSetClock):
        raise Unsupported("this driver sets no clock")
    set_right(session, zone, clock, before)
    after, still = measure(session, zone, clock, trusted=trusted)
    if after.verdict is not Verdict.RIGHT:
        raise DeviceRefused(f"the terminal was set, and {explain(after, zone)}")
    return _told(before, zone, trouble, zone_given=True), _told(after, zone, still, zone_given=True)


def in_words(span: timedelta) -> str:
    """`2 days 3 h`, `1 h 5 min`, `12 min 3 s`, `7 s`: the two largest parts, without the sign."""
    seconds = round(abs(span.total_seconds()))
    sizes = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in sizes:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {name}{'s' if name == 'day' and number > 1 else ''}")
    return " ".join(parts[:2]) or "0 s"


def _told(
    reading: ClockReading, zone: ZoneInfo, trouble: Unsupported | None, *, zone_given: bool
) -> ClockLook:
    offset_s = reading.offset_s
    facts: dict[str, object] = {
        "clock": None,
        "clock_offset_s": offset_s,
        "clock_error_s": round(reading.error_s, 1),
        "clock_zone": zone.key,
        "clock_verdict": reading.verdict.value,
        "host_clock_synchronised": reading.trusted,
    }
    if offset_s is None:
        return ClockLook(False, str(trouble or explain(reading, zone)), _SET_IT, facts)
    wall_time = reading.shown.astimezone(zone).replace(tzinfo=None, microsecond=0)
    facts["clock"] = wall_time.isoformat(sep=" ")
    doubt = "" if reading.trusted else "; this machine's own clock follows no time server"
    if not zone_given:
        for name, key in ZONES.items():
            if _would_be(reading, zone, ZoneInfo(key)) is Verdict.RIGHT:
                facts["clock_fits_zone"] = key
                return ClockLook(True, f"{wall_time:%F %T}, right in {name} ({key}){doubt}", "", facts)
    if reading.verdict is Verdict.RIGHT:
        text = f"{wall_time:%F %T}, right: {offset_s:+.1f} s, measured to {reading.error_s:.1f} s"
        return ClockLook(True, text + doubt, "", facts)
    text = f"{wall_time:%F %T}: {explain(reading, zone)}"
    return ClockLook(False, text + doubt, _REMEDIES.get(reading.verdict, _SET_IT), facts)


def _would_be(reading: ClockReading, zone: ZoneInfo, other: ZoneInfo) -> Verdict:
    """The verdict if the terminal stood in another zone."""
    wall_time = reading.shown.astimezone(zone).replace(tzinfo=None)
    offset = wall_time.replace(tzinfo=other) - reading.at
    moved = replace(reading, offset_s=offset.total_seconds())
    return judge(moved.offset_s, moved.error_s, moved.at, other)
