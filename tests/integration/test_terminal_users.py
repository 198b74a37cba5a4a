"""`hadir terminal users`: who is enrolled, who is missing, and changes that nobody makes by accident."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attendance.terminal import User
from drivers.zk.simulator.firmware import KINDS
from drivers.zk.simulator.model import SimulatedTerminal
from program import run_hadir, write_central, write_edge
from terminals import serving, some_terminal

SITI, BUDI, CICI = "198503172010011001", "197701011999031002", "199001012015041003"
PEOPLE = f"""\
nip,name,unit,pin,terminal_group,to
{SITI},SITI  Aminah,setda,1001,,
{BUDI},Budi Santoso,setda,1002,,
{CICI},Cici Lestari,setda,1009,,
{CICI},Cici Lestari,setda,1008,,2020-12-31
{BUDI},Budi Santoso,setda,1003,lain,
"""


@dataclass(frozen=True, slots=True)
class Office:
    """A terminal that is configured, and its people."""

    terminal: SimulatedTerminal
    edge: Path

    def users(self, *arguments: str | Path) -> tuple[int, Any, str]:
        """Exit code, facts, stderr."""
        done = run_hadir("terminal", "users", "lobi", "--config", self.edge, "--json", *arguments)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout or "null"), done.stderr

    def names(self) -> dict[str, str]:
        return {user.pin: user.name for user in self.terminal.users()}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    terminal = some_terminal(users=0)
    terminal.enrol(
        [
            User(uid=1, pin="1001", name="", name_raw=b"Siti Aminah", card=77),
            User(uid=2, pin="1002", name="", name_raw=b"Joko"),
            User(uid=3, pin="1003", name="", name_raw=b"Tamu"),
            User(uid=9, pin="9000", name="", name_raw=b"Admin", privilege=14),
        ]
    )
    with serving(terminal) as running:
        yield Office(terminal, write_edge(tmp_path, 1883, {"lobi": running.port}))


def test_the_list_names_people_and_no_secret(office: Office) -> None:
    code, facts, _ = office.users()
    assert code == 0
    assert facts[0] == {"uid": 1, "pin": "1001", "name": "Siti Aminah", "privilege": "user", "card": True}
    assert facts[3]["privilege"] == "super administrator"
    assert {key for one in facts for key in one} == {"uid", "pin", "name", "privilege", "card"}


def test_the_list_as_csv(office: Office, tmp_path: Path) -> None:
    done = run_hadir("terminal", "users", "lobi", "--config", office.edge, "--csv", tmp_path / "u.csv")
    assert done.returncode == 0
    with (tmp_path / "u.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["pin"] for row in rows] == ["1001", "1002", "1003", "9000"]
    assert rows[0]["card"] == "yes"


def test_a_people_file_shows_who_is_missing_on_which_side(office: Office, tmp_path: Path) -> None:
    """A person who is not enrolled looks absent; a pin that nobody has is work for nothing."""
    people = tmp_path / "pegawai.csv"
    people.write_text(PEOPLE + "x,,setda,1,,\n", encoding="utf-8")
    code, facts, err = office.users("--people", people)
    assert (code, facts["same"]) == (0, 1)
    assert [one["pin"] for one in facts["unknown_to_centre"]] == ["1003", "9000"]
    assert [one["pin"] for one in facts["not_enrolled"]] == ["1009"]
    assert facts["names_differ"] == [
        {"pin": "1002", "nip": BUDI, "terminal": "Joko", "centre": "Budi Santoso"}
    ]
    assert "line 7: not used: name is empty" in err


def test_the_database_says_the_same_as_the_file(office: Office, tmp_path: Path) -> None:
    people, units = tmp_path / "pegawai.csv", tmp_path / "units.csv"
    people.write_text(PEOPLE, encoding="utf-8")
    units.write_text("unit,name\nsetda,Sekretariat Daerah\n", encoding="utf-8")
    central = write_central(tmp_path, f"sqlite:///{tmp_path}/central.db", 1883)
    for kind, file in (("units", units), ("people", people)):
        loaded = run_hadir("load", kind, file, "--config", central)
        assert loaded.returncode == 0, loaded.stderr
    by_file, by_database = office.users("--people", people)[1], office.users("--central", central)[1]
    assert by_file == by_database


def test_a_name_is_written_and_read_back(office: Office) -> None:
    code, facts, _ = office.users("--write-name", "1002", "Budi Santoso", "--yes")
    assert (code, facts["done"]) == (0, "renamed")
    assert office.names()["1002"] == "Budi Santoso"


def test_a_person_is_added_under_a_number_that_nobody_had(office: Office) -> None:
    """The number of somebody who was deleted may still stand in the log."""
    code, facts, _ = office.users("--add", "1009", "Cici Lestari", "--yes")
    assert (code, facts["uid"]) == (0, 10)
    assert office.names()["1009"] == "Cici Lestari"
    code, _, err = office.users("--add", "1009", "Cici", "--yes")
    assert (code, err) == (1, "hadir: pin 1009 is enrolled already; --write-name changes its name\n")


def test_a_person_is_deleted(office: Office) -> None:
    assert office.users("--delete", "1003", "--yes")[0] == 0
    assert "1003" not in office.names()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--delete", "1003"], 2, "add --yes"),
        (["--delete", "9000", "--yes"], 1, "super administrator at this terminal; add --administrator"),
        (["--write-name", "9000", "X", "--yes"], 1, "add --administrator"),
        (["--delete", "4711", "--yes"], 1, "nobody has pin 4711"),
        (["--add", "12345678901", "X", "--yes"], 1, "pin"),
        (["--people", "none.csv"], 2, "none.csv: no such file"),
        (["--delete", "1003", "--add", "1", "X"], 2, "not allowed with"),
    ],
)
def test_nothing_is_changed_by_accident(office: Office, arguments: list[str], code: int, words: str) -> None:
    before = office.names()
    done = run_hadir("terminal", "users", "lobi", "--config", office.edge, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert words in done.stderr
    assert office.names() == before


def test_who_is_in_an_unread_log_by_number_is_not_deleted(tmp_path: Path) -> None:
    """A black-and-white terminal's log names people by number: deleted too early, theirs are nobody's."""
    terminal = some_terminal(records=20, firmware=KINDS["8b"])
    with serving(terminal) as running:
        edge = write_edge(tmp_path, 1883, {"lobi": running.port})
        done = run_hadir("terminal", "users", "lobi", "--config", edge, "--delete", "1001", "--yes")
    assert done.returncode == 1
    assert "names people by number, and not all of it has been read" in done.stderr
    assert terminal.user_count == 10
