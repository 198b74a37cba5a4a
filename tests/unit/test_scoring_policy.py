"""Policy files: an office that writes its own must be told exactly what is wrong with it."""

from pathlib import Path

import pytest

from attendance.errors import ConfigError
from scoring.policy import POLICIES, load_ladders, load_policy

SHIPPED = sorted(file.stem for file in POLICIES.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_policy_loads_with_its_ladders_and_says_where_it_comes_from(name: str) -> None:
    policy = load_policy(name)
    assert policy.name == name
    assert policy.legal_basis
    assert policy.source
    assert policy.base
    load_ladders(policy)


def test_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'tulang_bawang'; the nearest one is 'tulang-bawang'"):
        load_policy("tulang_bawang")


def changed(tmp_path: Path, old: str, new: str) -> str:
    text = (POLICIES / "tulang-bawang.toml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "ours.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return str(file)


def test_a_policy_of_ones_own_is_read_from_its_path(tmp_path: Path) -> None:
    file = changed(tmp_path, 'name = "tulang-bawang"', 'name = "kami"\nfrom = 2026-01-01')
    assert load_policy(file).name == "kami"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "tolerance_seconds",
            "tolerance_second",
            "in.tolerance_second: unknown key; the nearest known one is",
        ),
        (
            "percent = 0.5",
            "percent = 101",
            r"in.bands\[0\].percent: input should be less than or equal to 100",
        ),
        (
            "from = 31, to = 60",
            "from = 40, to = 60",
            "in.bands: band 1-30 must end one minute before band 40-60",
        ),
        (
            "{ from = 91, percent",
            "{ from = 91, to = 99, percent",
            r"in.bands: the last band \(91-99\) must be open",
        ),
        ("start = 07:30:00, end = 16:00:00", "start = 17:30:00, end = 16:00:00", "timetable.monday: start"),
        ('pns = ["pp-94-2021"]', 'pns = ["pp-93"]', "no ladder is called 'pp-93'; there are: pp-94-2021"),
        ("[absence]\npercent = 1.5", "[absence]", "absence.percent: is missing and has no default"),
        ('shape = "100 - sum"', 'shape = "x"', "score.shape: input should be '100 - sum'"),
        ("[score]", "[score", "not valid TOML"),
    ],
)
def test_a_fault_is_named_with_file_and_key_path(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    file = changed(tmp_path, old, new)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_policy(file)
    assert str(caught.value).startswith(file)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: no such file"):
        load_policy(str(tmp_path / "gone.toml"))
