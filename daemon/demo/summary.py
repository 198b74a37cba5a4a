"""What the demo shows at its end, for people and for machines."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import Engine

from daemon.demo import offices
from daemon.demo.offices import Ranked, Standing
from scoring.policy import Policy

SHOWN: Final = 3


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What happened. `made` and `stored` are identities: serial, pin, date, time."""

    folder: Path
    month: str
    people: int
    made: set[tuple[str, str, str, str]]
    stored: set[tuple[str, str, str, str]]
    seconds: float
    live_delays: list[float]
    unknown: int = 0
    days: dict[str, int] = field(default_factory=dict)
    holidays: list[str] = field(default_factory=list)
    people_ranked: list[Standing] = field(default_factory=list)
    units_ranked: list[Ranked] = field(default_factory=list)
    explained: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the database holds exactly the punches that were made."""
        return self.made == self.stored

    def read_scores(self, engine: Engine, policy: Policy) -> None:
        """Fill in what scoring wrote."""
        self.unknown = offices.count_unknown(engine)
        self.days = offices.count_days(engine, self.month)
        self.holidays = offices.holidays_of(engine, self.month)
        self.people_ranked = offices.standings(engine, self.month)
        self.units_ranked = offices.ranking(engine, self.month)
        self.explained = offices.explained_day(engine, self.people_ranked, self.month, policy)

    def facts(self) -> dict[str, object]:
        """For --json."""
        return {
            "agrees": self.agrees,
            "made": len(self.made),
            "stored": len(self.stored),
            "missing": len(self.made - self.stored),
            "foreign": len(self.stored - self.made),
            "unknown_pin": self.unknown,
            "month": self.month,
            "people": self.people,
            "days": self.days,
            "holidays": self.holidays,
            "backlog_s": round(self.seconds, 2),
            "live_median_s": round(median(self.live_delays), 3) if self.live_delays else None,
            "units": [
                {"unit": unit.unit, "score": unit.score, "rank": unit.rank} for unit in self.units_ranked
            ],
            "folder": str(self.folder),
        }


def print_summary(outcome: Outcome) -> str:
    """The summary as text, at most 100 columns wide."""
    sections = (
        _punches(outcome),
        _units(outcome),
        _people(outcome),
        _explained(outcome),
        _next_steps(outcome),
    )
    return "\n\n".join(("", *("\n".join(lines) for lines in sections), ""))


def _punches(outcome: Outcome) -> list[str]:
    missing, foreign = len(outcome.made - outcome.stored), len(outcome.stored - outcome.made)
    verdict = "exactly the same, none twice" if outcome.agrees else f"{missing} MISSING, {foreign} NOT MADE"
    lines = [
        f"hadir demo, {outcome.month}: {outcome.people} people, {len(outcome.units_ranked)} units",
        "",
        f"  punches made at the terminals   {len(outcome.made):6,}",
        f"  punches in the database         {len(outcome.stored):6,}   {verdict}",
        f"  of a pin that nobody has        {outcome.unknown:6,}   kept; scored once the pin is mapped",
    ]
    if outcome.live_delays:
        delay = f"in the database after {median(outcome.live_delays) * 1000:.0f} ms (median)"
        lines.append(f"  made just now                   {len(outcome.live_delays):6,}   {delay}")
    days = ", ".join(f"{count:,} {status}" for status, count in outcome.days.items())
    lines += [
        "",
        f"  days of people                  {days}",
        f"  holidays                        {'; '.join(outcome.holidays)}",
    ]
    return lines


def _units(outcome: Outcome) -> list[str]:
    lines = ["  Units                             people   score   rank"]
    lines += [
        f"  {unit.name:32}  {unit.people:6}  {_score(unit.score)}   {unit.rank or '-'} of {unit.ranked_of}"
        for unit in outcome.units_ranked
    ]
    return lines


def _people(outcome: Outcome) -> list[str]:
    ranked = [person for person in outcome.people_ranked if person.score is not None]
    lines = ["  Best and worst                     score   late   absent"]
    lines += [
        f"  {who.name:32}  {_score(who.score)}  {who.late_minutes:5} min {who.absent_days:3} days"
        for who in (*ranked[:SHOWN], *ranked[-SHOWN:])
    ]
    lines.insert(1 + SHOWN, "  ...")
    return lines


def _score(score: float | None) -> str:
    return "     -" if score is None else f"{score:6.2f}"


def _explained(outcome: Outcome) -> list[str]:
    return [
        "  One day explained, as its owner reads it",
        *(f"    {line}" for line in outcome.explained.splitlines()),
    ]


def _next_steps(outcome: Outcome) -> list[str]:
    folder = outcome.folder
    hadir = sys.argv[0] if Path(sys.argv[0]).name == "hadir" else "hadir"
    worst = outcome.people_ranked[-1].nip if outcome.people_ranked else "NIP"
    return [
        "  Where to look",
        f"    {folder / 'central.db'}    the database: views v1_punch, v1_day, v1_month, v1_unit_month",
        f"    {folder / 'central.log'}, {folder / 'edge.log'}",
        f"    {folder / 'central.toml'}, {folder / 'edge.toml'}",
        "",
        "  What to try next",
        f"    {hadir} explain --config {folder / 'central.toml'} --nip {worst} --month {outcome.month}",
        f"    {hadir} simulate --help        a terminal to play with",
        f"    {hadir} config init edge       a starting file for your own office",
    ]
