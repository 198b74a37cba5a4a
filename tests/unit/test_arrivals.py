"""What the centre reads out of a message: one bad entry never costs its batch."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches import EDGE, NOW, STREAM, arrival, batch, wire_punch
from sync.arrivals import MAX_PAYLOAD, Delivery, Rejected, TerminalReport, read
from sync.envelope import EdgeState, TerminalHealth, topic

PUNCHES = topic(EDGE, "up", "punches")


def body(**changes: object) -> dict[str, object]:
    """A batch of two good punches as JSON values, changed as a test wants."""
    good: dict[str, object] = json.loads(batch(4, [wire_punch("7"), wire_punch("8")]).to_bytes())
    return {**good, **changes}


def delivery(changed: dict[str, object]) -> Delivery:
    what = arrival(json.dumps(changed).encode())
    assert isinstance(what, Delivery)
    return what


def test_a_good_batch_gives_its_copies_as_the_database_keeps_them() -> None:
    what = arrival(batch(4, [wire_punch("0042", "2000-01-01T00:00:03")]))
    assert isinstance(what, Delivery)
    copy = what.copies[0]
    assert (what.number, copy.pin, copy.local_date, copy.local_time) == (4, "0042", "2000-01-01", "00:00:03")
    assert not what.rejected


@pytest.mark.parametrize(
    "fault",
    [
        {"pin": "a\u0000b"},
        {"pin": ""},
        {"wall": "2026-02-31T07:00:00"},
        {"wall": "1999-01-01T07:00:00"},
        {"verify_code": 256},
        {"serial": "A/B"},
        {"clock_offset_s": float("inf")},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "2026-03-02T07:00:00"},
    ],
    ids=str,
)
def test_a_bad_punch_is_set_aside_and_its_neighbours_stay(fault: dict[str, object]) -> None:
    changed = body()
    punches = changed["punches"]
    assert isinstance(punches, list)
    changed["punches"] = [punches[0], {**punches[1], "pin": "9", **fault}]
    what = delivery(changed)
    assert [copy.pin for copy in what.copies] == ["7"]
    assert len(what.rejected) == 1
    assert what.rejected[0].reason


def test_bad_facts_bad_records_and_bad_coverage_are_set_aside_one_by_one() -> None:
    what = delivery(body(terminals={"lobi": {}, "BAD ID": {}}, bad=[{"raw": "zz"}], coverage=[{"until": 3}]))
    assert len(what.copies) == 2
    assert len(what.rejected) == 4


@pytest.mark.parametrize("changes", [{"v": 2}, {"punches": {}}, {"terminals": []}, {"bad": None}], ids=str)
def test_a_batch_of_another_version_or_shape_still_counts_as_received(changes: dict[str, object]) -> None:
    what = delivery(body(**changes))
    assert (what.edge, what.stream, what.number) == (EDGE, STREAM, 4)
    assert (what.copies, len(what.rejected)) == ([], 1)


def test_an_oversized_batch_is_set_aside_whole_but_counts_as_received() -> None:
    what = delivery(body(padding="x" * MAX_PAYLOAD))
    assert (what.number, what.copies, len(what.rejected)) == (4, [], 1)


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"{", b"[]", b'{"edge": "setda-01"}', b"[" * 100_000, json.dumps(body(number=0)).encode()],
    ids=lambda payload: repr(payload[:20]),
)
def test_without_edge_stream_and_number_a_message_can_only_be_set_aside(payload: bytes) -> None:
    assert isinstance(arrival(payload), Rejected)


def test_an_edge_cannot_speak_for_another() -> None:
    what = arrival(batch(1, [wire_punch()]), edge="other-edge")
    assert isinstance(what, Rejected)
    assert "another edge" in what.reason


def test_states_are_read_and_must_be_of_their_topic() -> None:
    state = EdgeState(edge=EDGE, state="online", at=NOW)
    health = TerminalHealth(terminal="lobi", state="online", at=NOW)
    assert read(topic(EDGE, "up", "state"), state.to_bytes(), NOW) == state
    assert isinstance(read(topic("x", "up", "state"), state.to_bytes(), NOW), Rejected)
    told = read(topic(EDGE, "up", "terminals", "lobi"), health.to_bytes(), NOW)
    assert told == TerminalReport(EDGE, health)
    assert isinstance(read(topic(EDGE, "up", "terminals", "aula"), health.to_bytes(), NOW), Rejected)
    assert isinstance(read(topic(EDGE, "up", "terminals", "lobi"), b"{}", NOW), Rejected)
    assert isinstance(read("somewhere/else", b"x", NOW), Rejected)


def test_a_withdrawn_retained_message_is_nothing() -> None:
    assert read(topic(EDGE, "up", "state"), b"", NOW) is None


@given(st.binary(max_size=300))
def test_no_bytes_whatever_break_the_reading(payload: bytes) -> None:
    read(PUNCHES, payload, NOW)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["v", "edge", "number", "punches", "bad", "coverage", "terminals"]), _VALUES
    )
)
def test_no_json_whatever_in_a_batch_breaks_the_reading(changes: dict[str, object]) -> None:
    read(PUNCHES, json.dumps(body(**changes)).encode(), NOW)
