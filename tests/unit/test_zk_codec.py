"""Numbers that stand in captures or were computed by hand, as literals in both directions."""

from datetime import datetime

import pytest

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.terminal import Sizes
from drivers.zk.commkey import matches, scramble
from drivers.zk.packet import MAGIC, Packet, StreamDecoder, decode, encode, frame
from drivers.zk.sizes import SizeTable
from drivers.zk.times import pack_event_time, pack_time, unpack_event_time, unpack_time

SESSION = 0x1F2E

PACKETS = [
    (Packet(1000, 0, 0), "e80317fc00000000"),
    (Packet(2000, SESSION, 0), "d00701d92e1f0000"),
    (Packet(2005, SESSION, 0), "d507fcd82e1f0000"),
    (Packet(1102, SESSION, 1, bytes.fromhex("41363266")), "4e040f402e1f010041363266"),
    (Packet(201, SESSION, 3), "c90005e02e1f0300"),
    (Packet(2000, SESSION, 3, bytes.fromhex("1790482e")), "d0079f1a2e1f03001790482e"),
    (Packet(11, SESSION, 4, b"~SerialNumber\0"), "0b00bf972e1f04007e53657269616c4e756d62657200"),
    (Packet(50, SESSION, 5), "32009ae02e1f0500"),
    (
        Packet(1503, SESSION, 6, bytes.fromhex("010d000000000000000000")),
        "df05ebcd2e1f0600010d000000000000000000",
    ),
    (Packet(2000, 0, 7), "d00728f800000700"),
    (Packet(1001, SESSION, 11), "e903dddc2e1f0b00"),
    (Packet(2000, 36339, 10, b"\x09"), "d007296af38d0a0009"),
]


@pytest.mark.parametrize(("packet", "hexes"), PACKETS)
def test_packets_are_these_bytes(packet: Packet, hexes: str) -> None:
    assert encode(packet).hex() == hexes
    assert decode(bytes.fromhex(hexes)) == packet


def test_a_frame_announces_what_follows() -> None:
    assert frame(Packet(1000, 0, 0)).hex() == "5050827d08000000e80317fc00000000"


@pytest.mark.parametrize(
    ("hexes", "words"),
    [
        ("5050837c", "encrypted"),
        ("5051", "not a ZK frame"),
        ("aa", "not a ZK frame"),
        ("485454502f", "not a ZK frame"),
        ("5050827d07000000", "announces 7 bytes"),
        ("5050827d00000040", "announces 1073741824 bytes"),
        ("5050827d08000000e80318fc00000000", "checksum"),
    ],
)
def test_a_stream_out_of_step_is_noticed_at_once(hexes: str, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        StreamDecoder().feed(bytes.fromhex(hexes))


def test_half_a_frame_is_kept_until_the_rest_comes() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(MAGIC) == []
    assert decoder.pending_bytes == 4


def test_a_field_too_large_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        encode(Packet(1000, 0x10000, 0))


KEYS = [
    (0, 0x45CF, "617d323c"),
    (1, 0x0D46, "61fd3274"),
    (12, 0x45CF, "614d323c"),
    (45, 0x45CF, "61c9323c"),
    (1234, 0x1F2E, "41363266"),
    (1234, 0x1F99, "41363266"),
    (1234, 0x2E2E, "41363257"),
    (5678, 0x1F2E, "09093266"),
    (123456, 0x1234, "267f32eb"),
    (999999, 0xFFFF, "22813296"),
]


@pytest.mark.parametrize(("key", "session", "hexes"), KEYS)
def test_comm_keys_are_scrambled_as_terminals_accept_them(key: int, session: int, hexes: str) -> None:
    assert scramble(key, session).hex() == hexes
    assert matches(bytes.fromhex(hexes), key, session)
    assert not matches(bytes.fromhex(hexes), key ^ 0x10, session)


def test_a_comm_key_of_seven_digits_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="6 digits"):
        scramble(1_000_000, 1)


TIMES = [
    (0x00000000, datetime(2000, 1, 1)),
    (0x2368B36B, datetime(2018, 6, 25, 17, 50, 35)),
    (0x29C9EBB8, datetime(2021, 10, 24, 13, 42, 16)),
    (0x234F15EC, datetime(2018, 6, 6, 7, 31, 56)),
    (0x2E489017, datetime(2024, 2, 29, 8, 30, 15)),
    (0x31CF2C00, datetime(2026, 1, 1)),
    (0x331AEC39, datetime(2026, 9, 4, 15, 20, 25)),
    (0xBF92F7FF, datetime(2099, 12, 31, 23, 59, 59)),
]


@pytest.mark.parametrize(("word", "wall_time"), TIMES)
def test_times_are_these_words(word: int, wall_time: datetime) -> None:
    assert pack_time(wall_time) == word
    assert unpack_time(word) == wall_time


@pytest.mark.parametrize("day", ["02-30", "02-31", "04-31", "06-31", "09-31", "11-31"])
def test_days_that_a_terminals_31_day_months_allow_are_no_dates(day: str) -> None:
    month, number = map(int, day.split("-"))
    with pytest.raises(RemoteProtocolError, match="no such date"):
        unpack_time(((26 * 12 + month - 1) * 31 + number - 1) * 86400)


def test_february_29_exists_in_leap_years_only() -> None:
    second = (31 + 28) * 86400
    assert unpack_time(second) == datetime(2000, 2, 29)
    with pytest.raises(RemoteProtocolError):
        unpack_time(second + 372 * 86400)


@pytest.mark.parametrize("word", [0xBF92F800, 0xFFFFFFFF])
def test_the_years_after_2099_are_rubbish(word: int) -> None:
    with pytest.raises(RemoteProtocolError, match="the year 2"):
        unpack_time(word)


@pytest.mark.parametrize("year", [1999, 2100])
def test_a_year_that_no_terminal_knows_cannot_be_set(year: int) -> None:
    with pytest.raises(LocalProtocolError):
        pack_time(datetime(year, 1, 1))


def test_event_times_are_six_bytes() -> None:
    assert pack_event_time(datetime(2018, 12, 17, 1, 4, 17)).hex() == "120c11010411"
    assert unpack_event_time(bytes.fromhex("120c11010411")) == datetime(2018, 12, 17, 1, 4, 17)
    with pytest.raises(RemoteProtocolError):
        unpack_event_time(b"\x12")


def test_a_size_table_that_tells_nothing_is_not_a_table_of_zeros() -> None:
    assert SizeTable.from_bytes(bytes(4)) is None


def test_a_count_below_zero_is_no_count() -> None:
    assert SizeTable(users=-1, records=-1, oplog=-1).as_sizes() == Sizes()


def test_half_a_size_table_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError, match="60 bytes"):
        SizeTable.from_bytes(bytes(60))


@pytest.mark.parametrize("length", [80, 92, 112])
def test_size_tables_of_every_length_tell_the_same(length: int) -> None:
    table = SizeTable(users=3, records=58, record_capacity=100_000)
    assert SizeTable.from_bytes(table.to_bytes(length)) == table
    assert table.as_sizes() == Sizes(users=3, records=58, record_capacity=100_000, operations=table.oplog)
