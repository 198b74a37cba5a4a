"""The outbox: every punch on the edge's disk until the centre has said that it has it.

Entries become numbered batches of one stream. A number always means the same entries;
only a receipt settles it. Settled entries stay: they are the memory of what was read.
"""

import logging
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from attendance.errors import OutboxUnusable
from attendance.event import TerminalEvent
from attendance.punch import BadRecord, Punch
from attendance.timekeeping import ClockReading
from sync import outbox_terminals
from sync.entry import (
    Coverage,
    Entry,
    SealedBatch,
    bad_digest,
    bad_entry,
    batch_payload,
    clock_entry,
    coverage_entry,
    event_entry,
    punch_digest,
    punch_entry,
    runs,
)
from sync.envelope import MAX_BATCH, Receipt, WireTerminal
from sync.outbox_clearing import Clearings
from sync.outbox_facts import facts_id, known_digests, serials
from sync.outbox_file import in_plain_words, open_file, sole_use, transaction
from sync.outbox_terminals import TerminalMemory

__all__ = ["Coverage", "Outbox", "SealedBatch", "TerminalMemory"]

logger = logging.getLogger(__name__)

_CHUNK: Final = 2000
"""Entries looked up at a time: other threads get their turn in between."""

_BATCH_COLUMNS: Final = "SELECT number, first, last, entries FROM batch "

_Item = TypeVar("_Item", Punch, BadRecord)


