"""`hadir demo`: the first thing that anybody runs, and the shortest proof that the parts fit."""

import json
import sqlite3
from pathlib import Path

from daemon.demo.summary import Outcome, print_summary
from program import run_hadir

ONE = ("S", "1001", "2026-08-03", "07:29:00")
TWO = ("S", "1001", "2026-08-03", "16:01:00")


def test_the_demo_ends_with_what_it_made(tmp_path: Path) -> None:
    """Every number it prints is checked against the database that it leaves behind."""
    folder = tmp_path / "demo"
    done = run_hadir("demo", "--json", "--dir", folder, timeout_s=100)
    assert done.returncode == 0, (
        done.stderr + (folder / "central.log").read_text() + (folder / "edge.log").read_text()
    )
    facts = json.loads(done.stdout)
    assert facts["agrees"]
    assert facts["made"] == facts["stored"] > 2000
    with sqlite3.connect(folder / "central.db") as database:
        (rows,) = database.execute("SELECT count(*) FROM v1_punch").fetchone()
        statuses = dict(database.execute("SELECT status, count(*) FROM v1_day GROUP BY status"))
        ranks = [row[0] for row in database.execute("SELECT rank FROM v1_unit_month ORDER BY rank")]
        live = database.execute("SELECT count(*) FROM v1_punch WHERE source = 'live'").fetchone()
        faultless = database.execute("SELECT count(*) FROM v1_month WHERE discipline_score = 100").fetchone()
    database.close()
    assert rows == facts["stored"]
    assert statuses["holiday"] > 0
    assert statuses["absent"] > 0
    assert statuses["present"] > 1000
    assert "incomplete" not in statuses, "every terminal's log was read to its end"
    assert ranks == [1, 2, 3]
    assert live == (6,)
    assert faultless[0] > 0
    assert "Traceback" not in (folder / "central.log").read_text() + (folder / "edge.log").read_text()


def test_the_demo_wants_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    done = run_hadir("demo", "--dir", tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr


def outcome(made: set[tuple[str, str, str, str]], stored: set[tuple[str, str, str, str]]) -> Outcome:
    return Outcome(
        folder=Path("demo"), month="2026-08", people=1, made=made, stored=stored, seconds=1, live_delays=[]
    )


def test_a_missing_or_foreign_punch_is_no_success() -> None:
    """The exit code of the demo hangs on this."""
    assert outcome({ONE}, {ONE}).agrees
    assert not outcome({ONE, TWO}, {ONE}).agrees
    assert not outcome({ONE}, {TWO}).agrees
    assert "1 MISSING, 1 NOT MADE" in print_summary(outcome({ONE}, {TWO}))
