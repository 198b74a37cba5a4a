"""Files that technicians carry, as terminals and office programs write them."""

import io
from datetime import datetime

import pytest

from attendance.errors import DataError, Unsupported
from attendance.punch import BadRecord, RawPunch, Source
from drivers.base import Session
from drivers.file.dates import Order
from drivers.file.driver import FileSession, serial_in_name
from drivers.file.rows import LONGEST
from drivers.file.sheet import Choices

WHEN = datetime(2026, 1, 5, 7, 30, 15)


def opened(content: bytes | str, name: str = "attlog.dat", choices: Choices | None = None) -> FileSession:
    raw = content.encode() if isinstance(content, str) else content
    return FileSession(io.BytesIO(raw), name, choices or Choices())


def read(content: bytes | str, choices: Choices | None = None) -> list[RawPunch | BadRecord]:
    return list(opened(content, choices=choices).read_log())


def punch(pin: str, *, at: datetime = WHEN, state: int = 0, verify: int = 1, work: int = 0) -> RawPunch:
    return RawPunch(
        pin=pin, wall_time=at, state_code=state, verify_code=verify, work_code=work, source=Source.FILE
    )


def test_a_file_is_a_session_like_any_other() -> None:
    session: Session = opened("1\t2026-01-05 07:30:15\t1\t0\t1\t0\n")
    assert list(session.read_log()) == list(session.read_log()) == [punch("1")]
    assert session.read_sizes().records is None
    with pytest.raises(Unsupported):
        session.read_clock()
    with pytest.raises(Unsupported, match="no serial number"):
        session.identify()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"     1001\t2026-01-05 07:30:15\t1\t0\t1\t0\n", punch("1001")),
        (b"1001\t2026-01-05 07:30:15\t1\t1\t15\t77\r\n", punch("1001", state=1, verify=15, work=77)),
        (b"1001\t2026-01-05 07:30:15\t1\t255\t1\t0\r\r\n", punch("1001", state=255)),
        (b"1001\t2026-01-05 07:30:15\t1\t1\n", punch("1001", state=1, verify=0)),
        (b"1001\t2026-01-05 07:30:15\n", punch("1001", state=255, verify=0)),
        (b"1001\t2026-01-05 07:30:15\t1\t0\t1\t0\0\0\0\0", punch("1001")),
        (b"\xef\xbb\xbf1001\t2026-01-05 07:30:15\t1\t0\t1\t0\n\n\x1a", punch("1001")),
        (b"007\t2026-1-5 7:30:15\t1\t0\t1\t0\t\t\n", punch("007")),
        (b"1001,2026-01-05 07:30:15,1,0,1,0\n", punch("1001")),
    ],
)
def test_a_line_of_attlog_is_read_however_firmware_writes_it(line: bytes, wanted: RawPunch) -> None:
    assert read(line) == [wanted]


def test_a_third_column_that_varies_is_no_device_number() -> None:
    """Some models write verify there: read as the SDK has it, faces would become check-ins."""
    verify_first = "1\t2026-01-05 07:30:15\t15\t1\n2\t2026-01-05 07:30:15\t1\t0\n"
    assert read(verify_first) == [punch("1", verify=15, state=1), punch("2")]
    state_first = "1\t2026-01-05 07:30:15\t0\t15\n2\t2026-01-05 07:30:15\t1\t1\n"
    assert read(state_first) == [punch("1", verify=15), punch("2", state=1)]


def test_what_the_columns_are_can_be_said() -> None:
    line = "1\t2026-01-05 07:30:15\t15\t1\n"
    assert read(line, Choices(columns=("pin", "time", "verify", "state"))) == [punch("1", verify=15, state=1)]


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "gbk", "cp1252", "cp1256"]
)
def test_no_encoding_costs_a_punch(encoding: str) -> None:
    name = {"gbk": "王", "cp1256": "محمد"}.get(encoding, "Émile")
    text = (
        f"PIN;Nama;Tanggal;Waktu;Status\r\n1001;{name};05/01/2026;07:30:15;0\r\n"
        f"1002;{name};13/01/2026;07:30:15;1\r\n"
    )
    ours = encoding if encoding.startswith(("gbk", "cp")) else "latin-1"
    found = read(text.encode(encoding), Choices(encoding=ours))
    assert found == [
        punch("1001", verify=0),
        punch("1002", at=datetime(2026, 1, 13, 7, 30, 15), state=1, verify=0),
    ]


