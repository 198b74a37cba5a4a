"""What happened to a terminal, beside the punches: the signs by which tampering and wrong clocks are seen."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class EventKind(StrEnum):
    """What happened. Everything that has no name of its own is `other`."""

    CLOCK_SET = "clock_set"
    CLOCK_WRONG = "clock_wrong"
    CLOCK_STEPPED = "clock_stepped"
    LOG_CLEARED = "log_cleared"
    LOG_SHRANK = "log_shrank"
    LOG_CHANGED = "log_changed"
    LOG_FILLING = "log_filling"
    SERIAL_CHANGED = "serial_changed"
    USER_CHANGED = "user_changed"
    USER_REMOVED = "user_removed"
    ADMIN_CHANGED = "admin_changed"
    SETTINGS_CHANGED = "settings_changed"
    POWERED_ON = "powered_on"
    POWERED_OFF = "powered_off"
    TAMPERED = "tampered"
    OTHER = "other"


class EventSource(StrEnum):
    """Who says so: the terminal's operation log (read or pushed), or hadir, which measured or did it."""

    OPERATION_LOG = "operation_log"
    PUSH = "push"
    HADIR = "hadir"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOperation:
    """One entry of a terminal's operation log, uninterpreted.

    `operator` is who did it, as the terminal writes it (empty: nobody was signed in); `values`
    are the entry's own numbers; `wall_time` is naive, the terminal's own clock.
    """

    code: int
    operator: str
    wall_time: datetime
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalEvent:
    """Something that happened to a terminal. Two equal ones are one.

    `at` is aware and UTC; `wall_time` is the terminal's own clock, None for what hadir says;
    `code` and `values` are the operation's numbers, None and none for what hadir says;
    `detail` is one plain line.
    """

    kind: EventKind
    source: EventSource
    at: datetime
    wall_time: datetime | None = None
    operator: str = ""
    code: int | None = None
    values: tuple[str, ...] = ()
    detail: str = ""

    def __post_init__(self) -> None:
        """Refuse times that would be ambiguous later."""
        if self.wall_time is not None and self.wall_time.tzinfo is not None:
            raise ValueError("wall_time must be naive: the terminal's own clock")
        if self.at.utcoffset() != timedelta(0):
            raise ValueError("at must be aware and UTC")
