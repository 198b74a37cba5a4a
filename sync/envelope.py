"""The wire form of batches, receipts and health: versioned JSON, checked on both sides. Pure.

These models are the protocol's one definition: docs/schema/*.json is made from them.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from attendance.punch import Direction, Flag, Punch, Source, Verify

VERSION: Final = 1
TOPIC_ROOT: Final = "hadir/v1"
MAX_BATCH: Final = 500
"""Most entries (punches and bad records) in one batch: far below every broker's message limit."""

Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Serial = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-.0-~]+$")]
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
    flags: tuple[Flag, ...] = ()


class WireBadRecord(Wire):
    """A record that could not be a punch: its bytes in hex, and why."""

    serial: Serial
    terminal: EdgeId
    raw: Annotated[str, StringConstraints(max_length=1024, pattern=r"^([0-9a-f]{2})*$")]
    reason: Text
    source: Source


class WireCoverage(Wire):
    """A full read of a terminal's log began at `until`; its punches stand in this batch or earlier ones."""

    serial: Serial
    terminal: EdgeId
    until: AwareDatetime
    records: Count


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


class Receipt(Wire):
    """What the centre has committed, and what it misses. Ranges are inclusive. Idempotent."""

    v: Literal[1] = 1
    edge: EdgeId
    stream: StreamId
    committed: tuple[tuple[int, int], ...] = ()
    missing: tuple[tuple[int, int], ...] = ()
    quarantined: int = 0


class TerminalHealth(Wire):
    """Retained on up/terminals/{terminal}: how a terminal is doing."""

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
        flags=punch.flags,
    )


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
