"""What a clearing asks of the outbox: which records a receipt settled, and the mark of one under way."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.normalise import normalise
from attendance.punch import BadRecord, RawPunch
from made import NOW, facts, made_punch, made_punches
from sync.entry import bad_digest, punch_digest, record_digest
from sync.envelope import MAX_BATCH, Receipt
from sync.outbox import Coverage, Outbox
from sync.outbox_clearing import ClearMark


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="e") as opened:
        yield opened


def settle(outbox: Outbox, *ranges: tuple[int, int]) -> None:
    outbox.settle(Receipt(edge="e", stream=outbox.stream, committed=ranges))


@given(
    pin=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda at: at.replace(microsecond=0)),
    verify=st.integers(0, 255),
    state=st.integers(0, 255),
    work=st.integers(0, 2**32 - 1),
)
def test_a_record_is_found_again_by_what_the_terminal_wrote(
    pin: str, at: datetime, verify: int, state: int, work: int
) -> None:
    """With another digest every log would seem unacknowledged; with a looser one, another's would do."""
    raw = RawPunch(pin=pin, wall_time=at, verify_code=verify, state_code=state, work_code=work)
    punch = normalise(raw, serial="S", terminal="lobi", zone=ZoneInfo("Asia/Makassar"), now=NOW)
    assert record_digest(raw, "S") == punch_digest(punch)
    assert record_digest(raw, "T") != punch_digest(punch)


def test_a_bad_record_is_found_again_by_its_bytes() -> None:
    record = BadRecord(raw=b"\1\2", reason="", position=7)
    assert record_digest(record, "S") == bad_digest(record, "S")


def test_only_what_a_receipt_settled_counts(outbox: Outbox) -> None:
    """Sealed, sent and published are not yet at the centre."""
    punches = list(made_punches(2 * MAX_BATCH + 5))
    digests = [punch_digest(punch) for punch in punches]
    outbox.put("lobi", facts(), punches)
    assert outbox.clearings.settled_among(digests[:100]) == 0
    outbox.seal()
    assert outbox.clearings.settled_among(digests) == 0
    assert outbox.clearings.unsettled_of("lobi") == len(punches)
    settle(outbox, (2, 2))
    assert outbox.clearings.settled_among(digests) == MAX_BATCH
    assert outbox.clearings.settled_among(digests[:MAX_BATCH]) == 0
    settle(outbox, (1, 3))
    assert outbox.clearings.settled_among([*digests, b"unknown"]) == len(punches)
    assert outbox.clearings.unsettled_of("lobi") == 0
    outbox.put("lobi", facts(), [made_punch(10**6)])
    assert outbox.clearings.settled_among([punch_digest(made_punch(10**6))]) == 0
    assert outbox.clearings.unsettled_of("lobi") == 1


def test_another_terminal_that_is_behind_keeps_nobody_from_clearing(outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(3))
    outbox.put("gudang", facts("OTHER"), [made_punch(1, serial="OTHER")])
    outbox.put("lobi", facts(), (), coverage=Coverage(since=None, until=NOW, records=3))
    assert (outbox.clearings.unsettled_of("lobi"), outbox.clearings.unsettled_of("gudang")) == (3, 1)
    outbox.seal()
    assert (outbox.clearings.unsettled_of("lobi"), outbox.clearings.unsettled_of("gudang")) == (3, 1)
    settle(outbox, (1, outbox.last_number))
    outbox.put("lobi", facts(), (), coverage=Coverage(since=None, until=NOW, records=3))
    assert outbox.clearings.unsettled_of("lobi") == 0


def test_a_new_stream_takes_every_receipt_back(outbox: Outbox) -> None:
    """An outbox put back from an old copy sends all again: until then nothing of it is sure."""
    outbox.put("lobi", facts(), [made_punch(1)])
    outbox.seal()
    settle(outbox, (1, 1))
    settle(outbox, (1, 50))
    assert outbox.clearings.settled_among([punch_digest(made_punch(1))]) == 0
    assert outbox.clearings.unsettled_of("lobi") == 1


def test_a_mark_outlives_the_process_and_belongs_to_one_machine(tmp_path: Path) -> None:
    mark = ClearMark(serial="S", records=7, at=datetime(2026, 3, 2, 1, 2, 3, 4, tzinfo=UTC))
    with Outbox(tmp_path / "outbox.db", edge="e") as outbox:
        outbox.clearings.put("lobi", mark)
    with Outbox(tmp_path / "outbox.db", edge="e") as outbox:
        assert outbox.clearings.get("lobi", "S") == mark
        assert outbox.clearings.get("lobi", "T") is None
        assert outbox.clearings.get("gudang", "S") is None
        outbox.clearings.drop("lobi", "S")
        assert outbox.clearings.get("lobi", "S") is None
