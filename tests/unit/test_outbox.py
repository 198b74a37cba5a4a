"""What the outbox owes to a person whose punch is in it, and to the technician who finds it broken."""

import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from attendance.errors import OutboxCorrupt, OutboxUnusable
from attendance.punch import BadRecord, Punch, Source
from made import NOW, facts, made_punch, made_punches
from sync.envelope import MAX_BATCH, Batch, Receipt
from sync.outbox import Coverage, Outbox, TerminalMemory

EDGE = "setda-01"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Outbox(path, edge=EDGE) as opened:
        yield opened


def receipt(outbox: Outbox, *ranges: tuple[int, int]) -> Receipt:
    return Receipt(edge=EDGE, stream=outbox.stream, committed=ranges)


def all_batches(outbox: Outbox) -> list[Batch]:
    return [
        Batch.model_validate_json(one.payload) for one in outbox.batches([(1, outbox.last_number)], 10_000)
    ]


def test_a_log_read_again_adds_nothing_even_after_everything_was_settled(outbox: Outbox) -> None:
    assert outbox.put("lobi", facts(), made_punches(1200)) == 1200
    outbox.seal()
    outbox.settle(receipt(outbox, (1, 3)))
    assert outbox.queued() == 0
    assert outbox.put("lobi", facts(), made_punches(1200)) == 0
    assert outbox.put("lobi", facts(), [made_punch(0, pin="1", source=Source.LIVE)]) == 0
    assert outbox.seal() == 0


def test_a_copy_with_other_codes_is_evidence_and_travels(outbox: Outbox) -> None:
    assert outbox.put("lobi", facts(), [made_punch(0), made_punch(0, state=1), made_punch(0)]) == 2
    assert outbox.put("lobi", facts("OTHER"), [made_punch(0, serial="OTHER")]) == 1


def test_bad_records_travel_once_and_whole_up_to_the_limit(outbox: Outbox) -> None:
    long = BadRecord(raw=b"\xff" * 600, reason="no\ttime", position=3)
    assert outbox.put("lobi", facts(), (), [long, long, BadRecord(raw=b"", reason="", position=0)]) == 2
    assert outbox.put("lobi", facts(), (), [long]) == 0
    outbox.seal()
    (batch,) = all_batches(outbox)
    assert batch.bad[0].raw == "ff" * 512
    assert batch.bad[0].reason == "(first 512 of 600 bytes) no time"


def test_a_punch_that_the_wire_cannot_hold_becomes_a_bad_record_and_the_others_go_on(outbox: Outbox) -> None:
    strange = made_punch(1, pin="\N{LATIN SMALL LETTER E WITH ACUTE}" * 70)
    assert outbox.put("lobi", facts(), [made_punch(0), strange, made_punch(2)]) == 3
    assert outbox.put("lobi", facts(), [strange]) == 0
    outbox.seal()
    (batch,) = all_batches(outbox)
    assert len(batch.punches) == 2
    assert batch.bad[0].reason.startswith("pin: ")


def test_batches_keep_order_and_limit_and_coverage_comes_last(outbox: Outbox) -> None:
    outbox.put(
        "lobi",
        facts(),
        made_punches(MAX_BATCH + 1),
        coverage=Coverage(since=None, until=NOW, records=MAX_BATCH + 1),
    )
    assert outbox.seal(1) == 1
    assert outbox.seal(5) == 1
    first, second = all_batches(outbox)
    assert (first.number, len(first.punches), len(first.coverage)) == (1, MAX_BATCH, 0)
    assert (second.number, len(second.punches), second.coverage[0].records) == (2, 1, MAX_BATCH + 1)
    assert second.terminals["lobi"] == facts()


def test_a_change_of_settings_or_a_new_terminal_on_the_wall_does_not_rewrite_what_was_put(
    outbox: Outbox,
) -> None:
    outbox.put("lobi", facts(), [made_punch(0)])
    outbox.put("lobi", facts(group="kecamatan"), [made_punch(1)])
    outbox.put("lobi", facts("NEW1"), [made_punch(2, serial="NEW1")])
    outbox.seal()
    assert [batch.terminals["lobi"].serial for batch in all_batches(outbox)] == [
        "CGKK204060001",
        "CGKK204060001",
        "NEW1",
    ]
    assert [batch.terminals["lobi"].group for batch in all_batches(outbox)] == ["opd", "kecamatan", "opd"]


def test_the_cursor_moves_with_the_punches_and_survives(path: Path) -> None:
    memory = TerminalMemory(
        serial="S1", records=2, last_full_read_at=NOW, last_contact_at=NOW + timedelta(seconds=1)
    )
    unread = TerminalMemory(serial="S2", records=0, last_full_read_at=None, last_contact_at=None)
    with Outbox(path, edge=EDGE) as outbox:
        assert outbox.recall("lobi") is None
        outbox.put("lobi", facts(), [made_punch(0)], memory=memory)
        outbox.remember("tu", unread)
    with Outbox(path, edge=EDGE) as outbox:
        assert outbox.recall("lobi") == memory
        assert outbox.recall("tu") == unread


