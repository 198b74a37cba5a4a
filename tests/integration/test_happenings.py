"""What the centre keeps of events and clocks, on both databases; and an older database brought up to date."""

import random
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import Engine, text

from attendance.event import EventSource
from batches import EDGE, NOW, batch, rows, send, view, wire_punch
from sync.arrivals import copy_of, read
from sync.central import punches, store
from sync.central.tables import clock_reading, quarantine, terminal_event
from sync.deposit import deposit
from sync.envelope import TerminalHealth, WireClock, WireEvent, topic

SERIAL = "CQZ7224460246"


def operation(second: int = 0, **rest: object) -> WireEvent:
    given: dict[str, object] = {
        "serial": SERIAL,
        "terminal": "lobi",
        "kind": "log_cleared",
        "source": EventSource.OPERATION_LOG,
        "at": NOW + timedelta(seconds=second),
        "wall": f"2026-03-02T20:00:{second:02}",
        "operator": "1",
        "code": 23,
        "values": ("0", "0"),
        "detail": "attendance records deleted",
    }
    return WireEvent.model_validate({**given, **rest})


def clock(minutes: int = 0, offset_s: float | None = 3600.0) -> WireClock:
    at = NOW + timedelta(minutes=minutes)
    return WireClock(
        serial=SERIAL,
        terminal="lobi",
        at=at,
        offset_s=offset_s,
        error_s=0.5,
        trusted=True,
        verdict="wrong_zone",
    )


def test_events_and_clocks_are_there_once_however_often_they_come(engine: Engine) -> None:
    one = batch(1, [wire_punch()], events=(operation(), operation(1)), clocks=(clock(), clock(1, None)))
    first, again = send(engine, one, one)
    assert (first.committed, first.quarantined) == (((1, 1),), 0)
    assert again == first
    events = view(engine, "v1_terminal_event", "happened_at")
    assert [(row["kind"], row["code"], row["code_values"]) for row in events] == [
        ("log_cleared", 23, "0,0")
    ] * 2
    assert (events[0]["edge"], events[0]["terminal"], events[0]["terminal_serial"]) == (EDGE, "lobi", SERIAL)
    assert (events[0]["wall_time"], events[0]["operator"]) == ("2026-03-02T20:00:00", "1")
    clocks = view(engine, "v1_clock", "measured_at")
    assert [(row["offset_s"], bool(row["trusted"]), row["verdict"]) for row in clocks] == [
        (3600.0, True, "wrong_zone"),
        (None, True, "wrong_zone"),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_one_operation_by_two_names_is_one_row_whatever_came_first(engine: Engine, seed: int) -> None:
    """Two edges of different versions read one lent terminal: the row must not depend on who was quicker."""
    told = [operation(kind="other", detail="code 23"), operation(), operation(terminal="aula")]
    random.Random(seed).shuffle(told)
    send(engine, *(batch(number, events=(event,)) for number, event in enumerate(told, start=1)))
    (row,) = rows(engine, terminal_event)
    assert row[2:5] == ("aula", SERIAL, "log_cleared")


def test_a_bad_event_is_set_aside_and_its_batch_stays(engine: Engine) -> None:
    payload = batch(1, [wire_punch()], events=(operation(),), clocks=(clock(),)).to_bytes()
    bad = payload.replace(b'"code":23', b'"code":-1').replace(b'"error_s":0.5', b'"error_s":"x"')
    (receipt,) = send(engine, bad)
    assert (receipt.committed, receipt.quarantined) == (((1, 1),), 2)
    assert (rows(engine, terminal_event), rows(engine, clock_reading)) == ([], [])
    assert len(view(engine, "v1_punch")) == 1
    assert len(rows(engine, quarantine)) == 2


def test_a_word_that_this_centre_does_not_know_is_kept(engine: Engine) -> None:
    """A newer edge names more kinds of event than its centre: they are no reason for quarantine."""
    (receipt,) = send(engine, batch(1, events=(operation(kind="screen_broken"),)))
    assert receipt.quarantined == 0
    assert view(engine, "v1_terminal_event")[0]["kind"] == "screen_broken"


def test_health_says_how_a_terminal_is_read_and_how_long_its_log_lasts(engine: Engine) -> None:
    health = TerminalHealth(
        terminal="lobi",
        state="online",
        at=NOW,
        reading="tail",
        clock_state="right",
        records_per_day=120.5,
        days_left=41.0,
    )
    report(engine, health)
    report(
        engine, TerminalHealth(terminal="lobi", state="failing", at=NOW + timedelta(1), error="odd layout")
    )
    (row,) = view(engine, "v1_terminal")
    assert (row["reading"], row["clock_state"], row["records_per_day"], row["days_left"], row["error"]) == (
        "tail",
        "right",
        120.5,
        41.0,
        "odd layout",
    )


def report(engine: Engine, health: TerminalHealth) -> None:
    told = read(topic(EDGE, "up", "terminals", "lobi"), health.to_bytes(), NOW)
    assert told is not None
    deposit(engine, [told], NOW)


V1_TERMINAL_AT_0001 = """
CREATE VIEW v1_terminal AS
SELECT t.edge, t.terminal, t.serial, t.model, t.firmware, t.last_seen_at, t.clock_offset_s, t.records,
       t.capacity,
       CASE WHEN EXISTS (SELECT 1 FROM edge e WHERE e.edge = t.edge AND e.state = 'offline')
            THEN 'unknown' ELSE t.state END AS state
  FROM terminal t
UNION ALL
SELECT l.edge, l.terminal, l.serial, NULL, NULL, NULL, NULL, NULL, NULL, 'never reported'
  FROM terminal_listing l
 WHERE NOT EXISTS (SELECT 1 FROM terminal t WHERE t.edge = l.edge AND t.terminal = l.terminal)
"""
A_TERMINAL = text(
    "INSERT INTO terminal (edge, terminal, model, state) VALUES ('setda-01', 'lobi', 'K14', 'online')"
)


def test_a_database_of_the_version_before_is_brought_up_to_date_with_its_data(database_url: str) -> None:
    """`central init` after an upgrade: nothing of the years before may be lost or change."""
    engine = store.open_engine(database_url)
    with store.writing(engine) as connection:
        command.upgrade(store.migration_config(connection), "0001")
        connection.execute(text(V1_TERMINAL_AT_0001))
        connection.execute(A_TERMINAL)
        punches.put(connection, [copy_of(wire_punch(), EDGE, NOW)])
    store.initialise(engine)
    assert (len(view(engine, "v1_punch")), view(engine, "v1_terminal")[0]["model"]) == (1, "K14")
    assert view(engine, "v1_terminal")[0]["reading"] is None
    send(engine, batch(1, [wire_punch()], events=(operation(),)))
    report(engine, TerminalHealth(terminal="lobi", state="online", at=NOW, reading="whole"))
    assert (len(view(engine, "v1_punch")), len(view(engine, "v1_terminal_event"))) == (1, 1)
    assert view(engine, "v1_terminal")[0]["reading"] == "whole"
    engine.dispose()
