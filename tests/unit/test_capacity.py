"""How long a log lasts: a full one loses its oldest punches, or refuses today's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.clock import SystemClock
from attendance.terminal import Sizes, Terminal
from config.model import TerminalSettings
from daemon.capacity import MOST_POINTS, Filling, Forecast, Point, forecast
from daemon.keeper import Keeper
from sync.envelope import Batch
from sync.outbox import Outbox

NOON = datetime(2026, 9, 4, 4, 0, tzinfo=UTC)


def point(day: float, records: int) -> Point:
    return Point(NOON + timedelta(days=day), records)


@pytest.mark.parametrize(
    ("points", "now", "rate", "left"),
    [
        ([], point(0, 500), None, None),
        ([point(0, 0)], point(0.5, 500), None, None),
        ([point(0, 0)], point(2, 500), 250.0, 2.0),
        ([point(0, 900), point(1, 0)], point(3, 500), 250.0, 2.0),
        ([point(0, 500)], point(3, 500), 0.0, None),
        ([point(0, 990)], point(3, 1000), 3.3, 0.0),
        ([], point(0, 1000), None, 0.0),
        ([point(9, 0)], point(3, 500), None, None),
    ],
)
def test_what_is_to_be_expected(
    points: list[Point], now: Point, rate: float | None, left: float | None
) -> None:
    assert forecast(points, now, 1000) == Forecast(rate, left)


def test_without_a_capacity_there_is_a_rate_and_no_end() -> None:
    assert forecast([point(0, 0)], point(2, 500), None) == Forecast(250.0, None)


@given(
    st.lists(st.tuples(st.floats(0, 400), st.integers(0, 200_000)), max_size=40),
    st.integers(0, 300_000),
    st.one_of(st.none(), st.integers(1, 200_000)),
)
def test_any_counts_give_a_sane_forecast(
    history: list[tuple[float, int]], records: int, capacity: int | None
) -> None:
    found = forecast([point(day, count) for day, count in history], point(401, records), capacity)
    assert found.records_per_day is None or found.records_per_day >= 0
    assert found.days_left is None or found.days_left >= 0


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as opened:
        yield opened


def filling(outbox: Outbox) -> Filling:
    settings = TerminalSettings(id="lobi", host="x")
    return Filling("lobi", Keeper(settings, Terminal(id="lobi", host="x"), outbox, SystemClock()))


def look(watch: Filling, day: float, records: int | None, serial: str = "A1") -> Forecast:
    return watch.look(serial, Sizes(records=records, record_capacity=1000), NOON + timedelta(days=day))


def told(outbox: Outbox) -> list[str]:
    outbox.seal()
    batches = [Batch.model_validate_json(sealed.payload) for sealed in outbox.pending(1000)]
    return [event.detail for batch in batches for event in batch.events if event.kind == "log_filling"]


def test_each_level_is_told_once_also_across_restarts(outbox: Outbox) -> None:
    for day, records in enumerate([100, 500, 710, 715, 860, 940, 955, 990, 1000, 1000]):
        look(filling(outbox), day, records)
        look(filling(outbox), day + 0.1, records)
    assert [line.split(" (")[1][:4] for line in told(outbox)] == ["71 %", "86 %", "96 %", "1000"]
    assert "full in about 1 days" in told(outbox)[0]


def test_a_log_that_was_emptied_is_told_of_again_when_it_fills(outbox: Outbox) -> None:
    for day, records in enumerate([100, 720, 0, 100, 720]):
        look(filling(outbox), day, records)
    assert len(told(outbox)) == 2


def test_the_rate_survives_a_restart_and_belongs_to_one_machine(outbox: Outbox) -> None:
    look(filling(outbox), 0, 100)
    assert look(filling(outbox), 2, 300).records_per_day == 100.0
    assert look(filling(outbox), 3, 310, serial="LENT9").records_per_day is None
    assert look(filling(outbox), 4, None) == Forecast()


def test_a_year_of_counts_stays_small(outbox: Outbox) -> None:
    watch = filling(outbox)
    for hour in range(0, 24 * 365, 6):
        look(watch, hour / 24, hour)
    noted = outbox.memo("lobi", "fill_points")
    assert noted is not None
    assert len(noted) < MOST_POINTS * 60
