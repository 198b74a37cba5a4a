"""What a poll reads of a log: too little loses punches, too much keeps a slow terminal from its people."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from attendance.errors import DeviceTimeout
from attendance.punch import Source
from attendance.terminal import Identity
from daemon.continuity import OVERLAP, PAGE
from drivers.zk.layouts import UnknownLayout
from ready_log import NOON, Bench, punch
from sync.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge="setda-01") as opened:
        yield opened


@pytest.fixture
def bench(outbox: Outbox) -> Bench:
    bench = Bench(outbox, 4000)
    assert bench.poll() == 4000
    return bench


def test_a_whole_read_comes_in_pages(bench: Bench) -> None:
    """Between pages live punches go in: a slow terminal must not hold them for minutes."""
    assert bench.terminal.transferred == [(0, PAGE), (PAGE, 2 * PAGE), (2 * PAGE, 4000)]
    assert bench.stored() == bench.made()


def test_nothing_new_reads_nothing(bench: Bench) -> None:
    assert bench.poll() == 0
    assert bench.terminal.transferred == []


def test_only_the_new_records_are_read(bench: Bench) -> None:
    bench.terminal.log += [punch(number) for number in range(4000, 4005)]
    assert bench.poll() == 5
    assert bench.terminal.transferred == [(4000, 4005)]
    assert bench.stored() == bench.made()


@pytest.mark.parametrize("change", ["cleared", "shorter", "renumbered", "one record within the overlap"])
def test_another_log_behind_the_known_end_is_read_whole(bench: Bench, change: str) -> None:
    """Cleared and refilled, overwritten, put back from a backup: the count alone would hide it."""
    if change == "cleared":
        bench.terminal.log = [punch(number, pin="7") for number in range(9000, 9000 + 4100)]
    elif change == "shorter":
        bench.terminal.log = [punch(9000)]
    elif change == "renumbered":
        bench.terminal.log = [*bench.terminal.log[1:], punch(9001), punch(9002)]
    else:
        bench.terminal.log[4000 - OVERLAP] = punch(9003)
        bench.terminal.log.append(punch(9004))
    bench.poll()
    assert bench.terminal.transferred[0][0] == 0
    assert set(bench.made()) <= set(bench.stored())


def test_a_full_log_that_writes_over_itself_is_noticed(outbox: Outbox) -> None:
    """The count stands at the capacity for ever; trusting it would lose every further punch."""
    bench = Bench(outbox, 50)
    bench.terminal.capacity = 50
    bench.poll()
    assert bench.poll() == 0
    bench.terminal.log = [*bench.terminal.log[1:], punch(9000)]
    assert bench.poll() == 1


def test_a_count_that_lies_is_found_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = bench.terminal.read_sizes()
    bench.terminal.log.append(punch(4000))
    monkeypatch.setattr(bench.terminal, "read_sizes", lambda: stuck)
    assert bench.poll() == 0
    bench.now += timedelta(minutes=15)
    assert bench.poll() == 1


def test_the_whole_log_is_read_once_a_day_as_proof(bench: Bench) -> None:
    """Only a whole read covers: without it the days of a terminal would stay incomplete."""
    bench.now += timedelta(hours=14)
    bench.poll()
    assert bench.terminal.transferred[0] == (0, PAGE)
    marks = [mark.until for batch in bench.batches() for mark in batch.coverage]
    assert marks == [NOON, NOON + timedelta(hours=14)]
    bench.now += timedelta(hours=2)
    bench.poll()
    assert bench.terminal.transferred == []


def test_a_tail_read_covers_nothing(bench: Bench) -> None:
    bench.terminal.log.append(punch(4000))
    bench.now += timedelta(minutes=1)
    bench.poll()
    assert len([mark for batch in bench.batches() for mark in batch.coverage]) == 1


@pytest.mark.parametrize(("offset_s", "behind_s"), [(-3600.0, 3600), (3600.0, 3600), (0.0, 0)])
def test_a_clock_that_is_off_covers_less(outbox: Outbox, offset_s: float, behind_s: int) -> None:
    """An hour behind, its midnight is an hour late: the old day is not over when ours is."""
    bench = Bench(outbox, 3)
    bench.poll(offset_s=offset_s)
    (mark,) = [mark for batch in bench.batches() for mark in batch.coverage]
    assert mark.until == NOON - timedelta(seconds=behind_s)


@pytest.mark.parametrize("offset_s", [None, -8e8, 2e9])
def test_a_clock_without_a_date_covers_nothing(outbox: Outbox, offset_s: float | None) -> None:
    bench = Bench(outbox, 3)
    assert bench.poll(offset_s=offset_s) == 3
    assert not [mark for batch in bench.batches() for mark in batch.coverage]


def test_live_punches_go_in_between_the_pages(outbox: Outbox) -> None:
    bench = Bench(outbox, 4000)
    bench.terminal.live = [punch(9000, source=Source.LIVE)]
    bench.poll()
    places = [entry.source for batch in bench.batches() for entry in batch.punches]
    assert places.index(Source.LIVE) == PAGE


def test_a_terminal_without_a_ready_log_is_read_whole(outbox: Outbox) -> None:
    bench = Bench(outbox, 30)
    bench.terminal.no_tail = True
    assert bench.poll() == 30
    assert bench.poll() == 0
    bench.terminal.log.append(punch(30))
    assert bench.poll() == 1
    assert bench.terminal.transferred == [(0, 31)]


def test_another_serial_is_another_log(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lent machine at the same address, with as many records."""
    monkeypatch.setattr(bench.terminal, "identify", lambda: Identity(serial="LENT9"))
    assert bench.poll() == 4000


