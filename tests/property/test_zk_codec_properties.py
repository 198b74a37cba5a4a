"""What must hold of the codec for all bytes, not only for those that somebody thought of."""

import contextlib
import itertools
from datetime import datetime, timedelta
from struct import error as StructError  # noqa: N812
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attendance.errors import RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import User
from drivers.zk.commkey import MAX_COMM_KEY, matches, scramble
from drivers.zk.events import EVENT_BYTES, pack_event, unpack_event
from drivers.zk.layouts import LogEvidence, UnknownLayout, choose_log_layout, choose_user_layout
from drivers.zk.packet import MAGIC, Packet, StreamDecoder, checksum, decode, encode, frame
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
    Names,
    pack_record,
    pack_short,
    pin_text,
    unpack_log,
    with_prefix,
    without_prefix,
)
from drivers.zk.sizes import SizeTable
from drivers.zk.times import pack_event_time, pack_time, unpack_event_time, unpack_time
from drivers.zk.users import USER72, USER_LAYOUTS, UserLayout, pack_user, unpack_users
from zk.base import make_commkey

T = TypeVar("T")
u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
packets = st.builds(Packet, command=u16, session=u16, reply_id=u16, data=st.binary(max_size=64))
wall_times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59, 59)).map(
    lambda when: when.replace(microsecond=0)
)
pins = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=24)
punches = st.builds(
    RawPunch,
    pin=pins,
    wall_time=wall_times,
    verify_code=u8,
    state_code=u8,
    work_code=u32,
    source=st.just(Source.LOG),
)


@given(packets)
def test_packets_come_back(packet: Packet) -> None:
    assert decode(encode(packet)) == packet


def slow_checksum(packet: bytes) -> int:
    total = 0
    for start in range(0, len(packet), 2):
        total += int.from_bytes(packet[start : start + 2], "little")
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(st.binary(max_size=300))
@example(b"")
@example(bytes(8))
@example(b"\xff\xff")
@example(b"\xff\xff\xff\xff")
@example(b"\xfe\xff\x01")
def test_the_checksum_is_the_folded_sum_of_words(packet: bytes) -> None:
    assert checksum(packet) == slow_checksum(packet)


@given(st.lists(packets, max_size=5), st.lists(st.integers(0, 200), max_size=20))
def test_any_split_of_the_stream_gives_the_same_packets(sent: list[Packet], cuts: list[int]) -> None:
    stream = b"".join(map(frame, sent))
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    decoder = StreamDecoder()
    got = [packet for start, end in itertools.pairwise(ends) for packet in decoder.feed(stream[start:end])]
    assert got == sent
    assert decoder.pending_bytes == 0


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: MAGIC + b"\x0c\0\0\0" + rest))
def test_garbage_gives_a_value_or_a_protocol_error_and_nothing_else(raw: bytes) -> None:
    for read in (
        decode,
        unpack_event_time,
        SizeTable.from_bytes,
        without_prefix,
        pin_text,
        StreamDecoder().feed,
    ):
        with contextlib.suppress(RemoteProtocolError):
            read(raw)
    unpack_event(raw)
    unpack_event(raw, {7: "1001"})
    for layout in LOG_LAYOUTS:
        with contextlib.suppress(RemoteProtocolError):
            list(unpack_log(raw, layout, {7: "1001"}))
    for users in USER_LAYOUTS:
        with contextlib.suppress(RemoteProtocolError):
            list(unpack_users(raw, "utf-8", users))


@given(st.binary(max_size=400), st.lists(st.integers(-1, 60), max_size=2))
def test_garbage_has_a_layout_or_an_unknown_one_and_nothing_else(raw: bytes, counts: list[int]) -> None:
    evidence = LogEvidence(records=raw, total_bytes=len(raw), counts=counts, now=datetime(2026, 1, 1))
    for suffice in (True, False):
        with contextlib.suppress(UnknownLayout):
            list(unpack_log(raw, choose_log_layout(evidence, counts_suffice=suffice)))
    with contextlib.suppress(UnknownLayout):
        list(unpack_users(raw, "utf-8", choose_user_layout(raw, counts)))


