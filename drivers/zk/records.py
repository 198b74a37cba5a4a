"""Layouts of stored records and events: bytes to values and back. No input or output.

This module knows the 40-byte attendance record, the 72-byte user and the live events
that name a person by user id; the layouts of TFT and newer firmware. The sizes of
further layouts are known only to refuse them by name.
Source: captures (F19, K20, K80 Pro, MB1, TC100, ZKTeco 350); see tests/golden.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from struct import Struct
from typing import Final

from attendance.errors import RemoteProtocolError, Unsupported
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import User
from drivers.zk.times import pack_event_time, pack_time, unpack_event_time, unpack_time

_PREFIX: Final = Struct("<I")
PREFIX_BYTES: Final = _PREFIX.size
_ATT40: Final = Struct("<H24sBIBI4s")
_USER72: Final = Struct("<HB8s24sIBHHHH24s")
_EVENT32: Final = Struct("<24sBB6s")
_EVENT12: Final = Struct("<IBB6s")
ATT40_BYTES: Final = _ATT40.size
USER72_BYTES: Final = _USER72.size
EVENT32_BYTES: Final = _EVENT32.size
PIN_BYTES: Final = 24

_EVENT_TAILS: Final = frozenset({0, 4, 5, 20})
"""Bytes of unknown meaning that some firmware appends to a 32-byte event (pyzk; one source each)."""

_OTHER_RECORD_SIZES: Final = (8, 16, 22, 49)
_OTHER_USER_SIZES: Final = (28, 120)
_STATES: Final = frozenset({0, 1, 2, 3, 4, 5, 255})
_DOUBTFUL_SHARE: Final = 10
"""One record in so many may be damaged where nothing but the records themselves shows the layout."""


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


def pack_att40(punch: RawPunch, number: int = 0) -> bytes:
    """A 40-byte record. `number` is the uid or a running number, by firmware; it identifies nobody."""
    return _ATT40.pack(
        number & 0xFFFF,
        punch.pin.encode("ascii"),
        punch.verify_code,
        pack_time(punch.wall_time),
        punch.state_code,
        punch.work_code,
        bytes(4),
    )


def with_prefix(records: Iterable[bytes]) -> bytes:
    """The body of a read: u32 number of bytes that follow, then the records back to back."""
    joined = b"".join(records)
    return _PREFIX.pack(len(joined)) + joined


def without_prefix(body: bytes) -> bytes:
    """The records of a body. Raises RemoteProtocolError when the prefix and the length disagree."""
    if len(body) < PREFIX_BYTES:
        raise RemoteProtocolError(f"a body of {len(body)} bytes has no length prefix")
    (announced,) = _PREFIX.unpack_from(body)
    if announced != len(body) - PREFIX_BYTES:
        raise RemoteProtocolError(
            f"the body announces {announced} bytes and holds {len(body) - PREFIX_BYTES}"
        )
    return body[PREFIX_BYTES:]


def check_log_layout(records: bytes, counts: Collection[int]) -> None:
    """Make sure that a log consists of 40-byte records, from its length and the terminal's own counts.

    `counts` were read before and after the log; a punch may have been made in between. A count
    can also be wrong, or zero in push mode: then the records themselves must look like punches.
    Raises Unsupported for any other layout, so that nothing is imported from it.
    """
    whole, rest = divmod(len(records), ATT40_BYTES)
    if rest == 0 and counts and min(counts) <= whole <= max(counts):
        return
    if rest == 0 and _looks_like_punches(records, whole):
        return
    raise Unsupported(_unknown_layout("log", len(records), counts, _OTHER_RECORD_SIZES))


def unpack_log(records: bytes) -> Iterator[RawPunch | BadRecord]:
    """Each 40-byte record of a log in its order; one that cannot be a punch becomes a BadRecord.

    Linear in the length of the log: the texts of user ids and the dates, few beside the
    records, are read once. Raises RemoteProtocolError when the length is no multiple of 40.
    """
    if len(records) % ATT40_BYTES:
        raise RemoteProtocolError(f"a log of {len(records)} bytes is no whole number of records")
    pins: dict[bytes, str] = {}
    days: dict[int, datetime] = {}
    for position, fields in enumerate(_ATT40.iter_unpack(records)):
        _number, pin_field, verify, when, state, work, _reserved = fields
        try:
            pin = pins.get(pin_field) or pins.setdefault(pin_field, pin_text(pin_field))
            day, second = divmod(when, 86400)
            midnight = days.get(day) or days.setdefault(day, unpack_time(when - second))
            minute, second = divmod(second, 60)
            wall_time = midnight.replace(hour=minute // 60, minute=minute % 60, second=second)
        except RemoteProtocolError as error:
            start = position * ATT40_BYTES
            yield BadRecord(
                raw=bytes(records[start : start + ATT40_BYTES]), reason=str(error), position=position
            )
        else:
            yield RawPunch(pin=pin, wall_time=wall_time, verify_code=verify, state_code=state, work_code=work)


def _looks_like_punches(records: bytes, whole: int) -> bool:
    doubtful = sum(
        isinstance(record, BadRecord) or record.state_code not in _STATES for record in unpack_log(records)
    )
    return doubtful * _DOUBTFUL_SHARE <= whole


def _unknown_layout(table: str, length: int, counts: Collection[int], sizes: Collection[int]) -> str:
    for count in counts:
        if count > 0 and length % count == 0 and length // count in sizes:
            return f"the terminal's {table} has records of {length // count} bytes, a layout not read yet"
    told = " or ".join(str(count) for count in sorted(set(counts))) or "an unknown number of"
    return f"the terminal's {table} has an unknown layout: {length} bytes for {told} records"


def pack_event32(punch: RawPunch) -> bytes:
    """A live ATTLOG event of 32 bytes."""
    pin = punch.pin.encode("ascii")
    return _EVENT32.pack(pin, punch.verify_code, punch.state_code, pack_event_time(punch.wall_time))


def unpack_event(data: bytes) -> RawPunch | BadRecord:
    """Read a live ATTLOG event of 12, 32, 36, 37 or 52 bytes.

    Other lengths are kept as BadRecord; those of 10 and 14 bytes name a person by uid, which
    is reused after deletion.
    """
    try:
        pin, verify, state, when = _event_fields(data)
        return RawPunch(
            pin=pin,
            wall_time=unpack_event_time(when),
            verify_code=verify,
            state_code=state,
            source=Source.LIVE,
        )
    except RemoteProtocolError as error:
        return BadRecord(raw=data, reason=str(error), position=0, source=Source.LIVE)


def _event_fields(data: bytes) -> tuple[str, int, int, bytes]:
    if len(data) == _EVENT12.size:
        number, verify, state, when = _EVENT12.unpack(data)
        return str(number), verify, state, when
    if len(data) - EVENT32_BYTES in _EVENT_TAILS:
        pin, verify, state, when = _EVENT32.unpack_from(data)
        return pin_text(pin), verify, state, when
    raise RemoteProtocolError(f"an event of {len(data)} bytes; 12, 32, 36, 37 and 52 are known")


def pack_user72(user: User) -> bytes:
    """A 72-byte user, without a password."""
    return _USER72.pack(
        user.uid, user.privilege, b"", user.name_raw[:24], user.card, 0, 0, 0, 0, 0, user.pin.encode("ascii")
    )


def check_user_layout(records: bytes, counts: Collection[int]) -> None:
    """Make sure that a user table consists of 72-byte records.

    Freed slots are not in the terminal's count, so that the records themselves decide where
    it does not fit. Raises Unsupported for any other layout.
    """
    whole, rest = divmod(len(records), USER72_BYTES)
    if rest == 0 and (whole in counts or all(map(_looks_like_user, _USER72.iter_unpack(records)))):
        return
    raise Unsupported(_unknown_layout("user table", len(records), counts, _OTHER_USER_SIZES))


def _looks_like_user(fields: tuple[object, ...]) -> bool:
    uid, pin = fields[0], fields[-1]
    text = pin.split(b"\0", 1)[0] if isinstance(pin, bytes) else b""
    return bool(uid) == bool(text) and text.isascii() and text.decode("ascii").isprintable()


def unpack_users72(records: bytes, encoding: str) -> Iterator[User]:
    """Everyone in a body of 72-byte users; freed slots (all zero) are passed over.

    Raises RemoteProtocolError when the length is no multiple of 72.
    """
    if len(records) % USER72_BYTES:
        raise RemoteProtocolError(f"a user table of {len(records)} bytes is no whole number of users")
    for fields in _USER72.iter_unpack(records):
        uid, privilege, _password, name, card, *_access, pin = fields
        name_raw = name.split(b"\0", 1)[0]
        pin_raw = pin.split(b"\0", 1)[0]
        if uid == 0 and not pin_raw:
            continue
        yield User(
            uid=uid,
            pin=pin_raw.decode("ascii", "backslashreplace"),
            name=name_raw.decode(encoding, "replace"),
            name_raw=name_raw,
            privilege=privilege,
            card=card,
        )
