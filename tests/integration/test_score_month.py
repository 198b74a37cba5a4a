"""The scoring step on real databases: what v1_day, v1_month, v1_unit_month and v1_sanction then say."""

import gc
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, text, update

from attendance.errors import ConfigError
from offices import LATER, Office
from scoring.policy import Policy, load_policy
from scoring.step import Summary, score_month
from sync.central import tables as t
from sync.central.store import initialise, open_engine, reading, writing

P1: Policy = load_policy("tulang-bawang")
MONTH = "2026-08"
WORKDAYS = 19
"""August 2026: 21 weekdays less 17 and 25 August."""

ANI, BUDI, CICI = "198503172010011001", "199001012015012001", "19920202202321100"
SCORED = (t.day, t.month, t.unit_month, t.sanction)


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    """Units bkd and setda, one terminal each, all of it read; Ani in bkd, Budi in setda."""
    engine = open_engine(database_url)
    initialise(engine)
    office = Office(engine)
    office.unit("bkd", "opd")
    office.unit("setda", "opd")
    office.person(ANI, "bkd", "1")
    office.person(BUDI, "setda", "2")
    office.terminal("lobi", unit="bkd")
    office.terminal("aula", unit="setda")
    office.covered("lobi", LATER)
    office.covered("aula", LATER)
    yield office
    engine.dispose()


def score(office: Office, *, unit: str | None = None, now: datetime = LATER) -> Summary:
    return score_month(office.engine, P1, MONTH, unit=unit, now=now)


def test_a_month_reaches_the_views_with_ranks_and_reasons(office: Office) -> None:
    office.faultless("lobi", "1", MONTH)
    office.faultless("aula", "2", MONTH, but=("2026-08-04", "2026-08-05"))
    office.punch("aula", "2", "2026-08-05", "07:42:10", "16:20:00")
    summary = score(office)
    assert (summary.people, summary.days["present"], summary.days["absent"]) == (2, 2 * WORKDAYS - 1, 1)
    assert (summary.days["holiday"], summary.days["off"]) == (4, 20)
    with reading(office.engine) as connection:
        months = connection.execute(text("SELECT * FROM v1_month ORDER BY nip")).mappings().all()
        units = connection.execute(text("SELECT * FROM v1_unit_month ORDER BY unit")).mappings().all()
        day = connection.execute(
            text("SELECT * FROM v1_day WHERE nip = :nip AND local_date = '2026-08-05'"), {"nip": BUDI}
        ).mappings()
        row = dict(day.one())
    assert [(m["nip"], m["working_days"], m["deduction_pct"], m["discipline_score"]) for m in months] == [
        (ANI, WORKDAYS, 0, 100),
        (BUDI, WORKDAYS, 2, 98),
    ]
    assert months[1]["late_minutes"] == 12
    assert [(u["unit"], u["people"], u["discipline_score"], u["rank"], u["ranked_of"]) for u in units] == [
        ("bkd", 1, 100, 1, 2),
        ("setda", 1, 98, 2, 2),
    ]
    reasons = json.loads(row["reasons"]) if isinstance(row["reasons"], str) else row["reasons"]
    assert (row["in_time"], row["late_minutes"], row["deduction_pct"]) == ("07:42:10", 12, 0.5)
    assert reasons == [
        {
            "rule": "late",
            "article": P1.way_in.article,
            "minutes": 12,
            "percent": 0.5,
            "punches": ["AULA/2/2026-08-05T07:42:10"],
            "band": "1-30",
        }
    ]


def test_scoring_twice_or_at_another_hour_gives_identical_rows(office: Office) -> None:
    office.faultless("lobi", "1", MONTH, but=("2026-08-04", "2026-08-06", "2026-08-07"))
    score(office)
    before = [office.rows(table) for table in SCORED]
    assert before[3]
    score(office)
    score(office, now=LATER.astimezone().replace(microsecond=5) + timedelta(days=400))
    assert [office.rows(table) for table in SCORED] == before


def test_a_day_has_no_row_until_it_has_ended_where_the_unit_is(office: Office) -> None:
    # Midnight in Makassar is 16:00 UTC.
    score(office, now=datetime(2026, 8, 3, 15, 59, 59, tzinfo=UTC))
    assert max(str(row["local_date"]) for row in office.rows(t.day)) == "2026-08-02"
    score(office, now=datetime(2026, 8, 3, 16, 0, 0, tzinfo=UTC))
    assert max(str(row["local_date"]) for row in office.rows(t.day)) == "2026-08-03"


def test_the_unit_s_own_zone_comes_before_its_terminals(office: Office) -> None:
    office.unit("papua", zone="Asia/Jayapura")
    office.person(CICI, "papua", "3")
    score(office, now=datetime(2026, 8, 3, 15, 0, 0, tzinfo=UTC))
    last = {str(row["nip"]): str(row["local_date"]) for row in office.rows(t.day)}
    assert (last[CICI], last[ANI]) == ("2026-08-03", "2026-08-02")


