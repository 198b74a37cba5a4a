"""A Pemda's rules as data: a policy file, checked whole, and the sanction ladders it names."""

from datetime import date, time
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from attendance.errors import ConfigError
from scoring.toml import LocalTime, Percent, Table, read_toml

POLICIES: Final = Path(__file__).parent / "policies"
LADDERS: Final = Path(__file__).parent / "ladders"
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Kind = Literal["pns", "cpns", "pppk", "other"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Level = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Band(Table):
    """Whole minutes `from` to `to`, both inclusive; without `to` it is open."""

    first: int = Field(alias="from", ge=1)
    last: int | None = Field(default=None, alias="to")
    percent: Percent

    def holds(self, minutes: int) -> bool:
        """Whether so many minutes fall into this band."""
        return self.first <= minutes and (self.last is None or minutes <= self.last)

    def __str__(self) -> str:
        """`31-60`, or `91+` for an open band."""
        return f"{self.first}+" if self.last is None else f"{self.first}-{self.last}"


def _without_gap(bands: tuple[Band, ...]) -> tuple[Band, ...]:
    for band, following in pairwise(bands):
        if band.last is None or band.last < band.first or following.first != band.last + 1:
            raise ValueError(f"band {band} must end one minute before band {following} begins")
    if bands and bands[-1].last is not None:
        raise ValueError(f"the last band ({bands[-1]}) must be open: leave out its 'to'")
    return bands


class Window(Table):
    """Wall times that a slot accepts, both inclusive, to the second."""

    first: LocalTime = Field(alias="from")
    last: LocalTime = Field(alias="to")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"the window ends ({self.last}) before it begins ({self.first})")
        return self

    @cached_property
    def span(self) -> tuple[str, str]:
        """Both ends as `HH:MM:SS`."""
        return self.first.strftime("%H:%M:%S"), self.last.strftime("%H:%M:%S")


class Rate(Table):
    """A fixed cut, and what it rests on."""

    percent: Percent
    article: Name


class Slot(Table):
    """A scan that a working day asks for: when it counts, and what a deviation costs."""

    window: Window
    tolerance_seconds: int = Field(default=0, ge=0, le=3600)
    article: Name
    bands: Annotated[tuple[Band, ...], AfterValidator(_without_gap)]
    missing: Rate | None = None

    def band(self, minutes: int) -> Band | None:
        """The band of so many minutes; None where they cost nothing."""
        return next((band for band in self.bands if band.holds(minutes)), None)


class Hours(Table):
    """One weekday's working time."""

    start: LocalTime
    end: LocalTime
    break_start: LocalTime | None = None
    break_end: LocalTime | None = None

    @cached_property
    def span(self) -> tuple[int, int]:
        """Start and end in seconds of the day."""
        return second_of(self.start), second_of(self.end)

    @cached_property
    def rest(self) -> tuple[int, int]:
        """The break in seconds of the day; empty where there is none."""
        if self.break_start is None or self.break_end is None:
            return 0, 0
        return second_of(self.break_start), second_of(self.break_end)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.break_start is None) != (self.break_end is None):
            raise ValueError("break_start and break_end go together")
        times: list[time] = [self.start, self.end]
        if self.break_start is not None and self.break_end is not None:
            times[1:1] = [self.break_start, self.break_end]
        if times != sorted(times) or self.start == self.end:
            raise ValueError("start, break_start, break_end and end must follow one another on the same day")
        return self


class Timetable(Table):
    """The working week; a weekday that is left out is off."""

    monday: Hours | None = None
    tuesday: Hours | None = None
    wednesday: Hours | None = None
    thursday: Hours | None = None
    friday: Hours | None = None
    saturday: Hours | None = None
    sunday: Hours | None = None

    def hours(self, day: date) -> Hours | None:
        """The working time of a date, None where its weekday is off."""
        found: Hours | None = getattr(self, WEEKDAYS[day.weekday()])
        return found


class Score(Table):
    """How cuts become a score. `100 - sum` never falls below 0."""

    shape: Literal["100 - sum"]


class Ranking(Table):
    """Which units are ranked; always within their own ranking group."""

    minimum_people: int = Field(default=1, ge=1)


class Step(Table):
    """A step of a sanction ladder: workdays absent in the year, or in a row."""

    days: int = Field(ge=1)
    in_a_row: bool = False
    level: Level
    article: Name


class Dated(Table):
    """What holds from a day to a day, both inclusive; open where left out."""

    first_day: date = Field(default=date.min, alias="from")
    last_day: date = Field(default=date.max, alias="to")

    def in_force(self, day: date) -> bool:
        """Whether it holds on that day."""
        return self.first_day <= day <= self.last_day


class Ladder(Dated):
    """A law's steps for absence without a valid reason."""

    name: Name
    legal_basis: Name
    doubts: tuple[str, ...] = ()
    step: tuple[Step, ...] = Field(min_length=1)


class Policy(Dated):
    """One Pemda's rules, and where they come from. Percents are in `base`."""

    name: Name
    title: Name
    base: Name
    legal_basis: str
    source: str
    doubts: tuple[str, ...] = ()
    score: Score
    way_in: Slot = Field(alias="in")
    way_out: Slot = Field(alias="out")
    absence: Rate
    timetable: Timetable
    ranking: Ranking = Ranking()
    ladders: dict[Kind, tuple[Name, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ladders_shipped(self) -> Self:
        for name in (name for names in self.ladders.values() for name in names):
            if name not in _shipped(LADDERS):
                raise ValueError(f"no ladder is called {name!r}; there are: {', '.join(_shipped(LADDERS))}")
        return self


def load_policy(name_or_path: str) -> Policy:
    """A shipped policy by its name, or a file by its path ending in `.toml`. Raises ConfigError."""
    if name_or_path.endswith(".toml"):
        return read_toml(Path(name_or_path), Policy)
    known = _shipped(POLICIES)
    if name_or_path not in known:
        near = get_close_matches(name_or_path, known, n=1, cutoff=0)[0]
        raise ConfigError(
            f"scoring.policy: no policy is called {name_or_path!r}; the nearest one is {near!r}, "
            "or give the path of a file that ends in .toml"
        )
    return read_toml(POLICIES / f"{name_or_path}.toml", Policy)


def load_ladders(policy: Policy) -> dict[str, tuple[Ladder, ...]]:
    """The sanction ladders of each employment kind that has one. Raises ConfigError."""
    return {
        kind: tuple(read_toml(LADDERS / f"{name}.toml", Ladder) for name in names)
        for kind, names in policy.ladders.items()
    }


def second_of(moment: time) -> int:
    """The second of the day."""
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _shipped(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.toml"))
