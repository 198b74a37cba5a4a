"""A terminal's log is cleared only when the centre has all of it, once, and never blindly again.

What breaks here takes pay from people: a record that is cleared before it is at the centre is gone.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attendance.errors import DeviceTimeout
from attendance.terminal import Sizes
from clearing import RECORDS, SERIAL, Build, Hooked, Site, nothing, sites
from daemon.clearing import Clearing, NotCleared
from drivers.table import driver_named
from drivers.zk.commands import Command
from drivers.zk.session import ZkSession
from drivers.zk.simulator.faults import PunchAfter, Refuse
from drivers.zk.simulator.firmware import KINDS, TFT
from terminals import START, StillClock


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    with sites(tmp_path) as build:
        yield build


# -- what must come about


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_full_log_that_the_centre_has_is_cleared_and_told_once(build: Build, kind: str) -> None:
    site = build(firmware=KINDS[kind])
    site.poll()
    assert site.terminal.record_count == RECORDS
    site.acknowledge()
    site.poll()
    assert (site.terminal.record_count, site.terminal.clearings) == (0, 1)
    (event,) = site.cleared_events()
    assert (event.source, event.detail) == ("hadir", f"{RECORDS} records, all of them at the centre")
    assert site.mark is None
    assert site.terminal.enabled


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_after_a_clear_reading_begins_anew_and_covers_what_it_reads(
    build: Build, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the old cursor the first punches after it would be passed over, or the day never be covered."""
    site = build(firmware=KINDS[kind])
    site.read_and_acknowledge()
    site.poll()
    for minute in range(3):
        site.terminal.punch("1003", at=START.replace(day=6, minute=minute))
    assert site.poll() == 3
    assert {f"2026-01-06T07:0{minute}:00" for minute in range(3)} <= site.walls()
    coverage = [mark for batch in site.batches() for mark in batch.coverage]
    assert (coverage[0].records, coverage[-1].records) == (RECORDS, 3)
    assert site.terminal.clearings == 1
    # Nobody else is suspected of it.
    assert {one.kind for one in site.events_of_hadir()} - {"log_filling"} == {"log_cleared"}
    assert "log_changed" not in {getattr(record, "action", "") for record in caplog.records}


def test_a_command_clears_whatever_the_policy_and_the_fill(build: Build) -> None:
    site = build(clear="never", capacity=100_000)
    site.read_and_acknowledge()
    assert site.clear_by_command() == RECORDS
    assert site.terminal.record_count == 0
    with pytest.raises(NotCleared, match="the log is empty"):
        site.clear_by_command()


def test_bad_records_are_no_obstacle_once_the_centre_has_them(build: Build) -> None:
    """One impossible date would otherwise keep a terminal full for ever."""
    site = build()
    bad = bytearray(site.terminal.log()[:40])
    bad[27:31] = ((1 * 31 + 30) * 86400).to_bytes(4, "little")
    site.terminal.add_raw_record(bytes(bad))
    site.read_and_acknowledge()
    site.poll()
    assert site.terminal.record_count == 0


def test_a_terminal_that_lets_people_punch_while_held_loses_no_punch(build: Build) -> None:
    """Between the last look and the command somebody punches: the event tells of what the log loses."""
    site = build(firmware=replace(TFT, locks=False))
    site.read_and_acknowledge()
    late = START.replace(day=9)

    def punch(_session: ZkSession) -> None:
        site.terminal.punch("1007", at=late)

    Hooked.before_clear = staticmethod(punch)
    site.poll()
    assert site.terminal.record_count == 0
    assert late.isoformat() in site.walls()


def test_a_punch_told_before_the_reply_is_kept_even_if_nothing_can_be_asked_after_it(build: Build) -> None:
    site = build(firmware=replace(TFT, locks=False))
    site.read_and_acknowledge()
    late = START.replace(day=9)

    def lost(_sizes: object = None) -> Sizes:
        raise DeviceTimeout("no answer")

    def punch_and_fall_silent(session: ZkSession) -> None:
        site.terminal.punch("1007", at=late)
        session.read_sizes = lost  # type: ignore[method-assign]

    Hooked.before_clear = staticmethod(punch_and_fall_silent)
    with pytest.raises(DeviceTimeout):
        site.poll()
    assert late.isoformat() in site.walls()
    assert site.mark is not None
    Hooked.before_clear = staticmethod(nothing)
    site.poll()
    assert (site.mark, site.terminal.clearings, len(site.cleared_events())) == (None, 1, 1)


def test_people_cannot_punch_between_the_last_look_and_the_command(build: Build) -> None:
    held: list[bool] = []
    site = build()
    site.read_and_acknowledge()
    Hooked.before_clear = staticmethod(lambda _session: held.append(site.terminal.enabled))
    site.poll()
    assert held == [False]
    assert site.terminal.enabled


@pytest.mark.parametrize("code", [65535, 2001])
def test_a_terminal_that_will_not_be_held_still_is_cleared_all_the_same(build: Build, code: int) -> None:
    site = build(faults=[Refuse(code, Command.DISABLE_DEVICE)])
    site.read_and_acknowledge()
    site.poll()
    assert site.terminal.record_count == 0


