"""What one transaction of the centre makes of batches, on both databases, for real."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, insert, select

from attendance.errors import DatabaseUnavailable
from attendance.punch import Source
from batches import EDGE, NOW, STREAM, arrival, batch, rows, send, view, wire_punch
from sync.arrivals import read
from sync.central import store
from sync.central.coverage import Covered
from sync.central.coverage import covered as covered_spans
from sync.central.tables import (
    bad_record,
    coverage,
    edge,
    pin_map,
    punch,
    punch_copy,
    quarantine,
    stream,
    stream_ahead,
    terminal,
)
from sync.deposit import deposit
from sync.envelope import (
    Batch,
    EdgeState,
    TerminalHealth,
    WireBadRecord,
    WireCoverage,
    WireTerminal,
    topic,
)

SERIAL = "CQZ7224460246"


def covers(hours: int = 0) -> WireCoverage:
    return WireCoverage(serial=SERIAL, terminal="lobi", until=NOW + timedelta(hours=hours), records=1)


def covered(engine: Engine) -> list[Covered]:
    with store.reading(engine) as connection:
        return covered_spans(connection)


def test_a_batch_that_comes_twice_is_stored_once_and_acknowledged_twice(engine: Engine) -> None:
    one = batch(1, [wire_punch("7"), wire_punch("8")], bad=(bad_one(),))
    first, again = send(engine, one, one)
    assert first == again
    assert (first.committed, first.missing, first.quarantined) == (((1, 1),), (), 0)
    assert (len(rows(engine, punch)), len(rows(engine, bad_record))) == (2, 1)


def bad_one(reason: str = "no such date") -> WireBadRecord:
    return WireBadRecord(serial=SERIAL, terminal="lobi", raw="00ff", reason=reason, source=Source.LOG)


def test_what_is_stored_is_what_the_terminal_wrote(engine: Engine) -> None:
    send(engine, batch(1, [wire_punch("0042", "2000-01-01T00:00:03", codes=(15, 1, 4_000_000_000))]))
    (row,) = view(engine, "v1_punch")
    assert row["punch_id"] == f"{SERIAL}/0042/2000-01-01T00:00:03"
    assert (row["pin"], row["local_date"], row["local_time"]) == ("0042", "2000-01-01", "00:00:03")
    assert (row["verify_code"], row["state_code"], row["work_code"]) == (15, 1, 4_000_000_000)
    assert (row["nip"], row["unit"]) == (None, None)


def test_one_group_of_many_batches_is_one_commit_and_one_receipt(engine: Engine) -> None:
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    group = [arrival(batch(number, [wire_punch(str(number))])) for number in (1, 2, 3, 5)]
    (receipt,) = deposit(engine, group, NOW)
    assert (receipt.committed, receipt.missing) == (((1, 3), (5, 5)), ((4, 4),))
    assert len(commits) == 1
    assert len(rows(engine, punch)) == 4


def test_a_receipt_never_names_a_number_that_this_message_did_not_bring(engine: Engine) -> None:
    # An outbox restored from an image uses old numbers for new punches: a receipt for
    # "all up to the watermark" would make it forget punches that never came.
    send(engine, *(batch(number, [wire_punch(str(number))]) for number in range(1, 6)))
    (receipt,) = send(engine, batch(3, [wire_punch("900")]))
    assert receipt.committed == ((3, 3),)
    assert len(rows(engine, punch)) == 6


def test_a_gap_is_named_until_it_is_filled(engine: Engine) -> None:
    receipts = send(engine, batch(1), batch(3), batch(4), batch(2))
    assert [receipt.missing for receipt in receipts] == [(), ((2, 2),), ((2, 2),), ()]
    assert rows(engine, stream) == [(EDGE, STREAM, 4, NOW)]
    assert rows(engine, stream_ahead) == []


def test_copies_that_differ_are_all_kept_and_flagged(engine: Engine) -> None:
    send(engine, batch(1, [wire_punch(source=Source.LIVE, codes=(1, 4, 0))]))
    assert (rows(engine, punch_copy), view(engine, "v1_punch")[0]["source"]) == ([], "live")
    send(engine, batch(2, [wire_punch(source=Source.LOG)]))
    (row,) = view(engine, "v1_punch")
    flags = row["flags"] if isinstance(row["flags"], list) else json.loads(str(row["flags"]))
    assert (row["state_code"], row["source"], flags) == (0, "log", ["codes_differ"])
    assert len(rows(engine, punch_copy)) == 2


def test_the_same_copy_by_a_nearer_way_changes_only_the_way(engine: Engine) -> None:
    send(engine, batch(1, [wire_punch(source=Source.FILE)]), batch(2, [wire_punch(source=Source.PUSH)]))
    (row,) = view(engine, "v1_punch")
    assert row["source"] == "push"
    assert "codes_differ" not in str(row["flags"])


# --- quarantine ------------------------------------------------------------------------


def test_a_bad_punch_goes_to_quarantine_and_its_neighbours_in(engine: Engine) -> None:
    body = json.loads(batch(1, [wire_punch("7"), wire_punch("8"), wire_punch("9")]).to_bytes())
    body["punches"][1]["pin"] = "a\u0000b"
    receipts = send(engine, json.dumps(body).encode(), json.dumps(body).encode())
    assert [(receipt.committed, receipt.quarantined) for receipt in receipts] == [(((1, 1),), 1)] * 2
    assert [row["pin"] for row in view(engine, "v1_punch", "pin")] == ["7", "9"]
    assert b"a\\u0000b" in only_payload(engine)


def test_a_message_that_is_no_batch_is_kept_once_and_gets_no_receipt(engine: Engine) -> None:
    assert send(engine, b"\xff\xfe", b"\xff\xfe") == []
    assert len(rows(engine, quarantine)) == 1


def test_a_batch_of_a_newer_version_is_kept_and_lets_the_edge_move_on(engine: Engine) -> None:
    body = {**json.loads(batch(1).to_bytes()), "v": 2}
    (receipt,) = send(engine, json.dumps(body).encode())
    assert (receipt.committed, receipt.quarantined, receipt.missing) == (((1, 1),), 1, ())


def test_values_that_only_the_database_refuses_are_found_one_by_one(engine: Engine) -> None:
    # What no check of ours foresees must not stop an edge: a rule of the table plays that part.
    refuse_pin(engine, "666")
    punches = [wire_punch(str(pin)) for pin in (1, 2, 666, 4, 5)]
    (receipt,) = send(engine, batch(1, punches))
    assert (receipt.committed, receipt.quarantined) == (((1, 1),), 1)
    assert [row["pin"] for row in view(engine, "v1_punch", "pin")] == ["1", "2", "4", "5"]
    assert b'"666"' in only_payload(engine)


def only_payload(engine: Engine) -> bytes:
    with store.reading(engine) as connection:
        return bytes(connection.execute(select(quarantine.c.payload)).scalar_one())


def refuse_pin(engine: Engine, pin: str) -> None:
    with store.writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ALTER TABLE punch ADD CHECK (pin <> '{pin}')")
        else:
            connection.exec_driver_sql(
                f"CREATE TRIGGER no_pin BEFORE INSERT ON punch WHEN NEW.pin = '{pin}' "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )


# --- coverage --------------------------------------------------------------------------


def test_coverage_holds_only_when_every_batch_before_it_is_in(engine: Engine) -> None:
    send(engine, batch(1), batch(3, coverage=(covers(),)))
    assert covered(engine) == []
    send(engine, batch(2))
    assert covered(engine) == [Covered(EDGE, "lobi", SERIAL, None, NOW)]


def test_only_the_furthest_coverage_is_kept(engine: Engine) -> None:
    send(engine, *(batch(number, coverage=(covers(number),)) for number in (1, 2, 3)))
    assert covered(engine)[0].until == NOW + timedelta(hours=3)
    assert len(rows(engine, coverage)) == 1


def test_coverage_of_a_log_before_it_was_cleared_is_kept_beside_the_new_one(engine: Engine) -> None:
    """Else the clearing would make every day before it incomplete, months after it was scored."""

    def spans(number: int, since: int | None, until: int) -> Batch:
        at = None if since is None else NOW + timedelta(hours=since)
        return batch(number, coverage=(covers(until).model_copy(update={"since": at}),))

    send(engine, spans(1, None, 1), spans(2, None, 2), spans(3, 5, 6), spans(4, 5, 7), spans(5, 4, 8))
    hour = timedelta(hours=1)
    assert [(held.since, held.until) for held in covered(engine)] == [
        (None, NOW + 2 * hour),
        (NOW + 4 * hour, NOW + 8 * hour),
    ]


def test_a_number_that_comes_again_cannot_vouch_for_a_terminal(engine: Engine) -> None:
    send(engine, batch(1), batch(2), batch(1, coverage=(covers(5),)))
    assert covered(engine) == []


# --- states ----------------------------------------------------------------------------


def test_facts_of_a_late_batch_do_not_overwrite_newer_ones(engine: Engine) -> None:
    def facts(group: str) -> dict[str, WireTerminal]:
        return {"lobi": WireTerminal(serial=SERIAL, group=group, timezone="Asia/Jakarta", since="2026-01-01")}

    send(engine, batch(1, terminals=facts("old")), batch(3, terminals=facts("new")))
    send(engine, batch(2, terminals=facts("late")), batch(1, terminals=facts("old")))
    assert rows(engine, terminal)[0][3] == "new"


def health(minutes: int, **rest: object) -> TerminalHealth:
    at = NOW + timedelta(minutes=minutes)
    return TerminalHealth.model_validate({"terminal": "lobi", "state": "online", "at": at, **rest})


def report(engine: Engine, *states: EdgeState | TerminalHealth) -> None:
    for state in states:
        if isinstance(state, EdgeState):
            deposit(engine, [state], NOW)
        else:
            told = read(topic(EDGE, "up", "terminals", state.terminal), state.to_bytes(), NOW)
            assert told is not None
            deposit(engine, [told], NOW)


def test_a_terminal_that_falls_silent_keeps_what_it_said_of_itself(engine: Engine) -> None:
    report(
        engine,
        health(
            0,
            serial=SERIAL,
            model="ZMM220_TFT",
            last_seen_at=NOW,
            clock_offset_s=1.5,
            records=10,
            capacity=100_000,
        ),
        health(5, state="unreachable", error="no route to host"),
        health(2, state="refused"),
    )
    (row,) = view(engine, "v1_terminal")
    assert (row["state"], row["model"], row["records"], row["serial"]) == (
        "unreachable",
        "ZMM220_TFT",
        10,
        SERIAL,
    )
    assert str(row["last_seen_at"]).startswith("2026-03-02")


def test_health_and_facts_of_a_terminal_meet_in_one_row(engine: Engine) -> None:
    report(engine, health(0, model="ZMM220_TFT"))
    send(engine, batch(1))
    report(engine, health(1, serial=SERIAL))
    (row,) = rows(engine, terminal)
    assert row[:4] == (EDGE, "lobi", SERIAL, "opd")


def test_a_will_that_is_as_old_as_its_session_still_marks_the_edge_offline(engine: Engine) -> None:
    def state(kind: str, minutes: int, **rest: object) -> EdgeState:
        at = NOW + timedelta(minutes=minutes)
        return EdgeState.model_validate({"edge": EDGE, "state": kind, "at": at, **rest})

    report(engine, state("online", 0, version="0.1.0"), state("online", 5, queued=3), state("offline", 0))
    assert rows(engine, edge)[0][:4] == (EDGE, "offline", NOW + timedelta(minutes=5), "0.1.0")
    report(engine, state("online", 2))
    assert rows(engine, edge)[0][1] == "offline"
    report(engine, state("online", 6))
    assert rows(engine, edge)[0][1] == "online"


# --- the transaction -------------------------------------------------------------------


def test_nothing_of_a_batch_is_stored_if_its_commit_fails(engine: Engine) -> None:
    def fail(*_: object) -> None:
        raise DatabaseUnavailable("pulled the plug")

    event.listen(engine, "commit", fail)
    with pytest.raises(DatabaseUnavailable):
        send(engine, batch(1, [wire_punch()]))
    event.remove(engine, "commit", fail)
    assert (rows(engine, punch), rows(engine, stream)) == ([], [])
    assert send(engine, batch(1, [wire_punch()]))[0].committed == ((1, 1),)


def test_a_pin_is_the_person_who_held_it_on_that_day_in_that_group(engine: Engine) -> None:
    with store.writing(engine) as connection:
        for group, nip in (("opd", "198501012010011001"), ("default", "199001012015011002")):
            connection.execute(insert(pin_map), {"terminal_group": group, "pin": "7", "nip": nip})
    send(engine, batch(1, [wire_punch("7")]))
    assert view(engine, "v1_punch")[0]["nip"] == "198501012010011001"
