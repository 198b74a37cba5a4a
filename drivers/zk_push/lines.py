"""The lines that a terminal uploads, to values. Bytes in, values out; no clock, no network, no log.

Columns after the public push manuals (2.4 and 3.2) and what hardware was seen to send: they are read
tolerantly, and a line that is no punch stays as it came. Secrets and biometrics are never looked into.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from attendance.errors import RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from drivers.fields import NO_STATE, read_code, read_pin

_TIME: Final = re.compile(rb"(20\d\d)-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})")
_SIGNED: Final = re.compile(rb"-?\d{1,12}")
_OCTAL: Final = re.compile(rb"[0-7]{1,11}")
_TAR_BLOCK: Final = 512
_EPOCH: Final = re.compile(rb"\d{9,10}")

_SECRET: Final = re.compile(rb"(?i)(?:^|[\t ,])(?:tmp|template|content|passwd|password)=")

_NAMES: Final = {
    "pin": ("pin", "userid"),
    "time": ("time", "datetime", "checktime"),
    "state": ("status", "state", "inoutstatus"),
    "verify": ("verify", "verifytype", "verified"),
    "work": ("workcode",),
}
"""Names of the fields in lines of key=value, in small letters."""

BIOMETRIC_WORDS: Final = frozenset(
    {"FP", "FACE", "FVEIN", "USERPIC", "BIOPHOTO", "BIODATA", "FINGERTMP", "ATTPHOTO", "PALM"}
)
_PLAIN_WORDS: Final = frozenset({"WORKCODE", "SMS", "IDCARD", "ERRORLOG"})


@dataclass(frozen=True, slots=True)
class AttLog:
    """One body of punches. `lines` counts all that were in it; they are what a reply names."""

    lines: int
    records: tuple[RawPunch | BadRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One line of a terminal's operation log. `wall_time` is naive, the terminal's own clock."""

    code: int
    operator: str
    wall_time: datetime
    values: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedUser:
    """A person as a terminal tells of them, without password and templates. `card` is the terminal's text."""

    pin: str
    name: str
    privilege: int = 0
    card: str = ""


@dataclass(frozen=True, slots=True)
class OperLog:
    """One body of the operation log. `dropped`: how many lines were not read, by their leading word."""

    lines: int
    operations: tuple[Operation, ...] = ()
    users: tuple[PushedUser, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)


def split_lines(body: bytes) -> list[bytes]:
    """The lines that hold something, without CR and LF. Tabs stay: an empty first field means something."""
    return [line for part in body.split(b"\n") if (line := part.strip(b"\r"))]


