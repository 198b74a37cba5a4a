"""A terminal that dials in, on real parts: edge process, Mosquitto, centre process, database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from drivers.zk_push.simulator import Fault, PushTerminal, drain
from mosquitto import free_port, running_mosquitto
from program import Process, eventually, query, run_hadir, running_hadir, stored_identities, write_central
from terminals import running_terminal

SERIAL = "SIM0000000001"
START = datetime(2026, 1, 5, 7, 30)


def write_push_edge(folder: Path, broker: int, listen: int, extra: str = "") -> Path:
    """edge.toml with one terminal that dials in."""
    path = folder / "edge.toml"
    path.write_text(
        f'[edge]\nid = "setda-01"\ntimezone = "Asia/Jakarta"\nstate_dir = "state"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker}\n'
        f'[push]\nlisten = "127.0.0.1:{listen}"\n'
        f'[[terminal]]\nid = "lobi"\ndriver = "zk-push"\nserial = "{SERIAL}"\n{extra}',
        encoding="utf-8",
    )
    return path


@contextmanager
def central(folder: Path, url: str, port: int) -> Iterator[Process]:
    """The centre, with its tables there."""
    settings = write_central(folder, url, port)
    assert run_hadir("central", "init", "--config", settings).returncode == 0
    with running_hadir("central", "run", "--config", settings, log=folder / "central.log") as process:
        yield process


def test_pushed_punches_reach_the_view_once_beside_polled_copies(database_url: str, tmp_path: Path) -> None:
    """One terminal, two ways: the person was there once."""
    port = free_port()
    with (
        running_mosquitto() as broker,
        running_terminal(users=10, records=60) as polled,
        central(tmp_path, database_url, broker.port) as centre,
    ):
        assert polled.terminal.serial == SERIAL
        terminal = PushTerminal(serial=SERIAL, address=("127.0.0.1", port))
        for number in range(60):
            terminal.punch(
                str(1001 + number % 10), at=START + timedelta(minutes=number), state=number % 2, verify=1
            )
        terminal.faults = [Fault.RESET_BEFORE_REPLY]
        edge = write_push_edge(tmp_path, broker.port, port)
        with running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process:
            eventually(terminal.handshake, what=f"the receiver answers: {process.log}")
            assert not terminal.upload()
            assert drain([terminal])
            eventually(
                lambda: len(stored_identities(database_url)) == 60,
                what=f"delivery: {process.log}{centre.log}",
            )
            assert query(database_url, "SELECT DISTINCT source, terminal FROM v1_punch") == [("push", "lobi")]
            eventually(
                lambda: (
                    query(database_url, "SELECT state FROM v1_terminal WHERE terminal = 'lobi'")
                    == [("online",)]
                ),
                what="the terminal's health",
            )
            assert process.stop() == 0
            assert "Traceback" not in process.log
        pushed = stored_identities(database_url)
        polled_too = f'[[terminal]]\nid = "lobi-lan"\nhost = "127.0.0.1"\nport = {polled.port}\n'
        again = write_push_edge(tmp_path, broker.port, port, extra=polled_too)
        done = run_hadir("edge", "run", "--config", again, "--once")
        assert done.returncode == 0, done.stderr
        assert " 0 new records" in done.stdout, "the same identity and codes: nothing new to send"
        assert stored_identities(database_url) == pushed
        assert centre.stop() == 0


@pytest.mark.parametrize("kill", ["edge", "centre"])
def test_kill_dash_nine_on_the_way_loses_no_pushed_punch(tmp_path: Path, kill: str) -> None:
    """Power cuts while a terminal is sending: it sends again, and every punch is there once."""
    url, port = f"sqlite:///{tmp_path}/central.db", free_port()
    terminal = PushTerminal(serial=SERIAL, address=("127.0.0.1", port))
    with running_mosquitto() as broker:
        edge = write_push_edge(tmp_path, broker.port, port)
        for round_ in range(2):
            with (
                central(tmp_path, url, broker.port) as centre,
                running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process,
            ):
                eventually(terminal.handshake, what="the receiver answers")
                for second in range(200):
                    terminal.punch("1001", at=START + timedelta(hours=round_, seconds=second))
                terminal.faults = [Fault.CUT_BODY, Fault.RESET_BEFORE_REPLY]
                terminal.upload()
                terminal.upload()
                (process if kill == "edge" else centre).kill()
                terminal.upload()
        with (
            central(tmp_path, url, broker.port),
            running_hadir("edge", "run", "--config", edge, log=tmp_path / "edge.log") as process,
        ):
            eventually(lambda: drain([terminal]), what="the rest is sent")
            eventually(lambda: len(stored_identities(url)) == 400, what=f"delivery: {process.log}")
            identities = stored_identities(url)
            assert len(set(identities)) == len(identities)


def test_once_passes_terminals_over_that_dial_in(tmp_path: Path) -> None:
    """`--once` cannot make them call; it must neither wait for them nor fail."""
    with running_mosquitto() as broker:
        edge = write_push_edge(tmp_path, broker.port, free_port())
        done = run_hadir("edge", "run", "--config", edge, "--once")
        assert done.returncode == 0, done.stderr
        assert "lobi is passed over" in done.stderr
        assert done.stdout.startswith("0 terminals read")
        assert not (tmp_path / "state" / "push.db").exists()


def test_a_terminal_that_could_never_be_heard_is_told_of(tmp_path: Path) -> None:
    """Without [push] nobody listens; the technician must not wait a week to find out."""
    with running_mosquitto() as broker:
        path = write_push_edge(tmp_path, broker.port, free_port())
        path.write_text(path.read_text().replace("listen", "# listen"))
        with running_hadir("edge", "run", "--config", path, log=tmp_path / "edge.log") as process:
            eventually(lambda: "there is no listen in [push]" in process.log, what=process.log)
            assert process.stop() == 0