def test_a_month_that_has_not_begun_leaves_no_rows(office: Office) -> None:
    summary = score(office, now=datetime(2026, 7, 1, tzinfo=UTC))
    assert (summary.people, [office.rows(table) for table in SCORED]) == (0, [[], [], [], []])


def test_a_terminal_that_has_not_been_read_makes_days_incomplete_never_absent(office: Office) -> None:
    with writing(office.engine) as connection:
        connection.execute(delete(t.coverage))
    office.covered("aula", LATER)
    office.covered("lobi", datetime(2026, 8, 5, 16, 0, tzinfo=UTC))
    office.punch("lobi", "1", "2026-08-06", "09:30:00", "16:45:00")
    score(office)
    assert office.day(ANI, "2026-08-05")["status"] == "absent"
    unread = office.day(ANI, "2026-08-06")
    assert (unread["status"], unread["deduction_pct"], unread["in_time"]) == ("incomplete", None, "09:30:00")
    assert office.day(BUDI, "2026-08-06")["status"] == "absent"
    (month,) = [row for row in office.rows(t.month) if row["nip"] == ANI]
    assert (month["absent_days"], month["incomplete_days"], month["deduction_pct"]) == (3, WORKDAYS - 3, 4.5)


def test_nothing_read_at_all_gives_no_score_and_no_rank(office: Office) -> None:
    with writing(office.engine) as connection:
        connection.execute(delete(t.coverage))
    score(office)
    assert {(row["deduction_pct"], row["discipline_score"]) for row in office.rows(t.month)} == {(None, None)}
    assert {(row["rank"], row["ranked_of"]) for row in office.rows(t.unit_month)} == {(None, 0)}
    assert not office.rows(t.sanction)


def test_coverage_beyond_a_gap_in_the_stream_does_not_hold_yet(office: Office) -> None:
    with writing(office.engine) as connection:
        connection.execute(delete(t.coverage))
    office.covered("lobi", LATER, number=11)
    score(office)
    assert office.day(ANI, "2026-08-05")["status"] == "incomplete"


def test_days_before_a_log_begins_are_incomplete(office: Office) -> None:
    """Cleared by others, or new: everyone who punched before would else be absent."""
    with writing(office.engine) as connection:
        connection.execute(delete(t.coverage).where(t.coverage.c.terminal == "lobi"))
    office.covered("lobi", LATER, since=datetime(2026, 8, 5, 5, 0, tzinfo=UTC))
    office.covered("lobi", datetime(2026, 8, 4, 16, 0, tzinfo=UTC), number=2)
    score(office)
    assert [m["why"] for m in missing(office, ANI, "2026-08-05")] == ["before_log"]
    assert {office.day(ANI, day)["status"] for day in ("2026-08-04", "2026-08-06")} == {"absent"}


def missing(office: Office, nip: str, day: str) -> list[dict[str, object]]:
    reasons = office.day(nip, day)["reasons"]
    assert isinstance(reasons, list)
    terminals: list[dict[str, object]] = reasons[0]["terminals"]
    return terminals


def listing(office: Office, terminal: str, serial: str, **facts: str) -> None:
    office.put(
        t.terminal_listing, {"edge": "e1", "terminal": terminal, "serial": serial, "unit": "bkd", **facts}
    )


def test_a_listed_terminal_that_never_reported_is_named(office: Office) -> None:
    listing(office, "gudang", "G1", from_date="2026-08-10")
    score(office)
    assert office.day(ANI, "2026-08-07")["status"] == "absent"
    assert [(m["terminal"], m["serial"], m["why"]) for m in missing(office, ANI, "2026-08-10")] == [
        ("gudang", "G1", "never_reported")
    ]


def test_a_device_that_is_not_the_listed_one_covers_nothing(office: Office) -> None:
    listing(office, "lobi", "NEW1")
    score(office)
    assert [m["why"] for m in missing(office, ANI, "2026-08-10")] == ["other_serial"]


def clock_at(
    day: str, offset_s: float | None, *, serial: str = "LOBI", trusted: bool = True
) -> dict[str, object]:
    """The clock of `lobi` at noon of a day."""
    return {
        "edge": "e1",
        "terminal": "lobi",
        "terminal_serial": serial,
        "measured_at": datetime.fromisoformat(f"{day}T04:00:00+00:00"),
        "offset_s": offset_s,
        "error_s": 0.5,
        "trusted": trusted,
        "verdict": "right",
    }