# --- what a person must see --------------------------------------------------------------


def seen(bench: Bench) -> list[tuple[str, str]]:
    return [(event.kind, event.detail) for batch in bench.batches() for event in batch.events]


def test_a_log_that_was_cleared_behind_our_back_is_told_once(bench: Bench) -> None:
    """Who clears a log before it is read destroys evidence; that it happened must stay."""
    bench.terminal.log = [punch(9000)]
    bench.poll()
    bench.poll()
    assert seen(bench) == [("log_shrank", "the log held 4000 records and holds 1: cleared, and not by hadir")]


def test_one_that_is_read_whole_only_is_told_of_too(outbox: Outbox) -> None:
    bench = Bench(outbox, 30)
    bench.terminal.no_tail = True
    bench.poll()
    assert bench.reader.mode == "whole"
    bench.terminal.log = []
    bench.poll()
    assert [kind for kind, _ in seen(bench)] == ["log_shrank"]


def test_another_log_of_the_same_length_is_told(bench: Bench) -> None:
    bench.terminal.log = [punch(number, pin="7") for number in range(9000, 9000 + 4001)]
    bench.poll()
    assert [kind for kind, _ in seen(bench)] == ["log_changed"]
    assert bench.reader.mode == "tail"


def test_a_full_log_that_writes_over_its_oldest_is_no_tampering(outbox: Outbox) -> None:
    bench = Bench(outbox, 50)
    bench.terminal.capacity = 50
    bench.poll()
    bench.terminal.log = [*bench.terminal.log[1:], punch(9000)]
    bench.poll()
    assert seen(bench) == []


def test_another_machine_at_the_address_is_told_once_even_if_it_cannot_be_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DeviceTimeout("silent")

    monkeypatch.setattr(bench.terminal, "identify", lambda: Identity(serial="LENT9"))
    monkeypatch.setattr(bench.terminal, "prepare_log", broken)
    for _ in range(2):
        with pytest.raises(DeviceTimeout):
            bench.poll()
    ((kind, detail),) = seen(bench)
    assert kind == "serial_changed"
    assert "at this address answers LENT9, before it was TAIL1" in detail


@pytest.mark.parametrize("size", [40, 511, 512, 513, 100_000])
def test_a_log_that_nobody_can_read_leaves_its_ends_as_evidence_once_a_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Years later someone finds out what it was; an import of guesses could never be taken back."""
    raw = bytes(number % 251 for number in range(size))

    def unknown() -> None:
        raise UnknownLayout("no known layout", raw=raw)

    monkeypatch.setattr(bench.terminal, "prepare_log", unknown)
    monkeypatch.setattr(bench.terminal, "read_log", unknown)
    for hours in (0, 1, 2, 24):
        bench.now += timedelta(hours=hours)
        with pytest.raises(UnknownLayout):
            bench.poll(whole=True)
    (bad,) = [record for batch in bench.batches() for record in batch.bad]
    ends = bytes.fromhex(bad.raw)
    assert (ends[:40], ends[-40:], len(ends)) == (raw[:40], raw[-40:], min(size, 512))
    assert f"{size} bytes" in bad.reason
    assert sha256(raw).hexdigest() in bad.reason
    assert bench.stored() == bench.made()
