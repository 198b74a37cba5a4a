"""One transaction of what arrived, and the receipts that may be sent once it is committed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from sqlalchemy import Connection, Engine

from sync.arrivals import Arrival, Delivery, Rejected, TerminalReport
from sync.central import happenings, intake, punches, store
from sync.central.copies import Copy
from sync.central.intake import Progress
from sync.envelope import EdgeState, Receipt, WireBadRecord, WireClock, WireEvent, WireTerminal, topic


@dataclass(slots=True)
class _Stream:
    """What one transaction holds of one edge's stream. `refused` are the entries that go to quarantine."""

    edge: str
    stream: str
    deliveries: list[Delivery] = field(default_factory=list)
    refused: list[Rejected] = field(default_factory=list)

    def refuse(self, payload: bytes, reason: str) -> None:
        self.refused.append(Rejected(topic(self.edge, "up", "punches"), payload, reason))


def deposit(engine: Engine, arrived: Sequence[Arrival], now: datetime) -> list[Receipt]:
    """Commit everything that arrived; afterwards, and only then, the receipts are true.

    An entry whose values the database refuses goes to quarantine, the others in. Raises
    DatabaseUnavailable, with nothing stored, when the database cannot take anything.
    """
    streams: dict[tuple[str, str], _Stream] = {}
    for arrival in arrived:
        if isinstance(arrival, Delivery):
            key = (arrival.edge, arrival.stream)
            one = streams.setdefault(key, _Stream(*key))
            one.deliveries.append(arrival)
            one.refused.extend(arrival.rejected)
    with store.writing(engine) as connection:
        intake.claim(connection)
        _put_punches(connection, streams.values())
        receipts = [_put_rest(connection, one, now) for one in streams.values()]
        for arrival in arrived:
            if isinstance(arrival, EdgeState):
                intake.report_edge(connection, arrival)
            elif isinstance(arrival, TerminalReport):
                intake.report_terminal(connection, arrival.edge, arrival.health)
        rejected = [arrival for arrival in arrived if isinstance(arrival, Rejected)]
        rejected.extend(fault for one in streams.values() for fault in one.refused)
        intake.set_aside(connection, ((r.topic, r.payload, r.reason) for r in rejected), now)
    return receipts


def _put_punches(connection: Connection, streams: Iterable[_Stream]) -> None:
    def put(connection: Connection, items: Sequence[tuple[_Stream, Copy]]) -> None:
        punches.put(connection, (copy for _, copy in items))

    items = [(one, copy) for one in streams for delivery in one.deliveries for copy in delivery.copies]
    for (one, copy), reason in intake.put_good(connection, items, put):
        said = copy._asdict()
        del said["ingested_at"]  # so that the same punch gives the same bytes
        one.refuse(json.dumps(said, default=str).encode(), reason)


def _put_rest(connection: Connection, one: _Stream, now: datetime) -> Receipt:
    """All of a stream but its punches. What a number says of terminals counts when it comes first."""
    before = intake.progress(connection, one.edge, one.stream)
    after = before.with_numbers(delivery.number for delivery in one.deliveries)
    intake.advance(connection, (one.edge, one.stream), before, after, now)
    _put_bad(connection, one, now)
    _put_happenings(connection, one, now)
    _learn(connection, one, before)
    _cover(connection, one, before, after)
    return Receipt(
        edge=one.edge,
        stream=one.stream,
        committed=ranges(delivery.number for delivery in one.deliveries),
        missing=after.missing,
        quarantined=len(one.refused),
    )


def _put_bad(connection: Connection, one: _Stream, now: datetime) -> None:
    def put(connection: Connection, records: Sequence[WireBadRecord]) -> None:
        intake.put_bad(connection, one.edge, records, now)

    records = [record for delivery in one.deliveries for record in delivery.bad]
    for record, reason in intake.put_good(connection, records, put):
        one.refuse(record.to_bytes(), reason)


def _put_happenings(connection: Connection, one: _Stream, now: datetime) -> None:
    def put_events(connection: Connection, events: Sequence[WireEvent]) -> None:
        happenings.put_events(connection, one.edge, events, now)

    def put_clocks(connection: Connection, readings: Sequence[WireClock]) -> None:
        happenings.put_clocks(connection, one.edge, readings)

    events = [event for delivery in one.deliveries for event in delivery.events]
    for event, reason in intake.put_good(connection, events, put_events):
        one.refuse(event.to_bytes(), reason)
    clocks = [reading for delivery in one.deliveries for reading in delivery.clocks]
    for reading, reason in intake.put_good(connection, clocks, put_clocks):
        one.refuse(reading.to_bytes(), reason)


def _learn(connection: Connection, one: _Stream, before: Progress) -> None:
    """Facts of terminals, from the newest batch that names each; a late one tells nothing new."""
    newest: dict[str, tuple[int, WireTerminal]] = {}
    for delivery in one.deliveries:
        for name, fact in delivery.terminals.items():
            if delivery.number > max(before.highest, newest.get(name, (0, fact))[0]):
                newest[name] = (delivery.number, fact)
    facts = [(one.edge, name, fact) for name, (_, fact) in sorted(newest.items())]
    for (_, name, fact), reason in intake.put_good(connection, facts, intake.learn_terminals):
        one.refuse(f'{{"{name}": {fact.model_dump_json()}}}'.encode(), reason)


def _cover(connection: Connection, one: _Stream, before: Progress, after: Progress) -> None:
    """Coverage of batches that are new; a number that comes again cannot vouch for anything."""
    key = (one.edge, one.stream)
    entries = [
        (delivery.number, entry)
        for delivery in one.deliveries
        if not before.has(delivery.number)
        for entry in delivery.coverage
    ]
    if entries:
        intake.put_coverage(connection, key, entries)
    if entries or (before.ahead and after.watermark > before.watermark):
        intake.prune_coverage(connection, key, after.watermark)


def ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as inclusive ranges: 1, 2, 3, 7 -> (1, 3), (7, 7)."""
    ordered = sorted(set(numbers))
    if not ordered:
        return ()
    breaks = [(a, b) for a, b in pairwise(ordered) if b != a + 1]
    starts = [ordered[0], *(b for _, b in breaks)]
    ends = [*(a for a, _ in breaks), ordered[-1]]
    return tuple(zip(starts, ends, strict=True))
