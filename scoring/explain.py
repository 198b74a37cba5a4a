"""One person's month in plain words: every deduction with its date, punches, rule and article."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Engine

from attendance.errors import DataError
from scoring import queries
from scoring.policy import Policy
from scoring.queries import StoredDay, StoredMonth
from scoring.step import month_days
from scoring.words import WORDS, Lang, Words
from sync.central.store import reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A person's scored month as it is stored. `base` is what the percents refer to, empty if not known."""

    nip: str
    name: str
    unit_name: str
    base: str
    month: StoredMonth
    days: tuple[StoredDay, ...]


def read_story(engine: Engine, nip: str, month: str, policy: Policy) -> Story:
    """Read a person's stored month.

    Raises ConfigError for a month that is none, DataError for a person who is not loaded or a
    month that is not scored.
    """
    days = month_days(month)
    with reading(engine) as connection:
        name = queries.read_name(connection, nip)
        if name is None:
            raise DataError(
                f"nip {nip}: no such person is loaded; load people first: hadir load people FILE.csv"
            )
        stored = queries.read_month(connection, nip, month)
        if stored is None:
            raise DataError(
                f"nip {nip}: {month} is not scored for this person; run: hadir score --month {month}"
            )
        return Story(
            nip=nip,
            name=name,
            unit_name=queries.read_unit_name(connection, stored.unit) or stored.unit,
            base=policy.base if stored.policy == policy.name else "",
            month=stored,
            days=tuple(queries.read_days(connection, nip, days[0], days[-1])),
        )


def facts_of(story: Story) -> dict[str, object]:
    """The same as plain values, for machines."""
    return {
        "nip": story.nip,
        "name": story.name,
        "unit_name": story.unit_name,
        "base": story.base or None,
        **story.month._asdict(),
        "days": [day._asdict() for day in story.days],
    }


def explain_month(story: Story, lang: Lang = "id") -> str:
    """The whole month, ready to print."""
    words, month = WORDS[lang], story.month
    lines = [
        f"{story.name} (NIP {story.nip}), {story.unit_name}",
        words.counts.format(
            month=_month(month.month, words),
            working=month.working_days,
            present=month.present_days,
            absent=month.absent_days,
            excused=month.excused_days,
            incomplete=month.incomplete_days,
        ),
        words.minutes.format(late=month.late_minutes, early=month.early_minutes),
        _total(story, words),
        words.policy.format(policy=month.policy),
        "",
    ]
    told = [explain_day(day, lang) for day in story.days if day.reasons]
    return "\n".join([*lines, *(told or [words.none])])


def explain_day(day: StoredDay, lang: Lang = "id") -> str:
    """One day: what it was, its scans, and the evidence and article of each deduction."""
    words = WORDS[lang]
    said = "; ".join(_rule(reason, words) for reason in day.reasons) or day.status
    lines = [f"{_date(day.local_date, words)}: {said}"]
    if day.in_time or day.out_time:
        came, left = day.in_time or words.no_in, day.out_time or words.no_out
        lines.append("  " + words.seen.format(came=came, left=left))
    for reason in day.reasons:
        lines += [f"  {line}" for line in _grounds(reason, words)]
    return "\n".join(lines)


def _rule(reason: Mapping[str, object], words: Words) -> str:
    said = words.rules[str(reason["rule"])].format(minutes=reason["minutes"], band=reason.get("band"))
    percent = reason["percent"]
    if not isinstance(percent, int | float):
        return said
    return f"{said}, {words.cut.format(percent=_number(percent, words))}"


def _grounds(reason: Mapping[str, object], words: Words) -> Iterator[str]:
    terminals = reason.get("terminals")
    if isinstance(terminals, Sequence):
        for terminal in terminals:
            yield _missing(terminal, words)
        return
    punches = reason["punches"]
    if isinstance(punches, Sequence):
        yield words.evidence.format(punches=", ".join(punches) or words.no_scan)
    yield words.article.format(article=reason["article"])


def _missing(terminal: Mapping[str, str | None], words: Words) -> str:
    until = terminal["covered_until"]
    named = f"{terminal['edge']}/{terminal['terminal']}"
    if terminal["serial"]:
        named += f" ({terminal['serial']})"
    said = words.unknown_until if until is None else _moment(until, words)
    return words.why[str(terminal["why"])].format(terminal=named, until=said)


def _total(story: Story, words: Words) -> str:
    month = story.month
    if month.deduction_pct is None or month.discipline_score is None:
        return words.total_none
    return words.total.format(
        deduction=_number(month.deduction_pct, words),
        base=story.base or month.policy,
        score=_number(month.discipline_score, words),
    )


def _number(value: float, words: Words) -> str:
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return text.replace(".", words.decimal)


def _date(text: str, words: Words) -> str:
    """`Senin, 3 Agustus 2026`."""
    day = date.fromisoformat(text)
    return f"{words.weekdays[day.weekday()]}, {day.day} {words.months[day.month - 1]} {day.year}"


def _moment(text: str, words: Words) -> str:
    """A day, or an instant with its zone."""
    if "T" not in text:
        return _date(text, words)
    moment = datetime.fromisoformat(text)
    return f"{_date(moment.date().isoformat(), words)} {moment:%H:%M} UTC"


def _month(text: str, words: Words) -> str:
    return f"{words.months[int(text[5:]) - 1]} {text[:4]}"
