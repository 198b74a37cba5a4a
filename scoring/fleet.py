"""Which terminals a person could have used on a day, and whether their data for it is all in. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import chain
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attendance.errors import DataError
from scoring.rules import Missing, Why

DEFAULT_GROUP: Final = "default"
DEFAULT_ZONE: Final = "Asia/Jakarta"

FIRST: Final = datetime.min.replace(tzinfo=UTC)

Place = tuple[str, str]
"""(edge, terminal)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A terminal as the office lists it, `first` to `last`."""

    first: str
    last: str
    serial: str
    unit: str
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A terminal as its edge reports it. Punches before `since` are never scored."""

    serial: str | None = None
    unit: str | None = None
    group: str | None = None
    zone: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A terminal as it stood on a day; `serial` is the listed one, None where none is listed."""

    place: Place
    serial: str | None
    unit: str | None
    group: str


class Span(NamedTuple):
    """From one instant to another (aware, UTC)."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every terminal known to the office or to an edge, and of when each serial's log is in.

    `listed` of a place is newest first; `misdated` are spans in which a serial's clock stood that wrong.
    """

    listed: Mapping[Place, tuple[Listed, ...]]
    reported: Mapping[Place, Reported]
    covered: Mapping[Place, Mapping[str, tuple[Span, ...]]]
    misdated: Mapping[Place, Mapping[str, tuple[Span, ...]]] = field(default_factory=dict)
    _standing: dict[str, list[Standing]] = field(default_factory=dict, repr=False, compare=False)

    def group_on(self, place: Place, day: str) -> str:
        """The terminal group: the listing's, else the edge's, else `default`. The rule of v1_punch."""
        listing = self._listing_on(place, day)
        reported = self.reported.get(place)
        return (listing and listing.group) or (reported and reported.group) or DEFAULT_GROUP

    def counts_on(self, place: Place, day: str) -> bool:
        """Whether punches of that day are scored: they are not older than the terminal's `since`."""
        reported = self.reported.get(place)
        return reported is None or reported.since is None or reported.since <= day

    def standing_on(self, day: str) -> list[Standing]:
        """The terminals in use on a day: those listed for it, and those reported that no listing names."""
        if day not in self._standing:
            self._standing[day] = self._stand(day)
        return self._standing[day]

    def _stand(self, day: str) -> list[Standing]:
        found = []
        for place in sorted({*self.listed, *self.reported}):
            listing = self._listing_on(place, day)
            if listing is None and place in self.listed:
                continue
            unit = listing.unit if listing else self.reported[place].unit
            found.append(
                Standing(
                    place=place,
                    serial=listing.serial if listing else None,
                    unit=unit or None,
                    group=self.group_on(place, day),
                )
            )
        return found

    def usable(self, day: str, unit: str, groups: frozenset[str]) -> list[Standing]:
        """Those that a person of `unit` with pins in `groups` could have used.

        The unit's own and those of no unit; where there is none, every terminal of the groups.
        """
        in_groups = [terminal for terminal in self.standing_on(day) if terminal.group in groups]
        near = [terminal for terminal in in_groups if terminal.unit in (None, unit)]
        return near or in_groups

    def missing(self, day: str, unit: str, groups: frozenset[str], zone: str) -> tuple[Missing, ...]:
        """The terminals whose data for `day` is not all in; `zone` is for those that name none."""
        if not groups:
            return (Missing(Why.NO_PIN),)
        usable = self.usable(day, unit, groups)
        if not usable:
            return (Missing(Why.NO_TERMINAL),)
        counting = [terminal for terminal in usable if self.counts_on(terminal.place, day)]
        if not counting:
            return tuple(
                Missing(
                    Why.SCORED_LATER, *terminal.place, terminal.serial, self.reported[terminal.place].since
                )
                for terminal in usable
            )
        found = (self._missing(terminal, day, zone) for terminal in counting)
        return tuple(missing for missing in found if missing is not None)

    def zone_of(self, unit: str) -> str:
        """The zone of the terminals that serve a unit: its own, else those of no unit, else all.

        Where they differ, the westernmost: there the day ends last.
        """
        zones = [(terminal.unit, terminal.zone) for terminal in self.reported.values() if terminal.zone]
        for wanted in ((unit,), (None, ""), tuple({named for named, _ in zones})):
            near = {zone for named, zone in zones if named in wanted}
            if near:
                return max(near, key=lambda zone: (day_end("2026-01-01", zone), zone))
        return DEFAULT_ZONE

    def _listing_on(self, place: Place, day: str) -> Listed | None:
        for listing in self.listed.get(place, ()):
            if listing.first <= day <= listing.last:
                return listing
        return None

    def _missing(self, terminal: Standing, day: str, zone: str) -> Missing | None:
        reported = self.reported.get(terminal.place)
        covered = self.covered.get(terminal.place, {})
        here = (reported and reported.zone) or zone
        start, end = day_end(_day_before(day), here), day_end(day, here)
        mine = covered.get(terminal.serial, ()) if terminal.serial else _all(covered.values())
        reaching = [span for span in mine if span.last >= end]
        until = max((span.last for span in mine), default=None)
        why = Why.NOT_READ_YET
        if any(span.first <= start for span in reaching):
            serial = terminal.serial or (reported.serial if reported else None)
            if not self._misdated(terminal.place, serial, start, end):
                return None
            why = Why.CLOCK_WRONG
        elif reaching:
            why, until = Why.BEFORE_LOG, min(span.first for span in reaching)
        elif until is None and terminal.serial:
            serials = {*covered, reported.serial if reported else None} - {None}
            why = Why.OTHER_SERIAL if serials - {terminal.serial} else why if serials else Why.NEVER_REPORTED
        serial = terminal.serial or (reported.serial if reported else None)
        return Missing(why, *terminal.place, serial, _iso(until))

    def _misdated(self, place: Place, serial: str | None, start: datetime, end: datetime) -> bool:
        """Whether its clock may have written punches of a day (`start` to `end`) under another."""
        spans = self.misdated.get(place, {})
        mine = spans.get(serial, ()) if serial else _all(spans.values())
        return any(span.first < end and span.last > start for span in mine)


def ended(days: Sequence[str], zone: str, now: datetime) -> list[str]:
    """Those of `days` that are over in `zone` at `now` (aware)."""
    return [day for day in days if day_end(day, zone) <= now]


@cache
def day_end(day: str, zone: str) -> datetime:
    """The midnight that ends a day in a zone, UTC. Raises DataError for a zone that does not exist."""
    try:
        there = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(f"time zone {zone!r} does not exist; write for example Asia/Makassar") from None
    following = date.fromisoformat(day) + timedelta(days=1)
    return datetime.combine(following, time(0), there).astimezone(UTC)


def _all(spans: Iterable[Iterable[Span]]) -> list[Span]:
    return list(chain.from_iterable(spans))


@cache
def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
