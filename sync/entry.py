"""What stands in the outbox: a key that tells entries apart, and the JSON that travels. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final, Literal

from pydantic import ValidationError

from attendance.event import TerminalEvent
from attendance.punch import BadRecord, Punch, RawPunch
from attendance.timekeeping import ClockReading
from sync.envelope import (
    WireBadRecord,
    WireCoverage,
    clean_text,
    event_identity,
    reason_of,
    wire_clock,
    wire_event,
    wire_punch,
)

Kind = Literal["punch", "bad", "coverage", "event", "clock"]

_LISTS: Final[Mapping[Kind, str]] = {
    "punch": "punches",
    "bad": "bad",
    "coverage": "coverage",
    "event": "events",
    "clock": "clocks",
}
_ALWAYS: Final = ("punch", "bad", "coverage")
"""Lists that stand in every batch; the others, which came later, only where they hold something."""

MAX_RAW_BYTES: Final = 512
"""Bytes of a bad record that travel; the key is made of all of them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to deliver. `digest` tells it from all others; None for what may repeat."""

    kind: Kind
    digest: bytes | None
    body: str


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A numbered batch as it is published. The same number always has the same payload."""

    number: int
    payload: bytes
    entries: int


def punch_digest(punch: Punch) -> bytes:
    """Equal for two copies of a punch with the same identity and codes, whatever way they came."""
    return record_digest(punch, punch.serial)


def record_digest(record: RawPunch | Punch | BadRecord, serial: str) -> bytes:
    """The same of a record as the terminal gave it, before it has a meaning."""
    if isinstance(record, BadRecord):
        return bad_digest(record, serial)
    punch = record
    wall = punch.wall_time.isoformat(timespec="seconds")
    codes = f"{punch.verify_code}/{punch.state_code}/{punch.work_code}"
    return _digest(f"punch\0{serial}\0{punch.pin}\0{wall}\0{codes}".encode())


def bad_digest(record: BadRecord, serial: str) -> bytes:
    """Equal for the same bytes from the same terminal by the same way."""
    return _digest(f"bad\0{serial}\0{record.source}\0".encode() + record.raw)


def punch_entry(punch: Punch, digest: bytes) -> Entry:
    """A punch as it travels; one that the wire form cannot hold travels as a bad record, as text."""
    try:
        return Entry("punch", digest, wire_punch(punch).model_dump_json(exclude_none=True))
    except ValidationError as error:
        said = (
            f"{punch.pin}\t{punch.wall_time}\t{punch.verify_code}\t{punch.state_code}\t{punch.work_code}"
        ).encode("utf-8", "backslashreplace")
        record = BadRecord(raw=said, reason=reason_of(error), position=0, source=punch.source)
        return bad_entry(record, punch.terminal, punch.serial, digest)


def bad_entry(record: BadRecord, terminal: str, serial: str, digest: bytes) -> Entry:
    """A bad record as it travels."""
    reason = record.reason
    if len(record.raw) > MAX_RAW_BYTES:
        reason = f"(first {MAX_RAW_BYTES} of {len(record.raw)} bytes) {reason}"
    wire = WireBadRecord(
        serial=serial,
        terminal=terminal,
        raw=record.raw[:MAX_RAW_BYTES].hex(),
        reason=clean_text(reason),
        source=record.source,
    )
    return Entry("bad", digest, wire.model_dump_json(exclude_none=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a full read shows: every punch from `since` to `until` (aware, UTC) is in the outbox."""

    since: datetime | None
    until: datetime
    records: int


def coverage_entry(terminal: str, serial: str, coverage: Coverage) -> Entry:
    """A full read as it travels."""
    wire = WireCoverage(
        serial=serial,
        terminal=terminal,
        since=coverage.since,
        until=coverage.until,
        records=coverage.records,
    )
    return Entry("coverage", None, wire.model_dump_json(exclude_none=True))


def clock_entry(reading: ClockReading, terminal: str, serial: str) -> Entry:
    """A clock reading as it travels."""
    wire = wire_clock(reading, serial, terminal)
    digest = _digest(f"clock\0{serial}\0{terminal}\0{wire.at.isoformat()}".encode())
    return Entry("clock", digest, wire.model_dump_json(exclude_none=True))


def event_entry(event: TerminalEvent, terminal: str, serial: str) -> Entry:
    """An event of a terminal as it travels; one that the wire form cannot hold as a bad record, as text."""
    try:
        wire = wire_event(event, serial, terminal)
    except ValidationError as error:
        said = f"{event.wall_time}\t{event.operator}\t{event.code}\t{event.values}".encode(
            "utf-8", "backslashreplace"
        )
        record = BadRecord(raw=said, reason=reason_of(error), position=0)
        return bad_entry(record, terminal, serial, bad_digest(record, serial))
    return Entry("event", event_identity(wire), wire.model_dump_json(exclude_none=True))


def batch_payload(
    edge: str, stream: str, number: int, facts: Iterable[tuple[str, str]], entries: Iterable[tuple[Kind, str]]
) -> bytes:
    """The JSON of a Batch, put together from the JSON of its parts. `facts` are (terminal, its JSON)."""
    bodies: dict[Kind, list[str]] = {kind: [] for kind in _LISTS}
    for kind, body in entries:
        bodies[kind].append(body)
    terminals = ",".join(f'"{terminal}":{body}' for terminal, body in facts)
    lists = ",".join(
        f'"{name}":[{",".join(bodies[kind])}]'
        for kind, name in _LISTS.items()
        if bodies[kind] or kind in _ALWAYS
    )
    return (
        f'{{"v":1,"edge":"{edge}","stream":"{stream}","number":{number},"terminals":{{{terminals}}},{lists}}}'
    ).encode()


@dataclass(frozen=True, slots=True)
class Run:
    """A run of entries that becomes one batch."""

    first: int
    last: int
    entries: int


def runs(rows: Iterable[tuple[int, int, str]], limit: int) -> Iterator[Run]:
    """Cut (entry id, facts id, terminal) into runs of at most `limit`.

    A run has one set of facts a terminal: what was said of it then, not what is said now.
    """
    first = last = count = 0
    facts_of: dict[str, int] = {}
    for entry_id, facts, terminal in rows:
        if count == limit or facts_of.get(terminal, facts) != facts:
            yield Run(first, last, count)
            count = 0
            facts_of.clear()
        if count == 0:
            first = entry_id
        facts_of[terminal] = facts
        last = entry_id
        count += 1
    if count:
        yield Run(first, last, count)


def _digest(said: bytes) -> bytes:
    return blake2b(said, digest_size=16).digest()