# -- what must not


def stays(site: Site, words: str) -> None:
    """A clear is refused for this reason, and nothing has changed."""
    with pytest.raises(NotCleared, match=words):
        site.clear_by_command()
    assert site.terminal.clearings == 0
    assert site.mark is None
    assert site.cleared_events() == []
    assert site.terminal.enabled


@pytest.mark.parametrize("kind", ["40", "22", "8b", "mixed"])
def test_not_without_a_receipt(build: Build, kind: str) -> None:
    site = build(firmware=KINDS[kind])
    site.poll()
    stays(site, "not acknowledged by the centre")
    site.outbox.seal()
    stays(site, "not acknowledged by the centre")


@pytest.mark.parametrize("kind", ["40", "22"])
def test_not_when_a_single_record_lacks_its_receipt(build: Build, kind: str) -> None:
    site = build(firmware=KINDS[kind])
    site.read_and_acknowledge()
    site.terminal.punch("1001", at=START.replace(day=8))
    site.poll()
    stays(site, "^1 of 41 records looked at are not acknowledged")


def test_not_when_the_outbox_does_not_know_a_record(build: Build) -> None:
    """What was read into an outbox that is lost may be at the centre; nobody here can know."""
    site = build()
    stays(site, "40 of 40 records looked at are not acknowledged")


def test_not_when_a_bad_record_lacks_its_receipt(build: Build) -> None:
    site = build()
    site.read_and_acknowledge()
    site.terminal.add_raw_record(b"\xff" * 40)
    stays(site, "1 of 41 records")


def test_not_when_the_receipt_was_for_the_machine_that_stood_there_before(build: Build) -> None:
    """The same people and times at another machine are other punches."""
    site = build()
    site.read_and_acknowledge()
    site.terminal.options["~SerialNumber"] = "SIM0000000002"
    with (
        site.line.driver.open(site.running.as_configured()) as session,
        pytest.raises(NotCleared, match="40 of 40"),
    ):
        site.clearing.clear(session, "SIM0000000002")


@pytest.mark.parametrize(
    ("after", "words"),
    [(Command.FREE_DATA, "the log changed while"), (Command.DISABLE_DEVICE, "somebody punched while")],
)
@pytest.mark.parametrize("room", [5, 0], ids=["the count moves", "the oldest is overwritten"])
@pytest.mark.parametrize("kind", ["40", "16"])
def test_not_when_somebody_punches_meanwhile(
    build: Build, after: Command, words: str, room: int, kind: str
) -> None:
    """In a full log the count stands still while a new record takes the oldest one's place."""
    firmware = replace(KINDS[kind], inline_bytes=64)
    site = build(firmware=firmware, capacity=RECORDS + room)
    site.read_and_acknowledge()
    site.running.server.faults = [PunchAfter(after, "1009")]
    stays(site, words)


@pytest.mark.parametrize("room", [5, 0])
@pytest.mark.parametrize("after", [Command.FREE_DATA, Command.DISABLE_DEVICE])
def test_not_when_somebody_punches_while_uids_are_looked_up(build: Build, room: int, after: Command) -> None:
    site = build(firmware=replace(KINDS["8b"], inline_bytes=64), capacity=RECORDS + room)
    site.read_and_acknowledge()
    site.running.server.faults = [PunchAfter(after, "1009")]
    stays(site, "somebody punched while|not acknowledged")


@pytest.mark.parametrize("room", [5, 0])
def test_not_when_somebody_punches_while_a_whole_log_is_read_again(build: Build, room: int) -> None:
    site = build(firmware=KINDS["22"], capacity=RECORDS + room)
    site.read_and_acknowledge()
    site.running.server.faults = [PunchAfter(Command.DISABLE_DEVICE, "1009")]
    stays(site, "somebody punched while")


def test_not_when_the_count_lies(build: Build) -> None:
    """A lost reply could never be understood from such a count."""
    site = build()
    site.read_and_acknowledge()
    site.terminal.shown_records = 0
    stays(site, "counts 0 and holds 40")


class HastyClock(StillClock):
    """Between any two looks at it minutes pass."""

    def monotonic(self) -> float:
        self.counter += 400
        return self.counter


def test_not_when_the_last_look_outlasts_the_hold(build: Build) -> None:
    site = build()
    site.read_and_acknowledge()
    site.clearing = Clearing(site.settings, site.keeper, site.outbox, HastyClock())
    stays(site, "took so long")


def test_a_refusal_is_final_and_says_its_number(build: Build) -> None:
    site = build(faults=[Refuse(2001, Command.CLEAR_ATTLOG)])
    site.read_and_acknowledge()
    stays(site, "2001")


def test_an_acknowledgement_without_an_effect_is_found_out(build: Build) -> None:
    site = build(faults=[Refuse(2000, Command.CLEAR_ATTLOG)])
    site.read_and_acknowledge()
    stays(site, "holds as much as before")


def test_a_driver_that_cannot_is_refused_in_one_line(build: Build) -> None:
    site = build()
    opened = driver_named("pyzk").open(site.running.as_configured())
    with opened as session, pytest.raises(NotCleared, match="this driver clears no log"):
        site.clearing.clear(session, SERIAL)
