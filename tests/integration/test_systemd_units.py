"""The units as systemd reads them. `verify` exits 0 on unknown keys, so its output is what counts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
INSTALLED = "/opt/hadir/bin/hadir"
WORST_EXPOSURE = 15
"""Tenths of the score of `systemd-analyze security`: 0 is closed, 100 open."""


def _systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: apt-get install systemd"
    return subprocess.run(
        [program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
    )


def _as_installed(unit: Path, folder: Path) -> Path:
    """A copy of the unit whose program exists."""
    program = folder / "hadir"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace(INSTALLED, str(program)))
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_every_line(unit: Path, tmp_path: Path) -> None:
    verdict = _systemd_analyze("verify", str(_as_installed(unit, tmp_path)))
    assert (verdict.returncode, verdict.stdout) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_break_in_stays_small(unit: Path, tmp_path: Path) -> None:
    verdict = _systemd_analyze(
        "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", str(_as_installed(unit, tmp_path))
    )
    assert verdict.returncode == 0, verdict.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_daemon_never_gives_up(unit: Path) -> None:
    """An edge in a locked room has nobody to start it again."""
    lines = unit.read_text().splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0", "Type=notify"} <= set(lines)
    role = unit.stem.removeprefix("hadir-")
    assert f"ExecStart={INSTALLED} {role} run --config /etc/hadir/{role}.toml" in lines


def test_both_daemons_have_a_unit() -> None:
    assert [unit.stem for unit in UNITS] == ["hadir-central", "hadir-edge"]
