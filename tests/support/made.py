"""Punches and facts made up for tests of the lossless path."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attendance.event import EventKind, EventSource, TerminalEvent
from attendance.normalise import normalise
from attendance.punch import Punch, RawPunch, Source
from attendance.timekeeping import ClockReading, Verdict
from sync.envelope import Batch, WireTerminal
from sync.outbox import Outbox

JAKARTA = ZoneInfo("Asia/Jakarta")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def facts(serial: str = "CGKK204060001", *, group: str = "opd") -> WireTerminal:
    """What an edge says of a terminal."""
    return WireTerminal(serial=serial, group=group, timezone="Asia/Jakarta")


def made_punch(
    second: int,
    *,
    pin: str = "17",
    serial: str = "CGKK204060001",
    source: Source = Source.LOG,
    state: int = 0,
) -> Punch:
    """A punch `second` seconds after 07:00 on 2 March 2026."""
    raw = RawPunch(
        pin=pin,
        wall_time=datetime(2026, 3, 2, 7) + timedelta(seconds=second),
        verify_code=1,
        state_code=state,
        source=source,
    )
    return normalise(raw, serial=serial, terminal="lobi", zone=JAKARTA, now=NOW)


def made_operation(code: int) -> TerminalEvent:
    """An operation that a terminal noted at 07:00 on 2 March 2026."""
    return TerminalEvent(
        kind=EventKind.OTHER,
        source=EventSource.OPERATION_LOG,
        at=NOW,
        wall_time=datetime(2026, 3, 2, 7),
        code=code,
    )


def made_reading(minute: int) -> ClockReading:
    """A measurement `minute` minutes after NOW; its offset is as many seconds."""
    return ClockReading(
        at=NOW + timedelta(minutes=minute),
        offset_s=float(minute),
        error_s=0.5,
        trusted=True,
        verdict=Verdict.RIGHT,
    )


def made_punches(count: int, *, start: int = 0, serial: str = "CGKK204060001") -> list[Punch]:
    """`count` punches, a second apart."""
    return [made_punch(start + place, pin=str(place % 50 + 1), serial=serial) for place in range(count)]


def sealed_batches(outbox: Outbox) -> list[Batch]:
    """Everything that an outbox holds, as it would be sent."""
    outbox.seal()
    return [Batch.model_validate_json(one.payload) for one in outbox.batches([(1, 10**9)], 10**6)]
