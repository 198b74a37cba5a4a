"""The layouts of the attendance log: bytes to punches and back. No input or output.

Which of them a log has is decided in drivers.zk.layouts; who a uid is, in drivers.zk.users.
Source: captures (F19, K20, K80 Pro, MB1, TC100, ZKTeco 350: 40 bytes; SC-series over UDP: 16;
LX50: 22; ZEM500: 8B); public dumps (49); the vendor's manual and pyzk 0.9 (8A); older
descriptions (4/8). See docs/firmware.md for what stands on which.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from operator import itemgetter
from struct import Struct
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from drivers.zk.times import pack_time, unpack_time

_PREFIX: Final = Struct("<I")
PREFIX_BYTES: Final = _PREFIX.size
PIN_BYTES: Final = 24
MAX_NUMBER: Final = 0xFFFFFFFF
MAX_UID: Final = 0xFFFF


class Names(Enum):
    """By what a record says whose it is."""

    TEXT = "user id as text"
    NUMBER = "user id as a number"
    UID = "uid, the terminal's own number of a person, used again after deletion"


@dataclass(frozen=True, slots=True)
class LogLayout:
    """One way to store punches. `record_bytes` is 0 where records differ in length."""

    name: str
    record_bytes: int
    names: Names


ATT49: Final = LogLayout("49", 49, Names.TEXT)
ATT40: Final = LogLayout("40", 40, Names.TEXT)
ATT22: Final = LogLayout("22", 22, Names.TEXT)
ATT16: Final = LogLayout("16", 16, Names.NUMBER)
ATT8B: Final = LogLayout("8b", 8, Names.UID)
ATT8A: Final = LogLayout("8a", 8, Names.UID)
MIXED: Final = LogLayout("mixed", 0, Names.UID)
"""Records of 8 bytes as in 8B, and of 4 bytes that count seconds from the 8-byte one before them."""

LOG_LAYOUTS: Final = (ATT49, ATT40, ATT22, ATT16, ATT8B, ATT8A, MIXED)
"""In the order in which they are tried: the larger ones say more about themselves."""

ATT40_BYTES: Final = ATT40.record_bytes

_WRITE40: Final = Struct("<H24sBIBI4s")
_TAIL49: Final = bytes.fromhex("ff3235350000000000")
"""What follows the 40 bytes in every public sample of 49."""
_WRITE22: Final = Struct("<H6s4xBIB4x")
_WRITE16: Final = Struct("<IIBB2xI")
_WRITE8A: Final = Struct("<HBIB")
_WRITE8B: Final = Struct("<HBxI")
_SHORT: Final = Struct("<HBB")

SHORT_BYTES: Final = _SHORT.size
SHORT_FLAG: Final = 4
SHORT_SECONDS: Final = 1024
"""A short record counts fewer seconds than this."""

_SECONDS: Final = tuple(timedelta(seconds=second) for second in range(3600))

_READ40: Final = Struct("<2x24sBIBI4x")
_READ49: Final = Struct("<2x24sBIBI13x")
_READ22: Final = Struct("<2x6s4xBIB4x")

Who = bytes | int
Fields = tuple[Who, int, int, int, int]
"""Of one record: whose it is, verify code, packed time, state code, work code."""

PinOf = Callable[[Who], str]
"""The pin of what a record says; raises RemoteProtocolError where it is nobody's."""


def pin_text(field: bytes) -> str:
    """The user id up to its NUL; what follows the NUL is stale memory.

    Raises RemoteProtocolError when it is empty or not printable ASCII: such a
    record belongs to nobody (deleted user) or was cut at the wrong place.
    """
    raw = field.split(b"\0", 1)[0]
    if not raw:
        raise RemoteProtocolError("no user id")
    if not (raw.isascii() and raw.decode("ascii").isprintable()):
        raise RemoteProtocolError(f"the user id is not printable ASCII: {raw.hex()}")
    return raw.decode("ascii")


def number_text(number: int) -> str:
    """A user id that is stored as a number. Raises RemoteProtocolError for 0: a deleted user's."""
    if not number:
        raise RemoteProtocolError("no user id")
    return str(number)


def uid_text(uid: int, pins: Mapping[int, str]) -> str:
    """The user id of a uid, from the terminal's own table of users.

    A uid that the table does not know is its own user id where nobody's differs from his
    uid; elsewhere it is nobody's, and to guess would give the punch to somebody else.
    """
    if not uid:
        raise RemoteProtocolError("no uid")
    pin = pins.get(uid)
    if pin is not None:
        return pin
    if any(other != str(number) for number, other in pins.items()):
        raise RemoteProtocolError(f"uid {uid} is nobody's among the {len(pins)} users")
    return str(uid)


