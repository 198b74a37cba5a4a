"""The wire form of batches, receipts and health: versioned JSON, checked on both sides. Pure.

These models are the protocol's one definition: docs/schema/*.json is made from them.
"""

import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from attendance.event import EventSource, TerminalEvent
from attendance.punch import Direction, Punch, Source, Verify
from attendance.terminal import MOST_SERIAL, SERIAL_PATTERN
from attendance.timekeeping import ClockReading

VERSION: Final = 1
TOPIC_ROOT: Final = "hadir/v1"
MAX_BATCH: Final = 500
"""Most entries in one batch: far below every broker's message limit."""

Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Serial = Annotated[str, StringConstraints(min_length=1, max_length=MOST_SERIAL, pattern=SERIAL_PATTERN)]
StreamId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
EdgeId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Pin = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[ -~]+$")]
Wall = Annotated[
    str,
    StringConstraints(
        pattern=r"^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d$"
    ),
]
Code = Annotated[int, Field(ge=0, le=255)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Number = Annotated[int, Field(ge=1, le=2**53 - 1)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A word of a list that may grow: an older reader keeps one that it does not know."""


class Wire(BaseModel):
    """Anything that travels. Unknown fields are ignored, so that a newer edge can talk to an older centre."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_bytes(self) -> bytes:
        """The JSON that is published."""
        return self.model_dump_json(exclude_none=True).encode()


class WirePunch(Wire):
    """One copy of a punch. `wall` is the terminal's own second, `at` the UTC instant."""

    serial: Serial
    terminal: EdgeId
    pin: Pin
    wall: Wall
    at: AwareDatetime
    verify: Verify
    direction: Direction
    source: Source
    verify_code: Code
    state_code: Code
    work_code: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 0
    clock_offset_s: Seconds | None = None
    flags: tuple[Name, ...] = ()


class WireBadRecord(Wire):
    """A record that could not be a punch: its bytes in hex, and why."""

    serial: Serial
    terminal: EdgeId
    raw: Annotated[str, StringConstraints(max_length=1024, pattern=r"^([0-9a-f]{2})*$")]
    reason: Text
    source: Source


class WireCoverage(Wire):
    """Every punch of a terminal from `since` to `until` stands in this batch or earlier ones.

    `until` is when a full read of its log began; without `since` the log is taken to reach back for ever,
    as edges before it said.
    """

    serial: Serial
    terminal: EdgeId
    since: AwareDatetime | None = None
    until: AwareDatetime
    records: Count


class WireEvent(Wire):
    """Something that happened to a terminal. `at` is the UTC instant, `wall` the terminal's own second.

    `code` and `values` are the terminal's numbers; without a code it is hadir's own observation.
    """

    serial: Serial
    terminal: EdgeId
    kind: Name
    source: EventSource
    at: AwareDatetime
    wall: Wall | None = None
    operator: Text = ""
    code: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] | None = None
    values: Annotated[tuple[Text, ...], Field(max_length=8)] = ()
    detail: Text = ""


class WireClock(Wire):
    """A terminal's clock, measured at `at`: its time minus the host's, true within `error_s`.

    Without `offset_s` it showed no date. `trusted`: the host's own clock followed a time server.
    """

    serial: Serial
    terminal: EdgeId
    at: AwareDatetime
    offset_s: Seconds | None = None
    error_s: Amount
    trusted: bool
    verdict: Name


class WireTerminal(Wire):
    """What the edge's settings say of a terminal that this batch has entries of."""

    serial: Serial
    group: Text
    timezone: Text
    unit: Text | None = None
    since: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None


class Batch(Wire):
    """A numbered, unchanging set of entries of one edge's stream."""

    v: Literal[1] = 1
    edge: EdgeId
    stream: StreamId
    number: Number
    terminals: dict[EdgeId, WireTerminal] = {}
    punches: tuple[WirePunch, ...] = ()
    bad: tuple[WireBadRecord, ...] = ()
    coverage: tuple[WireCoverage, ...] = ()
    events: tuple[WireEvent, ...] = ()
    clocks: tuple[WireClock, ...] = ()


class Receipt(Wire):
    """What the centre has committed, and what it misses. Ranges are inclusive. Idempotent."""

    v: Literal[1] = 1
    edge: EdgeId
    stream: StreamId
    committed: tuple[tuple[int, int], ...] = ()
    missing: tuple[tuple[int, int], ...] = ()
    quarantined: int = 0


class TerminalHealth(Wire):
    """Retained on up/terminals/{terminal}: how a terminal is doing.

    `reading`: how its log comes (tail, whole, push, file). `clock_state`: the verdict on its clock, or
    `untrusted` while the host's own clock follows no time server. `days_left`: until its log is full.
    """

    v: Literal[1] = 1
    terminal: EdgeId
    state: Literal["online", "unreachable", "refused", "failing", "unknown"]
    at: AwareDatetime
    serial: Serial | None = None
    model: Text | None = None
    firmware: Text | None = None
    last_seen_at: AwareDatetime | None = None
    clock_offset_s: Seconds | None = None
    records: Count | None = None
    capacity: Count | None = None
    reading: Name | None = None
    clock_state: Name | None = None
    records_per_day: Amount | None = None
    days_left: Amount | None = None
    error: Text | None = None


class EdgeState(Wire):
    """Retained on up/state, and the last will: whether the edge is there, and how full its outbox is."""

    v: Literal[1] = 1
    edge: EdgeId
    state: Literal["online", "offline"]
    at: AwareDatetime
    version: Text | None = None
    protocol: Text | None = None
    queued: Count | None = None


_CONTROL: Final = re.compile(r"[\x00-\x1f]")


def clean_text(text: str, limit: int = 200) -> str:
    """Text from a terminal or an error, fit for a `Text` field."""
    return _CONTROL.sub(" ", text)[:limit]


def wire_punch(punch: Punch) -> WirePunch:
    """A punch as it travels."""
    return WirePunch(
        serial=punch.serial,
        terminal=punch.terminal,
        pin=punch.pin,
        wall=punch.wall_time.isoformat(timespec="seconds"),
        at=punch.at,
        verify=punch.verify,
        direction=punch.direction,
        source=punch.source,
        verify_code=punch.verify_code,
        state_code=punch.state_code,
        work_code=punch.work_code,
        clock_offset_s=punch.clock_offset_s,
        flags=tuple(flag.value for flag in punch.flags),
    )


def wire_event(event: TerminalEvent, serial: str, terminal: str) -> WireEvent:
    """An event as it travels."""
    wall = event.wall_time
    return WireEvent(
        serial=serial,
        terminal=terminal,
        kind=event.kind,
        source=event.source,
        at=event.at,
        wall=wall.isoformat(timespec="seconds") if wall else None,
        operator=clean_text(event.operator),
        code=event.code,
        values=event.values,
        detail=clean_text(event.detail),
    )


def wire_clock(reading: ClockReading, serial: str, terminal: str) -> WireClock:
    """A clock reading as it travels."""
    return WireClock(
        serial=serial,
        terminal=terminal,
        at=reading.at,
        offset_s=reading.offset_s,
        error_s=reading.error_s,
        trusted=reading.trusted,
        verdict=reading.verdict,
    )


def event_identity(event: WireEvent) -> bytes:
    """What makes an event that event, for as long as it exists: equal ones are one.

    An operation is what the terminal wrote; what we call it, and the zone we read it in, may change.
    """
    if event.code is not None and event.wall is not None:
        parts = (event.source, event.wall, event.operator, str(event.code), *event.values)
    else:
        parts = (event.source, event.kind, event.at.astimezone(UTC).isoformat(), event.detail)
    said = "\0".join(("event", event.serial, *parts))
    return blake2b(said.encode(), digest_size=16).digest()


def reason_of(error: ValidationError) -> str:
    """The first thing that is wrong with a payload, in one line."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return clean_text(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}")


def topic(edge: str, *rest: str) -> str:
    """`topic("setda-01", "up", "punches")` -> `hadir/v1/setda-01/up/punches`."""
    return "/".join((TOPIC_ROOT, edge, *rest))


def utc(text: str) -> datetime:
    """An ISO instant as aware UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