@pytest.mark.parametrize("offset_s", [-8.4e8, 7 * 3600.0, -21_600.0, None])
def test_days_of_a_clock_that_stood_wrong_are_incomplete_though_it_is_right_now(
    office: Office, offset_s: float | None
) -> None:
    """An empty battery for two days: everyone who punched under 2000-01-01 would else be absent."""
    office.put(
        t.clock_reading,
        clock_at("2026-08-03", 0.0),
        clock_at("2026-08-06", offset_s),
        clock_at("2026-08-07", 1.0),
        clock_at("2026-08-20", 1.0),
    )
    score(office)
    assert [m["why"] for m in missing(office, ANI, "2026-08-06")] == ["clock_wrong"]
    assert office.day(ANI, "2026-08-04")["status"] == "incomplete", "since when is not known"
    assert office.day(ANI, "2026-08-10")["status"] == "absent"


@pytest.mark.parametrize(
    "readings",
    [
        [clock_at("2026-08-06", 3600.0), clock_at("2026-08-07", 0.0)],
        [clock_at("2026-08-06", -9e8, serial="LENT9")],
        [
            clock_at("2026-08-05", 0.0),
            clock_at("2026-08-06", -9e8, trusted=False),
            clock_at("2026-08-07", 0.0),
        ],
    ],
    ids=["an hour moves no office day", "another machine", "the host did not know the time"],
)
def test_other_readings_hold_nobody_up(office: Office, readings: list[dict[str, object]]) -> None:
    office.put(t.clock_reading, *readings)
    score(office)
    assert office.day(ANI, "2026-08-06")["status"] == "absent"


def test_a_clock_that_was_wrong_when_first_seen_covers_nothing_before(office: Office) -> None:
    office.put(t.clock_reading, clock_at("2026-08-07", -9e8, trusted=False))
    score(office)
    assert [m["why"] for m in missing(office, ANI, "2026-08-03")] == ["clock_wrong"]


def test_a_terminal_no_longer_listed_holds_nobody_up(office: Office) -> None:
    listing(office, "lobi", "LOBI")
    office.terminal("lama", unit="bkd")
    listing(office, "lama", "LAMA", to_date="2026-08-09")
    score(office)
    assert office.day(ANI, "2026-08-07")["status"] == "incomplete"
    assert office.day(ANI, "2026-08-10")["status"] == "absent"


def test_a_person_without_a_pin_is_never_absent(office: Office) -> None:
    office.put(t.person, {"nip": CICI, "name": "Cici", "kind": "pppk"})
    office.put(t.membership, {"nip": CICI, "unit": "bkd"})
    score(office)
    assert [m["why"] for m in missing(office, CICI, "2026-08-10")] == ["no_pin"]


def test_the_other_units_terminals_count_only_where_a_unit_has_none(office: Office) -> None:
    office.unit("desa")
    office.person(CICI, "desa", "3")
    with writing(office.engine) as connection:
        connection.execute(delete(t.coverage).where(t.coverage.c.terminal == "aula"))
    score(office)
    assert office.day(ANI, "2026-08-10")["status"] == "absent"
    assert [m["terminal"] for m in missing(office, CICI, "2026-08-10")] == ["aula"]


def test_punches_older_than_since_are_not_scored_and_absence_is_not_invented(office: Office) -> None:
    with writing(office.engine) as connection:
        connection.execute(
            update(t.terminal).where(t.terminal.c.terminal == "lobi").values(since="2026-08-10")
        )
    office.faultless("lobi", "1", MONTH)
    score(office)
    assert [m["why"] for m in missing(office, ANI, "2026-08-07")] == ["scored_later"]
    assert office.day(ANI, "2026-08-10")["status"] == "present"


def test_the_same_pin_in_two_groups_belongs_to_two_people(office: Office) -> None:
    office.terminal("ugd", unit="setda", terminal_group="rsud")
    office.covered("ugd", LATER)
    office.person(CICI, "setda", "1", group="rsud")
    office.punch("ugd", "1", "2026-08-10", "07:10:00", "16:30:00")
    score(office)
    assert office.day(CICI, "2026-08-10")["status"] == "present"
    assert office.day(ANI, "2026-08-10")["status"] == "absent"


def test_a_pin_that_changes_hands_goes_to_each_in_their_own_time(office: Office) -> None:
    with writing(office.engine) as connection:
        connection.execute(update(t.pin_map).where(t.pin_map.c.pin == "1").values(to_date="2026-08-09"))
    office.put(t.person, {"nip": CICI, "name": "Cici", "kind": "pns"})
    office.put(t.membership, {"nip": CICI, "unit": "bkd", "from_date": "2026-08-10"})
    office.put(t.pin_map, {"nip": CICI, "terminal_group": "default", "pin": "1", "from_date": "2026-08-10"})
    office.faultless("lobi", "1", MONTH)
    score(office)
    assert office.day(ANI, "2026-08-07")["status"] == "present"
    assert office.day(ANI, "2026-08-10")["status"] == "incomplete"
    assert office.day(CICI, "2026-08-10")["status"] == "present"
    assert min(str(row["local_date"]) for row in office.rows(t.day) if row["nip"] == CICI) == "2026-08-10"


