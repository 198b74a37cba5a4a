"""The layouts of the user table: bytes to people and back. No input or output.

Passwords lie in every one of them and are stepped over, unread.
Source: captures (K20, F19, ZKTeco 350: 72 bytes; a BW terminal over UDP: 28); notes on the
NGTeco MB1 (120); pyzk-wl10 and LX50 notes (slots that are nobody).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from attendance.errors import DataError, LocalProtocolError, RemoteProtocolError
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
_NEW28: Final = Struct("<HB5x8sIxB2xI")
_NEW72: Final = Struct("<HB8x24sIB8x24s")
_USER120: Final = Struct("<HB32x24s24s13x24s")
_NAME28: Final = 8
_NAME72: Final = 24
_FIRST_GROUP: Final = 1
"""The group of whoever is not put into another one."""

_SHORT_PIN: Final = 5
"""Black and white terminals with pins of so many digits know people by their uid alone."""

_NAME_FIELDS: Final[Mapping["UserLayout", tuple[slice, ...]]] = {
    USER28: (slice(8, 16),),
    USER72: (slice(11, 35),),
    USER120: (slice(35, 59), slice(59, 83)),
}


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


def pack_user(user: User, layout: UserLayout = USER72, name: bytes | None = None) -> bytes:
    """A user, without a password; `name` stands for the bytes of the name that the user brings.

    Raises LocalProtocolError for a pin that the layout has no room for.
    """
    return _PACKERS[layout](user, user.name_raw if name is None else name)


def records_by_uid(records: bytes, layout: UserLayout) -> dict[int, bytes]:
    """The record of each person as it stands; it holds a password."""
    size = layout.record_bytes
    parts = (records[at : at + size] for at in range(0, len(records), size))
    return {int.from_bytes(part[:2], "little"): part for part in parts if not is_no_one(part)}


def renamed(record: bytes, name: bytes, layout: UserLayout) -> bytes:
    """A person's record with another name and every other byte as it was."""
    new = bytearray(record)
    for place, part in zip(_NAME_FIELDS[layout], _name_parts(name, layout), strict=True):
        new[place] = part.ljust(place.stop - place.start, b"\0")
    return bytes(new)


def fit_name(name: str, encoding: str, layout: UserLayout) -> bytes:
    """A name's bytes as the terminal can hold them: cut between two characters where it is too long.

    Raises DataError for a character that the encoding does not have, or that is no part of a name.
    """
    if not name.isprintable():
        raise DataError(f"a name has letters, digits, spaces and signs only, not {name!r}")
    width = _width(_NAME_FIELDS[layout][0])
    fitting = _cut(name, encoding, width)
    if fitting == name or len(_NAME_FIELDS[layout]) == 1:
        return fitting.encode(encoding)
    words, _, _ = fitting.rpartition(" ") if name[len(fitting)] != " " else (fitting, "", "")
    if not words:
        return fitting.encode(encoding)
    rest = _cut(name[len(words) + 1 :], encoding, width)
    return f"{words} {rest}".encode(encoding)


def check_pin(user: User, layout: UserLayout, width: int) -> None:
    """Refuse a pin that this terminal would keep wrongly or not at all. Raises DataError.

    A pin longer than the terminal's width was seen to make a person that cannot be deleted (NGTeco MB1).
    """
    pin = user.pin
    if not (pin.isascii() and pin.isalnum()) or pin == "0" or len(pin) > min(width, PIN_BYTES):
        most = min(width, PIN_BYTES)
        raise DataError(f"a pin of this terminal has 1 to {most} digits or letters, not {pin!r}")
    if layout is USER28:
        try:
            number = pin_number(pin)
        except LocalProtocolError as error:
            raise DataError(f"pin {pin!r}: {error}") from None
        if width <= _SHORT_PIN and number != user.uid:
            raise DataError(
                f"this terminal knows people by their uid: pin {pin} needs uid {pin}, not {user.uid}"
            )


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


def _pack28(user: User, name: bytes) -> bytes:
    pin = pin_number(user.pin)
    return _NEW28.pack(user.uid, user.privilege, name[:_NAME28], user.card, _FIRST_GROUP, pin)


def _pack72(user: User, name: bytes) -> bytes:
    pin = _pin_field(user.pin)
    return _NEW72.pack(user.uid, user.privilege, name[:_NAME72], user.card, _FIRST_GROUP, pin)


def _pack120(user: User, name: bytes) -> bytes:
    return _USER120.pack(user.uid, user.privilege, *_name_parts(name, USER120), _pin_field(user.pin))


_PACKERS: Final[Mapping[UserLayout, Callable[[User, bytes], bytes]]] = {
    USER28: _pack28,
    USER72: _pack72,
    USER120: _pack120,
}


def _name_parts(name: bytes, layout: UserLayout) -> tuple[bytes, ...]:
    """A name as it is laid into its fields: as one, or as first and last name."""
    first, *more = _NAME_FIELDS[layout]
    width = _width(first)
    if not more:
        return (name[:width],)
    at = name.rfind(b" ", 0, width + 1) if len(name) > width else -1
    return (name[:at], name[at + 1 :][: _width(more[0])]) if at > 0 else (name[:width], b"")


def _width(field: slice) -> int:
    return int(field.stop - field.start)


def _cut(name: str, encoding: str, width: int) -> str:
    """As much of a name as has room in so many bytes."""
    room = width
    for place, character in enumerate(name):
        try:
            room -= len(character.encode(encoding))
        except UnicodeEncodeError:
            raise DataError(
                f"the name {name!r} has {character!r}, which the encoding {encoding} has not"
            ) from None
        if room < 0:
            return name[:place]
    return name


def _pin_field(pin: str) -> bytes:
    if not pin.isascii() or len(pin) > PIN_BYTES:
        raise LocalProtocolError(f"a pin has at most {PIN_BYTES} ASCII characters, not {pin!r}")
    return pin.encode("ascii")


def _pin(field: bytes) -> str:
    return _up_to_nul(field).decode("ascii", "backslashreplace")


def _up_to_nul(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
