"""The layouts of live punches: bytes to values and back. No input or output.

Source: captures of 12, 14 and 32 bytes; the vendor's manual (10); pyzk 0.9 and its issues (36, 37, 52).
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from drivers.zk.records import number_text, pin_number, pin_text, uid_text
from drivers.zk.times import pack_event_time, unpack_event_time

_BY_UID: Final = Struct("<HBB6s")
_BY_NUMBER: Final = Struct("<IBB6s")
_BY_TEXT: Final = Struct("<24sBB6s")

UID_EVENTS: Final = frozenset({10, 14})
EVENT_BYTES: Final = (10, 12, 14, 32, 36, 37, 52)
"""The known lengths; what lies beyond 10 bytes in 14, and beyond 32 in 36, 37 and 52, means nothing known."""


def uid_of_event(data: bytes) -> int | None:
    """The uid of whoever punched, where the event names nothing better."""
    return int(_BY_UID.unpack_from(data)[0]) if len(data) in UID_EVENTS else None


def unpack_event(data: bytes, pins: Mapping[int, str] | None = None) -> RawPunch | BadRecord:
    """Read a live ATTLOG event; `pins` gives user ids by uid, for those of 10 and 14 bytes.

    Other lengths, and what cannot be a punch, are kept as BadRecord. The state code is the byte
    as it came: black-and-white terminals set its bits 3 to 7 for things of their own.
    """
    try:
        pin, verify, state, when = _fields(data, pins)
        return RawPunch(
            pin=pin,
            wall_time=unpack_event_time(when),
            verify_code=verify,
            state_code=state,
            source=Source.LIVE,
        )
    except RemoteProtocolError as error:
        return BadRecord(raw=data, reason=str(error), position=0, source=Source.LIVE)


def pack_event(punch: RawPunch, uid: int = 0, length: int = 32) -> bytes:
    """A live ATTLOG event. Raises LocalProtocolError for a length that no terminal sends."""
    codes = (punch.verify_code, punch.state_code, pack_event_time(punch.wall_time))
    if length not in EVENT_BYTES:
        known = ", ".join(map(str, EVENT_BYTES))
        raise LocalProtocolError(f"an event has {known} bytes, not {length}")
    if length in UID_EVENTS:
        data = _BY_UID.pack(uid, *codes)
    elif length == _BY_NUMBER.size:
        data = _BY_NUMBER.pack(pin_number(punch.pin), *codes)
    else:
        data = _BY_TEXT.pack(punch.pin.encode("ascii"), *codes)
    return data.ljust(length, b"\0")


def _fields(data: bytes, pins: Mapping[int, str] | None) -> tuple[str, int, int, bytes]:
    if len(data) in UID_EVENTS:
        uid, verify, state, when = _BY_UID.unpack_from(data)
        if pins is None:
            raise RemoteProtocolError(f"names uid {uid} only, and the users are not known")
        return uid_text(uid, pins), verify, state, when
    if len(data) == _BY_NUMBER.size:
        number, verify, state, when = _BY_NUMBER.unpack(data)
        return number_text(number), verify, state, when
    if len(data) in EVENT_BYTES:
        pin, verify, state, when = _BY_TEXT.unpack_from(data)
        return pin_text(pin), verify, state, when
    known = ", ".join(map(str, EVENT_BYTES))
    raise RemoteProtocolError(f"an event of {len(data)} bytes; {known} are known")
