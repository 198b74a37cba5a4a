"""Handshakes, stamps and commands: words that set a terminal's clock, or make it send everything again."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from attendance.errors import LocalProtocolError
from drivers.zk_push import replies
from drivers.zk_push.options import (
    PushFacts,
    PushOptions,
    handshake_reply,
    is_stamp,
    read_info,
    read_options,
    time_reply,
    time_zone,
    trans_flag,
)
from drivers.zk_push.replies import Command, command_reply, endpoint, parse_query, read_results

NOW = datetime(2026, 1, 5, 0, 30, tzinfo=UTC)
NEW = {"pushver": "2.4.1"}


def options(query: dict[str, str], stamps: dict[str, str], zone: str = "Asia/Jayapura") -> dict[str, str]:
    settings = PushOptions(zone=ZoneInfo(zone), delay=timedelta(seconds=10))
    said = handshake_reply("ABC1", query, settings, stamps, NOW).decode()
    first, *lines = said.split("\n")[:-1]
    assert said.endswith("\n"), "clients drop a last line without a line feed"
    assert first == "GET OPTION FROM: ABC1"
    return dict(line.partition("=")[::2] for line in lines)


def test_a_new_terminal_gets_the_smallest_safe_answer() -> None:
    assert options(NEW, {}) == {
        "ATTLOGStamp": "0",
        "OPERLOGStamp": "0",
        "ErrorDelay": "60",
        "Delay": "10",
        "TransInterval": "1",
        "TransFlag": "TransData AttLog\tOpLog",
        "TimeZone": "9",
        "Realtime": "1",
        "Encrypt": "0",
        "ServerVer": "2.4.1",
        "PushProtVer": "2.4.1",
    }


def test_stamps_go_back_as_they_came() -> None:
    """A stamp made by us could tell a terminal that its punches of a morning are old."""
    stamps = {"ATTLOG": "82983982", "OPERLOG": "2026-01-02T03:04:05+07:00", "ATTPHOTO": "9999"}
    found = options(NEW, stamps)
    assert (found["ATTLOGStamp"], found["OPERLOGStamp"], found["ATTPHOTOStamp"]) == tuple(stamps.values())


def test_the_oldest_clients_get_the_oldest_names() -> None:
    found = options({}, {"ATTLOG": "5"})
    assert (found["Stamp"], found["OpStamp"]) == ("5", "0")
    assert "ATTLOGStamp" not in found


def test_no_answer_ever_sends_a_terminal_to_another_server() -> None:
    assert "ICLOCKSVRURL" not in options({**NEW, "pushoptionsflag": "1"}, {})


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Asia/Jakarta", 7),
        ("Asia/Makassar", 8),
        ("Asia/Jayapura", 9),
        ("Asia/Kolkata", 330),
        ("America/St_Johns", -210),
        ("America/New_York", -5),
        ("UTC", 0),
    ],
)
def test_zones_are_whole_hours_or_minutes(zone: str, told: int) -> None:
    """`+05:30` or `5.5` sets a clock half an hour wrong: clients read a number up to the first odd sign."""
    assert time_zone(ZoneInfo(zone), NOW) == told


def test_the_time_is_told_with_its_offset() -> None:
    assert time_reply(ZoneInfo("Asia/Jakarta"), NOW) == b"Time=2026-01-05T07:30:00+07:00\n"


def test_wanted_data_is_named_with_real_tabs_and_holds_no_template() -> None:
    assert trans_flag(with_users=True).split("\t") == ["TransData AttLog", "OpLog", "EnrollUser", "ChgUser"]


@pytest.mark.parametrize("stamp", ["", "a\nICLOCKSVRURL=http://x", "a b", "x" * 65, "é"])
def test_a_stamp_that_would_bring_lines_of_its_own_is_not_kept(stamp: str) -> None:
    assert not is_stamp(stamp)


@pytest.mark.parametrize(
    "target",
    [
        "/iclock/cdata?SN=A",
        "/iclock/cdata/?SN=A",
        "/iclock/cdata.aspx?SN=A",
        "/ICLOCK/CData.PHP?SN=A",
        "/dinas/rahasia/iclock/cdata?SN=A",
        "http://10.0.0.1:8081/iclock/cdata?SN=A",
        "/cdata?sn=A",
        "/iclock/%63data?SN=A&SN=B",
    ],
)
def test_every_way_to_write_a_path_reaches_the_same_place(target: str) -> None:
    assert endpoint(target) == "cdata"
    assert parse_query(target) == {"sn": "A"}


def test_a_plus_in_a_query_stays_a_plus() -> None:
    assert parse_query("/cdata?Stamp=2026-01-02T03:04:05+07:00&x")["stamp"] == "2026-01-02T03:04:05+07:00"


def test_no_refusal_can_be_taken_for_an_ok() -> None:
    for refusal in (replies.RETRY, replies.HELD):
        assert b"OK" not in refusal.upper()


def test_heartbeats_tell_counts_and_hide_what_is_not_supported() -> None:
    info = "Ver 8.0.4.3-20200214 (build 3), 12, 20, 4321, 10.1.2.3, 10, -1, -1, -1, 101"
    assert read_info(info) == PushFacts(firmware="Ver 8.0.4.3-20200214 (build 3)", records=4321)
    assert read_info("Ver 1,1,1,-1") == PushFacts(firmware="Ver 1")
    assert read_info("") == PushFacts()


@pytest.mark.parametrize(("told", "records"), [("10", 100_000), ("200000", 200_000)])
def test_capacity_is_in_tens_of_thousands_on_older_firmware(told: str, records: int) -> None:
    pairs = [f"~MaxAttLogCount={told}", "~DeviceName=SpeedFace", "FWVersion=1.1", "ComPwd=SECRET"]
    assert read_options(pairs) == PushFacts(model="SpeedFace", firmware="1.1", capacity=records)


# --- commands


def test_commands_are_lines_and_a_restart_is_the_last() -> None:
    said = command_reply([Command(2, "REBOOT"), Command(3, "CHECK")])
    assert said == b"C:3:CHECK\nC:2:REBOOT\n"
    assert command_reply([]) == b"OK"


@pytest.mark.parametrize("text", ["CHECK\nC:9:CLEAR DATA", "CHECK\r", "", "x" * 4001, "LOG\0"])
def test_a_text_cannot_smuggle_a_second_command(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        _ = Command(1, text).line


def test_a_reply_holds_no_more_than_a_terminal_takes() -> None:
    assert command_reply(Command(n, "CHECK") for n in range(500)).count(b"\n") == 200
    assert len(command_reply(Command(n, "LOG" + "x" * 3000) for n in range(50))) <= 40_000


def test_ranges_are_the_terminals_own_times() -> None:
    start, end = datetime(2026, 1, 5), datetime(2026, 1, 5, 23, 59, 59)
    said = "ATTLOG StartTime=2026-01-05 00:00:00\tEndTime=2026-01-05 23:59:59"
    assert replies.query_attlog(start, end) == f"DATA QUERY {said}"
    assert replies.verify_sum(start, end) == f"VERIFY SUM {said}"


def test_results_are_read_and_their_secrets_are_not_shown() -> None:
    body = (
        b"ID=1&Return=0&CMD=CHECK\r\n"
        b"ID=2&Return=-1002&CMD=SET OPTION\n"
        b"ID=3&Return=0&CMD=INFO\n~DeviceName=X\nComPwd=SECRET\n"
        b"ID=4&Return=0&CMD=VERIFY SUM&StartTime=2026-01-05 00:00:00&AttlogSum=12\n"
        b"rubbish\nID=&Return=1\n"
    )
    found = read_results(body)
    assert [(one.id, one.code, one.name) for one in found] == [
        (1, 0, "CHECK"),
        (2, -1002, "SET OPTION"),
        (3, 0, "INFO"),
        (4, 0, "VERIFY SUM"),
    ]
    assert read_options(found[2].told).model == "X"
    assert found[3].values == {"StartTime": "2026-01-05 00:00:00", "AttlogSum": "12"}
    assert "SECRET" not in repr(found)
