"""The error tree. `transient` alone decides whether a loop tries again."""

from enum import StrEnum
from typing import ClassVar


class AttendanceError(Exception):
    """Any failure that hadir expects; its text is one plain line for the person who must act."""

    transient: ClassVar[bool] = False


class ConfigError(AttendanceError):
    """A settings file or a command is wrong; nothing was started. Exit code 2."""


class DeviceError(AttendanceError):
    """A terminal did not do what was asked."""


class Obstacle(StrEnum):
    """What is in the way to a terminal, as far as the network says."""

    NO_NAME = "no_name"
    """The host name has no address."""
    NO_ROUTE = "no_route"
    """This machine, or a router, knows no way there."""
    NO_ANSWER = "no_answer"
    """Nothing comes back: switched off, another address, or a filter that drops."""
    CLOSED = "closed"
    """The host is there and nothing listens on the port."""
    ENDED = "ended"
    """The other side ended what had begun."""


class DeviceUnreachable(DeviceError):
    """No connection: wrong address, no power, no network. `obstacle` is None where it is not known."""

    transient: ClassVar[bool] = True

    def __init__(self, text: str, *, obstacle: Obstacle | None = None) -> None:
        super().__init__(text)
        self.obstacle = obstacle


class DeviceTimeout(DeviceError):
    """Connected, but silent beyond the deadline."""

    transient: ClassVar[bool] = True


class DeviceRefused(DeviceError):
    """The terminal said no: wrong comm key, secure firmware, a refused command.

    `code` is the terminal's own reply code, or None where the refusal has none.
    """

    def __init__(self, text: str, *, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class RemoteProtocolError(DeviceError):
    """The terminal sent bytes that the protocol does not allow. The conversation is over."""

    transient: ClassVar[bool] = True


class Unsupported(DeviceError):
    """This kind of terminal cannot do what was asked."""


class LocalProtocolError(AttendanceError):
    """We asked for something that the protocol does not allow: a bug of ours."""


class OutboxError(AttendanceError):
    """The outbox on the edge cannot take or give punches."""


class OutboxUnusable(OutboxError):
    """The outbox file cannot be opened, read or written (locked, read-only, disk full)."""

    transient: ClassVar[bool] = True


class OutboxInUse(OutboxUnusable):
    """Another process of hadir has the outbox: an edge that runs, or a command."""


class OutboxCorrupt(OutboxError):
    """The outbox file is damaged."""


class SyncError(AttendanceError):
    """The way from the outbox to the central database is interrupted."""


class BrokerUnavailable(SyncError):
    """No session with the MQTT broker."""

    transient: ClassVar[bool] = True


class DatabaseUnavailable(SyncError):
    """The central database cannot be opened or written (down, locked, read-only)."""

    transient: ClassVar[bool] = True


class DataError(AttendanceError):
    """A file or a row given by a person cannot be used; the text says where and what would be right."""
