"""Files that technicians carry: what was meant is what is read, and nothing is lost silently."""

import io
from contextlib import suppress
from datetime import datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from attendance.errors import DataError
from attendance.normalise import normalise
from attendance.punch import BadRecord, RawPunch, Source
from drivers.file.driver import FileSession
from drivers.file.sheet import Choices
from made import JAKARTA, NOW
from sync.entry import bad_digest, bad_entry, punch_digest, punch_entry

PINS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='";,<|'), min_size=1, max_size=24
)
PLAIN_PINS = st.integers(0, 10**14).map(str) | st.from_regex(r"[A-Z][A-Z0-9]{0,8}", fullmatch=True)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda at: at.replace(microsecond=0))
GOOD = b"1001\t2026-01-05 07:30:00\t1\t0\t1\t0"


def logs(pins: st.SearchStrategy[str]) -> st.SearchStrategy[list[RawPunch]]:
    punch = st.builds(
        RawPunch,
        pin=pins,
        wall_time=TIMES,
        verify_code=st.integers(0, 255),
        state_code=st.integers(0, 255),
        work_code=st.integers(0, 0xFFFFFFFF),
        source=st.just(Source.FILE),
    )
    return st.lists(punch, min_size=1, max_size=20)


ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk", "cp1252"])
NEWLINES = st.sampled_from(["\n", "\r\n", "\r\r\n"])
LINES = st.one_of(
    st.sampled_from(
        [
            b"     1001\t2026-01-05 07:30:00\t1\t0\t1\t0",
            b"PIN;Tanggal;Waktu;Status",
            b"1001;13/01/2026;07.30.15;Masuk",
            b"No,PIN,Date/Time",
            b"<table><tr><th>PIN<th>Waktu</tr>",
            b"<tr><td>9<td>2026-01-05 07:30:15</tr>",
        ]
    ),
    st.binary(max_size=40),
)
CONTENTS = st.lists(LINES, max_size=15).map(b"\r\n".join)


def session(content: bytes) -> FileSession:
    return FileSession(io.BytesIO(content), "1_attlog.dat", Choices())


@given(logs(PINS), ENCODINGS, NEWLINES, st.binary(max_size=3).map(lambda raw: bytes(len(raw))))
def test_what_a_terminal_put_on_a_stick_is_what_is_read(
    punches: list[RawPunch], encoding: str, newline: str, padding: bytes
) -> None:
    assume(encoding[:6] != "utf-16" or not padding)
    lines = "".join(
        f"{one.pin:>9}\t{one.wall_time}\t1\t{one.state_code}\t{one.verify_code}\t{one.work_code}{newline}"
        for one in punches
    )
    assert list(session(lines.encode(encoding) + padding).read_log()) == punches


@given(logs(PLAIN_PINS), st.sampled_from([";", ",", "\t"]), ENCODINGS, st.permutations(range(4)))
def test_an_export_is_read_whatever_the_order_of_its_columns(
    punches: list[RawPunch], delimiter: str, encoding: str, order: list[int]
) -> None:
    heading = ["PIN", "Tanggal", "Jam", "Status"]
    rows = [
        [one.pin, f"{one.wall_time:%d-%b-%Y}", f"{one.wall_time:%H.%M.%S}", str(one.state_code)]
        for one in punches
    ]
    text = "\n".join(delimiter.join(row[place] for place in order) for row in [heading, *rows]) + "\n"
    assert list(session(text.encode(encoding)).read_log()) == [
        one._replace(verify_code=0, work_code=0) for one in punches
    ]


@given(CONTENTS)
def test_every_line_is_a_punch_or_evidence_and_all_of_it_can_travel(content: bytes) -> None:
    """What the wire form refuses, or what nobody counts, would be lost behind a friendly message."""
    with suppress(DataError):
        opened = session(content)
        found = list(opened.read_log())
        lines = content.count(b"\n") + 1
        assert all(item.position <= lines for item in found if isinstance(item, BadRecord))
        for item in found:
            if isinstance(item, BadRecord):
                assert bad_entry(item, "lobi", "S1", bad_digest(item, "S1")).kind == "bad"
            else:
                punch = normalise(item, serial="S1", terminal="lobi", zone=JAKARTA, now=NOW)
                assert punch_entry(punch, punch_digest(punch)).kind == "punch"


@given(st.lists(st.sampled_from([GOOD, b"rubbish", b"", b" "]), max_size=40).map(lambda rest: [GOOD, *rest]))
def test_good_bad_and_empty_lines_are_all_accounted_for(lines: list[bytes]) -> None:
    found = list(session(b"\n".join(lines) + b"\n").read_log())
    assert sum(isinstance(item, RawPunch) for item in found) == sum(b"\t" in line for line in lines)
    assert [item.position for item in found if isinstance(item, BadRecord)] == [
        place for place, line in enumerate(lines, start=1) if line == b"rubbish"
    ]
