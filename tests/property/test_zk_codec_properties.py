"""What must hold of the codec for all bytes, not only for those that somebody thought of."""

import contextlib
import itertools
from datetime import datetime
from struct import error as StructError  # noqa: N812
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attendance.errors import RemoteProtocolError
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import User
from drivers.zk.commkey import MAX_COMM_KEY, matches, scramble
from drivers.zk.packet import MAGIC, Packet, StreamDecoder, checksum, decode, encode, frame
from drivers.zk.records import (
    check_log_layout,
    check_user_layout,
    pack_att40,
    pack_event32,
    pack_user72,
    pin_text,
    unpack_event,
    unpack_log,
    unpack_users72,
    with_prefix,
    without_prefix,
)
from drivers.zk.sizes import SizeTable
from drivers.zk.times import pack_event_time, pack_time, unpack_event_time, unpack_time
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
punches = st.builds(RawPunch, pin=pins, wall_time=wall_times, verify_code=u8, state_code=u8, work_code=u32)


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
    list(unpack_log(raw[: len(raw) // 40 * 40]))
    list(unpack_users72(raw[: len(raw) // 72 * 72], "utf-8"))


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


@given(punches, u32)
def test_records_come_back(punch: RawPunch, number: int) -> None:
    assert list(unpack_log(pack_att40(punch, number))) == [punch]


@given(punches)
def test_events_come_back_without_a_work_code(punch: RawPunch) -> None:
    event = unpack_event(pack_event32(punch))
    assert isinstance(event, RawPunch)
    assert (event.pin, event.wall_time) == (punch.pin, punch.wall_time)
    assert (event.verify_code, event.state_code) == (punch.verify_code, punch.state_code)


@given(st.lists(punches, max_size=30), st.integers(-2, 2))
def test_a_log_passes_the_layout_check_also_beside_a_stale_count(log: list[RawPunch], off: int) -> None:
    sane = [pack_att40(punch) for punch in log if punch.state_code in (0, 1, 2, 3, 4, 5, 255)]
    check_log_layout(without_prefix(with_prefix(sane)), (max(0, len(sane) + off),))


def slow_punch(raw: bytes) -> RawPunch | None:
    pin = raw[2:26].split(b"\0")[0]
    days, rest = divmod(int.from_bytes(raw[27:31], "little"), 86400)
    try:
        date = datetime(2000 + days // 372, days // 31 % 12 + 1, days % 31 + 1)
        text = pin.decode("ascii")
    except ValueError:
        return None
    if not text or not text.isprintable() or date.year > 2099:
        return None
    when = date.replace(hour=rest // 3600, minute=rest // 60 % 60, second=rest % 60)
    work = int.from_bytes(raw[32:36], "little")
    return RawPunch(pin=text, wall_time=when, verify_code=raw[26], state_code=raw[31], work_code=work)


def slow_log(records: bytes) -> list[RawPunch | BadRecord]:
    """Each record by itself, field by field: what the fast reader must agree with."""
    parts = [records[at : at + 40] for at in range(0, len(records), 40)]
    return [
        slow_punch(raw) or BadRecord(raw=raw, reason="", position=position)
        for position, raw in enumerate(parts)
    ]


broken = st.binary(min_size=40, max_size=40)
almost = st.tuples(punches.map(pack_att40), u32).map(
    lambda pair: pair[0][:27] + pair[1].to_bytes(4, "little") + pair[0][31:]
)


@given(st.lists(punches.map(pack_att40) | broken | almost, max_size=30).map(b"".join))
def test_the_fast_reader_agrees_with_a_slow_one(records: bytes) -> None:
    fast = [
        BadRecord(raw=item.raw, reason="", position=item.position) if isinstance(item, BadRecord) else item
        for item in unpack_log(records)
    ]
    assert fast == slow_log(records)


people = st.builds(
    User,
    uid=st.integers(1, 0xFFFF),
    pin=pins,
    name=st.just(""),
    name_raw=st.binary(max_size=24).map(lambda raw: raw.split(b"\0")[0]),
    privilege=u8,
    card=u32,
)


@given(st.lists(people, max_size=10))
def test_users_come_back(enrolled: list[User]) -> None:
    records = b"".join(map(pack_user72, enrolled))
    check_user_layout(records, ())
    got = list(unpack_users72(records, "utf-8"))
    assert [(u.uid, u.pin, u.name_raw, u.privilege, u.card) for u in got] == [
        (u.uid, u.pin, u.name_raw, u.privilege, u.card) for u in enrolled
    ]
