"""The layouts of the user table: bytes to people and back. No input or output.

Passwords lie in every one of them and are stepped over, unread.
Source: captures (K20, F19, ZKTeco 350: 72 bytes; a BW terminal over UDP: 28); notes on the
NGTeco MB1 (120); pyzk-wl10 and LX50 notes (slots that are nobody).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.terminal import User
from drivers.zk.records import PIN_BYTES, pin_number


@dataclass(frozen=True, slots=True)
class UserLayout:
    """One way to store people."""

    name: str
    record_bytes: int


USER120: Final = UserLayout("120", 120)
USER72: Final = UserLayout("72", 72)
USER28: Final = UserLayout("28", 28)
USER_LAYOUTS: Final = (USER120, USER72, USER28)
"""In the order in which they are tried."""

USER72_BYTES: Final = USER72.record_bytes
TEMPLATE_SLOT: Final = 0x31
"""Stands for the privilege in a slot that AK3750 fills with a fingerprint template: nobody, left unread."""

_USER28: Final = Struct("<HB5x8sI4xI")
_USER72: Final = Struct("<HB8x24sI9x24s")
_USER120: Final = Struct("<HB32x24s24s13x24s")
_NAME28: Final = 8
_NAME72: Final = 24


def unpack_users(records: bytes, encoding: str, layout: UserLayout = USER72) -> Iterator[User]:
    """Everyone in a user table; freed slots (all zero) and template slots are passed over.

    A pin is verbatim, and empty where a text layout has none; where it is a number and 0, the
    uid stands for it. Raises RemoteProtocolError for half a user.
    """
    if len(records) % layout.record_bytes:
        raise RemoteProtocolError(f"a user table of {len(records)} bytes is no whole number of users")
    for uid, privilege, name_raw, card, pin in _READERS[layout](records):
        if (uid == 0 and not pin) or (privilege == TEMPLATE_SLOT and layout is USER72):
            continue
        name = name_raw.decode(encoding, "replace")
        yield User(uid=uid, pin=pin, name=name, name_raw=name_raw, privilege=privilege, card=card)


def pins_by_uid(people: Iterable[User]) -> dict[int, str]:
    """Who a uid is; whoever has no pin is known by the uid itself."""
    return {person.uid: person.pin or str(person.uid) for person in people}


def pack_user(user: User, layout: UserLayout = USER72) -> bytes:
    """A user, without a password. Raises LocalProtocolError for a pin that the layout has no room for."""
    return _PACKERS[layout](user)


def is_no_one(raw: bytes) -> bool:
    """Whether a 72-byte record is a freed slot or one that holds a template."""
    return not any(raw) or (len(raw) == USER72.record_bytes and raw[2] == TEMPLATE_SLOT)


Person = tuple[int, int, bytes, int, str]
"""uid, privilege, name, card, pin"""


def _read28(records: bytes) -> Iterator[Person]:
    for uid, privilege, name, card, number in _USER28.iter_unpack(records):
        yield uid, privilege, _up_to_nul(name), card, str(number or uid or "")


def _read72(records: bytes) -> Iterator[Person]:
    for uid, privilege, name, card, pin in _USER72.iter_unpack(records):
        yield uid, privilege, _up_to_nul(name), card, _pin(pin)


def _read120(records: bytes) -> Iterator[Person]:
    for uid, privilege, first, last, pin in _USER120.iter_unpack(records):
        name = b" ".join(part for part in (_up_to_nul(first), _up_to_nul(last)) if part)
        yield uid, privilege, name, 0, _pin(pin)


_READERS: Final[Mapping[UserLayout, Callable[[bytes], Iterator[Person]]]] = {
    USER28: _read28,
    USER72: _read72,
    USER120: _read120,
}


def _pack28(user: User) -> bytes:
    return _USER28.pack(user.uid, user.privilege, user.name_raw[:_NAME28], user.card, pin_number(user.pin))


def _pack72(user: User) -> bytes:
    return _USER72.pack(user.uid, user.privilege, user.name_raw[:_NAME72], user.card, _pin_field(user.pin))


def _pack120(user: User) -> bytes:
    return _USER120.pack(user.uid, user.privilege, user.name_raw[:_NAME72], b"", _pin_field(user.pin))


_PACKERS: Final[Mapping[UserLayout, Callable[[User], bytes]]] = {
    USER28: _pack28,
    USER72: _pack72,
    USER120: _pack120,
}


def _pin_field(pin: str) -> bytes:
    if not pin.isascii() or len(pin) > PIN_BYTES:
        raise LocalProtocolError(f"a pin has at most {PIN_BYTES} ASCII characters, not {pin!r}")
    return pin.encode("ascii")


def _pin(field: bytes) -> str:
    return _up_to_nul(field).decode("ascii", "backslashreplace")


def _up_to_nul(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