def with_prefix(records: Iterable[bytes]) -> bytes:
    """The body of a read: u32 number of bytes that follow, then the records back to back."""
    joined = b"".join(records)
    return _PREFIX.pack(len(joined)) + joined


def told_length(body: bytes) -> int:
    """How many bytes of records a body says that it holds."""
    if len(body) < PREFIX_BYTES:
        raise RemoteProtocolError(f"a body of {len(body)} bytes has no length prefix")
    return int(_PREFIX.unpack_from(body)[0])


def without_prefix(body: bytes) -> bytes:
    """The records of a body. Raises RemoteProtocolError when the prefix and the length disagree."""
    announced = told_length(body)
    if announced != len(body) - PREFIX_BYTES:
        raise RemoteProtocolError(
            f"the body announces {announced} bytes and holds {len(body) - PREFIX_BYTES}"
        )
    return body[PREFIX_BYTES:]


# -- reading


def unpack_log(
    records: bytes,
    layout: LogLayout = ATT40,
    pins: Mapping[int, str] | None = None,
    first: int = 0,
) -> Iterator[RawPunch | BadRecord]:
    """Each record of a log in its order; one that cannot be a punch becomes a BadRecord.

    `pins` gives user ids by uid, for layouts that name uids; `first` is the position of the
    first record. Linear in the length of the log. Raises RemoteProtocolError for half a record.
    """
    pin_of = _pin_of(layout, pins or {})
    if layout is MIXED:
        return _unpack_mixed(records, pin_of, first)
    return _unpack_fixed(records, layout, pin_of, first)


def fields_of(records: bytes, layout: LogLayout) -> Iterator[Fields]:
    """The fields of records of one length. Raises RemoteProtocolError for half a record."""
    if len(records) % layout.record_bytes:
        raise RemoteProtocolError(f"a log of {len(records)} bytes is no whole number of records")
    return _FIELDS[layout](records)


def cut_mixed(records: bytes) -> Iterator[bytes]:
    """The records of 4 and 8 bytes, one by one. Raises RemoteProtocolError for half a record."""
    at = 0
    while at < len(records):
        size = 4 if records[at + 2 : at + 3] and records[at + 2] & SHORT_FLAG else 8
        if at + size > len(records):
            raise RemoteProtocolError(f"a log of {len(records)} bytes ends within a record")
        yield records[at : at + size]
        at += size


