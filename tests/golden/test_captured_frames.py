"""Bytes of real terminals, published by others, mean to our codec what their notes say."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from struct import unpack

import pytest
from pydantic import BaseModel, JsonValue

from attendance.errors import RemoteProtocolError
from attendance.punch import BadRecord, RawPunch
from drivers.zk.answers import LiveEvent
from drivers.zk.commkey import scramble
from drivers.zk.events import unpack_event
from drivers.zk.layouts import LogEvidence, UnknownLayout, choose_log_layout, choose_user_layout
from drivers.zk.packet import HEADER_BYTES, TOP_BYTES, Packet, StreamDecoder, decode, encode, frame
from drivers.zk.records import ATT8B, ATT16, ATT22, ATT40, LogLayout, unpack_log, without_prefix
from drivers.zk.sizes import SizeTable
from drivers.zk.users import USER28, USER72, unpack_users

CAPTURES = Path(__file__).with_name("captures.json")


class Capture(BaseModel):
    id: str
    origin: str
    transport: str | None
    direction: str
    hex: str
    means: dict[str, JsonValue]

    @property
    def raw(self) -> bytes:
        return bytes.fromhex(self.hex)

    def number(self, key: str) -> int:
        value = self.means[key]
        assert isinstance(value, int)
        return value

    def text(self, key: str) -> str:
        value = self.means[key]
        assert isinstance(value, str)
        return value

    def table(self, key: str) -> dict[str, JsonValue]:
        value = self.means[key]
        assert isinstance(value, dict)
        return value

    def tables(self, key: str) -> list[dict[str, JsonValue]]:
        value = self.means[key]
        assert isinstance(value, list)
        return [item for item in value if isinstance(item, dict)]

    @property
    def packet(self) -> bytes:
        """The packet's bytes, without a TCP top header."""
        framed = self.means["form"] == "frame" and self.transport == "tcp"
        return self.raw[TOP_BYTES:] if framed else self.raw


ALL = [Capture.model_validate(entry) for entry in json.loads(CAPTURES.read_text(encoding="utf-8"))]


def chosen(which: Callable[[Capture], bool]) -> pytest.MarkDecorator:
    found = [capture for capture in ALL if which(capture)]
    assert found
    return pytest.mark.parametrize("capture", found, ids=[capture.id for capture in found])


def is_packet(capture: Capture) -> bool:
    return capture.means["form"] in ("frame", "packet")


def is_kind(*kinds: str) -> Callable[[Capture], bool]:
    return lambda capture: capture.means["kind"] in kinds


def same_record(capture: Capture, punch: RawPunch, record: dict[str, JsonValue]) -> None:
    assert punch.pin == record["user_id"], capture.origin
    assert punch.wall_time == datetime.fromisoformat(str(record["time"]))
    assert (punch.verify_code, punch.state_code) == (record["verify"], record["state"])


def layout_of(log: bytes, *counts: int) -> LogLayout:
    return choose_log_layout(LogEvidence(records=log, total_bytes=len(log), counts=counts))


def test_no_capture_is_missing() -> None:
    assert len(ALL) == 148


@chosen(lambda capture: is_packet(capture) and capture.means["checksum_ok"] is True)
def test_a_packet_has_the_header_that_it_means(capture: Capture) -> None:
    packet = decode(capture.packet)
    session_keys = ("session", "event_code", "packet_index", "machine_state", "session_field")
    (session,) = (capture.number(key) for key in session_keys if key in capture.means)
    assert packet.command == capture.number("command")
    assert packet.session == session
    assert packet.reply_id == capture.number("reply_id")
    assert len(packet.data) == capture.number("data_bytes")
    assert encode(packet) == capture.packet


@chosen(lambda capture: is_packet(capture) and capture.means["checksum_ok"] is False)
def test_a_packet_that_was_tampered_with_is_refused(capture: Capture) -> None:
    with pytest.raises(RemoteProtocolError, match="checksum"):
        decode(capture.packet)


@chosen(lambda capture: capture.means.get("top_length_ok") is True and capture.means["checksum_ok"] is True)
def test_a_frame_is_cut_out_of_the_stream_however_it_is_split(capture: Capture) -> None:
    for size in (1, 3, 8, 16, len(capture.raw)):
        decoder = StreamDecoder()
        pieces = [capture.raw[at : at + size] for at in range(0, len(capture.raw), size)]
        (packet,) = [packet for piece in pieces for packet in decoder.feed(piece)]
        assert frame(packet) == capture.raw
        assert decoder.pending_bytes == 0


@chosen(lambda capture: "segments" in capture.means)
def test_a_frame_arrives_in_the_segments_that_it_was_captured_in(capture: Capture) -> None:
    first, second = (size for size in capture.means["segments"] or () if isinstance(size, int))  # type: ignore[union-attr]
    decoder = StreamDecoder()
    assert decoder.feed(capture.raw[:first]) == []
    assert len(decoder.feed(capture.raw[first : first + second])) == 1


