"""Every decoder of bytes that come from outside, by name: for hypothesis in `make test` and for `make fuzz`.

A decoder takes any bytes and gives a value or raises one AttendanceError. Groups are what `make fuzz` runs
one after the other; a decoder that is missing here is found by test_every_decoder.py.
"""

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from attendance.errors import AttendanceError
from attendance.punch import Source
from config.load import check_edge, load_central
from drivers.file.dates import Order
from drivers.file.driver import FileSession
from drivers.file.sheet import Choices
from drivers.zk.conversation import Conversation, Exchange
from drivers.zk.events import uid_of_event, unpack_event
from drivers.zk.layouts import LogEvidence, choose_log_layout, choose_user_layout
from drivers.zk.operations import OPERATION_LAYOUTS, choose_operation_layout, unpack_operations
from drivers.zk.packet import Packet, StreamDecoder, checksum, decode, frame
from drivers.zk.prepared import check_head
from drivers.zk.records import LOG_LAYOUTS, pin_text, unpack_log, without_prefix
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.sizes import SizeTable, word_value
from drivers.zk.times import unpack_event_time, unpack_time
from drivers.zk.users import USER_LAYOUTS, records_by_uid, unpack_users
from drivers.zk_push.lines import decode_text, read_attlog, read_operlog, read_time, read_users, unpack_tgz
from drivers.zk_push.options import read_info, read_options
from drivers.zk_push.receiver import HttpBody
from drivers.zk_push.replies import endpoint, parse_query, read_results, serial_in
from made import facts, made_punch
from scoring.policy import load_policy
from sync.arrivals import read as read_arrival
from sync.central.load_csv import Columns, read_rows
from sync.envelope import (
    Batch,
    EdgeState,
    Receipt,
    TerminalHealth,
    WireBadRecord,
    WireCoverage,
    wire_punch,
)
from terminals import some_terminal

Decoder = Callable[[bytes], object]
T = TypeVar("T")

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
_CSV: Final = Columns(required=("nip", "name"), optional=("from", "to"))


def _each(*readers: Decoder) -> Decoder:
    """All of them on the same bytes; what one refuses the next still sees."""

    def read(raw: bytes) -> None:
        for reader in readers:
            with suppress(AttendanceError):
                reader(raw)

    return read


def _word_time(raw: bytes) -> datetime:
    return unpack_time(int.from_bytes(raw[:4], "little"))


def _layouts(raw: bytes) -> None:
    counts = (raw[0],) if raw else ()
    evidence = LogEvidence(records=raw, total_bytes=len(raw), counts=counts, now=datetime(2026, 1, 1))
    for suffice in (True, False):
        with suppress(AttendanceError):
            list(unpack_log(raw, choose_log_layout(evidence, counts_suffice=suffice)))
    with suppress(AttendanceError):
        list(unpack_users(raw, "utf-8", choose_user_layout(raw, counts)))


def _operations(raw: bytes) -> None:
    for layout in OPERATION_LAYOUTS:
        with suppress(AttendanceError):
            list(unpack_operations(raw, layout))
    list(unpack_operations(raw, choose_operation_layout(raw, raw[0] if raw else None)))


def _told(exchange: Exchange[T], conversation: Conversation, raw: bytes) -> T | None:
    """What an exchange makes of replies cut out of `raw`: command, session, length, data."""
    sent = next(exchange)
    reply_id = decode(sent[8:]).reply_id
    while len(raw) >= 4:
        session, length = raw[1], raw[2] + 256 * (raw[3] % 4)
        command = 1500 + raw[0] % 4 if raw[0] < 128 else 2000 + raw[0] % 8
        data, raw = raw[4 : 4 + length], raw[4 + length :]
        conversation.receive(frame(Packet(command, session, reply_id, data)))
        try:
            while (reply := conversation.next_reply()) is not None:
                sent = exchange.send(reply)
                reply_id = decode(sent[8:]).reply_id if sent else reply_id
        except StopIteration as end:
            found: T = end.value
            return found
    return None


_EXCHANGES: Final[tuple[Callable[[Conversation], Exchange[object]], ...]] = (
    lambda conversation: conversation.connect(),
    lambda conversation: conversation.read_table(13),
    lambda conversation: conversation.read_directly(13),
    lambda conversation: conversation.read_range(0, 100_000),
)


def _conversations(raw: bytes) -> None:
    for begin in _EXCHANGES:
        conversation = Conversation(12345)
        with suppress(AttendanceError):
            _told(begin(conversation), conversation, raw)
    for conversation in (Conversation(), Conversation(datagrams=True)):
        with suppress(AttendanceError):
            conversation.receive(raw)
        conversation.next_reply()


def _simulated(raw: bytes) -> None:
    conversation = TerminalConversation(some_terminal(users=2, records=5), 300)
    conversation.answer(Packet(1000, 0, 0))
    if len(raw) >= 2:
        conversation.answer(Packet(int.from_bytes(raw[:2], "little"), 300, 1, raw[2:]))
    conversation.receive(raw)


def _body(raw: bytes) -> None:
    for size in (7, 64):
        body = HttpBody(io.BufferedReader(io.BytesIO(raw)), len(raw), piece=size)
        for piece in body.pieces():
            read_attlog(piece)


def _text(raw: bytes) -> None:
    text = decode_text(raw)
    for reader in (read_info, endpoint, parse_query):
        reader(text)
    read_options(text.split(","))
    serial_in(raw)
    read_results(raw)