def _unpack_fixed(
    records: bytes, layout: LogLayout, pin_of: PinOf, first: int
) -> Iterator[RawPunch | BadRecord]:
    pins, hours = _Pins(pin_of), _Hours()
    make, log = tuple.__new__, Source.LOG
    for position, (who, verify, when, state, work) in enumerate(fields_of(records, layout)):
        try:
            fields = (pins[who], hours[when // 3600] + _SECONDS[when % 3600], verify, state, work, log)
            punch = make(RawPunch, fields)
        except RemoteProtocolError as error:
            size = layout.record_bytes
            raw = bytes(records[position * size : (position + 1) * size])
            yield BadRecord(raw=raw, reason=str(error), position=first + position)
        else:
            yield punch


class _Pins(dict[Who, str]):
    """Texts of user ids: few beside the records, so each is read once."""

    def __init__(self, pin_of: PinOf) -> None:
        self._pin_of = pin_of

    def __missing__(self, who: Who) -> str:
        pin = self[who] = self._pin_of(who)
        return pin


class _Hours(dict[int, datetime]):
    """Beginnings of hours by packed time in hours; a second of the hour is then only added."""

    def __missing__(self, hour: int) -> datetime:
        start = self[hour] = unpack_time(hour * 3600)
        return start


def _unpack_mixed(records: bytes, pin_of: PinOf, first: int) -> Iterator[RawPunch | BadRecord]:
    start: datetime | None = None
    for position, raw in enumerate(cut_mixed(records), first):
        bits = raw[2]
        try:
            if bits & SHORT_FLAG:
                wall_time = _short_time(raw, start)
            else:
                start = None
                wall_time = start = unpack_time(int.from_bytes(raw[4:], "little"))
            pin = pin_of(int.from_bytes(raw[:2], "little"))
        except RemoteProtocolError as error:
            yield BadRecord(raw=raw, reason=str(error), position=position)
        else:
            yield RawPunch(pin=pin, wall_time=wall_time, verify_code=bits >> 3 & 3, state_code=bits >> 5)


def _short_time(raw: bytes, start: datetime | None) -> datetime:
    if start is None:
        raise RemoteProtocolError("a short record without a usable long one before it")
    return start + timedelta(seconds=(raw[2] & 3) << 8 | raw[3])


def _pin_of(layout: LogLayout, pins: Mapping[int, str]) -> PinOf:
    def text(who: Who) -> str:
        if isinstance(who, bytes):
            return pin_text(who)
        return number_text(who) if layout.names is Names.NUMBER else uid_text(who, pins)

    return text


_order16 = itemgetter(0, 3, 1, 2, 4)

_FIELDS: Final[Mapping[LogLayout, Callable[[bytes], Iterator[Fields]]]] = {
    ATT49: _READ49.iter_unpack,
    ATT40: _READ40.iter_unpack,
    ATT22: lambda records: ((*fields, 0) for fields in _READ22.iter_unpack(records)),
    ATT16: lambda records: map(_order16, _WRITE16.iter_unpack(records)),
    ATT8B: lambda records: (
        (uid, bits >> 3 & 3, when, bits >> 5, 0) for uid, bits, when in _WRITE8B.iter_unpack(records)
    ),
    ATT8A: lambda records: ((*fields, 0) for fields in _WRITE8A.iter_unpack(records)),
}


# -- writing


def pack_att40(punch: RawPunch, number: int = 0) -> bytes:
    """A 40-byte record. `number` is the uid or a running number, by firmware; it identifies nobody."""
    pin = _text(punch.pin, PIN_BYTES)
    when = pack_time(punch.wall_time)
    return _WRITE40.pack(
        number & MAX_UID, pin, punch.verify_code, when, punch.state_code, punch.work_code, b""
    )


def pack_record(layout: LogLayout, punch: RawPunch, uid: int) -> bytes:
    """A record as a terminal of this layout stores it; a mixed log's is a long one.

    Raises LocalProtocolError for a pin or a code that the layout has no room for.
    """
    return _PACKERS[layout](punch, uid & MAX_UID)


def pack_short(punch: RawPunch, uid: int, seconds: int) -> bytes:
    """A 4-byte record of a mixed log, so many seconds after the last 8-byte one."""
    if not 0 <= seconds < SHORT_SECONDS:
        raise LocalProtocolError(f"a short record counts 0 to {SHORT_SECONDS - 1} seconds, not {seconds}")
    return _SHORT.pack(uid, _bits(punch) | SHORT_FLAG | seconds >> 8, seconds & 0xFF)


def _pack49(punch: RawPunch, uid: int) -> bytes:
    return pack_att40(punch, uid) + _TAIL49


def _pack22(punch: RawPunch, uid: int) -> bytes:
    pin, when = _text(punch.pin, 6), pack_time(punch.wall_time)
    return _WRITE22.pack(uid, pin, punch.verify_code, when, punch.state_code)


def _pack16(punch: RawPunch, _uid: int) -> bytes:
    when = pack_time(punch.wall_time)
    number = pin_number(punch.pin)
    return _WRITE16.pack(number, when, punch.state_code, punch.verify_code, punch.work_code)


def _pack8b(punch: RawPunch, uid: int) -> bytes:
    return _WRITE8B.pack(uid, _bits(punch), pack_time(punch.wall_time))


def _pack8a(punch: RawPunch, uid: int) -> bytes:
    return _WRITE8A.pack(uid, punch.verify_code, pack_time(punch.wall_time), punch.state_code)


_PACKERS: Final[Mapping[LogLayout, Callable[[RawPunch, int], bytes]]] = {
    ATT49: _pack49,
    ATT40: pack_att40,
    ATT22: _pack22,
    ATT16: _pack16,
    ATT8B: _pack8b,
    ATT8A: _pack8a,
    MIXED: _pack8b,
}


def pin_number(pin: str) -> int:
    """A user id for a layout that stores it as a number. Raises LocalProtocolError for any other."""
    if pin.isascii() and pin.isdecimal() and str(int(pin)) == pin and 0 < int(pin) <= MAX_NUMBER:
        return int(pin)
    raise LocalProtocolError(f"this layout stores user ids as numbers without leading zeros, not {pin!r}")


def _text(pin: str, width: int) -> bytes:
    if len(pin) > width:
        raise LocalProtocolError(f"this layout stores user ids of at most {width} characters, not {pin!r}")
    return pin.encode("ascii")


def _bits(punch: RawPunch) -> int:
    """State and verify of an 8B record: 3 and 2 bits; black-and-white terminals have no further codes."""
    return (punch.state_code & 7) << 5 | (punch.verify_code & 3) << 3
