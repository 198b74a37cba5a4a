"""Which bytes are punches and people, and which must be left alone."""

from dataclasses import replace
from datetime import datetime, timedelta
from struct import pack

import pytest

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import User
from drivers.zk.events import EVENT_BYTES, pack_event, uid_of_event, unpack_event
from drivers.zk.layouts import LogEvidence, UnknownLayout, choose_log_layout, choose_user_layout
from drivers.zk.records import (
    ATT8A,
    ATT8B,
    ATT16,
    ATT22,
    ATT40,
    ATT49,
    LOG_LAYOUTS,
    MIXED,
    LogLayout,
    pack_record,
    pack_short,
    uid_text,
    unpack_log,
)
from drivers.zk.users import USER28, USER72, USER120, UserLayout, pack_user, pins_by_uid, unpack_users
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


def punch(n: int = 0, *, pin: str | None = None, state: int = 0, at: datetime | None = None) -> RawPunch:
    when = at or WALL_TIME + timedelta(minutes=7 * n)
    return RawPunch(pin=pin or str(1001 + n % 20), wall_time=when, verify_code=1, state_code=state)


def log_of(layout: LogLayout, count: int) -> bytes:
    """Punches of 20 people with uids 1 to 20; a mixed log has three short records after each long one."""
    records = b""
    for n in range(count):
        if layout is MIXED and n % 4:
            records += pack_short(punch(n), 1 + n % 20, 10 * (n % 4))
        else:
            records += pack_record(layout, punch(n, state=n % 2), 1 + n % 20)
    return records


def chosen(log: bytes, *counts: int, now: datetime | None = datetime(2026, 1, 1)) -> LogLayout:
    return choose_log_layout(LogEvidence(records=log, total_bytes=len(log), counts=counts, now=now))


@pytest.mark.parametrize("counts", ["right", "one less", "one more", "around", "zero", "unknown"])
@pytest.mark.parametrize("layout", LOG_LAYOUTS, ids=lambda layout: layout.name)
def test_the_layout_is_found_whatever_the_terminal_counts(layout: LogLayout, counts: str) -> None:
    """One wrong guess here, and a whole agency's punches are garbage with dates to 2130."""
    for count in (4, 5, 40, 49, 120, 400):
        told = {
            "right": (count, count),
            "one less": (count - 1,),
            "one more": (count + 1,),
            "around": (count - 1, count + 1),
            "zero": (0, 0),
            "unknown": (),
        }[counts]
        assert chosen(log_of(layout, count), *told) is layout


