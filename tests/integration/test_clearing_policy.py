"""When a log is cleared by itself, and what is done when a reply is lost or the power fails."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attendance.errors import ConfigError, DeviceError, DeviceTimeout
from attendance.terminal import Sizes
from clearing import RECORDS, ROOT, SERIAL, Build, Hooked, Site, nothing, sites
from config.load import load_edge
from config.model import TerminalSettings
from daemon.clearing import AGAIN_AFTER, NotCleared, due
from drivers.zk.commands import Command
from drivers.zk.session import ZkSession
from drivers.zk.simulator.faults import LoseReply, Refuse
from program import eventually
from sync.outbox import Outbox
from terminals import START


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    with sites(tmp_path) as build:
        yield build


# -- the policy


@pytest.mark.parametrize(
    ("policy", "at", "records", "capacity", "wanted"),
    [
        ("never", 1, 100, 100, "no"),
        ("when-full", 80, 79, 100, "no"),
        ("when-full", 80, 80, 100, "yes"),
        ("when-full", 100, 99, 100, "no"),
        ("when-full", 100, 100, 100, "yes"),
        ("when-full", 80, None, 100, "no"),
        ("when-full", 80, 100, None, "no"),
        ("when-full", 1, 0, 100, "no"),
    ],
)
def test_when_a_log_is_due(
    policy: str, at: int, records: int | None, capacity: int | None, wanted: str
) -> None:
    settings = TerminalSettings.model_validate({"id": "x", "host": "x", "clear": policy, "clear_at": at})
    assert due(settings, Sizes(records=records, record_capacity=capacity)) == (wanted == "yes")


def test_without_being_told_nothing_is_ever_cleared(build: Build) -> None:
    site = build(clear="never", capacity=RECORDS)
    site.read_and_acknowledge()
    site.poll()
    assert site.terminal.record_count == RECORDS


def test_a_clear_that_was_refused_is_not_tried_at_every_poll(build: Build) -> None:
    """Each try reads the whole log, and people wait at the door meanwhile."""
    site = build(faults=[Refuse(2001, Command.CLEAR_ATTLOG)])
    site.read_and_acknowledge()
    site.poll()
    site.poll()
    assert Hooked.tries == 1
    site.clock.advance(AGAIN_AFTER.total_seconds())
    site.poll()
    assert Hooked.tries == 2


def test_the_policy_reads_nothing_while_the_centre_is_behind(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    site = build()
    site.poll()
    site.poll()
    site.poll()
    assert Hooked.tries == 0
    assert [record.message for record in caplog.records if "once the centre" in record.message] == [
        "terminal lobi: its log is to be cleared, once the centre has acknowledged all of it"
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('clear = "always"', "clear"),
        ("clear_at = 0", "clear_at"),
        ("clear_at = 101", "clear_at"),
        ('driver = "pyzk"\nclear = "when-full"', 'needs driver = "zk"'),
    ],
)
def test_a_policy_that_cannot_work_is_refused_at_the_start(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(f'[edge]\nid = "e"\n[[terminal]]\nid = "lobi"\nhost = "x"\n{lines}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        load_edge(path)


# -- a reply that is lost


def test_a_lost_reply_of_a_clear_that_took_place_is_told_once_and_never_repeated(build: Build) -> None:
    site = build(faults=[LoseReply(Command.CLEAR_ATTLOG)])
    site.read_and_acknowledge()
    with pytest.raises(DeviceError):
        site.poll()
    assert site.mark is not None
    assert site.cleared_events() == []
    site.running.server.faults = []
    site.terminal.enable()  # by the time-out of the hold
    site.terminal.punch("1001", at=START.replace(day=7))
    assert site.poll() == 1
    assert len(site.cleared_events()) == 1
    site.acknowledge()
    site.poll()
    assert (site.terminal.clearings, site.terminal.record_count, len(site.cleared_events())) == (1, 1, 1)
    assert site.mark is None


def lose_the_request(_session: ZkSession) -> None:
    raise DeviceTimeout("no answer")


def test_a_lost_reply_of_a_clear_that_did_not_take_place_leads_to_every_check_anew(build: Build) -> None:
    site = build()
    site.read_and_acknowledge()
    Hooked.before_clear = staticmethod(lose_the_request)
    with pytest.raises(DeviceTimeout):
        site.poll()
    assert site.mark is not None
    Hooked.before_clear = staticmethod(nothing)
    site.terminal.punch("1001", at=START.replace(day=7))
    site.poll()
    site.acknowledge()
    site.poll()
    with pytest.raises(NotCleared, match="may still carry it out"):
        site.clear_by_command()
    assert site.mark is not None
    assert (site.terminal.clearings, site.terminal.record_count) == (0, RECORDS + 1)
    an_hour_later(site)
    site.poll()
    assert site.mark is None
    assert (site.terminal.clearings, len(site.cleared_events())) == (1, 1)


def an_hour_later(site: Site) -> None:
    mark = site.outbox.clearings.get("lobi", SERIAL)
    assert mark is not None
    site.outbox.clearings.put("lobi", replace(mark, at=mark.at - AGAIN_AFTER))


def test_a_terminal_that_clears_late_is_not_told_to_clear_again(build: Build) -> None:
    """It hung, and the command lay in its socket: a second one would destroy what was punched in between."""
    site = build()
    site.read_and_acknowledge()
    Hooked.before_clear = staticmethod(lose_the_request)
    with pytest.raises(DeviceTimeout):
        site.poll()
    Hooked.before_clear = staticmethod(nothing)
    site.poll()
    site.terminal.clear()
    site.terminal.punch("1001", at=START.replace(day=7))
    assert site.poll() == 1
    site.acknowledge()
    site.poll()
    assert (site.terminal.clearings, site.terminal.record_count, len(site.cleared_events())) == (1, 1, 1)


def test_a_command_after_a_lost_reply_finds_out_first(build: Build) -> None:
    site = build(faults=[LoseReply(Command.CLEAR_ATTLOG)], clear="never")
    site.read_and_acknowledge()
    with pytest.raises(DeviceError):
        site.clear_by_command()
    site.running.server.faults = []
    with pytest.raises(NotCleared, match="had been cleared before"):
        site.clear_by_command()
    assert site.terminal.clearings == 1


def test_a_count_that_is_not_told_decides_nothing(build: Build) -> None:
    site = build(faults=[LoseReply(Command.CLEAR_ATTLOG)])
    site.read_and_acknowledge()
    with pytest.raises(DeviceError):
        site.poll()
    assert site.clearing.resolve(SERIAL, Sizes()) is None
    assert site.clearing.resolve("SIM0000000002", Sizes(records=0)) is None
    assert site.mark is not None


_CLEAR = """
import sys
from datetime import timedelta
from pathlib import Path
from attendance.clock import SystemClock
from attendance.terminal import Terminal
from config.model import TerminalSettings
from daemon.clearing import Clearing
from daemon.keeper import Keeper
from drivers.zk.driver import ZkDriver
from sync.outbox import Outbox

