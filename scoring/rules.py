"""One person's day, from punches to deductions. Pure: no database, no clock, no zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from scoring.policy import Hours, Policy, Slot, Window

NOTHING: Final = Decimal(0)


class Status(StrEnum):
    """What a day was; the first that holds, in this order."""

    OFF = "off"
    HOLIDAY = "holiday"
    EXCUSED = "excused"
    INCOMPLETE = "incomplete"
    ABSENT = "absent"
    PRESENT = "present"


class Rule(StrEnum):
    """What a reason is about; `explain` has the words for it."""

    LATE = "late"
    MISSING_IN = "missing_in"
    EARLY = "early"
    MISSING_OUT = "missing_out"
    ABSENT = "absent"
    INCOMPLETE = "incomplete"


class Why(StrEnum):
    """Why a terminal's data for a day is not all in."""

    NEVER_REPORTED = "never_reported"
    OTHER_SERIAL = "other_serial"
    NOT_READ_YET = "not_read_yet"
    CLOCK_WRONG = "clock_wrong"
    BEFORE_LOG = "before_log"
    SCORED_LATER = "scored_later"
    NO_TERMINAL = "no_terminal"
    NO_PIN = "no_pin"


class Scan(NamedTuple):
    """A punch as scoring needs it: `HH:MM:SS` on the terminal's own clock, and where it stands."""

    local_time: str
    terminal_serial: str
    pin: str

    def punch_id(self, day: date) -> str:
        """Its name in v1_punch."""
        return f"{self.terminal_serial}/{self.pin}/{day.isoformat()}T{self.local_time}"


