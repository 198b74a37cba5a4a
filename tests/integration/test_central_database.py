"""The central database itself: migrations, views, rights, and what is said when it cannot be used."""

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, insert, inspect, text

import postgres
from attendance.errors import ConfigError, DatabaseUnavailable, SyncError
from batches import NOW, batch, send, view, wire_punch
from sync.arrivals import TerminalReport
from sync.central import store, views
from sync.central.days import FIRST_DAY, LAST_DAY
from sync.central.tables import membership, metadata, pin_map, terminal_listing
from sync.central.views import VIEWS
from sync.deposit import deposit
from sync.envelope import EdgeState, TerminalHealth, WireTerminal

CONTRACT = {
    "v1_punch": """punch_id terminal_serial edge terminal pin nip unit punched_at local_date local_time
        verify direction source clock_offset_s flags ingested_at""",
    "v1_day": """nip unit local_date status in_time out_time late_minutes early_minutes worked_minutes
        deduction_pct reasons""",
    "v1_month": """nip unit month working_days present_days absent_days excused_days incomplete_days
        late_minutes early_minutes deduction_pct discipline_score policy""",
    "v1_unit_month": "unit month people discipline_score rank ranked_of",
    "v1_sanction": "nip year absent_days level article reached_on",
    "v1_terminal": """edge terminal serial model firmware last_seen_at clock_offset_s records capacity
        state reading clock_state records_per_day days_left error""",
    "v1_terminal_event": """edge terminal terminal_serial kind source happened_at wall_time operator code
        detail ingested_at""",
    "v1_clock": "edge terminal terminal_serial measured_at offset_s error_s trusted verdict",
}


# --- migrations ------------------------------------------------------------------------


def test_migrations_make_exactly_the_tables_that_the_program_knows(engine: Engine) -> None:
    with store.reading(engine) as connection:
        command.check(store.migration_config(connection))
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_initialising_again_changes_nothing(engine: Engine) -> None:
    send(engine, batch(1, [wire_punch()]))
    store.initialise(engine)
    assert len(view(engine, "v1_punch")) == 1


def test_two_processes_that_start_at_once_make_one_database(database_url: str) -> None:
    program = (
        "import sys; from sync.central import store; "
        "engine = store.open_engine(sys.argv[1]); store.initialise(engine); engine.dispose()"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, database_url], stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0)] * 2


def test_a_database_of_a_newer_hadir_is_left_alone_and_named(engine: Engine) -> None:
    with store.writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SyncError, match="newer hadir"):
        store.initialise(engine)


def test_the_migrations_can_be_taken_back(engine: Engine) -> None:
    with store.writing(engine) as connection:
        views.drop(connection)
        command.downgrade(store.migration_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


# --- views -----------------------------------------------------------------------------


def test_the_views_have_the_columns_of_the_contract_in_its_order(engine: Engine) -> None:
    with store.reading(engine) as connection:
        for name, columns in CONTRACT.items():
            found = list(connection.execute(text(f"SELECT * FROM {name}")).keys())
            wanted = columns.split()
            assert found[: len(wanted)] == wanted
    assert set(VIEWS) == set(CONTRACT)


def fill(engine: Engine) -> None:
    """Punches and reference data with every trap: overlaps, unknown pins, groups from both sides."""
    facts = {
        "lobi": WireTerminal(serial="CQZ7224460246", group="opd", timezone="Asia/Makassar"),
        "aula": WireTerminal(serial="AULA1", group="opd", timezone="Asia/Makassar"),
    }
    walls = ("2026-02-27T07:00:00", "2026-03-02T07:28:00")
    punches = [wire_punch(pin, wall) for pin in ("7", "8") for wall in walls]
    other = [one.model_copy(update={"terminal": "aula", "serial": "AULA1"}) for one in punches]
    send(engine, batch(1, [*punches, *other, wire_punch("7", "2000-01-01T00:00:00")], terminals=facts))
    pins = [
        ("opd", "7", "A", "2026-01-01", "2026-02-28"),
        ("opd", "7", "B", "2026-02-01", LAST_DAY),
        ("upt", "7", "C", FIRST_DAY, LAST_DAY),
    ]
    members = [("B", "bkd", "2026-01-01", "2026-02-28"), ("B", "setda", "2026-02-28", LAST_DAY)]
    listed = [
        ("aula", "AULA1", "upt", "2026-03-01", LAST_DAY, "setda-01", "bkd"),
        ("gudang", "G1", None, "2025-01-01", LAST_DAY, "setda-01", "bkd"),
        ("gudang", "G2", None, "2026-01-01", LAST_DAY, "setda-01", "bkd"),
    ]
    dated = ("from_date", "to_date")
    with store.writing(engine) as connection:
        for table, names, given in (
            (pin_map, ("terminal_group", "pin", "nip", *dated), pins),
            (membership, ("nip", "unit", *dated), members),
            (terminal_listing, ("terminal", "serial", "terminal_group", *dated, "edge", "unit"), listed),
        ):
            connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in given])