settings = TerminalSettings(id="lobi", host="127.0.0.1", port=int(sys.argv[2]))
terminal = Terminal(id="lobi", host="127.0.0.1", port=settings.port, timeout=timedelta(minutes=5))
with Outbox(Path(sys.argv[1]), edge="e") as outbox, ZkDriver().open(terminal) as session:
    keeper = Keeper(settings, terminal, outbox, SystemClock())
    Clearing(settings, keeper, outbox, SystemClock()).clear(session, "SIM0000000001")
"""


@pytest.mark.parametrize(
    ("unanswered", "cleared"),
    [(Command.CLEAR_ATTLOG, 1), (Command.DISABLE_DEVICE, 0)],
    ids=["after", "before"],
)
def test_a_power_cut_around_the_command_leaves_a_mark_that_the_counts_explain(
    build: Build, tmp_path: Path, unanswered: Command, cleared: int
) -> None:
    """The process dies when the command has left, or just before: neither may lead to a blind one."""
    site = build()
    site.read_and_acknowledge()
    site.outbox.close()
    site.running.server.faults = [LoseReply(unanswered, ends=False)]
    command = [sys.executable, "-c", _CLEAR, str(tmp_path / "outbox.db"), str(site.running.port)]
    with subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}) as process:
        sign = (lambda: site.terminal.clearings) if cleared else (lambda: not site.terminal.enabled)
        eventually(sign, what="the terminal was asked")
        process.kill()
    site.running.server.faults = []
    with Outbox(tmp_path / "outbox.db", edge="e") as outbox:
        after = Site(site.running, outbox, tmp_path, clear="never")
        assert after.mark is not None
        after.poll()
        assert after.mark is None
        assert len(after.cleared_events()) == cleared
        assert after.terminal.clearings == cleared
        assert after.terminal.record_count == (0 if cleared else RECORDS)
