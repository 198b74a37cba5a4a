"""Layouts of stored records and events: bytes to values and back. No input or output.

This module knows the 40-byte attendance record, the 72-byte user and the
32-byte live event, the layouts of TFT and newer firmware. Further layouts
are further entries of LAYOUTS.
Source: captures (F19, K80 Pro, MB1, ZKTeco 350); see tests/golden.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from struct import Struct, unpack_from
from typing import Final

from attendance.errors import RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import User
from drivers.zk.times import pack_event_time, pack_time, unpack_event_time, unpack_time

_PREFIX: Final = Struct("<I")
PREFIX_BYTES: Final = _PREFIX.size
_ATT40: Final = Struct("<H24sBIBI4s")
_USER72: Final = Struct("<HB8s24sIBHHHH24s")
_EVENT32: Final = Struct("<24sBB6s")
ATT40_BYTES: Final = _ATT40.size
USER72_BYTES: Final = _USER72.size
EVENT32_BYTES: Final = _EVENT32.size
PIN_BYTES: Final = 24


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


def unpack_att40(raw: bytes, source: Source = Source.LOG) -> RawPunch:
    """Read a 40-byte record. Raises RemoteProtocolError when it cannot be a punch."""
    _number, pin, verify, when, state, work, _reserved = _ATT40.unpack(raw)
    return RawPunch(
        pin=pin_text(pin),
        wall_time=unpack_time(when),
        verify_code=verify,
        state_code=state,
        work_code=work,
        source=source,
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which firmware writes its log."""

    name: str
    record_bytes: int
    unpack: Callable[[bytes], RawPunch]


ATT40: Final = Layout("att40", ATT40_BYTES, unpack_att40)
LAYOUTS: Final = (ATT40,)


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
        raise RemoteProtocolError(f"the body announces {announced} bytes and holds {len(body) - PREFIX_BYTES}")
    return body[PREFIX_BYTES:]


def find_layout(records: bytes, count: int | None) -> Layout:
    """The layout of a log, from its length and the terminal's own count.

    Raises RemoteProtocolError for one that is not known, so that nothing is imported from it.
    """
    for layout in LAYOUTS:
        whole, rest = divmod(len(records), layout.record_bytes)
        # A punch made during the read makes the count one or a few too small or too large.
        if rest == 0 and (not count or abs(whole - count) <= max(8, count // 100)):
            return layout
    raise RemoteProtocolError(f"unknown log layout: {len(records)} bytes for {count} records")


def unpack_log(records: bytes, layout: Layout = ATT40) -> Iterator[RawPunch | BadRecord]:
    """Each record of a log in its order; one that cannot be a punch becomes a BadRecord.

    Linear in the length of the log.
    """
    view = memoryview(records)
    for position, start in enumerate(range(0, len(records), layout.record_bytes)):
        raw = bytes(view[start : start + layout.record_bytes])
        try:
            yield layout.unpack(raw)
        except RemoteProtocolError as error:
            yield BadRecord(raw=raw, reason=str(error), position=position)


def pack_event32(punch: RawPunch) -> bytes:
    """A live ATTLOG event of 32 bytes."""
    pin = punch.pin.encode("ascii")
    return _EVENT32.pack(pin, punch.verify_code, punch.state_code, pack_event_time(punch.wall_time))


def unpack_event(data: bytes) -> RawPunch | BadRecord:
    """Read a live ATTLOG event; other lengths than 32 bytes are kept as BadRecord."""
    try:
        if len(data) != EVENT32_BYTES:
            raise RemoteProtocolError(f"an event of {len(data)} bytes, known is {EVENT32_BYTES}")
        pin, verify, state, when = _EVENT32.unpack(data)
        return RawPunch(
            pin=pin_text(pin),
            wall_time=unpack_event_time(when),
            verify_code=verify,
            state_code=state,
            source=Source.LIVE,
        )
    except RemoteProtocolError as error:
        return BadRecord(raw=data, reason=str(error), position=0, source=Source.LIVE)


def pack_user72(user: User) -> bytes:
    """A 72-byte user, without a password."""
    return _USER72.pack(
        user.uid, user.privilege, b"", user.name_raw[:24], user.card, 0, 0, 0, 0, 0, user.pin.encode("ascii")
    )


def unpack_users72(records: bytes, encoding: str) -> Iterator[User]:
    """Everyone in a body of 72-byte users; freed slots (all zero) are passed over.

    Raises RemoteProtocolError when the length is no multiple of 72.
    """
    if len(records) % USER72_BYTES:
        raise RemoteProtocolError(f"unknown user layout: {len(records)} bytes")
    for start in range(0, len(records), USER72_BYTES):
        uid, privilege = unpack_from("<HB", records, start)
        (name, card) = unpack_from("<24sI", records, start + 11)
        (pin,) = unpack_from("<24s", records, start + 48)
        if not any(records[start : start + USER72_BYTES]):
            continue
        name_raw = name.split(b"\0", 1)[0]
        yield User(
            uid=uid,
            pin=pin.split(b"\0", 1)[0].decode("ascii", "backslashreplace"),
            name=name_raw.decode(encoding, "replace"),
            name_raw=name_raw,
            privilege=privilege,
            card=card,
        )