def test_a_punch_is_one_row_whatever_the_reference_data_says_of_it(engine: Engine) -> None:
    fill(engine)
    rows = view(engine, "v1_punch")
    found = {(row["terminal"], row["pin"], row["local_date"]): (row["nip"], row["unit"]) for row in rows}
    assert len(rows) == 9
    assert found == {
        ("lobi", "7", "2026-02-27"): ("B", "bkd"),  # two nips overlap: the later beginning holds
        ("lobi", "7", "2026-03-02"): ("B", "setda"),
        ("lobi", "8", "2026-02-27"): (None, None),
        ("lobi", "8", "2026-03-02"): (None, None),
        ("aula", "7", "2026-02-27"): ("B", "bkd"),  # before the listing began: the edge's own group
        ("aula", "7", "2026-03-02"): ("C", None),  # the listing overrules the edge
        ("aula", "8", "2026-02-27"): (None, None),
        ("aula", "8", "2026-03-02"): (None, None),
        ("lobi", "7", "2000-01-01"): (None, None),
    }


def test_a_terminal_that_is_only_listed_is_shown_once_as_never_reported(engine: Engine) -> None:
    fill(engine)
    rows = view(engine, "v1_terminal", "terminal")
    assert [(row["terminal"], row["serial"], row["state"]) for row in rows] == [
        ("aula", "AULA1", "unknown"),
        ("gudang", "G2", "never reported"),
        ("lobi", "CQZ7224460246", "unknown"),
    ]


def test_no_terminal_is_shown_online_while_its_edge_is_gone(engine: Engine) -> None:
    """A dashboard that stays green after the edge lost its power sends nobody there."""
    send(engine, batch(1, [wire_punch()]))

    def shown_after(state: Literal["online", "offline"], minutes: int) -> tuple[object, object]:
        at = NOW + timedelta(minutes=minutes)
        deposit(engine, [EdgeState(edge="setda-01", state=state, at=at)], NOW)
        (row,) = view(engine, "v1_terminal")
        return row["state"], row["records"]

    health = TerminalHealth(terminal="lobi", state="online", at=NOW, last_seen_at=NOW, records=7)
    other = EdgeState(edge="kec-tabang", state="offline", at=NOW)
    deposit(engine, [other, TerminalReport("setda-01", health)], NOW)
    assert view(engine, "v1_terminal")[0]["state"] == "online", "only another edge is gone"
    assert shown_after("online", 0) == ("online", 7)
    assert shown_after("offline", 1) == ("unknown", 7)
    assert shown_after("online", 2) == ("online", 7)


def test_both_databases_show_the_same_rows(postgres_server: postgres.Server, tmp_path: Path) -> None:
    health = TerminalHealth(terminal="lobi", state="online", at=NOW, last_seen_at=NOW, clock_offset_s=1.25)
    shown: list[dict[str, list[dict[str, object]]]] = []
    for url in (f"sqlite:///{tmp_path}/central.db", postgres_server.new_database()):
        engine = store.open_engine(url)
        store.initialise(engine)
        fill(engine)
        deposit(engine, [TerminalReport("setda-01", health)], NOW)
        shown.append({name: view(engine, name, "1, 2, 3") for name in VIEWS})
        engine.dispose()
    lite, postgresql = shown
    for name in VIEWS:
        rows = [{key: plain(value) for key, value in row.items()} for row in postgresql[name]]
        assert lite[name] == rows
    assert lite["v1_punch"][0]["ingested_at"] == "2026-03-02T12:00:00Z"


