"""Terminals that dial in: who may, what becomes of what they bring, and how they are doing.

A punch goes into the same outbox, by the same identity, as a polled one. Nothing here ever gives coverage:
that a terminal is silent proves nothing, so days stay incomplete until a full read covers them.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from attendance.clock import Clock
from attendance.event import EventSource, RawOperation, TerminalEvent
from attendance.punch import BadRecord, RawPunch
from config.model import EdgeConfig, TerminalSettings
from daemon.keeper import Keeper
from daemon.operations import meaning, tell_tampering
from daemon.push_memory import PushMemory
from drivers.zk_push.desk import Upload
from drivers.zk_push.lines import Operation
from drivers.zk_push.options import PushFacts, PushOptions
from drivers.zk_push.replies import Command, CommandResult
from sync.envelope import TerminalHealth, clean_text
from sync.outbox import Outbox

_log = logging.getLogger(__name__)

SILENT_AFTER: Final = timedelta(minutes=5)
"""A terminal that has not called for so long is reported as unreachable."""

REPORT_EVERY: Final = timedelta(seconds=30)
"""Health that has not changed is told again after this."""


@dataclass(slots=True)
class _Caller:
    """What is known of one terminal while the daemon runs."""

    settings: TerminalSettings
    keeper: Keeper
    facts: PushFacts
    peer: str = ""
    seen_at: datetime | None = None
    reported_at: datetime | None = None
    silent: bool = False


class PushSite:
    """What the receiver's desk asks and hands over (drivers.zk_push.desk.Site). Any thread."""

    def __init__(
        self,
        settings: EdgeConfig,
        outbox: Outbox,
        memory: PushMemory,
        report: Callable[[TerminalHealth], None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._report = report
        self._clock = clock
        self._lock = threading.Lock()
        self._callers = {
            terminal.serial: _Caller(
                terminal, Keeper(terminal, settings.device(terminal), outbox, clock), PushFacts()
            )
            for terminal in settings.dialling_in
            if terminal.serial
        }

    # --- who calls

    def admitted(self, serial: str) -> PushOptions | None:
        """How a terminal is to behave; None for one that is not in the settings."""
        caller = self._callers.get(serial)
        if caller is None:
            return None
        return PushOptions(zone=self._settings.device(caller.settings).zone, delay=caller.settings.every)

    def seen(self, serial: str, peer: str, facts: PushFacts) -> None:
        """Note that a terminal called; report it at news, and now and then."""
        now = self._clock.now()
        caller = self._callers[serial]
        with self._lock:
            before, back, told = caller.peer, caller.silent, caller.reported_at
            known = _joined(caller.facts, facts)
            due = told is None or back or known != caller.facts or now - told >= REPORT_EVERY
            caller.facts, caller.peer, caller.seen_at, caller.silent = known, peer, now, False
            if due:
                caller.reported_at = now
        self._tell_seen(caller.settings.id, before, peer, back=back)
        if due:
            self._report(_health(caller, "online", now))

    def watch(self) -> None:
        """Report terminals that have not called for long, once each."""
        now = self._clock.now()
        for caller in self._callers.values():
            with self._lock:
                lost = (
                    caller.seen_at is not None and not caller.silent and now - caller.seen_at >= SILENT_AFTER
                )
                caller.silent = caller.silent or lost
            if lost:
                _log.warning(
                    "terminal %s has not called for %d minutes",
                    caller.settings.id,
                    SILENT_AFTER.total_seconds() // 60,
                    extra={"action": "terminal_lost", "terminal": caller.settings.id},
                )
                self._report(_health(caller, "unreachable", now))

    # --- what they bring

    def deliver(self, serial: str, upload: Upload) -> None:
        """Punches and unreadable lines to the outbox, operations beside it; on disk when this returns."""
        if upload.records:
            self._put(self._callers[serial], serial, upload.records)
        caller = self._callers[serial].settings
        if upload.operations:
            self._keep_operations(self._callers[serial], serial, upload.operations)
        if upload.users or upload.dropped:
            counts = {"users": len(upload.users)} if upload.users else {}
            _log.debug(
                "terminal %s sent what is not kept: %s",
                caller.id,
                ", ".join(f"{count} {kind}" for kind, count in {**counts, **upload.dropped}.items()),
                extra={"action": "push_dropped", "terminal": caller.id},
            )

    def _put(self, caller: _Caller, serial: str, records: Iterable[RawPunch | BadRecord]) -> None:
        new = caller.keeper.keep(serial, records)
        if new:
            _log.info(
                "terminal %s: %d new %s",
                caller.settings.id,
                new,
                "record" if new == 1 else "records",
                extra={"action": "collected", "terminal": caller.settings.id},
            )

    def _keep_operations(self, caller: _Caller, serial: str, operations: Sequence[Operation]) -> None:
        """To the outbox first: what is only in the memory counts as told."""
        zone = self._settings.device(caller.settings).zone

        def event_of(one: Operation) -> TerminalEvent:
            return meaning(_raw(one), EventSource.PUSH, zone)

        caller.keeper.tell(serial, [event_of(one) for one in operations])
        fresh = self._memory.keep_operations(serial, operations)
        tell_tampering(caller.settings.id, [event_of(one) for one in fresh])

    # --- resume points and commands

    def stamps(self, serial: str) -> Mapping[str, str]:
        """See PushMemory."""
        return self._memory.stamps(serial)

    def keep_stamp(self, serial: str, table: str, stamp: str) -> None:
        """See PushMemory."""
        self._memory.keep_stamp(serial, table, stamp)

    def commands(self, serial: str) -> Sequence[Command]:
        """Work that is due for a terminal."""
        return self._memory.due(serial)

    def terminal_of(self, command_id: int) -> str | None:
        """See PushMemory."""
        return self._memory.terminal_of(command_id)

    def finished(self, serial: str, result: CommandResult) -> None:
        """Note and log how a command went."""
        text = self._memory.end(serial, result)
        if text is None:
            return
        name = self._callers[serial].settings.id
        told = "".join(f", {key} {value}" for key, value in result.values.items())
        _log.info(
            "terminal %s answers %s to command %d (%s)%s",
            name,
            "nothing" if result.code is None else result.code,
            result.id,
            clean_text(text),
            told,
            extra={"action": "push_command_ended", "terminal": name},
        )

    # --- what a person must hear

    def _tell_seen(self, name: str, before: str, peer: str, *, back: bool) -> None:
        if before not in ("", peer):
            _log.warning(
                "terminal %s calls from %s now, before from %s: moved, or a second one with its serial",
                name,
                peer,
                before,
                extra={"action": "push_moved", "terminal": name},
            )
        if back:
            _log.info("terminal %s is back", name, extra={"action": "terminal_back", "terminal": name})


def _raw(one: Operation) -> RawOperation:
    values = tuple("" if value is None else str(value) for value in one.values)
    return RawOperation(code=one.code, operator=one.operator, wall_time=one.wall_time, values=values)


def _joined(before: PushFacts, now: PushFacts) -> PushFacts:
    """What was known, with what is told now over it."""
    told = {item.name: getattr(now, item.name) for item in fields(now)}
    return replace(before, **{name: value for name, value in told.items() if value is not None})


def _health(caller: _Caller, state: Literal["online", "unreachable"], now: datetime) -> TerminalHealth:
    facts = caller.facts
    minutes = int(SILENT_AFTER.total_seconds() // 60)
    return TerminalHealth(
        terminal=caller.settings.id,
        state=state,
        at=now,
        serial=caller.settings.serial,
        model=clean_text(facts.model) if facts.model else None,
        firmware=clean_text(facts.firmware) if facts.firmware else None,
        last_seen_at=caller.seen_at,
        records=facts.records,
        capacity=facts.capacity,
        reading="push",
        error=f"it has not called for {minutes} minutes" if state == "unreachable" else None,
    )
