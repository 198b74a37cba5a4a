"""What one terminal gave, given its meaning and made durable in the outbox."""

import logging
from collections.abc import Iterable, Sequence

from attendance.clock import Clock
from attendance.event import TerminalEvent
from attendance.normalise import normalise
from attendance.punch import BadRecord, Punch, RawPunch
from attendance.terminal import Terminal
from attendance.timekeeping import ClockReading, OffsetAt, nothing_known
from config.model import TerminalSettings
from sync.envelope import WireTerminal
from sync.outbox import Coverage, Outbox, TerminalMemory

_log = logging.getLogger(__name__)


class Keeper:
    """The way of one terminal's records into the outbox."""

    def __init__(self, settings: TerminalSettings, terminal: Terminal, outbox: Outbox, clock: Clock) -> None:
        self._settings = settings
        self._terminal = terminal
        self._outbox = outbox
        self._clock = clock
        self._bad_told: set[bytes] = set()

    def recall(self) -> TerminalMemory | None:
        """How far the terminal had been read."""
        return self._outbox.recall(self._settings.id)

    def keep(
        self,
        serial: str,
        page: Iterable[RawPunch | BadRecord],
        offset_at: OffsetAt = nothing_known,
        *,
        warn: bool = True,
    ) -> int:
        """Put records into the outbox; on disk when this returns. How many were new. Raises OutboxError.

        `warn`: bad records are logged.
        """
        items = list(page)
        bad = [item for item in items if isinstance(item, BadRecord)]
        punches = [self._normalised(item, serial, offset_at) for item in items if isinstance(item, RawPunch)]
        for record in bad if warn else ():
            self._tell_bad(record)
        return self._outbox.put(self._settings.id, self._facts(serial), punches, bad)

    def count_known(self, serial: str, punches: Iterable[RawPunch]) -> int:
        """How many of these the outbox has under this serial, with the same codes."""
        return self._outbox.count_known(self._normalised(punch, serial, nothing_known) for punch in punches)

    def remember(self, memory: TerminalMemory) -> None:
        """Keep how far the terminal has been read; on disk when this returns."""
        self._outbox.remember(self._settings.id, memory)

    def conclude(self, memory: TerminalMemory, coverage: Coverage | None) -> None:
        """After the last record of a read: move the cursor, and say what the read covers."""
        self._outbox.put(self._settings.id, self._facts(memory.serial), (), coverage=coverage, memory=memory)

    def tell(
        self, serial: str, events: Iterable[TerminalEvent] = (), clocks: Iterable[ClockReading] = ()
    ) -> int:
        """Put what happened, and measurements of the clock, into the outbox; on disk when this returns.

        How many were new. Raises OutboxError.
        """
        return self._outbox.note(self._settings.id, self._facts(serial), events, clocks)

    def clocks(self, serial: str) -> Sequence[ClockReading]:
        """The history of the terminal's clock, oldest first."""
        return self._outbox.clocks(self._settings.id, serial)

    def memo(self, name: str) -> str | None:
        """What was last noted of the terminal under a name."""
        return self._outbox.memo(self._settings.id, name)

    def set_memo(self, name: str, value: str) -> None:
        """Note something of the terminal under a name; on disk when this returns."""
        self._outbox.set_memo(self._settings.id, name, value)

    def _facts(self, serial: str) -> WireTerminal:
        since = self._settings.since
        return WireTerminal(
            serial=serial,
            group=self._settings.group,
            timezone=self._terminal.zone.key,
            unit=self._settings.unit,
            since=since.isoformat() if since else None,
        )

    def _normalised(self, raw: RawPunch, serial: str, offset_at: OffsetAt) -> Punch:
        return normalise(
            raw,
            serial=serial,
            terminal=self._settings.id,
            zone=self._terminal.zone,
            now=self._clock.now(),
            offset_at=offset_at,
        )

    def doubts(self, page: Iterable[RawPunch | BadRecord]) -> bool:
        """Whether records cannot be punches of which that was not known: a bad transfer, or evidence."""
        return any(isinstance(item, BadRecord) and item.raw not in self._bad_told for item in page)

    def _tell_bad(self, record: BadRecord) -> None:
        """Once for each record: every whole read brings it again."""
        if record.raw not in self._bad_told:
            self._bad_told.add(record.raw)
            _log.warning(
                "terminal %s: record %d cannot be a punch and is kept as evidence: %s",
                self._settings.id,
                record.position,
                record.reason,
                extra={"action": "bad_record", "terminal": self._settings.id},
            )
