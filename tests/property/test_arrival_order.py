"""Batches in any order, any number of times, give the same rows: no pay hangs on what came first."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

import postgres
from attendance.punch import Source
from batches import NOW, arrival, batch, rows, wire_punch
from sync.central import store
from sync.central.tables import bad_record, metadata, punch, punch_copy, stream, stream_ahead
from sync.deposit import deposit
from sync.envelope import WireBadRecord, WirePunch

COPIES = st.builds(
    wire_punch,
    pin=st.sampled_from(["7", "8"]),
    wall=st.sampled_from(["2026-03-02T07:28:00", "2000-01-01T00:00:01"]),
    source=st.sampled_from(list(Source)),
    codes=st.sampled_from([(1, 0, 0), (15, 0, 0), (1, 1, 7)]),
    offset=st.sampled_from([None, 0.5, -61.0]),
)
BAD = st.builds(
    WireBadRecord,
    serial=st.just("CQZ7224460246"),
    terminal=st.just("lobi"),
    raw=st.sampled_from(["00ff", "0102"]),
    reason=st.sampled_from(["no such date", "empty user id"]),
    source=st.sampled_from([Source.LOG, Source.FILE]),
)
Entries = tuple[list[WirePunch], list[WireBadRecord]]
BATCHES = st.lists(st.tuples(st.lists(COPIES, max_size=4), st.lists(BAD, max_size=2)), min_size=1, max_size=5)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('order') / Path('central.db')}"
    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.new_database()
    made = store.open_engine(url)
    store.initialise(made)
    yield made
    made.dispose()


def result(engine: Engine, order: list[list[int]], entries: list[Entries]) -> list[object]:
    """The tables after these groups of batches (by index), each group one transaction."""
    with store.writing(engine) as connection:
        for table in metadata.tables.values():
            connection.execute(table.delete())
    for group in order:
        made = [batch(index + 1, entries[index][0], bad=tuple(entries[index][1])) for index in group]
        deposit(engine, [arrival(one) for one in made], NOW)
    return [rows(engine, table) for table in (punch, punch_copy, bad_record, stream, stream_ahead)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=BATCHES, data=st.data())
def test_any_order_and_repetition_of_batches_gives_the_same_rows(
    engine: Engine, entries: list[Entries], data: st.DataObject
) -> None:
    indexes = list(range(len(entries)))
    repeated = data.draw(
        st.permutations([*indexes, *data.draw(st.lists(st.sampled_from(indexes), max_size=4))])
    )
    cut = data.draw(st.integers(0, len(repeated)))
    shuffled = [[index] for index in repeated[:cut]] + [repeated[cut:]]
    assert result(engine, shuffled, entries) == result(engine, [[index] for index in indexes], entries)
