"""`hadir simulate --push`: terminals that dial in, from the command line, against the real receiver."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from centre import until
from daemon.main import main
from daemon.simulated_push import _address
from drivers.zk_push.simulated_lines import FlagForm, LineForm, wants_people
from drivers.zk_push.simulator import Fault, PushFirmware, drain
from drivers.zk_push.switch_table import PERSONALITIES
from mosquitto import free_port
from program import run_hadir
from pushing import SERIAL, filled, receiving

ONCE = ("--push-once", "--users", "8", "--records", "120", "--json")


@pytest.mark.parametrize(
    "switches",
    [
        (),
        ("--push-version", "1.0"),
        ("--push-lines", "keyed", "--push-crlf"),
        ("--push-lines", "wide", "--push-batch", "7"),
        ("--push-lines", "numbered"),
        ("--push-duplicates", "9"),
        ("--push-reset", "--push-reboot", "--push-cut"),
        ("--push-suffix", ".aspx", "--push-encoding", "gbk", "--push-no-serial"),
        ("--push-speed", "20000"),
        ("--push-stamps", "honour", "--push-bare-ok", "--push-discards-on-500"),
    ],
    ids=" ".join,
)
def test_every_punch_arrives_once_whatever_the_terminal_is_like(
    tmp_path: Path, switches: tuple[str, ...]
) -> None:
    with receiving(tmp_path) as running:
        url = f"http://127.0.0.1:{running.port}/kunci/"
        done = run_hadir("simulate", "--push", url, "--serial", SERIAL, *ONCE, *switches)
        assert done.returncode == 0, done.stderr
        last = json.loads(done.stdout.splitlines()[-1])
        found = [(punch.pin, punch.wall) for punch in running.punches()]
        assert not running.bad()
    stored = 120 + (9 if "--push-duplicates" in switches else 0)
    assert last == {"serial": SERIAL, "registered": True, "stored": stored, "waiting": 0, "lost": 0}
    assert len(found) == len(set(found)) == 120


def test_a_terminal_with_access_control_is_not_let_in(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        assert not running.terminal(PERSONALITIES["3.1"]).handshake()
        assert running.terminal(PERSONALITIES["2.4"]).handshake()


def test_once_says_how_many_still_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daemon.simulated_push.ONCE_WITHIN_S", 0.3)
    url = f"http://127.0.0.1:{free_port()}/"
    assert main(["simulate", "--push", url, "--push-once", "--terminals", "2", "--records", "40"]) == 1
    told = capsys.readouterr()
    assert f"{url}: 80 punches still wait" in told.err
    assert "SIM0000000002: not let in, 40 records, 40 wait, 0 lost" in told.out


def test_times_as_bare_numbers_are_evidence_and_no_punch(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        url = f"http://127.0.0.1:{running.port}/"
        done = run_hadir("simulate", "--push", url, "--serial", SERIAL, *ONCE, "--push-lines", "epoch")
        assert done.returncode == 0, done.stderr
        assert len(running.bad()) == 120
        assert not running.punches()


def test_people_punch_at_it_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        command = [
            sys.executable,
            "-P",
            "-m",
            "daemon",
            "simulate",
            "--push",
            f"http://127.0.0.1:{running.port}/",
        ]
        command += ["--serial", SERIAL, "--users", "3", "--records", "0", "--punch-rate", "20"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                until(lambda: len(running.punches()) >= 3, "three punches")
                process.terminate()
                assert process.wait(timeout=30) == 0
                assert process.stdout is not None
                assert process.stdout.readline().startswith(f"{SERIAL}: let in, ")
            finally:
                process.kill()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--push", "127.0.0.1:8081"], "--push 127.0.0.1:8081: should be an address"),
        (["--push", "http://127.0.0.1:port/"], "should be an address"),
        (["--push-reset"], "--push URL is missing"),
        (
            ["--push", "http://127.0.0.1:1/", "--merge-frames"],
            "--push goes with the --push-... switches only",
        ),
        (
            ["--push", "http://127.0.0.1:1/", "--push-lines", "round"],
            "--push-lines round: should be one of plain",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: list[str], complaint: str) -> None:
    done = run_hadir("simulate", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_address_is_what_a_technician_types() -> None:
    assert _address("http://192.0.2.1")[:2] == (("192.0.2.1", 80), "/iclock/")
    assert _address("https://edge.example/dinas/")[:2] == (("edge.example", 443), "/dinas/iclock/")
    assert _address("http://192.0.2.1:8081/ICLOCK/")[1] == "/ICLOCK/"
    assert _address("https://edge.example")[2] is not None


def test_a_log_that_is_full_loses_what_nobody_had_and_only_that(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(PushFirmware(capacity=30)), 40)
        assert (len(terminal.log), terminal.waiting, terminal.lost) == (30, 30, 10)
        assert drain([terminal])
        filled(terminal, 20)
        assert (len(terminal.log), terminal.waiting, terminal.lost) == (30, 20, 10)
        assert drain([terminal])
        assert len(running.punches()) == 40


def test_a_terminal_that_restarts_in_an_upload_begins_anew_and_nothing_counts_twice(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        terminal = filled(running.terminal(PushFirmware(batch=10)), 10)
        assert drain([terminal])
        filled(terminal, 30)
        terminal.faults = [Fault.REBOOT]
        assert not terminal.upload()
        assert (terminal.registered, terminal.waiting) == (False, 40)
        assert drain([terminal])
        assert len(running.punches()) == 30


@pytest.mark.parametrize(
    ("form", "flag", "wanted"),
    [
        (FlagForm.NAMES, "TransData AttLog\tOpLog\tEnrollUser", True),
        (FlagForm.NAMES, "TransData AttLog\tOpLog", False),
        (FlagForm.NAMES, "1111111111", False),
        (FlagForm.BITS, "1111100000", True),
        (FlagForm.BITS, "1110000000", False),
        (FlagForm.BITS, "TransData AttLog\tOpLog\tEnrollUser", False),
    ],
)
def test_people_are_told_of_where_the_server_asks_in_words_that_the_firmware_reads(
    form: FlagForm, flag: str, wanted: object
) -> None:
    assert wants_people(form, flag) is wanted


def test_every_form_of_a_line_is_another(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        lines = {filled(running.terminal(PushFirmware(lines=form)), 1).log[0].line for form in LineForm}
    assert len(lines) == len(LineForm)
