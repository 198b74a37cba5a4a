"""`hadir import`: a stick in the hand of a technician, with and without an edge that runs."""

import json
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from attendance.clock import SystemClock
from centre import LittleCentre, until
from config.load import load_edge
from daemon.imports import Imports
from daemon.spool import FOLDER
from made import sealed_batches
from mosquitto import Mosquitto, running_mosquitto
from program import HADIR, eventually, run_hadir, running_hadir
from sync.envelope import Batch
from sync.outbox import Outbox
from terminals import Running, running_terminal

SERIAL = "SIM0000000001"
USED_AS = {"read", "new", "known", "bad", "first", "last"}


def edge_toml(folder: Path, *, broker: int = 1, lobi: str = 'driver = "file"') -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f'[edge]\nid = "setda-01"\ntimezone = "Asia/Jakarta"\nstate_dir = "state"\n[mqtt]\nport = {broker}\n'
        f'[[terminal]]\nid = "lobi"\n{lobi}\n[[terminal]]\nid = "aula"\ndriver = "file"\n',
        encoding="utf-8",
    )
    return path


def attlog(terminal: Running | None = None, *, count: int = 30, start: int = 0) -> str:
    """What `running_terminal(records=...)` would put on a stick."""
    lines = []
    for n in range(start, start + count):
        hours, minutes = divmod(7 * 60 + 30 + n, 60)
        lines.append(f"{1001 + n % 10:>9}\t2026-01-05 {hours:02}:{minutes:02}:00\t1\t{n % 2}\t1\t0\r\n")
    return "".join(lines)


def stick(folder: Path, content: str, name: str = "1_attlog.dat") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def imported(config: Path, file: Path, *more: str, terminal: str = "lobi") -> dict[str, Any]:
    done = run_hadir("import", "--config", config, "--terminal", terminal, *more, "--json", file)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(config: Path, file: Path, *more: str, terminal: str = "lobi") -> tuple[int, str]:
    done = run_hadir("import", "--config", config, "--terminal", terminal, *more, file)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


def in_outbox(folder: Path) -> list[Batch]:
    with Outbox(folder / "state" / "outbox.db", edge="setda-01") as outbox:
        return sealed_batches(outbox)


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with running_mosquitto() as running:
        yield running


def test_without_an_edge_the_punches_wait_in_the_outbox_and_the_same_file_changes_nothing(
    tmp_path: Path,
) -> None:
    config, file = edge_toml(tmp_path), stick(tmp_path, attlog() + "rubbish\r\n 1001\t2026-01-0")
    first = imported(config, file, "--serial", SERIAL)
    assert first.keys() >= USED_AS
    assert (first["read"], first["new"], first["known"]) == (30, 30, 0)
    assert [bad["line"] for bad in first["bad"]] == [31, 32]
    assert (first["first"], first["last"]) == ("2026-01-05T07:30:00", "2026-01-05T07:59:00")
    again = imported(config, file, "--serial", SERIAL)
    assert (again["read"], again["new"], again["known"]) == (30, 0, 30)
    (batch,) = in_outbox(tmp_path)
    assert {punch.source for punch in batch.punches} == {"file"}
    assert len(batch.punches) == 30
    assert [bytes.fromhex(bad.raw) for bad in batch.bad] == [b"rubbish", b" 1001\t2026-01-0"]
    assert batch.coverage == (), "a file proves no day complete"
    assert list((tmp_path / "state" / FOLDER).iterdir()) == []


def test_a_dry_run_says_what_would_go_in_and_writes_nothing(tmp_path: Path) -> None:
    config, file = edge_toml(tmp_path), stick(tmp_path, attlog(count=20))
    imported(config, stick(tmp_path, attlog(count=5), "old.dat"), "--serial", SERIAL)
    told = imported(config, file, "--serial", SERIAL, "--dry-run")
    assert (told["read"], told["new"], told["known"]) == (20, 15, 5)
    assert sum(len(batch.punches) for batch in in_outbox(tmp_path)) == 5


