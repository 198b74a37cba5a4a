"""A terminal: what is configured about it, and what it answers about itself."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from attendance.errors import Unsupported

SERIAL_PATTERN: Final = r"^[!-.0-~]+$"
"""A serial number is printable ASCII without spaces and slashes: it is part of every punch's name."""

MOST_SERIAL: Final = 64

WESTERN_TIME: Final = ZoneInfo("Asia/Jakarta")
"""WIB, the zone of most of the country's offices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """One configured terminal. `id` is ours and stable; host and port are only where it stands today.

    `timeout` is for one step of a conversation; `reach` for the first sign that something is there
    (None: as `timeout`).
    """

    id: str
    host: str = ""
    port: int = 4370
    transport: str = "tcp"
    comm_key: int = 0
    zone: ZoneInfo = WESTERN_TIME
    encoding: str = "utf-8"
    timeout: timedelta = timedelta(seconds=10)
    reach: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a terminal says it is. `serial` is part of every punch's identity and never empty."""

    serial: str
    model: str = ""
    firmware: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Counts from the terminal's size table; None where the terminal does not tell."""

    users: int | None = None
    records: int | None = None
    record_capacity: int | None = None
    operations: int | None = None


class Privilege(StrEnum):
    """What a person may do at a terminal's menu."""

    USER = "user"
    ENROLLER = "enroller"
    ADMIN = "admin"
    CUSTOM = "custom"
    SUPER_ADMIN = "super_admin"
    OTHER = "other"


_DISABLED: Final = 1
_PRIVILEGES: Final = {
    0: Privilege.USER,
    2: Privilege.ENROLLER,
    6: Privilege.ADMIN,
    10: Privilege.CUSTOM,
    14: Privilege.SUPER_ADMIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person as enrolled in a terminal. Passwords and templates are never read into it.

    `name_raw` holds the name's bytes as the terminal stored them (they may be cut
    inside a character); `name` is their text in the terminal's encoding, with
    a visible replacement for what does not decode. `privilege` is the terminal's own number:
    bit 0 locks the person out, the rest says what they may do.
    """

    uid: int
    pin: str
    name: str
    name_raw: bytes
    privilege: int = 0
    card: int = 0

    @property
    def role(self) -> Privilege:
        """The privilege by its name; `other` for a number without one."""
        return _PRIVILEGES.get(self.privilege & ~_DISABLED, Privilege.OTHER)

    @property
    def disabled(self) -> bool:
        """Whether the terminal lets this person punch no more."""
        return bool(self.privilege & _DISABLED)


def checked_serial(serial: str, where: str) -> str:
    """The serial number that a terminal told. Raises Unsupported for one that cannot be one.

    A backslash stands for a byte that is no text: flash errors, seen while a terminal boots.
    """
    if not serial:
        raise Unsupported(
            f"{where} tells no serial number (option ~SerialNumber): its punches have no origin"
        )
    if len(serial) > MOST_SERIAL or "\\" in serial or not re.fullmatch(SERIAL_PATTERN, serial):
        raise Unsupported(f"{where} tells a serial number that cannot be one: {ascii(serial)[:80]}")
    return serial