@pytest.mark.parametrize("layout", LOG_LAYOUTS, ids=lambda layout: layout.name)
def test_a_count_that_another_record_size_would_fit_does_not_mislead(layout: LogLayout) -> None:
    log = log_of(layout, 440)
    for size in (8, 16, 22, 40, 49):
        if len(log) % size == 0:
            assert chosen(log, len(log) // size) is layout


@pytest.mark.parametrize("people", [1, 3, 5])
def test_a_few_people_with_low_uids_do_not_make_8_bytes_look_like_16(people: int) -> None:
    log = b"".join(pack_record(ATT8B, punch(n), 1 + n % people) for n in range(60))
    assert chosen(log, 7) is ATT8B
    log = b"".join(pack_record(ATT8A, punch(n), 1 + n % people) for n in range(60))
    assert chosen(log, 7) is ATT8A


def test_two_short_records_at_the_end_of_many_long_ones_are_found() -> None:
    log = log_of(ATT8B, 1000) + pack_short(punch(), 7, 1) * 2
    for counts in ((1002,), (1001,), ()):
        assert chosen(log, *counts) is MIXED


def test_a_mixed_log_whose_first_long_record_was_overwritten_is_still_read() -> None:
    log = pack_short(punch(), 7, 1) * 2 + log_of(MIXED, 40)
    for counts in ((42,), (0,), ()):
        assert chosen(log, *counts) is MIXED
    first, second, *rest = unpack_log(log, MIXED)
    assert isinstance(first, BadRecord)
    assert isinstance(second, BadRecord)
    assert len(rest) == 40


def test_a_clock_years_ahead_is_no_unknown_layout_where_the_count_is_right() -> None:
    log = b"".join(pack_record(ATT16, punch(n, at=datetime(2061, 5, 4, 3)), 1) for n in range(30))
    assert chosen(log, 30) is ATT16
    with pytest.raises(UnknownLayout):
        chosen(log, 31)


def test_a_clock_without_a_battery_is_no_unknown_layout() -> None:
    for layout in (ATT40, ATT49, ATT22, ATT16, ATT8B):
        log = b"".join(pack_record(layout, punch(n, at=datetime(2000, 1, 1, 0, n)), 1 + n) for n in range(30))
        assert chosen(log, 30) is layout


@pytest.mark.parametrize("size", [4, 12, 20, 24, 32, 44, 56, 60, 64, 80])
@pytest.mark.parametrize("told", ["right", "none", "zero"])
def test_records_that_nobody_knows_are_refused_with_their_bytes(size: int, told: str) -> None:
    """A record that starts as the 40-byte one does, and goes on or ends otherwise."""
    raw = (att40("1001", WHEN) + bytes(40))[:size]
    log = raw * 120
    counts = {"right": (120,), "none": (), "zero": (0,)}[told]
    with pytest.raises(UnknownLayout, match="unknown layout") as caught:
        chosen(log, *counts)
    assert caught.value.raw == log


def test_damaged_records_do_not_make_the_layout_doubtful_where_the_count_fits() -> None:
    assert chosen(bytes(40) * 3, 3, 3) is ATT40
    half = att40("1001", FEBRUARY_31) + att40("", WHEN) + att40("1002", WHEN)
    assert chosen(half * 5, 15) is ATT40


def test_a_log_of_rubbish_without_a_count_is_refused() -> None:
    with pytest.raises(UnknownLayout, match="unknown layout: 120 bytes"):
        chosen(b"\xa5" * 120, 0, 0)


def test_the_head_of_a_log_is_enough() -> None:
    for layout in LOG_LAYOUTS:
        if layout is not MIXED:
            log = log_of(layout, 3000)
            evidence = LogEvidence(records=log[:392], total_bytes=len(log), counts=(3000,))
            assert choose_log_layout(evidence) is layout


@pytest.mark.parametrize("layout", LOG_LAYOUTS, ids=lambda layout: layout.name)
def test_punches_come_back_from_every_layout(layout: LogLayout) -> None:
    pins = {uid: str(1000 + uid) for uid in range(1, 21)}
    log = log_of(layout, 120)
    got = list(unpack_log(log, layout, pins))
    expected = [punch(n, state=n % 2) for n in range(120)]
    if layout is MIXED:
        expected = [
            expected[n]._replace(
                wall_time=expected[n - n % 4].wall_time + timedelta(seconds=10 * (n % 4)),
                state_code=0 if n % 4 else expected[n].state_code,
            )
            for n in range(120)
        ]
    assert got == expected


def test_published_records_of_every_layout_are_written_as_published() -> None:
    siti = punch()._replace(pin="1001")
    assert pack_record(ATT40, siti, 7).hex() == "070031303031" + "00" * 20 + "011790482e00" + "00" * 8
    assert pack_record(ATT16, siti, 7).hex() == "e90300001790482e0001000000000000"
    assert pack_record(ATT8B, siti, 7).hex() == "070008001790482e"
    assert pack_record(ATT8B, siti._replace(state_code=1), 7).hex() == "070028001790482e"
    assert pack_short(siti, 7, 37).hex() == "07000c25"
    lx50 = siti._replace(pin="1", wall_time=datetime(2026, 9, 28, 8, 52, 51))
    assert pack_record(ATT22, lx50, 1).hex() == "0100310000000000000000000163353a330000000000"
    assert pack_record(ATT49, siti, 7).hex().endswith("00" * 8 + "ff3235350000000000")


def test_a_short_record_counts_from_the_last_long_one_also_past_midnight() -> None:
    late = datetime(2026, 2, 28, 23, 59, 50)
    log = pack_record(MIXED, punch(at=late), 7) + pack_short(punch(), 7, 20) + pack_short(punch(), 7, 1023)
    times = [item.wall_time for item in unpack_log(log, MIXED) if isinstance(item, RawPunch)]
    assert times == [late, datetime(2026, 3, 1, 0, 0, 10), late + timedelta(seconds=1023)]


def test_a_short_record_without_a_usable_long_one_is_kept_and_given_no_time() -> None:
    broken = pack("<HBxI", 7, 8, FEBRUARY_31)
    short = pack_short(punch(), 7, 5)
    items = list(unpack_log(short + broken + short + log_of(ATT8B, 1), MIXED, {}, 10))
    assert [(item.position, item.raw) for item in items if isinstance(item, BadRecord)] == [
        (10, short),
        (11, broken),
        (12, short),
    ]
    assert isinstance(items[3], RawPunch)


@pytest.mark.parametrize("layout", LOG_LAYOUTS, ids=lambda layout: layout.name)
def test_half_a_record_is_never_read(layout: LogLayout) -> None:
    with pytest.raises(RemoteProtocolError):
        list(unpack_log(log_of(layout, 3)[:-1], layout))


@pytest.mark.parametrize("layout", LOG_LAYOUTS, ids=lambda layout: layout.name)
def test_punches_of_deleted_users_are_kept_as_evidence_in_every_layout(layout: LogLayout) -> None:
    size = layout.record_bytes or 8
    log = log_of(layout, 1)[:size]
    start = 0 if layout.names.name != "TEXT" else 2
    nobody = bytearray(log)
    nobody[start : start + 4] = bytes(4) if layout is ATT16 else bytes(2) + nobody[start + 2 : start + 4]
    if layout.names.name == "TEXT":
        nobody[2] = 0
    (item,) = unpack_log(bytes(nobody), layout)
    assert isinstance(item, BadRecord)
    assert item.raw == bytes(nobody)


def test_a_uid_is_who_the_user_table_says_and_never_somebody_elses_pin() -> None:
    assert uid_text(7, {}) == "7"
    assert uid_text(7, {1: "1", 2: "2"}) == "7"
    assert uid_text(7, {7: "1007"}) == "1007"
    with pytest.raises(RemoteProtocolError, match="uid 7 is nobody's"):
        uid_text(7, {1: "7"})


@pytest.mark.parametrize("pin", ["0", "007", "12a", "4294967296", "A1"])
def test_a_pin_that_is_no_number_does_not_fit_where_numbers_are_stored(pin: str) -> None:
    with pytest.raises(LocalProtocolError, match="as numbers"):
        pack_record(ATT16, punch(pin=pin), 1)


def test_a_pin_too_long_is_not_cut() -> None:
    with pytest.raises(LocalProtocolError, match="at most 6"):
        pack_record(ATT22, punch(pin="1234567"), 1)


# -- users


def user(pin: str, uid: int = 1, name: bytes = b"Siti", layout: UserLayout = USER72) -> bytes:
    return pack_user(User(uid=uid, pin=pin, name="", name_raw=name, card=12345678), layout)


@pytest.mark.parametrize("wrong_by", [0, 1, -1, -14])
@pytest.mark.parametrize("layout", [USER28, USER72, USER120], ids=lambda layout: layout.name)
def test_the_user_layout_is_found_whatever_the_terminal_counts(layout: UserLayout, wrong_by: int) -> None:
    for count in (1, 7, 18, 45, 90, 140, 630):
        table = b"".join(user(str(1000 + n), n, b"Nama %d" % n, layout) for n in range(1, count + 1))
        assert choose_user_layout(table, (count + wrong_by,)) is layout
        assert choose_user_layout(table, ()) is layout
        people = list(unpack_users(table, "utf-8", layout))
        assert [(p.uid, p.pin, p.name_raw) for p in people] == [
            (n, str(1000 + n), (b"Nama %d" % n)[: 8 if layout is USER28 else 24]) for n in range(1, count + 1)
        ]


def test_published_users_are_read_as_published() -> None:
    raw28 = bytes.fromhex("070000313233340053697469000000004e61bc0000010000e9030000")
    (siti,) = unpack_users(raw28, "utf-8", USER28)
    assert (siti.uid, siti.pin, siti.name, siti.card) == (7, "1001", "Siti", 12345678)


def test_a_family_name_of_its_own_follows_the_first() -> None:
    raw = bytearray(user("1001", layout=USER120))
    raw[59:69] = b"Nurhaliza\0"
    (siti,) = unpack_users(bytes(raw), "utf-8", USER120)
    assert (siti.name, siti.pin) == ("Siti Nurhaliza", "1001")


def test_whoever_has_no_pin_is_known_by_his_uid() -> None:
    raw = bytearray(user("5", 7, layout=USER28))
    raw[24:] = bytes(4)
    (person,) = unpack_users(bytes(raw), "utf-8", USER28)
    assert person.pin == "7"
    assert pins_by_uid([replace(person, pin="")]) == {7: "7"}


def test_freed_slots_and_slots_of_templates_are_nobody() -> None:
    template = bytearray(b"\xa7" * 72)
    template[2] = 0x31
    records = user("1001") + bytes(72) + bytes(template) + user("1002", 2)
    for counts in ((2,), (4,), ()):
        assert choose_user_layout(records, counts) is USER72
    assert [person.pin for person in unpack_users(records, "utf-8")] == ["1001", "1002"]


def test_a_name_cut_inside_a_character_shows_where() -> None:
    (person,) = unpack_users(user("1001", name="Nuraini Pujiastuti ééé".encode()[:24]), "utf-8")
    assert person.name == "Nuraini Pujiastuti éé\ufffd"
    assert len(person.name_raw) == 24


def test_people_of_an_unknown_layout_are_refused_and_their_passwords_not_kept() -> None:
    with pytest.raises(UnknownLayout, match="user table has an unknown layout: 640 bytes") as caught:
        choose_user_layout((user("1001") + bytes(8)) * 8, (8,))
    assert caught.value.raw == b""


def test_half_a_user_is_no_user() -> None:
    with pytest.raises(RemoteProtocolError, match="100 bytes"):
        list(unpack_users(bytes(100), "utf-8"))


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


@pytest.mark.parametrize("length", EVENT_BYTES)
def test_live_punches_of_every_length_come_back(length: int) -> None:
    made = punch(state=1)._replace(source=Source.LIVE)
    data = pack_event(made, 7, length)
    assert len(data) == length
    assert unpack_event(data, {7: "1001"}) == made


@pytest.mark.parametrize("length", [10, 14])
def test_a_live_punch_of_a_uid_needs_the_users(length: int) -> None:
    data = pack_event(punch(), 7, length)
    assert uid_of_event(data) == 7
    for pins in (None, {8: "1001"}):
        assert isinstance(unpack_event(data, pins), BadRecord)


@pytest.mark.parametrize("length", [0, 11, 31, 33, 72])
def test_events_of_other_lengths_are_kept_with_their_bytes(length: int) -> None:
    event = unpack_event(bytes(length))
    assert isinstance(event, BadRecord)
    assert event.raw == bytes(length)
    assert event.source is Source.LIVE


def test_a_live_punch_with_an_impossible_date_is_kept() -> None:
    assert isinstance(unpack_event(pack("<24sBB6s", b"1001", 1, 0, bytes((24, 2, 31, 8, 30, 15)))), BadRecord)
