"""Events and clock readings on their way: said once, kept through an upgrade, numbers unchanged."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.timekeeping import ClockReading, Verdict
from made import NOW, facts, made_punch, made_punches
from sync.entry import punch_digest, punch_entry
from sync.envelope import Batch, clean_text
from sync.outbox import Outbox

SCHEMA = Path(__file__).parents[2] / "sync" / "outbox_schema"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as opened:
        yield opened


def operation(second: int = 0, *, code: int = 21, kind: EventKind = EventKind.CLOCK_SET) -> TerminalEvent:
    wall = datetime(2026, 3, 2, 9) + timedelta(seconds=second)
    return TerminalEvent(
        kind=kind,
        source=EventSource.OPERATION_LOG,
        at=NOW,
        wall_time=wall,
        operator="1",
        code=code,
        values=("0", "7"),
        detail="clock set",
    )


def seen(kind: EventKind, detail: str = "", minutes: int = 0) -> TerminalEvent:
    return TerminalEvent(
        kind=kind, source=EventSource.HADIR, at=NOW + timedelta(minutes=minutes), detail=detail
    )


def reading(minutes: int = 0, offset_s: float | None = 1.5) -> ClockReading:
    at = NOW + timedelta(minutes=minutes)
    return ClockReading(at=at, offset_s=offset_s, error_s=0.6, trusted=True, verdict=Verdict.RIGHT)


def batches(outbox: Outbox) -> list[Batch]:
    outbox.seal()
    return [Batch.model_validate_json(sealed.payload) for sealed in outbox.pending(1000)]


def test_an_operation_log_that_is_read_again_tells_nothing_new(outbox: Outbox) -> None:
    assert outbox.note("lobi", facts(), [operation(), operation(1)]) == 2
    assert outbox.note("lobi", facts(), [operation(), operation(1), operation(2)]) == 1
    (batch,) = batches(outbox)
    assert [(event.wall, event.code, event.values) for event in batch.events] == [
        (f"2026-03-02T09:00:0{second}", 21, ("0", "7")) for second in range(3)
    ]


def test_an_operation_is_the_same_whatever_we_call_it_and_in_whatever_zone(outbox: Outbox) -> None:
    """A later version that knows more codes, or a mended zone, would else tell the whole log again."""
    one = operation(kind=EventKind.OTHER)
    moved = TerminalEvent(
        kind=EventKind.CLOCK_SET,
        source=one.source,
        at=one.at + timedelta(hours=1),
        wall_time=one.wall_time,
        operator=one.operator,
        code=one.code,
        values=one.values,
        detail="another word for it",
    )
    assert (outbox.note("lobi", facts(), [one]), outbox.note("lobi", facts(), [moved])) == (1, 0)


def test_what_hadir_saw_twice_is_two_events(outbox: Outbox) -> None:
    """A log that is cleared every night is cleared many times."""
    events = [seen(EventKind.LOG_SHRANK, "100 to 0", minutes) for minutes in (0, 1440)]
    assert outbox.note("lobi", facts(), events) == 2


def test_two_terminals_with_the_same_operation_are_two(outbox: Outbox) -> None:
    assert outbox.note("lobi", facts("A1"), [operation()]) == 1
    assert outbox.note("aula", facts("B2"), [operation()]) == 1


def test_readings_travel_with_their_verdict(outbox: Outbox) -> None:
    assert outbox.note("lobi", facts(), clocks=[reading(), reading(5, None), reading()]) == 2
    (batch,) = batches(outbox)
    assert [(clock.offset_s, clock.error_s, clock.trusted) for clock in batch.clocks] == [
        (1.5, 0.6, True),
        (None, 0.6, True),
    ]
    assert batch.terminals["lobi"].serial == facts().serial


def test_an_event_that_the_wire_cannot_hold_is_kept_as_evidence(outbox: Outbox) -> None:
    odd = TerminalEvent(
        kind=EventKind.OTHER,
        source=EventSource.PUSH,
        at=NOW,
        wall_time=datetime(2133, 8, 18),
        code=4,
        operator="a\tb",
    )
    assert outbox.note("lobi", facts(), [odd, seen(EventKind.OTHER, "x\ny" * 300)]) == 2
    (batch,) = batches(outbox)
    assert [event.detail for event in batch.events] == [clean_text("x y" * 300)]
    assert b"2133-08-18" in bytes.fromhex(batch.bad[0].raw)


def test_a_batch_without_happenings_is_what_it_was_before_they_existed(outbox: Outbox) -> None:
    """A number stands for the same bytes for ever, also across an upgrade of the edge."""
    outbox.put("lobi", facts(), [made_punch(0)])
    outbox.seal()
    assert set(json.loads(outbox.pending(1)[0].payload)) == {
        "v", "edge", "stream", "number", "terminals", "punches", "bad", "coverage",
    }  # fmt: skip


def test_an_outbox_of_the_version_before_keeps_everything_and_goes_on(tmp_path: Path) -> None:
    """An upgrade in the field comes with punches still waiting, and numbers already given."""
    path = tmp_path / "outbox.db"
    old = sqlite3.connect(path)
    for name in ("0001.sql", "0002.sql"):
        old.executescript((SCHEMA / name).read_text())
    punches = made_punches(700)
    entries = [punch_entry(punch, punch_digest(punch)) for punch in punches]
    old.execute("INSERT INTO self VALUES ('setda-01', ?)", ("ab" * 16,))
    old.execute("INSERT INTO facts VALUES (1, 'lobi', ?)", (facts().model_dump_json(exclude_none=True),))
    old.executemany(
        "INSERT INTO entry (kind, facts, digest, body) VALUES (?, 1, ?, ?)",
        [(entry.kind, entry.digest, entry.body) for entry in entries],
    )
    old.execute("INSERT INTO batch VALUES (1, 1, 500, 500, 1)")
    old.execute("PRAGMA application_id = 0x68616469")
    old.execute("PRAGMA user_version = 2")
    old.commit()
    old.close()
    with Outbox(path, edge="setda-01") as outbox:
        assert (outbox.stream, outbox.queued(), outbox.last_number) == ("ab" * 16, 200, 1)
        assert outbox.put("lobi", facts(), punches) == 0
        assert outbox.note("lobi", facts(), [operation()], [reading()]) == 2
        outbox.seal()
        settled, fresh = outbox.batches([(1, 2)], 10)
        walls = [one.wall for sealed in (settled, fresh) for one in _parsed(sealed.payload).punches]
        assert walls == [punch.wall_time.isoformat() for punch in punches]
        assert len(_parsed(fresh.payload).events) == 1
    with Outbox(path, edge="setda-01") as again:
        assert again.put("lobi", facts(), [made_punch(9999)]) == 1


def _parsed(payload: bytes) -> Batch:
    return Batch.model_validate_json(payload)
