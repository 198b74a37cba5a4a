"""The outbox against a plain list: in any order of calls and restarts nothing is lost or renumbered."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from attendance.punch import BadRecord, Punch, Source
from made import NOW, facts, made_operation, made_punch, made_reading
from sync.envelope import Batch, Receipt
from sync.outbox import Coverage, Outbox

PUNCHES = st.lists(
    st.builds(
        made_punch,
        st.integers(0, 12),
        pin=st.sampled_from(["1", "2"]),
        source=st.sampled_from(Source),
        state=st.sampled_from([0, 1]),
    ),
    max_size=8,
)
BAD = st.lists(
    st.builds(BadRecord, raw=st.binary(max_size=2), reason=st.just("odd"), position=st.just(0)), max_size=2
)
GROUPS = st.sampled_from(["opd", "kecamatan"])
NUMBERS = st.integers(-1, 12)

Thing = tuple[str, ...]


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.outbox = Outbox(self.directory / "outbox.db", edge="e")
        self.entries: list[Thing] = []
        self.batches: dict[int, bytes] = {}
        self.in_batches = 0
        self.settled: set[int] = set()
        self.stream = self.outbox.stream

    @initialize()
    def begin(self) -> None:
        assert self.outbox.queued() == 0

    @rule(punches=PUNCHES, bad=BAD, group=GROUPS, covered=st.booleans())
    def put(self, punches: list[Punch], bad: list[BadRecord], group: str, covered: bool) -> None:  # noqa: FBT001
        before = len(self.entries)
        for punch in punches:
            codes = (punch.verify_code, punch.state_code, punch.work_code)
            self._add(("punch", punch.pin, punch.wall_time.isoformat(), *map(str, codes)))
        for record in bad:
            self._add(("bad", record.raw.hex(), record.source))
        new = len(self.entries) - before
        coverage = Coverage(since=None, until=NOW, records=len(self.entries)) if covered else None
        if covered:
            self.entries.append(("coverage", str(len(self.entries))))
        given = self.outbox.put("lobi", facts(group=group), punches, bad, coverage=coverage)
        assert given == new

    @rule(seconds=st.lists(st.integers(0, 5), max_size=4), minutes=st.lists(st.integers(0, 5), max_size=2))
    def note(self, seconds: list[int], minutes: list[int]) -> None:
        before = len(self.entries)
        for minute in minutes:
            self._add(("clock", str(float(minute))))
        for second in seconds:
            self._add(("event", str(second)))
        events = [made_operation(second) for second in seconds]
        clocks = [made_reading(minute) for minute in minutes]
        assert self.outbox.note("lobi", facts(), events, clocks) == len(self.entries) - before

    @rule(most=st.integers(0, 3))
    def seal(self, most: int) -> None:
        made = self.outbox.seal(most)
        assert made <= most
        fresh = self.outbox.batches([(len(self.batches) + 1, 10**30)], 1000)
        assert [batch.number for batch in fresh] == [len(self.batches) + 1 + place for place in range(made)]
        for batch in fresh:
            self.batches[batch.number] = batch.payload
            self.in_batches += batch.entries
        if most:
            assert made or self.in_batches == len(self.entries)

    @rule(low=NUMBERS, high=NUMBERS)
    def settle(self, low: int, high: int) -> None:
        high = min(high, len(self.batches))
        receipt = Receipt(edge="e", stream=self.outbox.stream, committed=((low, high),))
        new = set(range(max(low, 1), high + 1)) - self.settled
        assert self.outbox.settle(receipt) == len(new)
        assert self.outbox.settle(receipt) == 0
        self.settled |= new

    @rule(low=NUMBERS, high=NUMBERS)
    def hear_of_others(self, low: int, high: int) -> None:
        for edge, stream in (("other", self.stream), ("e", "0" * 32)):
            assert self.outbox.settle(Receipt(edge=edge, stream=stream, committed=((low, high),))) == 0

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.directory / "outbox.db", edge="e")

    @invariant()
    def agrees(self) -> None:
        assert self.outbox.stream == self.stream
        waiting = self.outbox.pending(1000)
        assert {batch.number for batch in waiting} == self.batches.keys() - self.settled
        assert all(batch.payload == self.batches[batch.number] for batch in waiting)
        settled = self.outbox.batches([(number, number) for number in self.settled], 1000)
        assert self.outbox.queued() == len(self.entries) - sum(batch.entries for batch in settled)
        said = [thing for number in sorted(self.batches) for thing in _things(self.batches[number])]
        assert sorted(said) == sorted(self.entries[: self.in_batches])

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.directory)

    def _add(self, thing: Thing) -> None:
        if thing not in self.entries:
            self.entries.append(thing)


def _things(payload: bytes) -> list[Thing]:
    batch = Batch.model_validate_json(payload)
    assert len({one.group for one in batch.terminals.values()}) == 1
    return [
        *(
            ("punch", one.pin, one.wall, *map(str, (one.verify_code, one.state_code, one.work_code)))
            for one in batch.punches
        ),
        *(("bad", one.raw, one.source) for one in batch.bad),
        *(("coverage", str(one.records)) for one in batch.coverage),
        *(("event", str(one.code)) for one in batch.events),
        *(("clock", str(one.offset_s)) for one in batch.clocks),
    ]


TestOutboxAgainstAList = OutboxMachine.TestCase
TestOutboxAgainstAList.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