def test_a_read_that_breaks_off_moves_nothing(outbox: Outbox) -> None:
    def breaks() -> Iterator[Punch]:
        yield made_punch(0)
        raise RuntimeError("cable pulled")

    with pytest.raises(RuntimeError):
        outbox.put(
            "lobi",
            facts(),
            breaks(),
            memory=TerminalMemory(serial="S1", records=1, last_full_read_at=NOW, last_contact_at=NOW),
        )
    assert outbox.queued() == 0
    assert outbox.recall("lobi") is None


def test_new_entries_wake_the_publisher_and_known_ones_do_not(outbox: Outbox) -> None:
    news = threading.Event()
    outbox.tell(news)
    outbox.put("lobi", facts(), [made_punch(0)])
    assert news.is_set()
    news.clear()
    outbox.put("lobi", facts(), [made_punch(0)])
    assert not news.is_set()


def test_many_threads_put_the_same_log_and_each_punch_is_counted_once(outbox: Outbox) -> None:
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(outbox.put("lobi", facts(), made_punches(3000))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == outbox.queued() == 3000


def test_a_centre_that_knows_more_than_this_file_starts_a_new_stream_with_everything(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path, edge=EDGE) as outbox:
        outbox.put("lobi", facts(), made_punches(10))
        outbox.seal()
    shutil.copy(path, tmp_path / "old.db")
    with Outbox(tmp_path / "old.db", edge=EDGE) as restored:
        old = restored.stream
        restored.put("lobi", facts(), [made_punch(5000)])
        assert restored.settle(receipt(restored, (1, 7))) == 0
        assert restored.stream != old
        assert restored.queued() == 11
        restored.seal()
        (batch,) = all_batches(restored)
        assert (batch.stream, batch.number, len(batch.punches)) == (restored.stream, 1, 11)
    assert "old copy" in caplog.text
    with Outbox(tmp_path / "old.db", edge=EDGE) as again:
        assert again.stream == batch.stream


def test_absurd_receipts_and_requests_do_no_harm(outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(3))
    outbox.seal()
    assert outbox.settle(receipt(outbox, (9, 2), (-(10**40), 0))) == 0
    assert outbox.batches([(-5, -1), (2, 10**40), (7, 3), (10**40, 10**41)], 10) == []
    assert outbox.queued() == 3


def test_a_second_run_on_the_same_outbox_is_told_who_has_it(path: Path, outbox: Outbox) -> None:
    code = f"""
        from pathlib import Path
        from attendance.errors import OutboxUnusable
        from sync.outbox import Outbox
        try:
            Outbox(Path({str(path)!r}), edge={EDGE!r})
        except OutboxUnusable as error:
            print(error)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    assert f"outbox {path}: in use by another hadir (pid " in told.stdout
    assert outbox.put("lobi", facts(), [made_punch(0)]) == 1


_ROOT = Path(__file__).parents[2]


def test_another_edges_outbox_is_refused(path: Path) -> None:
    Outbox(path, edge=EDGE).close()
    with pytest.raises(OutboxUnusable, match="belongs to edge 'setda-01', not 'dinkes-02'"):
        Outbox(path, edge="dinkes-02")
    Outbox(path, edge=EDGE).close()


def test_a_file_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    with pytest.raises(OutboxCorrupt, match="belongs to another program"):
        Outbox(path, edge=EDGE)


def test_a_damaged_file_is_named_and_not_overwritten(path: Path) -> None:
    with Outbox(path, edge=EDGE) as outbox:
        outbox.put("lobi", facts(), made_punches(2000))
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\x55" * (40960 - 8192)
    path.write_bytes(content)
    with pytest.raises(OutboxCorrupt) as caught:
        Outbox(path, edge=EDGE)
    assert str(caught.value).startswith(f"outbox {path}: damaged")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_text_in_place_of_the_file_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be looked at as one" * 40)
    with pytest.raises(OutboxCorrupt, match="no SQLite file"):
        Outbox(path, edge=EDGE)


def test_a_newer_outbox_is_not_touched(path: Path) -> None:
    Outbox(path, edge=EDGE).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(OutboxUnusable, match="written by a newer hadir"):
        Outbox(path, edge=EDGE)


def test_a_state_dir_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxUnusable, match=r"outbox .*: (Not a directory|File exists)"):
        Outbox(tmp_path / "file" / "outbox.db", edge=EDGE)


def test_a_locked_file_is_one_line(path: Path) -> None:
    Outbox(path, edge=EDGE).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OutboxUnusable, match="locked by another program"):
        Outbox(path, edge=EDGE)
    other.close()


def test_a_full_disk_is_one_line_and_takes_nothing_back(path: Path) -> None:
    code = f"""
        import resource
        from pathlib import Path
        from made import facts, made_punches
        from attendance.errors import OutboxUnusable
        from sync.outbox import Outbox
        with Outbox(Path({str(path)!r}), edge={EDGE!r}) as outbox:
            outbox.put("lobi", facts(), made_punches(100))
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            try:
                outbox.put("lobi", facts(), made_punches(20_000, start=1000))
            except OutboxUnusable as error:
                print(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(outbox.queued(), outbox.put("lobi", facts(), made_punches(5, start=1000)))
    """
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env={"PYTHONPATH": f"{_ROOT}:{_ROOT / 'tests' / 'support'}"},
    )
    error, count = told.stdout.splitlines()
    assert error.startswith(f"outbox {path}: ")
    assert "disk" in error
    assert count == "100 5"


def test_the_file_is_for_its_owner_only(outbox: Outbox, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
