"""What a message from an edge holds. Pure: what cannot be read becomes a Rejected, with the reason.

One bad entry never costs its batch: the others are kept, and the batch still counts as received.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from attendance.punch import Flag
from sync.central.copies import Copy, whole_seconds
from sync.envelope import (
    TOPIC_ROOT,
    VERSION,
    Batch,
    EdgeId,
    EdgeState,
    Number,
    StreamId,
    TerminalHealth,
    Wire,
    WireBadRecord,
    WireClock,
    WireCoverage,
    WireEvent,
    WirePunch,
    WireTerminal,
    clean_text,
    reason_of,
)

MAX_PAYLOAD: Final = 1 << 20
"""A longer message is no batch that an edge makes: it is set aside unread."""

_FOREIGN: Final = "edge: it names another edge than its topic"

_FLAG_PLACES: Final = {flag.value: place for place, flag in enumerate(Flag)}

_W = TypeVar("_W", bound=Wire)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that cannot be stored as what they claim to be, and why."""

    topic: str
    payload: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch as far as it could be read. Its number counts as received, whatever was rejected."""

    edge: str
    stream: str
    number: int
    copies: list[Copy] = field(default_factory=list)
    bad: Sequence[WireBadRecord] = ()
    coverage: Sequence[WireCoverage] = ()
    events: Sequence[WireEvent] = ()
    clocks: Sequence[WireClock] = ()
    terminals: dict[str, WireTerminal] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TerminalReport:
    """A terminal's health, and the edge that told it."""

    edge: str
    health: TerminalHealth


Arrival = Delivery | TerminalReport | EdgeState | Rejected


class _Header(Wire):
    """What every version of a batch says of itself."""

    edge: EdgeId
    stream: StreamId
    number: Number


class _Facts(Wire):
    """What an edge's settings say of its terminals."""

    terminals: dict[EdgeId, WireTerminal]


class _Stop(Exception):
    """The whole message is rejected; its text is the reason."""


def read(topic: str, payload: bytes, now: datetime) -> Arrival | None:
    """What a message holds; None for an empty one, by which a retained message is withdrawn."""
    if not payload:
        return None
    match topic.removeprefix(f"{TOPIC_ROOT}/").split("/"):
        case [edge, "up", "punches"]:
            return _batch(edge, topic, payload, now)
        case [edge, "up", "state"]:
            return _state(edge, topic, payload)
        case [edge, "up", "terminals", terminal]:
            return _health(edge, terminal, topic, payload)
        case _:
            return Rejected(topic, payload, "no edge sends on this topic")


def _state(edge: str, topic: str, payload: bytes) -> EdgeState | Rejected:
    state = _parsed(EdgeState, topic, payload)
    if isinstance(state, EdgeState) and state.edge != edge:
        return Rejected(topic, payload, _FOREIGN)
    return state


def _health(edge: str, terminal: str, topic: str, payload: bytes) -> TerminalReport | Rejected:
    health = _parsed(TerminalHealth, topic, payload)
    if isinstance(health, Rejected):
        return health
    if health.terminal != terminal:
        return Rejected(topic, payload, "terminal: it names another terminal than its topic")
    return TerminalReport(edge, health)


def _parsed(kind: type[_W], topic: str, payload: bytes) -> _W | Rejected:
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        return Rejected(topic, payload, reason_of(error))


def _batch(edge: str, topic: str, payload: bytes, now: datetime) -> Delivery | Rejected:
    if len(payload) <= MAX_PAYLOAD:
        try:
            batch = Batch.model_validate_json(payload)
        except ValidationError:
            pass  # read again below, entry by entry
        else:
            if batch.edge == edge:
                return _delivery(batch, topic, now)
    return _salvage(edge, topic, payload, now)


def _delivery(batch: Batch, topic: str, now: datetime) -> Delivery:
    delivery = Delivery(
        batch.edge,
        batch.stream,
        batch.number,
        bad=batch.bad,
        coverage=batch.coverage,
        events=batch.events,
        clocks=batch.clocks,
        terminals=batch.terminals,
    )
    for punch in batch.punches:
        _add(delivery, punch, topic, now)
    return delivery


def _add(delivery: Delivery, punch: WirePunch, topic: str, now: datetime) -> None:
    try:
        delivery.copies.append(copy_of(punch, delivery.edge, now))
    except (ValueError, OverflowError) as error:  # 31 February; an instant before year 1
        delivery.rejected.append(Rejected(topic, punch.to_bytes(), clean_text(f"wall, at: {error}")))


