"""What every driver of terminals offers. Protocols only; no code, no network."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from attendance.event import RawOperation
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal, User


class Session(Protocol):
    """One open conversation with a terminal, used by one thread.

    Every method may raise a DeviceError; after one that is not DeviceRefused or
    Unsupported the session is over and only closing it is allowed.
    """

    def identify(self, known: Identity | None = None) -> Identity:
        """Serial number, model and firmware. Raises Unsupported if there is no serial.

        `known` is what the terminal at this address said before: the serial is asked all the same, as
        another terminal may stand there now, and the rest only if it is another.
        """
        ...

    def read_clock(self) -> datetime:
        """The terminal's own wall time, naive, whole seconds.

        Raises Unsupported when its clock shows no date that exists; the log can be read all the same.
        """
        ...

    def read_sizes(self) -> Sizes:
        """How many records and users the terminal says it holds."""
        ...

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        """Every record of the attendance log, in the terminal's order.

        The whole log is received and checked before the first item is given:
        a transfer that breaks raises and gives nothing.
        """
        ...


@runtime_checkable
class CanReadUsers(Protocol):
    """A session that can list the people enrolled in its terminal."""

    def read_users(self) -> Iterator[User]:
        """Everyone enrolled, without passwords or templates."""
        ...


@runtime_checkable
class CanListen(Protocol):
    """A session that tells of punches as they are made."""

    def listen(self, *, quiet: timedelta) -> Iterator[RawPunch | BadRecord | None]:
        """Punches from this call on; None after each quiet spell.

        The terminal is told that a punch was received only when the *next* item is
        asked for: make it durable before that. A peer that closes raises DeviceUnreachable.
        """
        ...

    def arrived(self) -> Iterator[RawPunch | BadRecord]:
        """Punches that came while something else was asked; waits for none and reads nothing.

        Allowed while a log is prepared; acknowledged as `listen` does.
        """
        ...


class PreparedLog(Protocol):
    """A log that the terminal holds ready as it was at one moment; only what is asked for is transferred."""

    @property
    def records(self) -> int:
        """How many whole records it holds."""
        ...

    @property
    def renames(self) -> bool:
        """Whether its records name people by a number that the terminal gives to others after them.

        Read a second time, an old record may then be given to the wrong person.
        """
        ...

    def digest(self, first: int, last: int) -> bytes:
        """The sha256 of the raw bytes of the records from `first` up to, not including, `last`."""
        ...

    def read(self, first: int, last: int | None = None) -> Iterator[RawPunch | BadRecord]:
        """The records from `first` up to, not including, `last` (None: to the end).

        A BadRecord's position counts from the log's start.
        """
        ...


@runtime_checkable
class CanReadTail(Protocol):
    """A session that can read the end of a log without the rest of it."""

    def prepare_log(self) -> AbstractContextManager[PreparedLog]:
        """Hold the log ready while the block lasts; nothing else may be read within it.

        Raises Unsupported where the terminal cannot, or where its records differ in length:
        such a log is read whole.
        """
        ...


@runtime_checkable
class TellsLayouts(Protocol):
    """A session that says how the tables that it has read are laid out."""

    @property
    def layouts(self) -> Mapping[str, str]:
        """Of "log" and "users", as far as they have been read: the layout's name, mostly a record's bytes."""
        ...


@runtime_checkable
class CanSetClock(Protocol):
    """A session that can set its terminal's clock."""

    def set_clock(self, wall_time: datetime) -> None:
        """Set the terminal's wall clock to a naive local time."""
        ...


@runtime_checkable
class CanClearLog(Protocol):
    """A session that can empty its terminal's attendance log. Nothing is checked here: see daemon."""

    def clear_log(self) -> None:
        """Empty the log, once.

        A reply that is lost raises DeviceTimeout or DeviceUnreachable: whether the log was cleared is
        then unknown, and only reading the counts again, in another session, tells.
        """
        ...


@runtime_checkable
class CanWriteUsers(Protocol):
    """A session that can enrol and remove people. Templates and passwords are never touched."""

    def write_user(self, user: User) -> None:
        """Add a person, or change the name of the one with this uid; read back before it returns.

        Raises DataError for what the terminal cannot hold, before anything is sent.
        """
        ...

    def delete_user(self, uid: int) -> None:
        """Remove a person; their fingers and faces go with them. Raises DeviceRefused."""
        ...


@runtime_checkable
class CanReadOperations(Protocol):
    """A session that can read its terminal's operation log."""

    def read_operations(self) -> Iterator[RawOperation | BadRecord]:
        """Every entry, in the terminal's order. Raises Unsupported where it keeps none."""
        ...


@runtime_checkable
class CanHoldStill(Protocol):
    """A session that can lock its terminal's keys and sensors while it is read."""

    def held_still(self, longest: timedelta) -> AbstractContextManager[None]:
        """Nobody can punch within the block, which ends by itself in the terminal after `longest`."""
        ...


class Driver(Protocol):
    """Stateless; one per kind of terminal."""

    @property
    def name(self) -> str:
        """The name in the configuration (`driver = "..."`)."""
        ...

    def check(self, terminal: Terminal, options: Mapping[str, object]) -> None:
        """Refuse settings that can never work. No network. Raises ConfigError."""
        ...

    def open(self, terminal: Terminal) -> AbstractContextManager[Session]:
        """Connect, authenticate, and give a session; leaving it releases the terminal.

        Raises DeviceUnreachable, DeviceTimeout, DeviceRefused, RemoteProtocolError.
        """
        ...
