"""`hadir load`, `score` and `explain` as a person runs them: words, exit codes, one line for each fault."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attendance.errors import ConfigError, DataError
from daemon.commands import explain, load, score
from offices import LATER, Office
from sync.central.store import initialise, open_engine

ANI = "198503172010011001"
Run = Callable[..., int]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A centre with one unit, one terminal that is read, and Ani, who is late once."""
    engine = open_engine(f"sqlite:///{tmp_path}/central.db")
    initialise(engine)
    office = Office(engine)
    office.unit("bkd")
    office.person(ANI, "bkd", "1")
    office.terminal("lobi", unit="bkd")
    office.covered("lobi", LATER)
    office.faultless("lobi", "1", "2026-08", but=("2026-08-03",))
    office.punch("lobi", "1", "2026-08-03", "08:01:00", "16:30:00")
    yield office
    engine.dispose()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one of the three commands on the centre in tmp_path."""
    config = tmp_path / "central.toml"
    config.write_text(f'[database]\nurl = "sqlite:///{tmp_path}/central.db"\n', encoding="utf-8")

    def called(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        subparsers = parser.add_subparsers()
        for command in (load, score, explain):
            command.register(subparsers)
        given = parser.parse_args([*arguments, "--config", str(config)])
        code: int = given.func(given)
        return code

    return called


def test_score_and_explain_a_month(office: Office, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score", "--month", "2026-08") == 0
    said = capsys.readouterr().out
    assert "2026-08, policy tulang-bawang, all units: 1 person; days: 2 holiday, 10 off, 19 present" in said
    assert "bkd: 99, rank 1 of 1, 1 person" in said
    assert run("explain", "--nip", "19850317 201001 1 001", "--month", "2026-08") == 0
    told = capsys.readouterr().out
    assert "Senin, 3 Agustus 2026: terlambat 31 menit (rentang 31-60 menit), potongan 1 %" in told
    assert "LOBI/1/2026-08-03T08:01:00" in told


def test_machines_get_json(office: Office, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("score", "--month", "2026-08", "--unit", "bkd", "--json")
    summary = json.loads(capsys.readouterr().out)
    assert (summary["people"], summary["units"][0]["score"]) == (1, 99)
    run("explain", "--nip", ANI, "--month", "2026-08", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert (facts["deduction_pct"], len(facts["days"]), facts["name"]) == (1, 31, f"Person {ANI}")


def test_a_policy_file_is_found_beside_the_settings(
    office: Office, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoring.policy import POLICIES

    text = (POLICIES / "tulang-bawang.toml").read_text(encoding="utf-8")
    (tmp_path / "kami.toml").write_text(
        text.replace('name = "tulang-bawang"', 'name = "kami"'), encoding="utf-8"
    )
    monkeypatch.setenv("HADIR_SCORING__POLICY", "kami.toml")
    assert run("score", "--month", "2026-08") == 0
    monkeypatch.setenv("HADIR_SCORING__POLICY", "tulang")
    with pytest.raises(ConfigError, match="the nearest one is 'tulang-bawang'"):
        run("score", "--month", "2026-08")


def test_explain_says_what_to_do_first(office: Office, run: Run) -> None:
    with pytest.raises(
        DataError, match="2026-08 is not scored for this person; run: hadir score --month 2026-08"
    ):
        run("explain", "--nip", ANI, "--month", "2026-08")
    with pytest.raises(DataError, match="nip 1: no such person is loaded"):
        run("explain", "--nip", "1", "--month", "2026-08")


def test_load_makes_the_database_and_tells_refused_rows_on_stderr(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units, people = tmp_path / "units.csv", tmp_path / "people.csv"
    units.write_text("unit,name\nbkd,Badan\n", encoding="utf-8")
    people.write_text(f"nip,name,unit,pin\n{ANI},Ani,bkd,1\n1.98E+17,Budi,bkd,2\n", encoding="utf-8")
    assert run("load", "units", str(units)) == 0
    assert capsys.readouterr().out == "units: 1 added, 0 changed, 0 unchanged, 0 refused\n"
    assert run("load", "people", str(people), "--dry-run") == 1
    captured = capsys.readouterr()
    assert f"line 2: would add {ANI} Ani\n" in captured.out
    assert "(dry run: nothing was written)" in captured.out
    assert f"{people}: line 3: refused: nip: '1.98E+17' is a number" in captured.err
    assert run("load", "people", str(people), "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert (len(result["added"]), result["refused"][0]["line"]) == (1, 3)


def test_a_file_that_cannot_be_used_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.csv: no such file"):
        run("load", "people", str(tmp_path / "gone.csv"))
    with pytest.raises(ConfigError, match="this version loads"):
        run("load", "calendar", str(tmp_path / "gone.csv"))
