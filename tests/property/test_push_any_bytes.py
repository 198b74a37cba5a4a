"""Whatever a terminal, or a stranger on its network, sends: values or one typed error."""

import gzip
import io
import tarfile
from contextlib import suppress
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from attendance.errors import RemoteProtocolError
from attendance.normalise import normalise
from attendance.punch import BadRecord, RawPunch, Source
from drivers.zk_push.lines import decode_text, read_attlog, read_operlog, read_users, split_lines, unpack_tgz
from drivers.zk_push.options import read_info, read_options
from drivers.zk_push.receiver import HttpBody
from drivers.zk_push.replies import endpoint, parse_query, read_results, serial_in
from made import JAKARTA, NOW
from sync.entry import bad_digest, bad_entry, punch_digest, punch_entry

FIELDS = st.sampled_from([b"1001", b"2026-01-05 07:30:00", b"255", b"300", b"", b"=", b"PIN=1", b"\xff\xfe"])
LINES = st.lists(st.one_of(FIELDS, st.binary(max_size=12)), max_size=8).map(b"\t".join)
BODIES = st.one_of(
    st.binary(max_size=400),
    st.lists(LINES, max_size=12).map(b"\r\n".join),
)


@given(BODIES, st.integers(0, 1000))
def test_every_line_becomes_a_punch_or_stays_as_it_came(body: bytes, start: int) -> None:
    found = read_attlog(body, start=start)
    lines = split_lines(body)
    assert found.lines == len(lines)
    kept = {record.position: record for record in found.records if isinstance(record, BadRecord)}
    assert len([one for one in found.records if isinstance(one, RawPunch)]) >= len(lines) - len(kept)
    for record in kept.values():
        assert record.raw in (lines[record.position - start], b"")


@given(BODIES)
def test_every_record_can_travel(body: bytes) -> None:
    """What the wire form refuses would be lost behind an OK."""
    for record in read_attlog(body).records:
        if isinstance(record, BadRecord):
            assert bad_entry(record, "lobi", "S1", bad_digest(record, "S1")).kind == "bad"
        else:
            punch = normalise(record, serial="S1", terminal="lobi", zone=JAKARTA, now=NOW)
            assert punch_entry(punch, punch_digest(punch)).kind == "punch"


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24).filter(
        lambda pin: "=" not in pin
    ),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda at: at.replace(microsecond=0)),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFFFFFF)),
    st.lists(st.sampled_from([b"", b"0", b"3", b"36.5", b"eyJ9"]), max_size=6),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_what_a_terminal_means_is_what_is_read(
    pin: str, at: datetime, codes: tuple[int, int, int], extra: list[bytes], newline: bytes
) -> None:
    state, verify, work = codes
    columns = [f"{pin}\t{at}\t{state}\t{verify}\t{work}".encode(), *extra]
    assert read_attlog(b"\t".join(columns) + newline).records == (
        RawPunch(
            pin=pin,
            wall_time=at,
            state_code=state,
            verify_code=verify,
            work_code=work,
            source=Source.PUSH,
        ),
    )


@given(BODIES)
def test_no_other_reader_fails(body: bytes) -> None:
    for read in (read_operlog, read_users):
        found = read(body)
        read_lines = len(found.operations) + len(found.users) + sum(found.dropped.values())
        assert found.lines == len(split_lines(body)) == read_lines
    text = decode_text(body)
    read_info(text)
    read_options(text.split(","))
    endpoint(text)
    parse_query(text)
    serial_in(body)
    for result in read_results(b"ID=1&Return=" + body):
        assert result.id == 1 or b"ID=" in body.upper()
    with suppress(RemoteProtocolError):
        unpack_tgz(body, most=1 << 16)


@given(st.binary(max_size=300).map(lambda body: body.replace(b"\xaa", b"\n")), st.integers(4, 40))
def test_pieces_end_where_lines_end_and_lose_nothing(body: bytes, size: int) -> None:
    """A punch cut in two at the seam of a piece would be no punch."""
    pieces = list(HttpBody(io.BufferedReader(io.BytesIO(body)), len(body), piece=size).pieces())
    lines = body.split(b"\n")
    assert all(len(piece) <= size for piece in pieces)
    assert all(piece.endswith(b"\n") or len(piece) == size for piece in pieces[:-1])
    if all(len(line) < size for line in lines):
        assert b"".join(pieces) == body
    cut = {line[:size] for line in lines}
    assert {line for piece in pieces for line in piece.split(b"\n")} <= cut | {b""}


@given(st.binary(max_size=300))
def test_what_is_dropped_is_counted_by_lines(body: bytes) -> None:
    counted = HttpBody(io.BufferedReader(io.BytesIO(body)), len(body), piece=7).discard()
    assert counted == len(body.removesuffix(b"\n").split(b"\n")) * bool(body)


@given(
    st.lists(st.binary(max_size=600), max_size=3),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255))),
)
def test_a_damaged_archive_gives_bytes_or_one_error(
    files: list[bytes], damage: list[tuple[int, int]]
) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for number, content in enumerate(files):
            member = tarfile.TarInfo(str(number))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    plain = bytearray(whole.getvalue()[:3000])
    for place, value in damage:
        plain[place % len(plain)] = value
    with suppress(RemoteProtocolError):
        assert len(unpack_tgz(gzip.compress(bytes(plain)), most=1 << 16)) <= 1 << 16