def copy_of(punch: WirePunch, edge: str, now: datetime) -> Copy:
    """A punch as the database keeps it. Raises ValueError or OverflowError for a date that does not exist."""
    datetime.fromisoformat(punch.wall)
    flags = punch.flags and sorted(set(punch.flags) - {Flag.CODES_DIFFER.value}, key=_flag_order)
    return Copy(
        local_date=punch.wall[:10],
        terminal_serial=punch.serial,
        pin=punch.pin,
        local_time=punch.wall[11:],
        verify_code=punch.verify_code,
        state_code=punch.state_code,
        work_code=punch.work_code,
        source=punch.source.value,
        edge=edge,
        terminal=punch.terminal,
        punched_at=whole_seconds(punch.at),
        verify=punch.verify.value,
        direction=punch.direction.value,
        clock_offset_s=punch.clock_offset_s,
        flags=list(flags),
        ingested_at=now,
    )


def _flag_order(name: str) -> tuple[int, str]:
    """In the order of the vocabulary; words of a newer edge behind it."""
    return _FLAG_PLACES.get(name, len(_FLAG_PLACES)), name


# --- a batch that is not as it should be ----------------------------------------------


def _salvage(edge: str, topic: str, payload: bytes, now: datetime) -> Delivery | Rejected:
    """Keep what can be kept of a batch; without edge, stream and number nothing can be acknowledged."""
    try:
        body = _body(payload)
        header = _header(body, edge)
    except _Stop as stop:
        return Rejected(topic, payload, str(stop))
    delivery = Delivery(header.edge, header.stream, header.number)
    reason = _unreadable(body, payload)
    if reason is None:
        return _sift(delivery, body, topic, now)
    delivery.rejected.append(Rejected(topic, payload, reason))
    return delivery


def _unreadable(body: dict[str, Any], payload: bytes) -> str | None:
    """Why not even the entries of a batch can be looked at; None if they can."""
    if len(payload) > MAX_PAYLOAD:
        return f"{len(payload)} bytes, more than {MAX_PAYLOAD}"
    if body.get("v", VERSION) != VERSION:
        return f"v: this centre reads version {VERSION}"
    if not isinstance(body.get("terminals", {}), dict):
        return "terminals: no object"
    lists = ("punches", "bad", "coverage", "events", "clocks")
    return next((f"{name}: no list" for name in lists if not isinstance(body.get(name, []), list)), None)


def _body(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _Stop(clean_text(f"no JSON: {error}")) from error
    if not isinstance(body, dict):
        raise _Stop("no JSON object")
    return body


def _header(body: dict[str, Any], edge: str) -> _Header:
    try:
        header = _Header.model_validate(body)
    except ValidationError as error:
        raise _Stop(reason_of(error)) from error
    if header.edge != edge:
        raise _Stop(_FOREIGN)
    return header


def _sift(delivery: Delivery, body: dict[str, Any], topic: str, now: datetime) -> Delivery:
    """Entry by entry: the good ones into the delivery, the others into its rejected."""
    rejected = delivery.rejected
    facts = [{"terminals": {name: fact}} for name, fact in body.get("terminals", {}).items()]
    for good in _good(_Facts, facts, topic, rejected):
        delivery.terminals.update(good.terminals)
    for punch in _good(WirePunch, body.get("punches", []), topic, rejected):
        _add(delivery, punch, topic, now)
    bad = tuple(_good(WireBadRecord, body.get("bad", []), topic, rejected))
    coverage = tuple(_good(WireCoverage, body.get("coverage", []), topic, rejected))
    events = tuple(_good(WireEvent, body.get("events", []), topic, rejected))
    clocks = tuple(_good(WireClock, body.get("clocks", []), topic, rejected))
    return replace(delivery, bad=bad, coverage=coverage, events=events, clocks=clocks)


def _good(kind: type[_W], entries: Iterable[object], topic: str, rejected: list[Rejected]) -> Iterator[_W]:
    """The entries that are what they should be; the others go to `rejected`."""
    for entry in entries:
        text = json.dumps(entry)
        try:
            yield kind.model_validate_json(text)
        except ValidationError as error:
            rejected.append(Rejected(topic, text.encode(), reason_of(error)))