def test_beside_a_running_edge_the_file_arrives_once_with_what_was_polled(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """The technician's way: nothing is stopped, the serial is the one just read, no punch counts twice."""
    centre = LittleCentre(broker.port, edge="setda-01")
    centre.start()
    try:
        with running_terminal(records=20) as terminal:
            config = edge_toml(
                tmp_path, broker=broker.port, lobi=f'host = "127.0.0.1"\nport = {terminal.port}\nevery = "1h"'
            )
            with running_hadir("edge", "run", "--config", config, log=tmp_path / "edge.log") as edge:
                eventually(lambda: len(centre.punches()) == 20, what=f"polled: {edge.log}")
                result = imported(config, stick(tmp_path, attlog(count=30), f"{SERIAL}_attlog.dat"))
                assert (result["serial"], result["read"], result["new"]) == (SERIAL, 30, 10)
                until(lambda: len(centre.punches()) == 30, f"imported: {edge.log}")
                assert edge.stop() == 0
        assert len(centre.copies()) == 30
    finally:
        centre.stop()


def test_once_sends_what_was_imported_and_passes_over_the_terminal(tmp_path: Path, broker: Mosquitto) -> None:
    centre = LittleCentre(broker.port, edge="setda-01")
    centre.start()
    try:
        config = edge_toml(tmp_path, broker=broker.port)
        imported(config, stick(tmp_path, attlog()), "--serial", SERIAL)
        done = run_hadir("edge", "run", "--config", config, "--once", "--timeout", "30")
        assert done.returncode == 0, done.stderr
        assert len(centre.punches()) == 30
    finally:
        centre.stop()


def test_a_file_that_names_another_terminal_is_refused_until_the_serial_is_said(tmp_path: Path) -> None:
    """Pay would follow the wrong machine: its people have other faces and the same pins."""
    with running_terminal(records=1) as terminal:
        config = edge_toml(tmp_path, lobi=f'host = "127.0.0.1"\nport = {terminal.port}')
        run_hadir("edge", "run", "--config", config, "--once", "--timeout", "3")
    foreign = stick(tmp_path, attlog(), "OTHER0000009_attlog.dat")
    code, told = refused(config, foreign)
    assert code == 1
    assert "it is of terminal OTHER0000009" in told
    assert SERIAL in told
    assert imported(config, foreign, "--serial", "OTHER0000009")["serial"] == "OTHER0000009"
    assert imported(config, stick(tmp_path, attlog(count=3)))["serial"] == SERIAL, "as last read"


def test_punches_that_are_known_of_another_terminal_are_refused_under_any_name(tmp_path: Path) -> None:
    config, file = edge_toml(tmp_path), stick(tmp_path, attlog())
    imported(config, file, "--serial", SERIAL)
    code, told = refused(config, file, "--serial", "OTHER0000009", terminal="aula")
    assert code == 1
    assert f"30 of 30 punches looked at are known of terminal {SERIAL} (known as lobi)" in told


def test_a_few_punches_in_common_are_chance(tmp_path: Path) -> None:
    """Two terminals of different offices have the same pins: now and then the same second, too."""
    config = edge_toml(tmp_path)
    imported(config, stick(tmp_path, attlog(count=3)), "--serial", SERIAL)
    other = imported(config, stick(tmp_path, attlog(count=30)), "--serial", "OTHER0000009", terminal="aula")
    assert other["new"] == 30


def test_rows_of_a_central_export_go_to_their_own_terminal_only(tmp_path: Path) -> None:
    rows = "".join(f"{n};2026-01-05 07:30:{n:02};{'AAA111' if n % 2 else 'BBB222'}\n" for n in range(1, 21))
    config, file = edge_toml(tmp_path), stick(tmp_path, "PIN;Waktu;SN\n" + rows, "scanlog.csv")
    result = imported(config, file, "--serial", "AAA111")
    assert (result["read"], result["left_out"]) == (10, 10)
    assert (
        "its rows are of terminal AAA111, BBB222, none of CCC333"
        in refused(config, file, "--serial", "CCC333")[1]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no serial number was ever read from terminal lobi"),
        (["--terminal", "lobby"], 2, "no terminal 'lobby' in the settings; there are: lobi, aula"),
        (["--dates", "ymd"], 2, "should be dmy"),
        (["--columns", "pin,tiem"], 2, "--columns pin,tiem"),
        (["--serial", "a b"], 2, "--serial a b"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    told = refused(edge_toml(tmp_path), stick(tmp_path, attlog()), *arguments)
    assert told[0] == code
    assert words in told[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "1_attlog.dat: is empty"),
        ("PIN;Waktu\n9;05/01/2026 07:30:15\n", "--dates dmy"),
        ("x\n", "no line of it"),
    ],
)
def test_a_file_that_cannot_be_used_fails_with_what_is_right(
    tmp_path: Path, content: str, words: str
) -> None:
    code, told = refused(edge_toml(tmp_path), stick(tmp_path, content), "--serial", SERIAL)
    assert code == 1
    assert words in told


def test_a_job_that_was_handed_in_before_a_crash_is_done_by_the_next_edge(tmp_path: Path) -> None:
    """The stick is back in a pocket by then."""
    config, file = edge_toml(tmp_path), stick(tmp_path, attlog())
    state = tmp_path / "state"
    with Outbox(state / "outbox.db", edge="setda-01") as outbox:
        waiting = subprocess.Popen(
            [
                *HADIR,
                "import",
                "--config",
                str(config),
                "--terminal",
                "lobi",
                "--serial",
                SERIAL,
                str(file),
            ],
            stdin=subprocess.DEVNULL,
        )
        try:
            until(lambda: len(list((state / FOLDER).glob("*.order"))) == 1, "the job is handed in")
        finally:
            waiting.kill()
            waiting.wait()
        assert outbox.queued() == 0
        Imports(load_edge(config), outbox, SystemClock()).work_off()
        assert outbox.queued() == 30


def test_a_terminal_that_the_running_edge_has_not_read_of_yet_is_told(tmp_path: Path) -> None:
    """The file was edited, the service was not restarted."""
    before = load_edge(edge_toml(tmp_path))
    after = edge_toml(tmp_path, lobi='driver = "file"\n[[terminal]]\nid = "pustu"\ndriver = "file"')
    with Outbox(tmp_path / "state" / "outbox.db", edge="setda-01") as outbox, ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        edge = pool.submit(Imports(before, outbox, SystemClock()).run, stop)
        code, told = refused(after, stick(tmp_path, attlog()), "--serial", SERIAL, terminal="pustu")
        stop.set()
        edge.result()
    assert code == 1
    assert "does not know terminal pustu yet: restart it" in told


def test_an_outbox_that_is_kept_busy_is_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    config, file = edge_toml(tmp_path), stick(tmp_path, attlog())
    with Outbox(tmp_path / "state" / "outbox.db", edge="setda-01"):
        code, told = refused(config, file, "--serial", SERIAL, "--timeout", "0.3")
    assert code == 1
    assert "in use by another hadir (pid " in told
    assert list((tmp_path / "state" / FOLDER).iterdir()) == []


def test_what_root_imports_belongs_to_the_service(tmp_path: Path) -> None:
    """Else the edge could not open its own outbox any more."""
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    imported(edge_toml(tmp_path), stick(tmp_path, attlog()), "--serial", SERIAL)
    assert {path.stat().st_uid for path in state.rglob("*")} == {state.stat().st_uid}


def test_a_month_of_a_large_office_needs_little_memory(tmp_path: Path) -> None:
    """A box beside the terminals has little: 200,000 lines, with 300 MB of address space to spend."""
    lines = (
        f"{1000 + n % 2000:>9}\t2026-01-{1 + n // 9000:02} "
        f"{7 + n % 9000 // 3600:02}:{n // 60 % 60:02}:{n % 60:02}\t1\t0\t1\t0\r\n"
        for n in range(200_000)
    )
    file = tmp_path / "1_attlog.dat"
    with file.open("w", newline="") as out:
        out.writelines(lines)
    command = [
        *HADIR,
        "import",
        "--config",
        str(edge_toml(tmp_path)),
        "--terminal",
        "lobi",
        "--serial",
        SERIAL,
    ]
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -v 300000; exec "$@"', "sh", *command, "--json", str(file)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] == 200_000
    with sqlite3.connect(tmp_path / "state" / "outbox.db") as connection:
        assert connection.execute("SELECT count(*) FROM entry").fetchone() == (200_000,)
    connection.close()
