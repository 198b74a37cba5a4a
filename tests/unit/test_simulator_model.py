"""A simulated terminal that keeps its log or clock wrongly would teach every test wrong things."""

import threading
from datetime import UTC, date, datetime, timedelta
from struct import pack_into
from zoneinfo import ZoneInfo

import pytest

from attendance.errors import LocalProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import User
from drivers.zk.records import cut_mixed, unpack_log
from drivers.zk.simulator.firmware import KINDS
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.names import invent_names
from drivers.zk.simulator.seeding import enrol_people, fill_log
from terminals import START, StillClock, some_terminal


def filled(records: int, *, users: int = 20, seed: int = 1) -> SimulatedTerminal:
    terminal = SimulatedTerminal()
    enrol_people(terminal, users, seed=seed)
    fill_log(terminal, records, seed=seed, last_day=date(2026, 2, 27))
    return terminal


def test_punch_without_a_time_is_made_at_the_terminals_own_clock() -> None:
    terminal = some_terminal(clock=StillClock(datetime(2026, 1, 31, 17, 0, 1, tzinfo=UTC)))
    terminal.offset = timedelta(minutes=-3)
    made = terminal.punch("1001", verify=15, state=1)
    assert made == RawPunch(
        pin="1001", wall_time=datetime(2026, 1, 31, 23, 57, 1), verify_code=15, state_code=1
    )
    assert list(unpack_log(terminal.log())) == [made]


def test_instant_is_turned_into_the_wall_time_of_the_terminals_zone() -> None:
    terminal = SimulatedTerminal(zone=ZoneInfo("Asia/Jayapura"), offset=timedelta(seconds=10))
    made = terminal.punch("7", at=datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC))
    assert made.wall_time == datetime(2026, 1, 1, 9, 0, 10)


def test_wall_time_with_fractions_is_stored_in_whole_seconds() -> None:
    made = some_terminal().punch("1001", at=START.replace(microsecond=5))
    assert made.wall_time == START


def test_listener_hears_each_punch_until_it_ends() -> None:
    terminal = some_terminal()
    heard: list[RawPunch] = []
    end = terminal.on_punch(heard.append)
    terminal.punch("1001", at=START)
    end()
    end()
    terminal.punch("1002", at=START)
    assert [(punch.pin, punch.source) for punch in heard] == [("1001", Source.LIVE)]


@pytest.mark.parametrize("pin", ["", "x" * 25, "é", "a\n"])
def test_pin_that_no_terminal_could_store_is_refused(pin: str) -> None:
    terminal = some_terminal()
    with pytest.raises(LocalProtocolError):
        terminal.punch(pin)
    assert terminal.record_count == 0


@pytest.mark.parametrize(("verify", "state"), [(-1, 0), (256, 0), (1, 256)])
def test_code_that_does_not_fit_a_byte_is_refused(verify: int, state: int) -> None:
    with pytest.raises(LocalProtocolError):
        some_terminal().punch("1001", verify=verify, state=state)


def test_time_before_2000_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        some_terminal().punch("1001", at=datetime(1999, 12, 31))


def test_corrupt_record_lies_between_good_ones() -> None:
    terminal = some_terminal()
    terminal.punch("1001", at=START)
    terminal.add_raw_record(b"\xff" * 40)
    terminal.punch("1002", at=START)
    first, bad, last = unpack_log(terminal.log())
    assert isinstance(bad, BadRecord)
    assert [item.pin for item in (first, last) if isinstance(item, RawPunch)] == ["1001", "1002"]
    with pytest.raises(LocalProtocolError):
        terminal.add_raw_record(b"\xff" * 39)


def test_full_log_overwrites_its_oldest_record() -> None:
    terminal = some_terminal()
    terminal.record_capacity = 3
    for number in range(5):
        terminal.punch("1001", at=START + timedelta(seconds=number))
    assert terminal.record_count == 3
    kept = [item.wall_time for item in unpack_log(terminal.log()) if isinstance(item, RawPunch)]
    assert kept == [START + timedelta(seconds=number) for number in (2, 3, 4)]


def test_record_of_a_deleted_person_carries_uid_zero() -> None:
    terminal = some_terminal(users=2)
    terminal.punch("1002", at=START)
    assert terminal.delete_user(2)
    assert not terminal.delete_user(2)
    terminal.punch("1002", at=START)
    assert (terminal.log()[:2], terminal.log()[40:42]) == (b"\x02\0", b"\0\0")


def test_user_is_replaced_by_uid_and_a_pin_belongs_to_one() -> None:
    terminal = some_terminal(users=2)
    terminal.enrol([User(uid=2, pin="55", name="", name_raw=b"Sri")])
    assert [(user.uid, user.pin) for user in terminal.users()] == [(1, "1001"), (2, "55")]
    terminal.enrol([User(uid=3, pin="1002", name="", name_raw=b"pin is free again")])
    with pytest.raises(LocalProtocolError, match="belongs"):
        terminal.enrol([User(uid=4, pin="55", name="", name_raw=b"")])


def test_full_terminal_takes_no_further_user() -> None:
    terminal = some_terminal(users=2)
    terminal.user_capacity = 2
    with pytest.raises(LocalProtocolError, match="full"):
        terminal.enrol([User(uid=3, pin="3", name="", name_raw=b"")])


def test_disabling_with_a_timeout_ends_by_itself() -> None:
    clock = StillClock()
    terminal = some_terminal(clock=clock)
    terminal.disable(300)
    clock.advance(299)
    assert not terminal.enabled
    clock.advance(1)
    assert terminal.enabled