def test_someone_who_moves_is_counted_in_the_unit_of_their_last_day(office: Office) -> None:
    with writing(office.engine) as connection:
        connection.execute(update(t.membership).where(t.membership.c.nip == ANI).values(to_date="2026-08-16"))
    office.put(t.membership, {"nip": ANI, "unit": "setda", "from_date": "2026-08-17"})
    score(office)
    assert (office.day(ANI, "2026-08-14")["unit"], office.day(ANI, "2026-08-18")["unit"]) == ("bkd", "setda")
    assert {row["nip"]: row["unit"] for row in office.rows(t.month)} == {ANI: "setda", BUDI: "setda"}
    assert [(row["unit"], row["people"]) for row in office.rows(t.unit_month)] == [("setda", 2)]


def test_one_unit_is_scored_anew_and_all_are_ranked_anew(office: Office) -> None:
    score(office)
    before = [row for row in office.rows(t.day) if row["nip"] == BUDI]
    office.faultless("lobi", "1", MONTH)
    office.faultless("aula", "2", MONTH)
    summary = score(office, unit="bkd")
    assert (summary.people, summary.unit) == (1, "bkd")
    assert office.day(ANI, "2026-08-10")["status"] == "present"
    assert [row for row in office.rows(t.day) if row["nip"] == BUDI] == before
    assert [(row["unit"], row["rank"]) for row in office.rows(t.unit_month)] == [("bkd", 1), ("setda", 2)]


def test_rows_that_no_longer_apply_are_gone(office: Office) -> None:
    score(office)
    with writing(office.engine) as connection:
        connection.execute(delete(t.membership).where(t.membership.c.nip == ANI))
    score(office, unit="bkd")
    assert {row["nip"] for table in (t.day, t.month, t.sanction) for row in office.rows(table)} == {BUDI}
    assert [row["unit"] for row in office.rows(t.unit_month)] == ["setda"]


def test_the_ladder_is_for_pns_and_counts_the_whole_stored_year(office: Office) -> None:
    office.person(CICI, "bkd", "3", kind="pppk")
    office.faultless("lobi", "1", MONTH, but=("2026-08-04", "2026-08-05"))
    office.faultless("aula", "2", MONTH)
    office.faultless("lobi", "1", "2026-07", but=("2026-07-06",))
    office.faultless("aula", "2", "2026-07")
    score(office)
    assert not office.rows(t.sanction)
    score_month(office.engine, P1, "2026-07", unit=None, now=LATER)
    with reading(office.engine) as connection:
        rows = connection.execute(text("SELECT * FROM v1_sanction")).mappings().all()
    assert [dict(row) for row in rows] == [
        {
            "nip": ANI,
            "year": 2026,
            "absent_days": 3,
            "level": "ringan: teguran lisan",
            "article": "PP 94/2021 Pasal 9",
            "reached_on": "2026-08-05",
        }
    ]


def test_a_year_without_known_cuti_bersama_is_said(office: Office) -> None:
    now = datetime(2032, 1, 1, tzinfo=UTC)
    summary = score_month(office.engine, P1, "2031-08", unit=None, now=now)
    assert "no cuti bersama is known for 2031" in summary.notes[0]


@pytest.mark.parametrize(
    ("month", "unit", "complaint"),
    [
        ("2026-13", None, "'2026-13' is no month; write YYYY-MM"),
        ("08-2026", None, "write YYYY-MM, for example 2026-08"),
        (MONTH, "bkdd", "no unit 'bkdd' is loaded; the nearest one is 'bkd'"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_written(
    office: Office, month: str, unit: str | None, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        score_month(office.engine, P1, month, unit=unit, now=LATER)
    assert not office.rows(t.day)


def test_a_policy_that_was_not_in_force_is_refused(office: Office) -> None:
    later = P1.model_copy(update={"first_day": datetime(2026, 8, 15).date()})
    with pytest.raises(ConfigError, match="holds from 2026-08-15 to 9999-12-31, not in all of 2026-08"):
        score_month(office.engine, later, MONTH, unit=None, now=LATER)


@pytest.mark.parametrize("was_on", [True, False])
def test_scoring_leaves_the_garbage_collector_as_it_was(office: Office, *, was_on: bool) -> None:
    stood = gc.isenabled()
    try:
        gc.enable() if was_on else gc.disable()
        score(office)
        with pytest.raises(ConfigError):
            score(office, unit="bkdd")
        assert gc.isenabled() is was_on
    finally:
        gc.enable() if stood else gc.disable()