@chosen(lambda capture: capture.means.get("top_length_ok") is False)
def test_a_frame_that_announces_more_than_there_is_waits_for_the_rest(capture: Capture) -> None:
    assert StreamDecoder().feed(capture.raw) == []


@chosen(lambda capture: is_kind("att-40")(capture) and len(capture.raw) == 40)
def test_records_of_40_bytes(capture: Capture) -> None:
    assert layout_of(capture.raw, 1) is layout_of(capture.raw) is ATT40
    (punch,) = unpack_log(capture.raw)
    assert isinstance(punch, RawPunch)
    same_record(capture, punch, capture.table("record"))


@chosen(lambda capture: is_kind("att-40")(capture) and len(capture.raw) != 40)
def test_a_record_that_was_published_cut_is_no_record(capture: Capture) -> None:
    with pytest.raises(RemoteProtocolError):
        list(unpack_log(capture.raw))


@chosen(is_kind("att-16"))
def test_records_of_16_bytes(capture: Capture) -> None:
    expected = capture.tables("records")
    assert layout_of(capture.raw, len(expected)) is layout_of(capture.raw) is ATT16
    for punch, record in zip(unpack_log(capture.raw, ATT16), expected, strict=True):
        assert isinstance(punch, RawPunch)
        same_record(capture, punch, {**record, "user_id": str(record["user_id"])})
        assert punch.work_code == record["work_code"]


@chosen(is_kind("att-22"))
def test_records_of_22_bytes(capture: Capture) -> None:
    assert layout_of(capture.raw, 1) is layout_of(capture.raw) is ATT22
    (punch,) = unpack_log(capture.raw, ATT22)
    assert isinstance(punch, RawPunch)
    same_record(capture, punch, capture.table("record"))


@chosen(is_kind("att-8b"))
def test_records_of_8_bytes_name_a_uid_and_the_user_table_the_user(capture: Capture) -> None:
    assert layout_of(capture.raw, 1) is layout_of(capture.raw) is ATT8B
    record = capture.table("record")
    (punch,) = unpack_log(capture.raw, ATT8B)
    assert isinstance(punch, RawPunch)
    same_record(capture, punch, {**record, "user_id": str(record["uid"])})
    (punch,) = unpack_log(capture.raw, ATT8B, {capture.table("record")["uid"]: "1001"})  # type: ignore[dict-item]
    assert isinstance(punch, RawPunch)
    assert punch.pin == "1001"


@chosen(lambda capture: capture.id == "js53-04")
@pytest.mark.parametrize("count", [0, 3, 15])
def test_stale_memory_given_for_a_log_is_no_log(capture: Capture, count: int) -> None:
    records = without_prefix(decode(capture.packet).data)
    evidence = LogEvidence(records=records, total_bytes=len(records), counts=(count,))
    with pytest.raises(UnknownLayout, match="120 bytes") as caught:
        choose_log_layout(evidence, counts_suffice=False)
    assert caught.value.raw == b""


@chosen(lambda capture: is_kind("user-record")(capture) and len(capture.raw) == 72)
def test_users_of_72_bytes(capture: Capture) -> None:
    assert choose_user_layout(capture.raw, (1,)) is choose_user_layout(capture.raw, ()) is USER72
    (person,) = unpack_users(capture.raw, "utf-8")
    expected = capture.table("user")
    assert (person.uid, person.pin, person.name) == (expected["uid"], expected["user_id"], expected["name"])
    assert (person.privilege, person.card) == (expected["privilege"], expected["card"])


@chosen(lambda capture: is_kind("user-record")(capture) and len(capture.raw) not in (28, 72))
def test_a_user_that_was_published_with_a_byte_too_many_is_refused(capture: Capture) -> None:
    with pytest.raises(UnknownLayout) as caught:
        choose_user_layout(capture.raw, (1,))
    assert caught.value.raw == b"", "it holds passwords"


@chosen(lambda capture: is_kind("user-write")(capture) and capture.means["checksum_ok"] is True)
def test_users_as_the_vendors_software_writes_them(capture: Capture) -> None:
    (person,) = unpack_users(decode(capture.packet).data, "utf-8")
    expected = capture.table("user")
    assert (person.uid, person.pin, person.name) == (expected["uid"], expected["user_id"], expected["name"])
    assert (person.privilege, person.card) == (expected["privilege"], expected["card"])


@chosen(lambda capture: capture.means.get("record_bytes") == 28)
def test_users_of_28_bytes(capture: Capture) -> None:
    assert choose_user_layout(capture.raw, (1,)) is choose_user_layout(capture.raw, ()) is USER28
    (person,) = unpack_users(capture.raw, "cp1252", USER28)
    expected = capture.table("user")
    assert (person.uid, person.pin) == (expected["uid"], str(expected["user_id"]))
    assert (person.name_raw.hex(), person.privilege) == (expected["name_hex"], expected["privilege"])
    assert person.card == 0


def test_a_table_of_28_bytes_is_known_with_and_without_its_count() -> None:
    table = b"".join(capture.raw for capture in ALL if capture.means.get("record_bytes") == 28)
    for counts in ((5,), (4,), (0,), ()):
        assert choose_user_layout(table, counts) is USER28
    assert [person.name for person in unpack_users(table, "cp1252", USER28)][-1] == "CASTAÑEI"