def _file(raw: bytes) -> None:
    for choices in (
        Choices(),
        Choices(order=Order.MONTH_FIRST, encoding="gbk", whole_minutes=True),
        Choices(columns=("time", "pin", "-", "state")),
    ):
        with suppress(AttendanceError):
            list(FileSession(io.BytesIO(raw), "CGKK204060001_attlog.dat", choices).read_log())


def _arrival(kind: str) -> Decoder:
    return lambda raw: read_arrival(f"hadir/v1/setda-01/up/{kind}", raw, NOW)


def _one_value_changed(raw: bytes) -> object:
    """A batch that was right, with one of its values replaced: the first bytes say which, and by what."""
    batch = json.loads(SEEDS["wire"][0])
    place: Any = batch
    for number in raw[:3]:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = keys[number % len(keys)]
        if number >= 128 or not (isinstance(place[key], dict | list) and place[key]):
            text = decode_text(raw[4:])
            others: tuple[Any, ...] = (None, -1, 2**70, 1e300, True, [], {}, [1], "x" * 300, text)
            place[key] = others[raw[3] % len(others) if len(raw) > 3 else 0]
            break
        place = place[key]
    return read_arrival("hadir/v1/setda-01/up/punches", json.dumps(batch).encode(), NOW)


def _receipt(raw: bytes) -> None:
    with suppress(ValidationError):
        Receipt.model_validate_json(raw)


def _in_a_file(reader: Callable[[Path], object]) -> Decoder:
    folder = tempfile.TemporaryDirectory(prefix="hadir-decoders-", dir="/dev/shm")
    path = Path(folder.name) / "file.toml"

    def read(raw: bytes, _kept: object = folder) -> object:
        path.write_bytes(raw)
        return reader(path)

    return read


GROUPS: Final[Mapping[str, Mapping[str, Decoder]]] = {
    "zk": {
        "packet": _each(
            decode, checksum, StreamDecoder().feed, without_prefix, lambda raw: check_head(raw, len(raw))
        ),
        "conversation": _conversations,
        "simulator": _simulated,
    },
    "records": {
        "logs": _each(*(lambda raw, one=one: list(unpack_log(raw, one, {7: "1"})) for one in LOG_LAYOUTS)),
        "people": _each(
            *(lambda raw, one=one: list(unpack_users(raw, "gbk", one)) for one in USER_LAYOUTS),
            *(lambda raw, one=one: records_by_uid(raw, one) for one in USER_LAYOUTS),
        ),
        "layouts": _layouts,
        "operations": _operations,
        "events": _each(unpack_event, uid_of_event, unpack_event_time, _word_time, pin_text),
        "sizes": _each(SizeTable.from_bytes, word_value),
    },
    "push": {
        "lines": _each(read_attlog, read_operlog, read_users, read_time),
        "archive": lambda raw: unpack_tgz(raw, most=1 << 16),
        "body": _body,
        "text": _text,
    },
    "file": {"lines": _file},
    "wire": {
        "punches": _arrival("punches"),
        "one value changed": _one_value_changed,
        "state": _arrival("state"),
        "terminals": _arrival("terminals/lobi"),
        "receipt": _receipt,
    },
    "settings": {
        "edge": lambda raw: check_edge(Path("edge.toml"), raw),
        "central": _in_a_file(lambda path: load_central(path, {})),
        "policy": _in_a_file(lambda path: load_policy(str(path))),
        "csv": _in_a_file(lambda path: read_rows(path, _CSV)),
    },
}

SEEDS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "zk": (frame(Packet(2000, 7, 1, b"\1\0\0\0")), frame(Packet(1500, 7, 1, bytes(8)))),
    "records": (bytes(40), b"\x28\0\0\0" + b"\1\0" + b"1001".ljust(24, b"\0") + bytes(14)),
    "push": (
        b"1001\t2026-01-05 07:30:00\t0\t1\t0\n",
        b"OPLOG 4\t0\t2026-01-05 07:30:00\t0\t0\t0\t0\nUSER PIN=1\tName=A\tPri=0\n",
        b"ID=1&Return=0&CMD=INFO\n",
    ),
    "file": (
        b"     1001\t2026-01-05 07:30:00\t1\t0\t1\t0\r\n",
        b"No;PIN;Tanggal;Waktu;Status;SN\n1;1001;13/01/2026;07.30.15;Masuk;AAA111\n",
        b"<table><tr><th>PIN<th>Waktu</tr><tr><td>9<td>5 Januari 2026 7:30:15 AM</tr></table>",
        "PIN\tDate/Time\n9\t05/13/26 07:30\n".encode("utf-16"),
    ),
    "wire": (
        Batch(
            edge="setda-01",
            stream="0" * 32,
            number=1,
            terminals={"lobi": facts("S1")},
            punches=(wire_punch(made_punch(1, serial="S1")),),
            bad=(WireBadRecord(serial="S1", terminal="lobi", raw="00", reason="x", source=Source.LOG),),
            coverage=(WireCoverage(serial="S1", terminal="lobi", until=NOW, records=1),),
        ).to_bytes(),
        TerminalHealth(terminal="lobi", state="online", at=NOW, serial="S1").to_bytes(),
        EdgeState(edge="setda-01", state="online", at=NOW).to_bytes(),
        Receipt(edge="setda-01", stream="0" * 32, committed=((1, 2),)).to_bytes(),
    ),
    "settings": (
        b'[edge]\nid = "a"\n[[terminal]]\nid = "b"\nhost = "c"\n',
        b"nip,name,from\n1,Siti,2026-01-01\n",
    ),
}


def seeds(group: str) -> Iterator[bytes]:
    """What a group's decoders like to read, to begin from."""
    yield from SEEDS[group]
