"""The people enrolled in a terminal: read, named anew, added and removed, each change read back.

Passwords lie in every record of the table. Those of people already enrolled go back to the terminal byte
for byte as they came, and nowhere else; somebody new gets none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from attendance.errors import DataError, DeviceRefused, RemoteProtocolError, Unsupported
from attendance.terminal import Terminal, User
from drivers.zk.commands import Command, Reply
from drivers.zk.dialogue import Dialogue
from drivers.zk.layouts import choose_user_layout
from drivers.zk.records import MAX_UID
from drivers.zk.tables import Tables, known, told
from drivers.zk.users import (
    UserLayout,
    check_pin,
    fit_name,
    pack_user,
    pins_by_uid,
    records_by_uid,
    renamed,
    unpack_users,
)

_ALL_USERS: Final = 5
_UID: Final = Struct("<H")


@dataclass(frozen=True, slots=True)
class _Table:
    """The user table as it was read. Its bytes hold passwords: they stay out of any message."""

    layout: UserLayout | None
    records: bytes = field(repr=False)

    def people(self, encoding: str) -> Iterator[User]:
        return iter(()) if self.layout is None else unpack_users(self.records, encoding, self.layout)


class People:
    """The people of one session's terminal. Everything may raise a DeviceError."""

    def __init__(self, dialogue: Dialogue, tables: Tables, terminal: Terminal) -> None:
        self._dialogue = dialogue
        self._tables = tables
        self._encoding = terminal.encoding
        self._pins: dict[int, str] | None = None

    def read(self) -> Iterator[User]:
        """Everyone enrolled; the transfer is over when this returns."""
        return self._read().people(self._encoding)

    def read_pins(self) -> Mapping[int, str]:
        """User ids by uid, read anew."""
        self._pins = pins_by_uid(self.read())
        return self._pins

    def known_pins(self) -> Mapping[int, str]:
        """User ids by uid as they were read last; none before that."""
        return self._pins or {}

    def pins_with(self, uid: int) -> Mapping[int, str] | None:
        """The same, read anew for a uid not seen before; None where users cannot be read."""
        if self._pins is None or uid not in self._pins:
            try:
                return self.read_pins()
            except (DeviceRefused, Unsupported):
                return None
        return self._pins

    def write(self, user: User, pin_width: int) -> None:
        """See drivers.base.CanWriteUsers. `pin_width` is how long a pin this terminal bears."""
        table = self._read()
        if table.layout is None:
            raise Unsupported(
                "this terminal has nobody enrolled, so the layout of its users is unknown; "
                "enrol the first person at its keys"
            )
        name = fit_name(user.name, self._encoding, table.layout)
        raw = self._record_for(user, name, table, table.layout, pin_width)
        self._change(Command.USER_WRITE, raw)
        written = {person.uid: person for person in self.read()}.get(user.uid)
        if written is None or (written.pin, written.name_raw) != (user.pin, name):
            raise DeviceRefused(
                f"the terminal acknowledged user {user.uid} (pin {user.pin}) and did not keep it"
            )

    def delete(self, uid: int) -> None:
        """See drivers.base.CanWriteUsers."""
        _check_uid(uid)
        self._change(Command.USER_DELETE, _UID.pack(uid))
        if any(person.uid == uid for person in self.read()):
            raise DeviceRefused(f"the terminal acknowledged that user {uid} is deleted and still holds it")

    def _record_for(
        self, user: User, name: bytes, table: _Table, layout: UserLayout, pin_width: int
    ) -> bytes:
        _check_uid(user.uid)
        pins = {person.uid: person.pin for person in table.people(self._encoding)}
        owner = next((uid for uid, pin in pins.items() if pin == user.pin and uid != user.uid), None)
        if owner is not None:
            raise DataError(f"pin {user.pin} belongs to user {owner} of this terminal, not to {user.uid}")
        if user.uid not in pins:
            check_pin(user, layout, pin_width)
            return pack_user(user, layout, name)
        if pins[user.uid] != user.pin:
            raise DataError(
                f"user {user.uid} of this terminal has pin {pins[user.uid]}, not {user.pin}: "
                "delete this user first, so that nobody's finger counts for somebody else"
            )
        return renamed(records_by_uid(table.records, layout)[user.uid], name, layout)

    def _change(self, command: Command, data: bytes) -> None:
        self._pins = None
        self._dialogue.ask(command, data)
        try:
            self._dialogue.ask(Command.REFRESH_DATA)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise

    def _read(self) -> _Table:
        count = self._tables.sizes().users
        records, _direct = self._tables.read(Command.USERS_READ, _ALL_USERS, told(count))
        if records:
            layout = choose_user_layout(records, known(count))
            self._tables.layouts["users"] = layout.name
            return _Table(layout, records)
        with self._dialogue.watched():
            if count > 0:
                raise RemoteProtocolError(f"the terminal counts {count} users and gives an empty table")
        return _Table(None, b"")


def _check_uid(uid: int) -> None:
    if not 0 < uid <= MAX_UID:
        raise DataError(f"a user's number in a terminal is 1 to {MAX_UID}, not {uid}")