@chosen(is_kind("users-72"))
def test_a_user_table_that_came_inline(capture: Capture) -> None:
    records = without_prefix(decode(capture.packet).data)
    assert len(records) == capture.number("prefix")
    people = list(unpack_users(records, "utf-8"))
    assert [(p.uid, p.pin, p.name) for p in people] == [
        (u["uid"], u["user_id"], u["name"]) for u in capture.tables("users")
    ]


@chosen(lambda capture: "whole_users" in capture.means)
def test_users_inside_a_packet_of_a_transfer(capture: Capture) -> None:
    data = decode(capture.packet).data
    start = 4 + capture.number("first_whole_record") * 72 - capture.number("body_offset")
    expected = capture.tables("whole_users")
    people = list(unpack_users(data[start : start + 72 * len(expected)], "utf-8"))
    assert [(p.uid, p.pin, p.name, p.privilege) for p in people] == [
        (u["uid"], u["user_id"], u["name"], u["privilege"]) for u in expected
    ]


@chosen(lambda capture: is_kind("sizes")(capture) and capture.means["form"] != "fragment")
def test_size_tables(capture: Capture) -> None:
    body = capture.raw if capture.means["form"] == "body" else decode(capture.packet).data
    expected = dict(capture.table("sizes"))
    assert len(body) == expected.pop("table_bytes")
    expected.pop("admins", None)
    table = SizeTable.from_bytes(body)
    assert (table is None) == (not expected)
    for name, value in expected.items():
        assert getattr(table, name) == value, name


@chosen(lambda capture: "user_id" in capture.means and is_kind("event")(capture))
def test_live_punches_that_name_the_user(capture: Capture) -> None:
    data = capture.raw if capture.means["form"] == "body" else capture.packet[HEADER_BYTES:]
    event = unpack_event(data)
    assert isinstance(event, RawPunch)
    same_record(capture, event, {**capture.means, "state": capture.means["state_byte"]})


@chosen(lambda capture: "uid" in capture.means and is_kind("event")(capture))
def test_a_live_punch_that_names_only_the_uid_is_the_users(capture: Capture) -> None:
    data = decode(capture.packet).data
    event = unpack_event(data, {capture.number("uid"): "1001"})
    assert isinstance(event, RawPunch)
    same_record(capture, event, {**capture.means, "user_id": "1001", "state": capture.means["state_byte"]})


@chosen(lambda capture: "uid" in capture.means and is_kind("event")(capture))
def test_a_live_punch_of_a_uid_is_kept_and_given_to_nobody_where_the_users_are_not_known(
    capture: Capture,
) -> None:
    event = unpack_event(decode(capture.packet).data)
    assert isinstance(event, BadRecord)
    assert event.raw == decode(capture.packet).data


@chosen(lambda capture: capture.means.get("event") == "FPFTR")
def test_a_score_is_no_punch(capture: Capture) -> None:
    packet = decode(capture.packet)
    assert not LiveEvent(packet.session, packet.reply_id, packet.data).is_punch


@chosen(is_kind("option-reply", "version-reply"))
def test_texts_end_at_their_nul(capture: Capture) -> None:
    assert decode(capture.packet).data == capture.text("text").encode() + b"\0"


@chosen(is_kind("auth"))
def test_comm_keys_that_terminals_were_given(capture: Capture) -> None:
    packet = decode(capture.packet)
    assert packet.data == scramble(capture.number("comm_key"), packet.session, capture.number("tick"))
    assert packet.data.hex() == capture.text("key_bytes")


@chosen(is_kind("buffer-reply", "prepare"))
def test_announced_lengths(capture: Capture) -> None:
    data = capture.packet[HEADER_BYTES:]
    if capture.means["kind"] == "prepare":
        assert unpack("<II", data) == (capture.number("size"), capture.number("packet_size"))
    else:
        size = capture.number("buffer_size")
        assert unpack("<BII", data[:9]) == (0, size, size)
        assert data[9:].hex() == capture.means["hash"]


@chosen(is_kind("query", "query-body"))
def test_table_queries(capture: Capture) -> None:
    data = capture.raw if capture.means["form"] == "body" else decode(capture.packet).data
    assert unpack("<BHii", data) == (1, *(capture.number(key) for key in ("wanted_command", "p1", "p2")))


def test_a_session_answers_as_it_was_captured() -> None:
    """CONNECT with a comm key, key by key: the first is refused, the second accepted."""
    by_id = {capture.id: decode(capture.packet) for capture in ALL if capture.id.startswith("pyzk-test-0")}
    assert by_id["pyzk-test-03"] == Packet(2005, 0x45CF, 0)
    assert by_id["pyzk-test-04"].data == scramble(12, 0x45CF)
    assert by_id["pyzk-test-05"] == Packet(2005, 0x45CF, 1)
    assert by_id["pyzk-test-06"].data == scramble(45, 0x45CF)