EXPORTS = {
    "ZKTeco attendance program, tab": (
        "Department\tName\tNo.\tDate/Time\tLocation ID\tID Number\tVerifyCode\tCardNo\n"
        "OUR COMPANY\tSiti\t9\t01/05/2026 7:30:15 am\t1\t\tFP\t\n"
        "OUR COMPANY\tBudi\t12\t01/13/2026 4:00:00 pm\t1\t\tFP\t\n"
    ),
    "AC-No.": (
        "AC-No.,No.,Name,Time,State,New State,Exception,Operation\n9,1,Siti,2026-01-05 07:30:15,C/In,,,\n"
    ),
    "No counts rows": (
        "No;PIN;Nama;Tanggal;Waktu;Status;Verifikasi\n"
        "1;9;Siti;2026-01-05;07:30:15;Masuk;Sidik Jari\n2;12;Budi;2026-01-06;16:00:00;Pulang;Wajah\n"
    ),
    "No counts rows, ID is the pin": (
        "No,ID Number,Nama,Waktu\n1,9,Siti,05/01/2026 07.30.15\n2,12,Budi,13/01/2026 16.00.00\n"
    ),
    "title, quoted": (
        '"Laporan scan log"\n\n"ID","Nama","Tanggal","Jam"\n"9","Siti, S.Kom","05-Jan-2026","07:30:15"\n'
    ),
    "title of empty cells": ";;\n;Rekap;\nPIN;Waktu;\n9;2026-01-05 07:30:15;\n",
    "month in words, weekday": "PIN\tTanggal/Waktu\n9\tSenin, 5 Januari 2026 07:30:15\n",
    "HTML called xls": (
        "<html><meta charset=utf-8><table><tr><th>User ID</th><th>Date-Time</th></tr>"
        "<tr><td>9<td>2026-01-05 07:30:15</tr></table></html>"
    ),
    "spreadsheet in XML": (
        '<?xml version="1.0"?><Workbook xmlns:ss="x"><Worksheet><Table>'
        "<Row><Cell><Data>PIN</Data></Cell><Cell><Data>Waktu</Data></Cell></Row>"
        "<Row><Cell><Data>9</Data></Cell><Cell><Data>2026-01-05T07:30:15.000</Data></Cell></Row>"
        "</Table></Worksheet></Workbook>"
    ),
}


@pytest.mark.parametrize("export", list(EXPORTS))
def test_an_export_is_read_by_its_headings(export: str) -> None:
    first = read(EXPORTS[export])[0]
    assert isinstance(first, RawPunch)
    assert (first.pin, first.wall_time) == ("9", WHEN)


def test_words_for_codes_are_the_terminals_own_numbers() -> None:
    words = [("Masuk", "Sidik Jari"), ("C/Out", "Wajah"), ("OverTime Out", "Card"), ("3", "15")]
    lines = "".join(f"9;2026-01-05 07:30:15;{state};{verify}\n" for state, verify in words)
    found = read("PIN;Waktu;Status;Verifikasi\n" + lines)
    assert [(p.state_code, p.verify_code) for p in found if isinstance(p, RawPunch)] == [
        (0, 1),
        (1, 15),
        (5, 4),
        (3, 15),
    ]


def test_a_remark_where_a_code_could_be_costs_nothing_and_is_told_once() -> None:
    session = opened("PIN;Waktu;Status\n9;2026-01-05 07:30:15;Tepat waktu\n" * 2)
    assert list(session.read_log()) == [punch("9", state=255, verify=0)] * 2
    assert session.strange == {"Tepat waktu"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\0" * 5000, "is empty"),
        (b"hello\nworld\n", "no line of it is a punch"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old kind (.xls); open it in a spreadsheet"),
        (b"PK\x03\x04" + bytes(60), "xlsx.*save it as CSV"),
        (b"PIN;Tanggal;Waktu\n9;05/01/2026;07:30:15\n", "line 2: .*--dates dmy"),
        (b"PIN;Waktu\n9;13/01/2026 07:30:15\n9;01/14/2026 07:30:15\n", "line 2 has the day first.*line 3"),
        (b"PIN;Waktu\n9;2026-01-05 07:30\n", "no seconds.*--whole-minutes"),
        (b"No;Nama;Waktu\n1;Siti;2026-01-05 07:30:15\n2;Budi;2026-01-05 07:31:15\n", "'No' counts the rows"),
    ],
)
def test_a_file_that_would_be_guessed_at_is_refused_with_what_is_right(content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words.replace("(.xls)", r"\(.xls\)")):
        opened(content)


