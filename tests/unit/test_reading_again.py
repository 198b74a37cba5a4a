"""A log that is read again, or not to its end: what was read counts, the rest is not vouched for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attendance.errors import DeviceUnreachable
from attendance.punch import BadRecord, RawPunch
from daemon.continuity import OVERLAP, PAGE
from daemon.reading import SAVE_EVERY
from ready_log import FIRST, NOON, ZONE, Bench, punch
from sync.outbox import Outbox

DAY_ONE = datetime(2026, 1, 5, tzinfo=ZONE).astimezone(UTC)
"""The midnight before the log's first record, which is of 07:00."""


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as opened:
        yield opened


def at(wall_time: datetime, pin: str = "1001") -> RawPunch:
    return punch(0, pin=pin)._replace(wall_time=wall_time)


# --- from when on a log tells everything: before that, nobody may be called absent -----------


def test_a_log_covers_from_its_first_morning(outbox: Outbox) -> None:
    bench = Bench(outbox, 40)
    bench.poll()
    assert bench.covered() == [(DAY_ONE, NOON)]


def test_a_log_that_begins_in_the_day_does_not_cover_that_morning(outbox: Outbox) -> None:
    """The technician cleared it at ten, and put hadir in at eleven: the morning's punches are gone."""
    bench = Bench(outbox, 0)
    ten = datetime(2026, 9, 4, 10, 0)
    bench.terminal.log = [at(ten), at(ten + timedelta(minutes=5))]
    bench.poll()
    assert bench.covered() == [(ten.replace(tzinfo=ZONE), NOON)]


def test_an_empty_log_covers_nothing_before_it_was_seen(outbox: Outbox) -> None:
    bench = Bench(outbox, 0)
    bench.poll()
    assert bench.covered() == [(NOON, NOON)]
    bench.now += timedelta(days=1)
    bench.terminal.log = [at(datetime(2026, 9, 5, 7, 0))]
    bench.poll()
    assert bench.covered()[-1] == (NOON, bench.now)


def test_a_full_log_covers_from_its_oldest_record(outbox: Outbox) -> None:
    """Older ones of the same day were written over."""
    bench = Bench(outbox, 50)
    bench.terminal.capacity = 50
    bench.poll()
    assert bench.covered() == [(FIRST.replace(tzinfo=ZONE), NOON)]


@pytest.mark.parametrize("no_tail", [False, True])
def test_a_log_that_others_cleared_begins_anew(outbox: Outbox, no_tail: bool) -> None:  # noqa: FBT001
    bench = Bench(outbox, 40)
    bench.terminal.no_tail = no_tail
    bench.poll()
    seven = datetime(2026, 9, 5, 7, 0)
    bench.terminal.log = [at(seven), at(seven + timedelta(minutes=1))]
    bench.now += timedelta(days=1)
    bench.poll()
    assert bench.covered() == [(DAY_ONE, NOON), (seven.replace(tzinfo=ZONE), bench.now)]


@pytest.mark.parametrize("no_tail", [False, True])
def test_a_full_log_that_still_holds_the_last_known_record_goes_on(
    outbox: Outbox,
    no_tail: bool,  # noqa: FBT001
) -> None:
    bench = Bench(outbox, 50)
    bench.terminal.no_tail = no_tail
    bench.poll()
    bench.terminal.capacity = 50
    bench.terminal.log = [*bench.terminal.log[10:], *(punch(number) for number in range(9000, 9010))]
    bench.now += timedelta(days=1)
    bench.poll()
    assert bench.covered()[-1] == (DAY_ONE, bench.now)
    bench.terminal.log = [punch(number) for number in range(10_000, 10_050)]
    bench.now += timedelta(days=1)
    bench.poll()
    assert bench.covered()[-1][0] == at(FIRST + timedelta(minutes=10_000)).wall_time.replace(tzinfo=ZONE)


def test_the_daily_proof_keeps_the_beginning(outbox: Outbox) -> None:
    bench = Bench(outbox, 40)
    for day in range(3):
        bench.now = NOON + timedelta(days=day)
        bench.terminal.log.append(punch(5000 + day))
        bench.poll()
    assert [since for since, _ in bench.covered()] == [DAY_ONE] * 3


def test_a_clock_without_battery_in_the_first_records_is_no_beginning(outbox: Outbox) -> None:
    """2000-01-01 would vouch for a quarter of a century."""
    bench = Bench(outbox, 0)
    bench.terminal.log = [at(datetime(2000, 1, 1, 0, 5)), at(datetime(2026, 9, 4, 7, 30))]
    bench.poll()
    assert bench.covered() == [(datetime(2026, 9, 4, tzinfo=ZONE), NOON)]


# --- lines that break ----------------------------------------------------------------------


