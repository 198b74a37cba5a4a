"""The small parts of the daemon: back-off, schedule, systemd, supervised threads, the command line."""

import logging
import socket
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.clock import SystemClock
from attendance.errors import ConfigError, DatabaseUnavailable
from attendance.terminal import Terminal
from daemon import heartbeat, logs, main, notify
from daemon.backoff import delay
from daemon.schedule import Schedule
from daemon.threads import Supervised
from drivers.zk.driver import ZkDriver

FIRST, LONGEST = timedelta(seconds=1), timedelta(minutes=10)


class QuickClock(SystemClock):
    """The host's clock, except that waiting takes no time and each wait moves `now` by `step`."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.ahead = timedelta(0)
        self.step = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        self.ahead += self.step
        return event.is_set()


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_back_off_stays_between_half_the_first_and_the_longest(failures: int, chance: float) -> None:
    assert FIRST / 2 <= delay(failures, first=FIRST, longest=LONGEST, chance=chance) <= LONGEST


def test_back_off_doubles() -> None:
    pauses = [delay(n, first=FIRST, longest=LONGEST, chance=1) for n in (1, 2, 3, 99)]
    assert [pause.total_seconds() for pause in pauses] == [1, 2, 4, 600]


def test_every_terminal_gets_its_turn_and_again_after_a_clock_step() -> None:
    """An edge without a clock battery starts in 1970 and jumps when the network comes: polling must go on."""
    called = {name: threading.Event() for name in ("lobi", "belakang")}
    schedule = Schedule()
    for name, event in called.items():
        schedule.every(name, timedelta(milliseconds=100), event.set)
    schedule.start()
    try:
        assert all(event.wait(20) for event in called.values())
        for event in called.values():
            event.clear()
        schedule.clock_stepped()
        assert all(event.wait(20) for event in called.values())
    finally:
        schedule.stop()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """Without READY=1 a Type=notify service is killed as one that never started."""
    address = f"@hadir-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify.notify(READY="1", STATUS="3 entries wait")
        assert systemd.recv(200) == b"READY=1\nSTATUS=3 entries wait"


def test_without_systemd_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.notify(READY="1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.notify(READY="1")


def test_watchdog_interval_is_half_and_only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "90000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert notify.watchdog_interval() == timedelta(seconds=45)
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert notify.watchdog_interval() is None


def test_the_heartbeat_notices_that_the_clock_was_set() -> None:
    """APScheduler's next runs are in wall time: after a step they would come hours late, or all at once."""
    clock, stop, stepped = QuickClock(), threading.Event(), threading.Event()

    def status() -> str:
        if len(clock.waits) == 2:
            clock.step = timedelta(hours=3)
        if stepped.is_set() or len(clock.waits) > 10:
            stop.set()
        return "fine"

    heartbeat.beat_until(stop, clock, status=status, alive=lambda: True, clock_stepped=stepped.set)
    assert stepped.is_set()


def test_the_heartbeat_ends_with_what_it_cannot_do_without() -> None:
    """A centre whose embedded broker died must end and be started anew, not sit there looking well."""
    heartbeat.beat_until(
        threading.Event(), QuickClock(), status=lambda: "fine", alive=lambda: True, over=lambda: True
    )


def test_a_thread_that_fails_is_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    """One bug in one poll must not silence a terminal until the next restart."""
    stop, runs = threading.Event(), []

    def work(_stop: threading.Event) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise DatabaseUnavailable("database is locked")
        if len(runs) == 2:
            raise RuntimeError("a bug")

    thread = Supervised("ingest", work, stop, QuickClock())
    thread.start()
    assert thread.join(20)
    assert len(runs) == 3
    assert [record.exc_info is not None for record in caplog.records] == [False, True]


def test_journal_lines_carry_their_priority() -> None:
    record = logging.LogRecord("daemon", logging.WARNING, __file__, 1, "terminal lost\nagain", None, None)
    assert logs.JournalFormatter("%(message)s").format(record) == "<4>terminal lost\n<4>again"


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On an edge box `hadir score` has no database library: say what to install, not a traceback."""

    class Broken:
        """A parser whose command needs what is not there."""

        def parse_args(self, _argv: object) -> object:
            raise ModuleNotFoundError("No module named 'sqlalchemy.orm'", name="sqlalchemy.orm")

    monkeypatch.setattr(main, "_parser", Broken)
    assert main.main([]) == 2
    assert "pip install 'hadir[central]'" in capsys.readouterr().err


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([command, "--help"])
    assert ended.value.code == 0
    assert command in capsys.readouterr().out


def test_every_action_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """The contract: every command's --help has one."""
    for words in (["edge", "run"], ["central", "run"], ["central", "init"], ["config", "check"], ["demo"]):
        with pytest.raises(SystemExit):
            main.main([*words, "--help"])
        assert f"example: hadir {' '.join(words)}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the following arguments are required: COMMAND; see hadir --help"),
        (["--bogus"], "the following arguments are required: COMMAND; see hadir --help"),
        (["edge"], "the following arguments are required: ACTION; see hadir edge --help"),
        (["edge", "run"], "the following arguments are required: --config; see hadir edge run --help"),
        (
            ["edge", "run", "--config", "x", "--twice"],
            "unrecognized arguments: --twice; see hadir edge run --help",
        ),
        (
            ["edge", "run", "--config", "x", "--timeout"],
            "argument --timeout: expected one argument; see hadir edge run --help",
        ),
        (
            ["config", "check", "x", "two\nlines"],
            "unrecognized arguments: two lines; see hadir config check --help",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_help_is(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that logs the first line of stderr must log what was wrong."""
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"hadir: {says}\n"


def test_config_init_prints_a_file_that_check_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("edge", "central"):
        assert main.main(["config", "init", kind]) == 0
        path = tmp_path / f"{kind}.toml"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        assert main.main(["config", "check", str(path)]) == 0
        assert f"right ({kind}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [("config", "check"), ("central", "init", "--config"), ("central", "run", "--config")]
)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[scoring]\npolicy = "tulangbawang"\n', "no policy is called 'tulangbawang'; the nearest"),
        ('[scoring]\npolicy = "gone.toml"\n', "gone.toml"),
    ],
)
def test_a_policy_that_cannot_be_scored_with_is_told_before_the_month_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], text: str, says: str
) -> None:
    path = tmp_path / "central.toml"
    path.write_text(f'{text}[database]\nurl = "sqlite:///{tmp_path}/central.db"\n', encoding="utf-8")
    assert main.main([*command, str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hadir: {tmp_path}")
    assert says in line
    assert not (tmp_path / "central.db").exists()


def test_check_names_a_terminal_that_its_driver_can_never_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_self: ZkDriver, terminal: Terminal, _options: object) -> None:
        raise ConfigError(f"terminal {terminal.id}: never")

    monkeypatch.setattr(ZkDriver, "check", never)
    path = tmp_path / "edge.toml"
    path.write_text('[edge]\nid = "a"\n[[terminal]]\nid = "lobi"\nhost = "h"\n', encoding="utf-8")
    assert main.main(["config", "check", str(path)]) == 2
    assert capsys.readouterr().err == f"hadir: {path}: terminal lobi: never\n"


def test_an_impossible_port_is_wrong_usage_and_not_a_terminal_that_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["terminal", "probe", "127.0.0.1:99999"]) == 2
    assert "'127.0.0.1:99999' is no address" in capsys.readouterr().err