@pytest.mark.parametrize(("order", "day"), [(Order.DAY_FIRST, 5), (Order.MONTH_FIRST, 1)])
def test_an_open_order_is_what_the_technician_says(order: Order, day: int) -> None:
    (found,) = read("PIN;Waktu\n9;05/01/2026 07:30:15\n", Choices(order=order))
    assert isinstance(found, RawPunch)
    assert found.wall_time.day == day


def test_one_date_decides_the_order_for_all_and_a_row_that_contradicts_it_is_kept_as_evidence() -> None:
    found = read("PIN;Waktu\n9;05/01/2026 07:30:15\n9;01/13/2026 07:30:15\n", Choices(order=Order.DAY_FIRST))
    assert found[0] == punch("9", state=255, verify=0)
    assert isinstance(found[1], BadRecord)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (b"1002\t2026-01-0", "cut"),
        (b"1002\t2026-01-05 07:30:1", "cut"),
        (b"1002\t2026-01-05 07:30:15\t1", "cut"),
        (b"garbage\n", "fewer than two"),
        (b"1002\t2026-02-30 07:30:15\t1\t0\t1\t0\n", "exists"),
        (b"1002\t1999-01-05 07:30:15\t1\t0\t1\t0\n", "2000"),
        (b"\t2026-01-05 07:30:15\t1\t0\t1\t0\n", "user id"),
        (b"1002\t2026-01-05 07:30:15\t1\tx\t1\t0\n", "without its state"),
        (b"1002\t2026-01-05 07:30:15\t1\t0\t999\t0\n", "without its verify"),
        (b"\xff\xfe\0\x01\x02\n", "fewer than two"),
        (b"x" * (LONGEST + 5) + b"\n", "longer than"),
    ],
)
def test_a_bad_line_is_kept_with_its_number_and_costs_no_other(last: bytes, reason: str) -> None:
    good = b"1001\t2026-01-05 07:30:15\t1\t0\t1\t0\r\n"
    found = read(good * 2 + last)
    bad = found[-1]
    assert found[:2] == [punch("1001")] * 2
    assert isinstance(bad, BadRecord)
    assert bad.position == 3
    assert bad.source is Source.FILE
    assert reason in bad.reason
    assert bad.raw == last.strip(b"\n\0")[:LONGEST]


def test_a_last_line_that_lacks_only_its_line_feed_is_whole() -> None:
    assert (
        len(
            [
                one
                for one in read(
                    "1\t2026-01-05 07:30:15\t1\t0\t1\t0\n" * 2 + "2\t2026-01-05 07:30:15\t1\t0\t1\t0"
                )
                if isinstance(one, RawPunch)
            ]
        )
        == 3
    )


def test_a_pin_that_a_spreadsheet_made_a_number_of_is_nobody() -> None:
    found = read(
        "PIN;Waktu\n1.98E+17;2026-01-05 07:30:15\n9.0;2026-01-05 07:30:15\n'007;2026-01-05 07:30:15\n"
    )
    assert [type(one) for one in found] == [BadRecord, BadRecord, RawPunch]
    assert found[2] == punch("007", state=255, verify=0)


@pytest.mark.parametrize(
    ("name", "serial"),
    [
        ("CGKK223862906_attlog.dat", "CGKK223862906"),
        ("cgkk223862906_ATTLOG (1).DAT", "cgkk223862906"),
        ("6530181100123_attlog.dat", "6530181100123"),
        ("1_attlog.dat", ""),
        ("20260105_attlog.dat", ""),
        ("attlog.dat", ""),
        ("setda_attlog.dat", ""),
        ("scanlog.csv", ""),
    ],
)
def test_a_device_number_or_a_date_is_no_serial(name: str, serial: str) -> None:
    assert serial_in_name(name) == serial


def test_rows_of_another_terminal_are_left_out() -> None:
    session = opened("PIN;Waktu;SN\n9;2026-01-05 07:30:15;AAA111\n10;2026-01-05 07:30:15;BBB222\n")
    assert session.serials == ("AAA111", "BBB222")
    session.only = "AAA111"
    assert list(session.read_log()) == [punch("9", state=255, verify=0)]


def test_a_serial_in_a_title_is_seen() -> None:
    assert opened("Nomor Seri: AAA111\nPIN;Waktu\n9;2026-01-05 07:30:15\n").identify().serial == "AAA111"
