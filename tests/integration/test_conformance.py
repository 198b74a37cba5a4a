"""What every way of reading a terminal must do, over the one table of tests/support/ways.py."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from attendance.clock import SystemClock
from attendance.errors import AttendanceError
from attendance.punch import BadRecord, RawPunch, Source
from config.model import EdgeConfig, TerminalSettings
from daemon.keeper import Keeper
from pushing import SERIAL
from sync.outbox import Outbox
from terminals import made_log
from ways import WAYS, Case, Way

COUNTS = (1, 26, 130)
"""One; more than one packet's worth of the largest layout; more than fits inline."""


def table(wanted: Callable[[Way], object]) -> list[object]:
    """One parameter for each thing of each way, named by both."""
    rows = [(way, one) for way in WAYS for one in wanted(way)]  # type: ignore[attr-defined]
    return [pytest.param(way, one, id=f"{way.name}-{one}") for way, one in rows]


def punches(way: Way, case: Case) -> list[RawPunch]:
    """The punches of a read, without what stands beside them as evidence, as a log would give them."""
    found = way.read(case)
    assert {item.source for item in found} <= {way.source}
    return [item._replace(source=Source.LOG) for item in found if not isinstance(item, BadRecord)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("way", "layout"), table(lambda way: way.layouts))
def test_the_same_terminal_gives_the_same_punches(way: Way, layout: str, count: int, tmp_path: Path) -> None:
    """Whoever reads it, by whatever way: else pay depends on a cable."""
    assert punches(way, Case(records=count, folder=tmp_path, layout=layout)) == made_log(count)


@pytest.mark.parametrize(("way", "layout"), table(lambda way: way.refuses))
def test_a_layout_that_a_way_cannot_read_is_refused_and_never_misread(
    way: Way, layout: str, tmp_path: Path
) -> None:
    with pytest.raises(AttendanceError):
        way.read(Case(records=30, folder=tmp_path, layout=layout))


@pytest.mark.parametrize(("way", "fault"), table(lambda way: way.bears))
def test_a_fault_that_passes_changes_no_punch(way: Way, fault: str, tmp_path: Path) -> None:
    for layout in (way.layouts[0], way.layouts[-1]):
        folder = tmp_path / layout.replace("/", "")
        folder.mkdir()
        case = Case(records=30, folder=folder, layout=layout, fault=fault)
        assert punches(way, case) == made_log(30)


@pytest.mark.parametrize(("way", "fault"), table(lambda way: way.fails))
def test_a_fault_that_ends_a_read_is_one_typed_error_and_the_next_read_is_whole(
    way: Way, fault: str, tmp_path: Path
) -> None:
    case = Case(records=30, folder=tmp_path, layout=way.layouts[0], fault=fault)
    with pytest.raises(way.fails[fault]) as caught:
        way.read(case)
    assert "\n" not in str(caught.value)
    assert punches(way, replace(case, fault="")) == made_log(30)


def test_nothing_goes_in_twice_whatever_ways_a_punch_comes_by(tmp_path: Path) -> None:
    """Polled, pushed and carried on a stick: three copies are one punch."""
    settings = EdgeConfig.model_validate(
        {"edge": {"id": "e", "state_dir": tmp_path}, "terminal": [{"id": "lobi", "host": "192.0.2.10"}]}
    )
    lobi = settings.terminal[0]
    with Outbox(tmp_path / "all.db", edge="e") as outbox:
        keeper = Keeper(lobi, settings.device(lobi), outbox, SystemClock())
        new = []
        for way in WAYS:
            for time in range(2):
                folder = tmp_path / f"{way.name}{time}"
                folder.mkdir()
                found = way.read(Case(records=30, folder=folder, layout=way.layouts[0]))
                new.append(keeper.keep(SERIAL, found))
        assert new == [30] + [0] * (2 * len(WAYS) - 1)
        assert outbox.queued() == 30


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_garbage_gives_a_value_or_one_typed_error(way: Way, seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    way.garbage(chance.randbytes(chance.choice((1, 7, 40, 400, 3000))), tmp_path)


def test_every_driver_that_can_be_configured_is_in_the_table() -> None:
    drivers = set(get_args(TerminalSettings.model_fields["driver"].annotation))
    assert {way.driver for way in WAYS} == drivers
    assert len({way.name for way in WAYS}) == len(WAYS)
