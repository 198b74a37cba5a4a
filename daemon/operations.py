"""What terminals note about themselves, given its meaning: pushed, or read from their operation logs."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attendance.errors import DeviceRefused, Unsupported
from attendance.event import EventKind, EventSource, RawOperation, TerminalEvent
from attendance.normalise import to_utc
from attendance.punch import BadRecord
from attendance.terminal import Sizes
from daemon.keeper import Keeper
from drivers.base import CanReadOperations, Session

_log = logging.getLogger(__name__)

AGAIN_AFTER: Final = timedelta(days=1)
"""A log whose count has not moved is read again after this: a full one counts no further."""

# ADMS reference 6.3, where these are the OPLOG codes; the vendor numbers both logs alike.
_MEANINGS: Final[Mapping[int, tuple[EventKind, str]]] = {
    0: (EventKind.POWERED_ON, "switched on"),
    1: (EventKind.POWERED_OFF, "switched off"),
    2: (EventKind.OTHER, "somebody was not recognised as an administrator"),
    3: (EventKind.TAMPERED, "alarm"),
    4: (EventKind.OTHER, "menu opened"),
    5: (EventKind.SETTINGS_CHANGED, "setting changed"),
    6: (EventKind.USER_CHANGED, "finger enrolled"),
    7: (EventKind.USER_CHANGED, "password enrolled"),
    8: (EventKind.USER_CHANGED, "card enrolled"),
    9: (EventKind.USER_REMOVED, "user deleted"),
    10: (EventKind.USER_CHANGED, "finger deleted"),
    11: (EventKind.USER_CHANGED, "password deleted"),
    12: (EventKind.USER_CHANGED, "card deleted"),
    13: (EventKind.LOG_CLEARED, "all data cleared"),
    21: (EventKind.CLOCK_SET, "clock set"),
    22: (EventKind.SETTINGS_CHANGED, "reset to factory settings"),
    23: (EventKind.LOG_CLEARED, "attendance records deleted"),
    24: (EventKind.ADMIN_CHANGED, "administrators' rights removed"),
    30: (EventKind.USER_CHANGED, "user added or changed"),
    31: (EventKind.USER_CHANGED, "user added or changed"),
    32: (EventKind.TAMPERED, "duress alarm"),
    35: (EventKind.OTHER, "photographs deleted"),
    37: (EventKind.USER_CHANGED, "user added or changed"),
    38: (EventKind.OTHER, "backup made"),
    39: (EventKind.TAMPERED, "backup put back: an old log may lie over the new one"),
    40: (EventKind.OTHER, "data taken by USB"),
    41: (EventKind.OTHER, "data put in by USB"),
    43: (EventKind.LOG_CLEARED, "records deleted after a download by USB"),
    70: (EventKind.USER_CHANGED, "user's name changed"),
    71: (EventKind.ADMIN_CHANGED, "user's rights changed"),
    76: (EventKind.SETTINGS_CHANGED, "network settings changed"),
    77: (EventKind.SETTINGS_CHANGED, "network settings changed"),
    78: (EventKind.SETTINGS_CHANGED, "network settings changed"),
    79: (EventKind.SETTINGS_CHANGED, "network settings changed"),
    80: (EventKind.SETTINGS_CHANGED, "communication key changed"),
    81: (EventKind.SETTINGS_CHANGED, "device number changed"),
    82: (EventKind.SETTINGS_CHANGED, "address of its push server changed"),
    83: (EventKind.SETTINGS_CHANGED, "port of its push server changed"),
    92: (EventKind.SETTINGS_CHANGED, "firmware put in by USB"),
}

TAMPER: Final = frozenset({13, 21, 22, 23, 24, 38, 39, 43, 80, 81, 82, 83})
"""Operations that can hide or move punches: each is also logged as a warning."""

_ALARM: Final = 3
_ALARMS: Final[Mapping[str, str]] = {
    "50": "door closed",
    "51": "door open",
    "53": "exit button",
    "54": "door forced",
    "55": "the case was opened",
    "58": "tried too often",
    "65535": "cancelled",
}
_SERIOUS: Final = frozenset({"54", "55"})
_READ: Final = "operations_read"


def meaning(operation: RawOperation, source: EventSource, zone: ZoneInfo) -> TerminalEvent:
    """An operation as an event; a code without a meaning is `other`. Pure."""
    kind, said = _MEANINGS.get(operation.code, (EventKind.OTHER, f"operation {operation.code}"))
    if operation.code == _ALARM:
        what = operation.values[0] if operation.values else ""
        kind = EventKind.TAMPERED if what in _SERIOUS else EventKind.OTHER
        said = f"alarm: {_ALARMS.get(what, f'number {what}')}"
    at, _ = to_utc(operation.wall_time, zone)
    return TerminalEvent(
        kind=kind,
        source=source,
        at=at,
        wall_time=operation.wall_time,
        operator=operation.operator,
        code=operation.code,
        values=operation.values,
        detail=said,
    )


def tell_tampering(id_: str, events: Iterable[TerminalEvent]) -> None:
    """Log those that can hide or move punches."""
    for event in events:
        if event.code in TAMPER or event.kind is EventKind.TAMPERED:
            _log.warning(
                "terminal %s: %s at %s by user %s",
                id_,
                event.detail,
                event.wall_time,
                event.operator or "(none)",
                extra={"action": "tamper", "terminal": id_},
            )


class OperationLog:
    """Reads one terminal's operation log when it moved, and daily; used by the terminal's thread."""

    def __init__(self, id_: str, zone: ZoneInfo, keeper: Keeper) -> None:
        self._id = id_
        self._zone = zone
        self._keeper = keeper

    def read(self, session: Session, serial: str, sizes: Sizes, now: datetime) -> None:
        """Bring what is new to the outbox. Raises DeviceError where the session is over, OutboxError.

        That it was asked is noted before it is: one that breaks a session over it does so once a day.
        """
        if not isinstance(session, CanReadOperations):
            return
        noted = (self._keeper.memo(_READ) or "").split(" ")
        asked, count, newest = noted[1:] if noted[0] == serial else ("", "", "")
        if newest == "none" or not _due(asked, count, sizes.operations, now):
            return
        told = "?" if sizes.operations is None else str(sizes.operations)
        self._note(serial, now, told, newest)
        try:
            items = list(session.read_operations())
        except (Unsupported, DeviceRefused) as error:
            self._note(serial, now, told, "none")
            _log.info(
                "terminal %s: no operation log: %s",
                self._id,
                error,
                extra={"action": "no_operation_log", "terminal": self._id},
            )
            return
        operations = [item for item in items if isinstance(item, RawOperation)]
        self._keeper.keep(serial, [item for item in items if isinstance(item, BadRecord)])
        events = [meaning(one, EventSource.OPERATION_LOG, self._zone) for one in operations]
        new = self._keeper.tell(serial, events)
        walls = [one.wall_time.isoformat() for one in operations]
        if newest:
            tell_tampering(self._id, (event for event in events if _after(event, newest)))
        elif new:
            _log.info(
                "terminal %s: its operation log tells of %d events before now",
                self._id,
                new,
                extra={"action": "operations_read", "terminal": self._id},
            )
        self._note(serial, now, told, max(walls, default=newest or "0"))

    def _note(self, serial: str, now: datetime, count: str, newest: str) -> None:
        self._keeper.set_memo(_READ, f"{serial} {now.isoformat()} {count} {newest}")


def _after(event: TerminalEvent, newest: str) -> bool:
    return event.wall_time is not None and event.wall_time.isoformat() > newest


def _due(asked: str, count: str, operations: int | None, now: datetime) -> bool:
    if not asked:
        return True
    moved = operations is not None and str(operations) != count
    return moved or abs(now - datetime.fromisoformat(asked)) >= AGAIN_AFTER