def plain(value: object) -> object:
    """A value as SQLite gives it: instants and JSON are the two that differ by contract."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()[:19] + "Z"
    return str(value).replace("'", '"') if isinstance(value, list) else value


def test_on_postgresql_the_right_to_read_the_views_is_enough_and_survives_an_upgrade(
    postgres_server: postgres.Server,
) -> None:
    url = postgres_server.new_database()
    engine = store.open_engine(url)
    store.initialise(engine)
    fill(engine)
    reader = f"reader_{engine.url.database}"
    postgres_server.admin(f"CREATE ROLE {reader} LOGIN")
    with store.writing(engine) as connection:
        connection.execute(text(f"GRANT SELECT ON {', '.join(VIEWS)} TO {reader}"))
    store.initialise(engine)
    engine.dispose()
    read_only = create_engine(postgres_server.url(str(engine.url.database), reader))
    with read_only.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM v1_punch WHERE nip IS NOT NULL")) == 4
        for name in VIEWS:
            connection.execute(text(f"SELECT * FROM {name}"))
    with pytest.raises(DatabaseUnavailable, match="permission denied"):
        store.initialise(read_only)
    read_only.dispose()


# --- what is said when it cannot be used -----------------------------------------------


@pytest.mark.parametrize(
    ("url", "fault", "says"),
    [
        ("sqlite:////nonexistent/central.db", DatabaseUnavailable, "no directory /nonexistent"),
        ("sqlite://", ConfigError, "names no file"),
        ("postgresql://hadir@localhost/hadir", ConfigError, r"postgresql\+psycopg"),
        ("mysql://x/y", ConfigError, "mysql"),
        ("central.db", ConfigError, "no database address"),
        (
            "postgresql+psycopg://u:hush@127.0.0.1:1/hadir",
            DatabaseUnavailable,
            "hadir at 127.0.0.1:1.*refused",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_named_in_one_line(
    url: str, fault: type[Exception], says: str
) -> None:
    with pytest.raises(fault, match=says) as caught:
        store.open_engine(url)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_wrong_password_is_said_without_the_password(postgres_server: postgres.Server) -> None:
    url = postgres_server.new_database()
    postgres_server.admin("CREATE ROLE locked_out LOGIN PASSWORD 'right'")
    postgres_server.require_password("locked_out")
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught:
        store.open_engine(url.replace("hadir@", "locked_out:wrong@"))
    assert "wrong" not in str(caught.value)


def test_a_missing_driver_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"hadir\[postgres\]"):
        store.open_engine("postgresql+psycopg://hadir@localhost/hadir")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "central.db").write_text("nip;name\n" * 200)
    with pytest.raises(DatabaseUnavailable, match="no SQLite database"):
        store.open_engine(f"sqlite:///{tmp_path}/central.db")


def test_a_file_that_may_not_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/central.db"
    made = store.open_engine(url)
    store.initialise(made)
    made.dispose()
    read_only = store.open_engine(f"sqlite:///file:{tmp_path}/central.db?mode=ro&uri=true")
    assert view(read_only, "v1_punch") == []
    with pytest.raises(DatabaseUnavailable, match=r"central\.db: it cannot be written"):
        store.initialise(read_only)
    read_only.dispose()


def test_a_database_that_another_program_has_locked_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_S", 0.1)
    path = tmp_path / "central.db"
    engine = store.open_engine(f"sqlite:///{path}")
    store.initialise(engine)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="locked by another program"):
        send(engine, batch(1, [wire_punch()]))
    assert view(engine, "v1_punch") == []  # readers are not stopped
    other.execute("ROLLBACK")
    other.close()
    assert send(engine, batch(1, [wire_punch()]))[0].committed == ((1, 1),)
    engine.dispose()


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    engine = store.open_engine(f"sqlite:///{tmp_path}/central.db")
    with store.reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_two_writers_on_one_postgresql_wait_for_each_other(postgres_server: postgres.Server) -> None:
    engine = store.open_engine(postgres_server.new_database())
    store.initialise(engine)
    punches = [wire_punch(str(pin)) for pin in range(200)]

    def write(order: int) -> None:
        for number in range(1, 6):
            send(engine, batch(number, punches[::order], stream=f"{abs(order - 3):032x}"))

    threads = [threading.Thread(target=write, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(view(engine, "v1_punch")) == 200
    engine.dispose()