@given(st.binary(min_size=8, max_size=60), st.integers(0, 2**20))
def test_one_flipped_bit_never_goes_unnoticed(data: bytes, where: int) -> None:
    raw = bytearray(encode(Packet(1501, 7, 9, data)))
    raw[where % len(raw)] ^= 1 << (where // len(raw)) % 8
    with pytest.raises(RemoteProtocolError):
        decode(bytes(raw))


@given(wall_times)
def test_times_come_back(wall_time: datetime) -> None:
    assert unpack_time(pack_time(wall_time)) == wall_time
    assert unpack_event_time(pack_event_time(wall_time)) == wall_time


@given(wall_times, wall_times)
def test_packed_times_sort_as_times_do(one: datetime, other: datetime) -> None:
    assert (pack_time(one) < pack_time(other)) == (one < other)


@given(u32)
def test_a_word_is_exactly_one_time_or_none(word: int) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert pack_time(unpack_time(word)) == word


@given(st.integers(0, MAX_COMM_KEY), u16, u8)
@example(131071, 0xFFFF, 50)
@example(983039, 0x8000, 50)
def test_comm_keys_agree_with_pyzk_where_pyzk_can_compute(key: int, session: int, tick: int) -> None:
    ours = scramble(key, session, tick)
    assert matches(ours, key, session)
    try:
        assert ours == make_commkey(key, session, tick)
    except StructError:
        assert key % 0x10000 == 0xFFFF, "pyzk overflows for these keys only"


numbers = st.integers(1, 0xFFFFFFFF).map(str)
fixed = st.sampled_from([layout for layout in LOG_LAYOUTS if layout is not MIXED])


@st.composite
def stored(draw: st.DrawFn, layout: LogLayout) -> tuple[RawPunch, int]:
    """A punch that this layout has room for, and its uid."""
    punch = draw(punches)
    if layout is ATT16:
        punch = punch._replace(pin=draw(numbers))
    elif layout is ATT22:
        punch = punch._replace(pin=punch.pin[:6])
    if layout not in (ATT49, ATT40, ATT16):
        punch = punch._replace(work_code=0)
    if layout in (ATT8B, MIXED):
        punch = punch._replace(verify_code=punch.verify_code & 3, state_code=punch.state_code & 7)
    return punch, draw(st.integers(1, 0xFFFF))


@given(st.data(), fixed)
def test_records_come_back(data: st.DataObject, layout: LogLayout) -> None:
    punch, uid = data.draw(stored(layout))
    assert list(unpack_log(pack_record(layout, punch, uid), layout, {uid: punch.pin})) == [punch]


@given(punches, st.sampled_from(EVENT_BYTES), numbers)
def test_events_come_back_without_a_work_code(punch: RawPunch, length: int, number: str) -> None:
    punch = punch._replace(pin=number) if length == 12 else punch
    event = unpack_event(pack_event(punch, 7, length), {7: punch.pin})
    assert isinstance(event, RawPunch)
    assert (event.pin, event.wall_time) == (punch.pin, punch.wall_time)
    assert (event.verify_code, event.state_code) == (punch.verify_code, punch.state_code)


sane_times = st.datetimes(datetime(2010, 1, 1), datetime(2026, 12, 31)).map(
    lambda when: when.replace(microsecond=0)
)
sane = st.builds(
    RawPunch,
    source=st.just(Source.LOG),
    pin=st.integers(1, 9999).map(str),
    wall_time=sane_times,
    verify_code=st.integers(0, 3),
    state_code=st.integers(0, 5),
    work_code=st.just(0),
)


@given(st.lists(sane, min_size=4, max_size=40), st.integers(-2, 2), fixed, st.integers(1, 60000))
def test_a_log_is_known_also_beside_a_stale_count(
    log: list[RawPunch], off: int, layout: LogLayout, uid: int
) -> None:
    raw = b"".join(pack_record(layout, punch, uid + place) for place, punch in enumerate(log))
    counts = (max(0, len(log) + off),)
    evidence = LogEvidence(
        records=without_prefix(with_prefix([raw])), total_bytes=len(raw), counts=counts, now=None
    )
    assert choose_log_layout(evidence) is layout


FIELDS = {ATT40: (2, 24, 26, 27, 31), ATT49: (2, 24, 26, 27, 31), ATT22: (2, 6, 12, 13, 17)}
"""Of layouts that name people in text: where the pin begins, its width, verify, time, state."""


def slow_fields(raw: bytes, layout: LogLayout) -> tuple[str, int, int, int, int]:
    """Pin, verify, time word, state and work code, byte by byte."""
    if layout in FIELDS:
        start, width, verify, at, state = FIELDS[layout]
        pin = raw[start : start + width].split(b"\0")[0].decode("ascii")
        work = 0 if layout is ATT22 else int.from_bytes(raw[32:36], "little")
        return pin, raw[verify], int.from_bytes(raw[at : at + 4], "little"), raw[state], work
    if layout is ATT16:
        number = int.from_bytes(raw[:4], "little")
        work = int.from_bytes(raw[12:], "little")
        return str(number or ""), raw[9], int.from_bytes(raw[4:8], "little"), raw[8], work
    pin = str(int.from_bytes(raw[:2], "little") or "")
    if layout is ATT8A:
        return pin, raw[2], int.from_bytes(raw[3:7], "little"), raw[7], 0
    return pin, raw[2] // 8 % 4, int.from_bytes(raw[4:], "little"), raw[2] // 32, 0


def slow_punch(raw: bytes, layout: LogLayout) -> RawPunch | None:
    try:
        pin, verify, word, state, work = slow_fields(raw, layout)
        days, rest = divmod(word, 86400)
        date = datetime(2000 + days // 372, days // 31 % 12 + 1, days % 31 + 1)
    except ValueError:
        return None
    if not pin or not pin.isprintable() or date.year > 2099:
        return None
    when = date.replace(hour=rest // 3600, minute=rest // 60 % 60, second=rest % 60)
    return RawPunch(pin=pin, wall_time=when, verify_code=verify, state_code=state, work_code=work)


def slow_log(records: bytes, layout: LogLayout) -> list[RawPunch | BadRecord]:
    """Each record by itself, field by field: what the fast reader must agree with."""
    size = layout.record_bytes
    parts = [records[at : at + size] for at in range(0, len(records), size)]
    return [
        slow_punch(raw, layout) or BadRecord(raw=raw, reason="", position=position)
        for position, raw in enumerate(parts)
    ]


@st.composite
def logs(draw: st.DrawFn, layout: LogLayout) -> bytes:
    """Punches, punches with a time at random, and garbage."""
    at = FIELDS[layout][3] if layout.names is Names.TEXT else {ATT16: 4, ATT8A: 3}.get(layout, 4)
    whole = stored(layout).map(lambda pair: pack_record(layout, *pair))
    almost = st.tuples(whole, u32).map(
        lambda pair: pair[0][:at] + pair[1].to_bytes(4, "little") + pair[0][at + 4 :]
    )
    size = layout.record_bytes
    return b"".join(draw(st.lists(whole | almost | st.binary(min_size=size, max_size=size), max_size=12)))


@given(st.data(), fixed)
def test_the_fast_reader_agrees_with_a_slow_one(data: st.DataObject, layout: LogLayout) -> None:
    records = data.draw(logs(layout))
    fast = [
        BadRecord(raw=item.raw, reason="", position=item.position) if isinstance(item, BadRecord) else item
        for item in unpack_log(records, layout)
    ]
    assert fast == slow_log(records, layout)


def slow_mixed(records: bytes) -> list[tuple[str, datetime, int, int] | int]:
    """Of each record of a mixed log pin, time, verify and state; of one that is no punch its length."""
    read: list[tuple[str, datetime, int, int] | int] = []
    base: datetime | None = None
    while records:
        bits = int.from_bytes(records[2:4], "little")
        short = bits & 4
        if short:
            when = base and base + timedelta(seconds=(bits % 4) * 256 + bits // 256)
        else:
            slow = slow_punch(b"\1" + records[1:8], ATT8B)
            when = base = slow.wall_time if slow else None
        pin = int.from_bytes(records[:2], "little")
        length = 4 if short else 8
        read.append((str(pin), when, bits // 8 % 4, bits // 32 % 8) if pin and when else length)
        records = records[length:]
    return read


mixed_records = st.one_of(
    st.builds(pack_record, st.just(MIXED), sane, st.integers(0, 9)),
    st.builds(pack_short, sane, st.integers(0, 9), st.integers(0, 1023)),
    st.binary(min_size=8, max_size=8).map(lambda raw: raw[:2] + b"\x08" + raw[3:]),
)


@given(st.lists(mixed_records, max_size=30).map(b"".join))
def test_the_reader_of_mixed_logs_agrees_with_a_slow_one(records: bytes) -> None:
    got = [
        len(item.raw)
        if isinstance(item, BadRecord)
        else (item.pin, item.wall_time, item.verify_code, item.state_code)
        for item in unpack_log(records, MIXED)
    ]
    assert got == slow_mixed(records)


people = st.builds(
    User,
    uid=st.integers(1, 0xFFFF),
    pin=numbers,
    name=st.just(""),
    name_raw=st.binary(max_size=8).map(lambda raw: raw.split(b"\0")[0]),
    privilege=st.integers(0, 15),
    card=u32,
)


@given(
    st.lists(people, min_size=1, max_size=10, unique_by=lambda user: user.uid), st.sampled_from(USER_LAYOUTS)
)
def test_users_come_back(enrolled: list[User], layout: UserLayout) -> None:
    records = b"".join(pack_user(user, layout) for user in enrolled)
    assert choose_user_layout(records, (len(enrolled),)) is layout
    got = list(unpack_users(records, "utf-8", layout))
    assert [(u.uid, u.pin, u.name_raw, u.privilege) for u in got] == [
        (u.uid, u.pin, u.name_raw, u.privilege) for u in enrolled
    ]
    if layout is USER72:
        assert [u.card for u in got] == [u.card for u in enrolled]