def test_disabling_without_a_timeout_lasts() -> None:
    clock = StillClock()
    terminal = some_terminal(clock=clock)
    terminal.disable()
    clock.advance(1e9)
    assert not terminal.enabled
    terminal.enable()
    assert terminal.enabled


def test_sessions_differ_and_are_never_zero() -> None:
    terminal = some_terminal()
    sessions = [terminal.next_session() for _ in range(70_000)]
    assert 0 not in sessions
    assert max(sessions) == 0xFFFF
    assert len(set(sessions)) == 0xFFFF


def test_shown_count_can_lie() -> None:
    """Models in push mode tell 0 records though they hold some; a driver must not believe it."""
    terminal = some_terminal(records=3)
    terminal.shown_records = 0
    assert terminal.size_table()[32:36] == bytes(4)
    assert terminal.record_count == 3


def test_size_table_has_its_words_where_clients_look() -> None:
    expected = bytearray(92)
    for offset, word in ((16, 10), (32, 3), (60, 5000), (64, 200_000), (72, 4990), (76, 199_997)):
        pack_into("<i", expected, offset, word)
    assert some_terminal(records=3).size_table() == bytes(expected)


def test_punches_from_many_threads_are_all_kept() -> None:
    terminal = some_terminal()
    threads = [
        threading.Thread(target=lambda: [terminal.punch("1001", at=START) for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert terminal.record_count == 1600


def test_same_seed_gives_the_same_terminal_again() -> None:
    assert filled(500).log() == filled(500).log()
    assert filled(500).user_records() == filled(500).user_records()
    assert filled(500).log() != filled(500, seed=2).log()


@pytest.mark.parametrize(("records", "users"), [(1, 20), (7, 20), (5_000, 20), (20_000, 1)])
def test_filled_log_is_in_order_on_working_days_without_doubles(records: int, users: int) -> None:
    punches = [item for item in unpack_log(filled(records, users=users).log()) if isinstance(item, RawPunch)]
    assert len(punches) == records
    assert len({(punch.pin, punch.wall_time) for punch in punches}) == records
    times = [punch.wall_time for punch in punches]
    assert times == sorted(times)
    assert times[-1].date() == date(2026, 2, 27)
    assert not [at for at in times if at.weekday() > 4]


def test_terminal_without_people_gets_no_past() -> None:
    assert filled(100, users=0).record_count == 0


def test_invented_names_fit_a_terminal_and_differ() -> None:
    names = [name for name, _ in zip(invent_names(1), range(900), strict=False)]
    assert len(set(names)) == 900
    assert max(len(name.encode()) for name in names) <= 24


@pytest.mark.parametrize(
    ("kind", "size"), [("40", 40), ("49", 49), ("22", 22), ("16", 16), ("8a", 8), ("8b", 8)]
)
def test_the_log_lies_in_the_layout_of_the_firmware(kind: str, size: int) -> None:
    terminal = some_terminal(records=7, firmware=KINDS[kind])
    assert len(terminal.log()) == 7 * size
    assert terminal.record_count == 7
    with pytest.raises(LocalProtocolError):
        terminal.add_raw_record(bytes(size + 1))


def test_a_mixed_log_has_short_records_after_long_ones() -> None:
    terminal = some_terminal(firmware=KINDS["mixed"])
    for seconds in (0, 37, 1023, 1024, 1030):
        terminal.punch("1007", at=START + timedelta(seconds=seconds))
    sizes = [len(raw) for raw in cut_mixed(terminal.log())]
    assert sizes == [8, 4, 4, 8, 4]
    assert terminal.record_count == 5
    terminal.clear()
    terminal.punch("1007", at=START + timedelta(seconds=1031))
    assert len(terminal.log()) == 8


def test_a_mixed_log_that_is_full_loses_its_oldest_record_and_not_the_count() -> None:
    terminal = some_terminal(firmware=KINDS["mixed"])
    terminal.record_capacity = 3
    for seconds in range(5):
        terminal.punch("1001", at=START + timedelta(seconds=seconds))
    assert terminal.record_count == 3
    terminal.load(bytes.fromhex("070028001790482e"))
    assert terminal.record_count == 3


@pytest.mark.parametrize("kind", ["40", "16", "ngteco"])
def test_people_lie_in_the_layout_of_the_firmware(kind: str) -> None:
    terminal = some_terminal(users=3, firmware=KINDS[kind])
    assert len(terminal.user_records()) == 3 * KINDS[kind].users.record_bytes
    assert [(user.uid, user.pin) for user in terminal.users()] == [(1, "1001"), (2, "1002"), (3, "1003")]
    assert terminal.uid_of("1002") == 2
    assert terminal.uid_of("9999") == 0


@pytest.mark.parametrize(("kind", "pin"), [("16", "007"), ("16", "A1"), ("22", "1234567")])
def test_a_pin_that_the_layout_has_no_room_for_is_refused(kind: str, pin: str) -> None:
    terminal = some_terminal(firmware=KINDS[kind])
    with pytest.raises(LocalProtocolError):
        terminal.punch(pin)
    assert terminal.record_count == 0


def test_slots_of_nobody_lie_between_the_users_and_are_not_counted() -> None:
    terminal = some_terminal(users=3, firmware=KINDS["22"])
    terminal.add_empty_slot()
    terminal.add_empty_slot(bytes(2) + b"1" + b"\xa7" * 69)
    assert len(terminal.user_records()) == 5 * 72
    assert (terminal.user_count, len(terminal.users())) == (3, 3)
    assert not any(terminal.user_records()[:72])
    for raw in (b"\1" * 72, bytes(71)):
        with pytest.raises(LocalProtocolError):
            terminal.add_empty_slot(raw)