def decode_text(raw: bytes) -> str:
    """Text of unknown encoding: UTF-8, else GBK (older Chinese units), else one sign a byte."""
    for encoding in ("utf-8", "gbk"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def read_attlog(body: bytes, *, start: int = 0) -> AttLog:
    """Every line of a body of punches; `start` is the number of its first line in the whole upload.

    A line whose pin and time can be read is a punch. Where a code beside them cannot, the punch
    says "none" for it and the line is given as a BadRecord too.
    """
    lines = split_lines(body)
    records: list[RawPunch | BadRecord] = []
    for position, line in enumerate(lines, start=start):
        records += _read_punch(line, position)
    return AttLog(len(lines), tuple(records))


def read_operlog(body: bytes) -> OperLog:
    """Operations and users; every other line is counted by its leading word, and its rest is not read."""
    lines = split_lines(body)
    operations: list[Operation] = []
    users: list[PushedUser] = []
    dropped: dict[str, int] = {}
    for line in lines:
        word, _, rest = line.partition(b" ")
        name = word.decode("latin-1").upper()
        found: Operation | PushedUser | None = None
        if name == "OPLOG" and (found := _operation(rest)):
            operations.append(found)
        elif name == "USER" and (found := _user(rest)):
            users.append(found)
        if found is None:
            # An unknown word may be a piece of a template: it is counted, never repeated.
            kind = name if name in BIOMETRIC_WORDS | _PLAIN_WORDS | {"OPLOG", "USER"} else "other"
            dropped[kind] = dropped.get(kind, 0) + 1
    return OperLog(len(lines), tuple(operations), tuple(users), dropped)


def read_users(body: bytes) -> OperLog:
    """A body of users, each with or without the leading word USER."""
    lines = split_lines(body)
    found = [_user(line.removeprefix(b"USER ")) for line in lines]
    users = tuple(user for user in found if user is not None)
    unread = len(lines) - len(users)
    return OperLog(len(lines), (), users, {"USER": unread} if unread else {})


def unpack_tgz(body: bytes, *, most: int) -> bytes:
    """The files of a gzipped tar, joined. Raises RemoteProtocolError if it is none or too large."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(body, most)
    except zlib.error as error:
        raise RemoteProtocolError("a packed upload is no gzipped tar") from error
    if unzip.unconsumed_tail or not unzip.eof:
        raise RemoteProtocolError(f"a packed upload is cut, or larger than {most} bytes when unpacked")
    return b"\n".join(_tar_files(plain))


def _tar_files(plain: bytes) -> Iterator[bytes]:
    """Plain files only, never more than is there: the standard library's reader trusts headers too far."""
    place = 0
    while any(head := plain[place : place + _TAR_BLOCK]):
        size = head[124:136].strip(b"\0 ")
        if len(head) < _TAR_BLOCK or not _OCTAL.fullmatch(size):
            raise RemoteProtocolError("a packed upload is no gzipped tar")
        start, place = place + _TAR_BLOCK, place + _TAR_BLOCK + int(size, 8)
        if place > len(plain):
            raise RemoteProtocolError("a packed upload is cut")
        if head[156:157] in (b"0", b"\0"):
            yield plain[start:place]
        place += -place % _TAR_BLOCK


def read_time(text: bytes) -> datetime | None:
    """`2026-01-05 07:30:00` as a naive time; None for what is no time of 2000 to 2099."""
    found = _TIME.fullmatch(text.strip(b" "))
    if found is None:
        return None
    try:
        return datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def _read_punch(line: bytes, position: int) -> Iterable[RawPunch | BadRecord]:
    fields = _fields(line)
    pin, time = read_pin(fields.get("pin", b"")), fields.get("time", b"")
    wall_time = read_time(time)
    if wall_time is None:
        return [_bad(line, position, _why_no_time(fields, time))]
    if pin is None:
        return [_bad(line, position, "the user id is empty, too long or not plain text")]
    codes = {
        "state": read_code(fields.get("state", b""), absent=NO_STATE, most=255),
        "verify": read_code(fields.get("verify", b""), absent=0, most=255),
        "work": read_code(fields.get("work", b""), absent=0, most=0xFFFFFFFF),
    }
    punch = RawPunch(
        pin=pin,
        wall_time=wall_time,
        state_code=NO_STATE if codes["state"] is None else codes["state"],
        verify_code=codes["verify"] or 0,
        work_code=codes["work"] or 0,
        source=Source.PUSH,
    )
    unread = [name for name, code in codes.items() if code is None]
    if not unread:
        return [punch]
    return [
        punch,
        _bad(line, position, f"punch taken without its {' and '.join(unread)} code: no number of ours"),
    ]


def _fields(line: bytes) -> dict[str, bytes]:
    """The known fields of a line by name, whatever way it is laid out."""
    parts = line.split(b"\t")
    if b"=" in parts[0]:
        given = _key_values(parts)
        return {
            ours: next(given[name] for name in names if name in given)
            for ours, names in _NAMES.items()
            if any(name in given for name in names)
        }
    # One firmware puts a record number first: the time then stands in the third column.
    if len(parts) > 2 and read_time(parts[1]) is None and read_time(parts[2]) is not None:
        parts = parts[1:]
    return dict(zip(("pin", "time", "state", "verify", "work"), parts, strict=False))


def _key_values(parts: Iterable[bytes]) -> dict[str, bytes]:
    pairs = (part.partition(b"=") for part in parts)
    return {key.strip(b" ").decode("latin-1").lower(): value for key, _, value in pairs}


def _why_no_time(fields: dict[str, bytes], time: bytes) -> str:
    if "time" not in fields:
        return "no user id and time: fewer than two fields"
    if _EPOCH.fullmatch(time.strip(b" ")):
        return "the time is a bare number: of which zone and which calendar is not known"
    return "no time between 2000 and 2099 in it"


def _bad(line: bytes, position: int, reason: str) -> BadRecord:
    if _SECRET.search(line) or line.partition(b" ")[0].decode("latin-1").upper() in BIOMETRIC_WORDS:
        reason, line = f"{len(line)} bytes of a template or a password among punches: not kept", b""
    return BadRecord(raw=line, reason=reason, position=position, source=Source.PUSH)


def _operation(rest: bytes) -> Operation | None:
    code, operator, time, *objects = [*rest.split(b"\t"), b"", b"", b""]
    wall_time = read_time(time)
    number = read_code(code, absent=-1, most=0xFFFF)
    if wall_time is None or number is None or number < 0:
        return None
    values = [int(one) if _SIGNED.fullmatch(one.strip(b" ")) else None for one in objects[:4]]
    return Operation(
        code=number,
        operator=read_pin(operator) or "",
        wall_time=wall_time,
        values=tuple(values),
    )


def _user(rest: bytes) -> PushedUser | None:
    given = _key_values(rest.split(b"\t"))
    pin = read_pin(given.get("pin", b""))
    if pin is None:
        return None
    return PushedUser(
        pin=pin,
        name=decode_text(given.get("name", b"")).rstrip("\0 "),
        privilege=read_code(given.get("pri", b""), absent=0, most=255) or 0,
        card=decode_text(given.get("card", b""))[:32],
    )
