"""What terminals that push write: no punch of anybody is lost to an odd column, and no secret is kept."""

import io
import tarfile
from datetime import datetime

import pytest

from attendance.errors import RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from drivers.zk_push.lines import (
    Operation,
    decode_text,
    read_attlog,
    read_operlog,
    read_users,
    split_lines,
    unpack_tgz,
)

SEVEN = datetime(2026, 1, 5, 7, 30)


def punch(pin: str = "1001", *, state: int = 0, verify: int = 1, work: int = 0) -> RawPunch:
    return RawPunch(
        pin=pin,
        wall_time=SEVEN,
        state_code=state,
        verify_code=verify,
        work_code=work,
        source=Source.PUSH,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1001\t2026-01-05 07:30:00\t0\t1", punch()),
        (b"1001\t2026-01-05 07:30:00\t0\t1\t7\t0\t0", punch(work=7)),
        (b"0042\t2026-01-05 07:30:00\t1\t15", punch("0042", state=1, verify=15)),
        (b"    1001\t2026-01-05 07:30:00\t0\t1", punch()),
        (b"1001\t2026-01-05 07:30:00", punch(state=255, verify=0)),
        (b"1001\t2026-01-05 07:30:00\t255\t1", punch(state=255)),
        (b"1001\t2026-01-05 07:30:00\t\t1\t\t\t\t\t\t\t3", punch(state=255)),
        (b"1001\t2026-01-05 07:30:00\t0\t1\t0\t0\t0\t0\t36.5\t0", punch()),
        (b"1001\t2026-01-05T07:30:00\t0\t1", punch()),
        (b"815\t1001\t2026-01-05 07:30:00\t0\t1", punch()),
        (b"PIN=1001\tTime=2026-01-05 07:30:00\tStatus=0\tVerify=1", punch()),
        (
            b"time=2026-01-05 07:30:00\tpin=1001\tcardno=0\tinoutstatus=1\tverifytype=4",
            punch(state=1, verify=4),
        ),
    ],
)
def test_every_known_form_of_a_line_is_the_same_punch(line: bytes, expected: RawPunch) -> None:
    found = read_attlog(line + b"\r\n")
    assert found.lines == 1
    assert found.records == (expected,)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"1001", "fewer than two fields"),
        (b"1001\t2026-01-05 07:3", "no time between 2000 and 2099"),
        (b"1001\t2026-02-30 07:30:00\t0\t1", "no time"),
        (b"1001\t1999-12-31 07:30:00\t0\t1", "no time"),
        (b"1001\t1767573000\t0\t1", "bare number"),
        (b"\t2026-01-05 07:30:00\t0\t1", "user id is empty"),
        (b"10\xff01\t2026-01-05 07:30:00\t0\t1", "user id"),
        (b"9" * 65 + b"\t2026-01-05 07:30:00\t0\t1", "user id"),
        (b"\t\t\t", "no time"),
    ],
)
def test_a_line_that_is_no_punch_stays_as_it_came(line: bytes, says: str) -> None:
    (record,) = read_attlog(line + b"\n").records
    assert isinstance(record, BadRecord)
    assert record.raw == line
    assert says in record.reason
    assert record.source is Source.PUSH


@pytest.mark.parametrize("code", [b"256", b"-1", b"x", b"99999999999"])
def test_an_odd_code_costs_nobody_a_punch(code: bytes) -> None:
    """The person was there; the line is kept beside the punch, for whoever finds out what it meant."""
    line = b"1001\t2026-01-05 07:30:00\t" + code + b"\t1"
    taken, kept = read_attlog(line).records
    assert taken == punch(state=255)
    assert isinstance(kept, BadRecord)
    assert kept.raw == line


def test_lines_count_even_where_they_are_no_punch() -> None:
    """A terminal told of fewer lines than it sent sends them again, for ever."""
    body = b"1001\t2026-01-05 07:30:00\t0\t1\r\nrubbish\r\n\r\n1002\t2026-01-05 07:30:00\t0\t1"
    found = read_attlog(body, start=10)
    assert found.lines == 3
    assert [record.position for record in found.records if isinstance(record, BadRecord)] == [11]


def test_tabs_at_the_ends_are_columns() -> None:
    assert split_lines(b"\ta\t\r\n\r\n\t\n") == [b"\ta\t", b"\t"]


@pytest.mark.parametrize(
    "line", [b"FP PIN=1\tFID=6\tTMP=U0VDUkVU", b"PIN=1\tPasswd=U0VDUkVU", b"1\tx\ttmp=U0VDUkVU"]
)
def test_a_template_among_punches_is_no_evidence_to_keep(line: bytes) -> None:
    (record,) = read_attlog(line).records
    assert isinstance(record, BadRecord)
    assert record.raw == b""
    assert "U0VDUkVU" not in record.reason


def test_the_operation_log_gives_operations_and_people_without_secrets() -> None:
    body = (
        b"OPLOG 21\t14\t2026-01-05 07:30:00\t0\t0\t-1\tx\n"
        b"USER PIN=1001\tName=Siti\tPri=14\tPasswd=SECRET\tCard=[0102]\tGrp=1\n"
        b"FP PIN=1001\tFID=6\tSize=1\tValid=1\tTMP=SECRET\n"
        b"FP PIN=1001\tFID=7\tSize=1\tValid=1\tTMP=SECRET\n"
        b"OPLOG nonsense\n"
        b"SECRET== a piece of a template\n"
    )
    found = read_operlog(body)
    assert found.lines == 6
    assert found.operations == (Operation(code=21, operator="14", wall_time=SEVEN, values=(0, 0, -1, None)),)
    assert [(user.pin, user.name, user.privilege, user.card) for user in found.users] == [
        ("1001", "Siti", 14, "[0102]")
    ]
    assert found.dropped == {"FP": 2, "OPLOG": 1, "other": 1}
    assert "SECRET" not in repr(found)


def test_users_come_with_and_without_their_word() -> None:
    found = read_users(b"USER PIN=1\tName=\xc4\xe3\xba\xc3\nPIN=2\tName=Joko\n\tname\n")
    assert [(user.pin, user.name) for user in found.users] == [("1", "你好"), ("2", "Joko")]
    assert found.lines == 3
    assert found.dropped == {"USER": 1}


@pytest.mark.parametrize(
    ("raw", "text"), [("Désirée".encode(), "Désirée"), ("王".encode("gbk"), "王"), (b"\xff\xff", "ÿÿ")]
)
def test_names_of_any_encoding_become_text(raw: bytes, text: str) -> None:
    assert decode_text(raw) == text


def packed(body: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        member = tarfile.TarInfo("attlog")
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
    return whole.getvalue()


def test_a_packed_upload_is_unpacked_within_limits() -> None:
    """A small body that unpacks to gigabytes must not take the edge's memory."""
    assert unpack_tgz(packed(b"a\nb\n"), most=1 << 20) == b"a\nb\n"
    with pytest.raises(RemoteProtocolError, match="larger than"):
        unpack_tgz(packed(bytes(1 << 20)), most=1 << 19)
    for rubbish in (b"", b"no gzip", packed(b"x" * 5000)[:-9]):
        with pytest.raises(RemoteProtocolError):
            unpack_tgz(rubbish, most=1 << 20)
