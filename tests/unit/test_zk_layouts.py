"""Which bytes are punches and people, and which must be left alone."""

from collections.abc import Callable
from datetime import datetime
from struct import pack

import pytest

from attendance.errors import RemoteProtocolError, Unsupported
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import User
from drivers.zk.records import (
    check_log_layout,
    check_user_layout,
    pack_user72,
    unpack_event,
    unpack_log,
    unpack_users72,
)
from scripted import att40

WHEN = 0x2E489017
WALL_TIME = datetime(2024, 2, 29, 8, 30, 15)
FEBRUARY_31 = (1 * 31 + 30) * 86400


def test_one_record_with_an_impossible_date_keeps_all_others() -> None:
    records = att40("1001", WHEN) + att40("1002", FEBRUARY_31) + att40("1003", WHEN)
    first, bad, last = unpack_log(records)
    assert isinstance(first, RawPunch)
    assert isinstance(last, RawPunch)
    assert (first.pin, last.pin) == ("1001", "1003")
    assert bad == BadRecord(raw=records[40:80], reason="no such date: 2000-2-31", position=1)


def test_a_punch_of_a_deleted_user_is_kept_as_evidence() -> None:
    (bad,) = unpack_log(att40("", WHEN, number=0))
    assert isinstance(bad, BadRecord)
    assert bad.reason == "no user id"


def test_what_follows_the_pins_nul_is_stale_memory() -> None:
    record = bytearray(att40("7", WHEN))
    record[4:10] = b"RUBBIS"
    (punch,) = unpack_log(bytes(record))
    assert isinstance(punch, RawPunch)
    assert punch.pin == "7"


def test_a_pin_keeps_its_leading_zeros() -> None:
    (punch,) = unpack_log(att40("007", WHEN))
    assert isinstance(punch, RawPunch)
    assert punch.pin == "007"


def log16(count: int) -> bytes:
    return b"".join(pack("<IIBBHI", 1000 + n, WHEN + n, 0, 1, 0, 0) for n in range(count))


def log8(count: int) -> bytes:
    return b"".join(pack("<HBBI", 1 + n, 0x08, 0, WHEN + n) for n in range(count))


def log49(count: int) -> bytes:
    tail = bytes.fromhex("ff3235350000000000")
    return b"".join(att40(str(1000 + n), WHEN + n) + tail for n in range(count))


@pytest.mark.parametrize("wrong_by", [0, 1, 3])
@pytest.mark.parametrize("log", [log8, log16, log49])
def test_another_layout_is_refused_even_where_its_length_fits(
    log: Callable[[int], bytes], wrong_by: int
) -> None:
    for count in (5, 40, 400):
        with pytest.raises(Unsupported, match="layout"):
            check_log_layout(log(count), (count + wrong_by, count + wrong_by))


def test_a_layout_that_is_not_read_yet_is_named() -> None:
    with pytest.raises(Unsupported, match="records of 49 bytes"):
        check_log_layout(log49(10), (10, 10))


@pytest.mark.parametrize("counts", [(10, 10), (9, 9), (9, 10), (0, 0), (), (11,), (1000, 1000)])
def test_a_log_is_read_whatever_the_terminal_counts(counts: tuple[int, ...]) -> None:
    check_log_layout(b"".join(att40(str(n), WHEN) for n in range(10)), counts)


def test_damaged_records_do_not_make_the_layout_doubtful_where_the_count_fits() -> None:
    check_log_layout(bytes(40) * 3, (3, 3))


def test_a_log_of_rubbish_without_a_count_is_refused() -> None:
    with pytest.raises(Unsupported, match="unknown layout: 120 bytes"):
        check_log_layout(b"\xa5" * 120, (0, 0))


def user(pin: str, uid: int = 1, name: bytes = b"Siti") -> bytes:
    return pack_user72(User(uid=uid, pin=pin, name="", name_raw=name))


def test_freed_slots_are_nobody() -> None:
    records = user("1001") + bytes(72) + user("1002", 2)
    check_user_layout(records, (2,))
    assert [person.pin for person in unpack_users72(records, "utf-8")] == ["1001", "1002"]


def test_a_name_cut_inside_a_character_shows_where() -> None:
    (person,) = unpack_users72(user("1001", name="Nuraini Pujiastuti ééé".encode()[:24]), "utf-8")
    assert person.name == "Nuraini Pujiastuti éé\ufffd"
    assert len(person.name_raw) == 24


def test_users_of_28_bytes_are_not_read_as_users_of_72() -> None:
    people = b"".join(pack("<HB5s8sIxBhI", n, 0, b"", b"Siti", 0, 1, 0, 1000 + n) for n in range(18))
    assert len(people) % 72 == 0
    with pytest.raises(Unsupported, match="records of 28 bytes"):
        check_user_layout(people, (18,))


def test_half_a_user_is_no_user() -> None:
    with pytest.raises(RemoteProtocolError, match="100 bytes"):
        list(unpack_users72(bytes(100), "utf-8"))


SIX = bytes((24, 2, 29, 8, 30, 15))


@pytest.mark.parametrize("tail", [0, 4, 5, 20])
def test_a_live_punch_is_read_with_or_without_a_tail(tail: int) -> None:
    data = pack("<24sBB6s", b"1001", 15, 1, SIX) + bytes(tail)
    assert unpack_event(data) == RawPunch(
        pin="1001", wall_time=WALL_TIME, verify_code=15, state_code=1, source=Source.LIVE
    )


def test_a_live_punch_of_a_black_and_white_terminal_names_the_user_by_number() -> None:
    assert unpack_event(pack("<IBB6s", 4822257, 0, 0x80, SIX)) == RawPunch(
        pin="4822257", wall_time=WALL_TIME, verify_code=0, state_code=0x80, source=Source.LIVE
    )


@pytest.mark.parametrize("length", [0, 10, 14, 31, 33, 72])
def test_events_of_other_lengths_are_kept_with_their_bytes(length: int) -> None:
    event = unpack_event(bytes(length))
    assert isinstance(event, BadRecord)
    assert event.raw == bytes(length)
    assert event.source is Source.LIVE


def test_a_live_punch_with_an_impossible_date_is_kept() -> None:
    assert isinstance(unpack_event(pack("<24sBB6s", b"1001", 1, 0, bytes((24, 2, 31, 8, 30, 15)))), BadRecord)