class Outbox:
    """One SQLite file. Every method may be called from any thread, and raises OutboxError.

    Opening raises OutboxUnusable (in use, read-only, another edge's) or OutboxCorrupt.
    """

    def __init__(self, path: Path, *, edge: str) -> None:
        self._path = path
        self._edge = edge
        self._lock = threading.RLock()
        self._listeners: list[threading.Event] = []
        with ExitStack() as stack:
            stack.enter_context(sole_use(path))
            self._connection = open_file(path)
            stack.callback(self._connection.close)
            with self._at_work():
                self._stream = self._own()
            self._resources = stack.pop_all()
        self.clearings = Clearings(self._connection, self._at_work)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let other processes have it. Idempotent."""
        with self._lock:
            self._resources.close()

    @property
    def stream(self) -> str:
        """The id of the stream that batches are numbered in."""
        return self._stream

    def tell(self, event: threading.Event) -> None:
        """Have `event` set whenever there are new entries."""
        self._listeners.append(event)

    # --- the terminals' side

    def put(
        self,
        terminal: str,
        facts: WireTerminal,
        punches: Iterable[Punch],
        bad: Iterable[BadRecord] = (),
        *,
        coverage: Coverage | None = None,
        memory: TerminalMemory | None = None,
    ) -> int:
        """Keep what is new of the given; how many punches and bad records that was.

        All of it is on disk when this returns, in one transaction, in the order punches,
        bad records, coverage, memory. Known is what
        has the same identity and codes (a bad record: serial, bytes, source).
        """
        fresh: dict[bytes, Entry] = {}
        self._sift(punches, punch_digest, punch_entry, fresh)
        self._sift(
            bad,
            lambda record: bad_digest(record, facts.serial),
            lambda record, digest: bad_entry(record, terminal, facts.serial, digest),
            fresh,
        )
        entries = list(fresh.values())
        if not entries and coverage is None and memory is None:
            return 0
        with self._at_work(), transaction(self._connection):
            of_terminal = facts_id(self._connection, terminal, facts)
            added = self._insert(entries, of_terminal)
            if coverage is not None:
                self._insert([coverage_entry(terminal, facts.serial, coverage)], of_terminal)
            if memory is not None:
                outbox_terminals.remember(self._connection, terminal, memory)
        if added or coverage is not None:
            self._tell_listeners()
        return added

    def note(
        self,
        terminal: str,
        facts: WireTerminal,
        events: Iterable[TerminalEvent] = (),
        clocks: Iterable[ClockReading] = (),
    ) -> int:
        """Keep what happened to a terminal and how its clock stood, as far as it is new; how much that was.

        All of it is on disk when this returns, in one transaction.
        """
        entries = [clock_entry(reading, terminal, facts.serial) for reading in clocks]
        entries += [event_entry(event, terminal, facts.serial) for event in events]
        if not entries:
            return 0
        with self._at_work(), transaction(self._connection):
            added = self._insert(entries, facts_id(self._connection, terminal, facts))
        if added:
            self._tell_listeners()
        return added

    def count_known(self, punches: Iterable[Punch]) -> int:
        """How many of these punches, by identity and codes, were ever put."""
        digests = {punch_digest(punch) for punch in punches}
        with self._at_work():
            return len(known_digests(self._connection, digests))

    def serials(self) -> dict[str, set[str]]:
        """Every serial number that entries were put under, and by which terminals' names."""
        with self._at_work():
            return serials(self._connection)

    def remember(self, terminal: str, memory: TerminalMemory) -> None:
        """Keep how far a terminal has been read; on disk when this returns."""
        with self._at_work(), transaction(self._connection):
            outbox_terminals.remember(self._connection, terminal, memory)

    def recall(self, terminal: str) -> TerminalMemory | None:
        """What was last remembered of a terminal."""
        with self._at_work():
            return outbox_terminals.recall(self._connection, terminal)

    def set_memo(self, terminal: str, name: str, value: str) -> None:
        """Note something of a terminal under a name; on disk when this returns."""
        with self._at_work(), transaction(self._connection):
            outbox_terminals.set_memo(self._connection, terminal, name, value)

    def memo(self, terminal: str, name: str) -> str | None:
        """What was last noted of a terminal under a name."""
        with self._at_work():
            return outbox_terminals.memo(self._connection, terminal, name)

    def clocks(self, terminal: str, serial: str) -> Sequence[ClockReading]:
        """The history of a terminal's clock, oldest first, as far as it is looked at."""
        with self._at_work():
            return outbox_terminals.clocks(self._connection, terminal, serial)

    # --- the centre's side

    def seal(self, most: int = sys.maxsize) -> int:
        """Give the next numbers to entries that have none; how many batches that made, at most `most`.

        Sealing late makes full batches, and keeps the last number close to what was sent.
        """
        with self._at_work():
            last_entry, number = self._ends()
            rows = self._connection.execute(
                "SELECT entry.id, facts.id, facts.terminal FROM entry JOIN facts ON facts.id = entry.facts "
                "WHERE entry.id > ? ORDER BY entry.id LIMIT ?",
                (last_entry, min(most * MAX_BATCH, sys.maxsize)),
            )
            sealed = [
                (number + place, run.first, run.last, run.entries)
                for place, run in enumerate(islice(runs(rows, MAX_BATCH), most), start=1)
            ]
            rows.close()
            if sealed:
                with transaction(self._connection):
                    self._connection.executemany(
                        "INSERT INTO batch (number, first, last, entries) VALUES (?, ?, ?, ?)", sealed
                    )
        return len(sealed)

    def pending(self, limit: int, after: int = 0) -> Sequence[SealedBatch]:
        """The oldest unsettled batches with numbers above `after`, in order."""
        with self._at_work():
            rows = self._connection.execute(
                _BATCH_COLUMNS + "WHERE settled = 0 AND number > ? ORDER BY number LIMIT ?", (after, limit)
            ).fetchall()
            return [self._batch(row) for row in rows]

    def batches(self, ranges: Iterable[tuple[int, int]], limit: int) -> Sequence[SealedBatch]:
        """The batches in these inclusive ranges of numbers, settled ones too; the first `limit` of them."""
        found: list[SealedBatch] = []
        with self._at_work():
            _, last = self._ends()
            for low, high in ranges:
                rows = self._connection.execute(
                    _BATCH_COLUMNS + "WHERE number BETWEEN ? AND ? ORDER BY number LIMIT ?",
                    (min(max(low, 1), last + 1), min(high, last), limit - len(found)),
                ).fetchall()
                found += [self._batch(row) for row in rows]
        return found

    def settle(self, receipt: Receipt) -> int:
        """Mark what a receipt calls committed; how many batches that newly settled. Idempotent.

        Receipts for other edges and streams do nothing. One that names a number which was
        never given out shows that this file is an old copy: see `_begin_stream`.
        """
        with self._at_work(), transaction(self._connection):
            if (receipt.edge, receipt.stream) != (self._edge, self._stream):
                return 0
            _, last = self._ends()
            if any(high > last for low, high in receipt.committed if low <= high):
                self._begin_stream(last)
                return 0
            return sum(
                self._connection.execute(
                    "UPDATE batch SET settled = 1 WHERE settled = 0 AND number BETWEEN ? AND ?",
                    (min(max(low, 1), last + 1), high),
                ).rowcount
                for low, high in receipt.committed
                if low <= high
            )

    def queued(self) -> int:
        """How many entries the centre has not acknowledged."""
        with self._at_work():
            last_entry, _ = self._ends()
            (sealed,) = self._connection.execute(
                "SELECT coalesce(sum(entries), 0) FROM batch WHERE settled = 0"
            ).fetchone()
            (loose,) = self._connection.execute(
                "SELECT count(*) FROM entry WHERE id > ?", (last_entry,)
            ).fetchone()
        return int(sealed) + int(loose)

    @property
    def last_number(self) -> int:
        """The highest number given to a batch of this stream; 0 before the first."""
        with self._at_work():
            return self._ends()[1]

    # --- inside: the caller holds the lock, but for the listeners

    def _tell_listeners(self) -> None:
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock, in_plain_words(self._path):
            yield

    def _own(self) -> str:
        """Make the file this edge's, or see that it is; its stream."""
        row = self._connection.execute("SELECT edge, stream FROM self").fetchone()
        if row is None:
            row = (self._edge, uuid.uuid4().hex)
            with transaction(self._connection):
                self._connection.execute("INSERT INTO self (edge, stream) VALUES (?, ?)", row)
        edge, stream = row
        if edge != self._edge:
            raise OutboxUnusable(
                f"outbox {self._path}: it belongs to edge {edge!r}, not {self._edge!r}; "
                "each edge needs its own state_dir"
            )
        return str(stream)

    def _begin_stream(self, last: int) -> None:
        """Number everything anew in a new stream: the centre knows numbers that this file does not.

        It was put back from an old copy, and its next numbers would be taken for others.
        The centre counts every punch once, so sending all again is harmless.
        """
        self._stream = uuid.uuid4().hex
        self._connection.execute("DELETE FROM batch")
        self._connection.execute("UPDATE self SET stream = ?", (self._stream,))
        logger.warning(
            "the centre has batches beyond number %d, the last of this outbox: %s is an old copy; "
            "everything in it is sent again in a new stream",
            last,
            self._path,
            extra={"action": "stream_begun"},
        )

    def _ends(self) -> tuple[int, int]:
        """The last entry that stands in a batch, and the last number."""
        row = self._connection.execute(
            "SELECT last, number FROM batch ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def _batch(self, row: tuple[int, int, int, int]) -> SealedBatch:
        number, first, last, entries = row
        facts = self._connection.execute(
            "SELECT terminal, body FROM facts WHERE id IN (SELECT facts FROM entry WHERE id BETWEEN ? AND ?)",
            (first, last),
        ).fetchall()
        bodies = self._connection.execute(
            "SELECT kind, body FROM entry WHERE id BETWEEN ? AND ? ORDER BY id", (first, last)
        ).fetchall()
        return SealedBatch(number, batch_payload(self._edge, self._stream, number, facts, bodies), entries)

    def _sift(
        self,
        items: Iterable[_Item],
        digest_of: Callable[[_Item], bytes],
        entry_of: Callable[[_Item, bytes], Entry],
        fresh: dict[bytes, Entry],
    ) -> None:
        """Add to `fresh` what is neither in it nor in the file. Takes and leaves the lock."""
        source = iter(items)
        while chunk := {digest_of(item): item for item in reversed(list(islice(source, _CHUNK)))}:
            unknown = chunk.keys() - fresh.keys()
            with self._at_work():
                unknown -= known_digests(self._connection, unknown)
            for digest, item in reversed(chunk.items()):
                if digest in unknown:
                    fresh[digest] = entry_of(item, digest)

    def _insert(self, entries: Iterable[Entry], of_terminal: int) -> int:
        """Another thread may have put the same in the meantime, hence OR IGNORE."""
        rows = ((entry.kind, of_terminal, entry.digest, entry.body) for entry in entries)
        return self._connection.executemany(
            "INSERT INTO entry (kind, facts, digest, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (digest) DO NOTHING",
            rows,
        ).rowcount