@dataclass(frozen=True, slots=True)
class Missing:
    """A terminal that the person could have used and whose data for the day is not all in."""

    why: Why
    edge: str | None = None
    terminal: str | None = None
    serial: str | None = None
    until: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """As it stands in `v1_day.reasons`."""
        return {
            "why": str(self.why),
            "edge": self.edge,
            "terminal": self.terminal,
            "serial": self.serial,
            "covered_until": self.until,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One deduction and its evidence; for an incomplete day, what is missing instead."""

    rule: Rule
    article: str | None = None
    band: str | None = None
    minutes: int | None = None
    percent: Decimal | None = None
    punches: tuple[str, ...] = ()
    terminals: tuple[Missing, ...] = ()

    def as_json(self) -> dict[str, object]:
        """As it stands in `v1_day.reasons`."""
        facts: dict[str, object] = {
            "rule": str(self.rule),
            "article": self.article,
            "minutes": self.minutes,
            "percent": None if self.percent is None else float(self.percent),
            "punches": list(self.punches),
        }
        if self.band is not None:
            facts["band"] = self.band
        if self.terminals:
            facts["terminals"] = [terminal.as_json() for terminal in self.terminals]
        return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A scored day. Minutes are whole, rounded down, and None where nothing can be measured.

    `deduction` is percent in the policy's base; None while the day is incomplete.
    """

    local_date: date
    status: Status
    in_time: str | None = None
    out_time: str | None = None
    late_minutes: int | None = None
    early_minutes: int | None = None
    worked_minutes: int | None = None
    deduction: Decimal | None = NOTHING
    reasons: tuple[Reason, ...] = ()


def score_day(
    day: date, scans: Sequence[Scan], policy: Policy, *, free: bool, missing: Sequence[Missing]
) -> Day:
    """Score one ended day of one person from all the scans of that date, in any order.

    `free`: a holiday or cuti bersama. `missing`: terminals whose data for the day is not all in.
    """
    way_in = _first(scans, policy.way_in.window)
    way_out = _last(scans, policy.way_out.window)
    in_time, out_time = _time(way_in), _time(way_out)
    hours = policy.timetable.hours(day)
    if hours is None or free:
        status = Status.OFF if hours is None else Status.HOLIDAY
        return Day(local_date=day, status=status, in_time=in_time, out_time=out_time)
    if missing:
        reason = Reason(rule=Rule.INCOMPLETE, terminals=tuple(missing))
        return Day(
            local_date=day,
            status=Status.INCOMPLETE,
            in_time=in_time,
            out_time=out_time,
            deduction=None,
            reasons=(reason,),
        )
    if way_in is None and way_out is None:
        return _absent(day, scans, policy)
    return _present(day, hours, policy, way_in, way_out)


def _absent(day: date, scans: Sequence[Scan], policy: Policy) -> Day:
    reason = Reason(
        rule=Rule.ABSENT,
        article=policy.absence.article,
        percent=policy.absence.percent,
        punches=tuple(scan.punch_id(day) for scan in sorted(scans)),
    )
    return Day(local_date=day, status=Status.ABSENT, deduction=policy.absence.percent, reasons=(reason,))


def _present(day: date, hours: Hours, policy: Policy, way_in: Scan | None, way_out: Scan | None) -> Day:
    late = early = worked = None
    reasons: list[Reason | None] = []
    start, end = hours.span
    if way_in is not None:
        late = _deviation(_seconds(way_in.local_time) - start, policy.way_in)
        reasons.append(_banded(Rule.LATE, late, policy.way_in, way_in.punch_id(day)))
    elif way_out is not None:
        reasons.append(_unscanned(Rule.MISSING_IN, policy.way_in, way_out.punch_id(day)))
    if way_out is not None:
        early = _deviation(end - _seconds(way_out.local_time), policy.way_out)
        reasons.append(_banded(Rule.EARLY, early, policy.way_out, way_out.punch_id(day)))
    elif way_in is not None:
        reasons.append(_unscanned(Rule.MISSING_OUT, policy.way_out, way_in.punch_id(day)))
    if way_in is not None and way_out is not None:
        worked = _worked(_seconds(way_in.local_time), _seconds(way_out.local_time), hours)
    given = tuple(reason for reason in reasons if reason is not None)
    return Day(
        local_date=day,
        status=Status.PRESENT,
        in_time=_time(way_in),
        out_time=_time(way_out),
        late_minutes=late,
        early_minutes=early,
        worked_minutes=worked,
        deduction=sum((reason.percent or NOTHING for reason in given), NOTHING),
        reasons=given,
    )


def _banded(rule: Rule, minutes: int, slot: Slot, punch_id: str) -> Reason | None:
    band = slot.band(minutes)
    if band is None or not band.percent:
        return None
    return Reason(
        rule=rule,
        article=slot.article,
        band=str(band),
        minutes=minutes,
        percent=band.percent,
        punches=(punch_id,),
    )


def _unscanned(rule: Rule, slot: Slot, punch_id: str) -> Reason | None:
    """A missed scan; the punch that shows the person was there is the evidence."""
    if slot.missing is None:
        return None
    return Reason(rule=rule, article=slot.missing.article, percent=slot.missing.percent, punches=(punch_id,))


def _deviation(seconds: int, slot: Slot) -> int:
    """Whole minutes, rounded down: 59 seconds late is not late."""
    return 0 if seconds <= slot.tolerance_seconds else seconds // 60


def _worked(start: int, end: int, hours: Hours) -> int:
    """Minutes between the two scans that lie in working time, the break left out."""
    return (_overlap(start, end, *hours.span) - _overlap(start, end, *hours.rest)) // 60


def _overlap(start: int, end: int, first: int, last: int) -> int:
    return max(0, min(end, last) - max(start, first))


def _first(scans: Sequence[Scan], window: Window) -> Scan | None:
    first, last = window.span
    return min((scan for scan in scans if first <= scan.local_time <= last), default=None)


def _last(scans: Sequence[Scan], window: Window) -> Scan | None:
    """The latest; of several terminals in the same second, the first by serial number."""
    first, last = window.span
    found: Scan | None = None
    for scan in scans:
        if first <= scan.local_time <= last and (
            found is None
            or scan.local_time > found.local_time
            or (scan.local_time == found.local_time and scan < found)
        ):
            found = scan
    return found


def _time(scan: Scan | None) -> str | None:
    return None if scan is None else scan.local_time


def _seconds(local_time: str) -> int:
    return int(local_time[:2]) * 3600 + int(local_time[3:5]) * 60 + int(local_time[6:])
