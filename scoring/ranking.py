"""A unit's month from its members' months, and its rank within its ranking group. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from scoring.policy import Ranking

PLACES: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMonth:
    """A unit's month; `rank` is None where the unit is not ranked."""

    unit: str
    people: int
    score: Decimal | None
    rank: int | None
    ranked_of: int


def rank_units(
    members: Iterable[tuple[str, Decimal | None]], groups: Mapping[str, str | None], rules: Ranking
) -> list[UnitMonth]:
    """Rank units by the mean of their members' scores, best first; equal means share a rank (1, 2, 2, 4).

    `members`: a (unit, score) for each person. Units without a ranking group are ranked together.
    """
    scores: dict[str, list[Decimal | None]] = {}
    for unit, score in members:
        scores.setdefault(unit, []).append(score)
    means = {unit: _mean(given) for unit, given in scores.items()}
    ranked: dict[str | None, list[Decimal]] = {}
    for unit, mean in means.items():
        if mean is not None and len(scores[unit]) >= rules.minimum_people:
            ranked.setdefault(groups.get(unit), []).append(mean)
    found = []
    for unit in sorted(means):
        mean, rivals = means[unit], ranked.get(groups.get(unit), [])
        enters = mean is not None and len(scores[unit]) >= rules.minimum_people
        found.append(
            UnitMonth(
                unit=unit,
                people=len(scores[unit]),
                score=mean,
                rank=1 + sum(rival > mean for rival in rivals) if enters and mean is not None else None,
                ranked_of=len(rivals),
            )
        )
    return found


def _mean(scores: Iterable[Decimal | None]) -> Decimal | None:
    given = [score for score in scores if score is not None]
    return (sum(given, Decimal(0)) / len(given)).quantize(PLACES) if given else None