def test_a_whole_read_goes_on_where_the_line_broke(outbox: Outbox) -> None:
    """Else a log that takes longer to read than the line holds is never read to its end."""
    bench = Bench(outbox, 4 * PAGE)
    for pages in (1, 3):
        bench.terminal.breaks_after = pages * PAGE
        with pytest.raises(DeviceUnreachable):
            bench.poll()
    bench.terminal.breaks_after = None
    bench.poll()
    assert (3 * PAGE, 4 * PAGE) in bench.terminal.transferred
    assert (0, PAGE) not in bench.terminal.transferred
    assert bench.stored() == bench.made()
    assert bench.covered() == [(DAY_ONE, NOON)]


def test_another_log_after_the_break_is_read_from_its_start(outbox: Outbox) -> None:
    bench = Bench(outbox, 3 * PAGE)
    bench.terminal.breaks_after = 2 * PAGE
    with pytest.raises(DeviceUnreachable):
        bench.poll()
    bench.terminal.breaks_after = None
    bench.terminal.log = [punch(number, pin="7") for number in range(3 * PAGE)]
    bench.poll()
    assert bench.terminal.transferred[1] == (0, PAGE)
    assert set(bench.made()) <= set(bench.stored())


def test_the_place_of_a_long_read_survives_a_power_cut(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(outbox, (SAVE_EVERY + 1) * PAGE)

    def power_cut() -> Iterator[RawPunch | BadRecord]:
        if len(bench.terminal.transferred) > SAVE_EVERY:
            raise KeyboardInterrupt
        return iter(())

    monkeypatch.setattr(bench.terminal, "arrived", power_cut)
    with pytest.raises(KeyboardInterrupt):
        bench.poll()
    memory = outbox.recall("lobi")
    assert memory is not None
    assert (memory.begun, memory.last_full_read_at) == (SAVE_EVERY * PAGE, None)


# --- what reads otherwise the second time --------------------------------------------------


@pytest.mark.parametrize("no_tail", [False, True])
def test_records_that_were_not_ready_are_read_again(outbox: Outbox, no_tail: bool) -> None:  # noqa: FBT001
    """A page of zeros that the terminal had not loaded yet: its people would be absent."""
    bench = Bench(outbox, 500)
    bench.terminal.no_tail = no_tail
    bench.terminal.first_read_as = {
        number: BadRecord(raw=bytes(40), reason="no user id", position=number) for number in range(200, 300)
    }
    bench.poll()
    assert bench.stored() == bench.made()
    assert bench.covered() == [(DAY_ONE, NOON)]


@pytest.mark.parametrize("no_tail", [False, True])
def test_records_that_read_otherwise_each_time_cover_nothing_yet(
    outbox: Outbox,
    no_tail: bool,  # noqa: FBT001
) -> None:
    bench = Bench(outbox, 500)
    bench.terminal.no_tail = no_tail
    bench.terminal.noise_at = 200
    bench.poll()
    assert bench.covered() == []
    bench.terminal.noise_at = None
    bench.now += timedelta(minutes=15)
    bench.poll()
    assert bench.stored() == bench.made()
    assert bench.covered() == [(DAY_ONE, bench.now)]


def test_records_that_stay_bad_are_evidence_and_cover(outbox: Outbox) -> None:
    bench = Bench(outbox, 500)
    bad = BadRecord(raw=b"\xff" * 40, reason="no user id", position=7)
    bench.terminal.log[7] = bad  # type: ignore[call-overload]
    bench.poll()
    assert [since for since, _ in bench.covered()] == [DAY_ONE]
    bench.poll(whole=True)
    assert bench.terminal.transferred == [(0, 500)], "known evidence is not read twice each time"


def test_a_number_given_to_another_person_renames_no_old_punch(outbox: Outbox) -> None:
    """The same record under the new owner's pin would be a punch that nobody made."""
    bench = Bench(outbox, 40)
    bench.terminal.renames = True
    bench.poll()
    bench.terminal.log = [record._replace(pin="6666") for record in bench.terminal.log]
    digest = outbox.recall("lobi")
    assert digest is not None
    bench.terminal.digest = lambda first, last: bytes.fromhex(digest.tail_digest)  # type: ignore[method-assign]
    bench.now += timedelta(days=1)
    bench.poll(whole=True)
    assert {entry.pin for batch in bench.batches() for entry in batch.punches} == {"1001"}
    assert bench.covered()[-1] == (DAY_ONE, bench.now)


def test_a_log_cleared_and_filled_to_the_same_count_is_noticed_by_its_operations(outbox: Outbox) -> None:
    """A small office after a weekly clearing; the next clearing would take the punches away."""
    bench = Bench(outbox, OVERLAP)
    bench.terminal.operations = 5
    bench.poll()
    bench.terminal.log = [punch(number) for number in range(9000, 9000 + OVERLAP)]
    assert bench.poll() == 0
    bench.terminal.operations = 6
    assert bench.poll() == OVERLAP
