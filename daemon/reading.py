"""How much of a terminal's log a poll reads: nothing, its end, or all of it as proof.

Never a cursor by time. The end is read from the record where the last read ended, and only while the records
before that are, by their digest, the ones that were read; anything else means a whole read.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Final, Literal
from zoneinfo import ZoneInfo

from attendance.errors import DeviceError, Unsupported
from attendance.event import EventKind
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Sizes
from attendance.timekeeping import OffsetAt
from daemon.continuity import (
    OVERLAP,
    PAGE,
    Finding,
    Follower,
    Pages,
    bad_of,
    covered_since,
    digest_of,
    read_before,
)
from daemon.keeper import Keeper
from daemon.witness import Contact, Witness
from drivers.base import CanListen, CanReadTail, PreparedLog, Session
from drivers.zk.layouts import UnknownLayout
from sync.outbox import Coverage, TerminalMemory

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(minutes=15)
"""A log whose count has not moved is still looked at this often: a count can lie."""

PROOF_SPREAD: Final = timedelta(hours=2)
"""The daily whole read comes within this time after midnight, for each terminal at its own moment."""

FAR_OFF: Final = timedelta(days=366)
"""A clock that is further off covers nothing."""

READINGS: Final = 3
"""Most readings of records that cannot be punches: what reads otherwise each time proves nothing."""

SAVE_EVERY: Final = 8
"""Pages of a whole read after which its place is made durable, for the case of a power cut."""


class Reader:
    """Reads one terminal's log into its keeper. `id_` spreads the daily proof; `zone` has its midnight.

    `mode` says whether only the log's end could be read when it was last read; None before.
    """

    def __init__(self, id_: str, zone: ZoneInfo, keeper: Keeper) -> None:
        self._id = id_
        self._zone = zone
        self._keeper = keeper
        self._witness = Witness(id_, zone, keeper)
        self._no_tail_told = False
        self._operations: int | None = None
        self.mode: Literal["tail", "whole"] | None = None

    def read(self, session: Session, contact: Contact, started: datetime, *, whole: bool = False) -> int:
        """Read what this poll has to; how many entries were new. Raises DeviceError, OutboxError.

        Of a log that nobody can read its ends are kept as evidence, before UnknownLayout is raised.
        """
        try:
            return self._read(session, contact, started, whole=whole)
        except UnknownLayout as error:
            self._witness.keep_unknown(contact, error)
            raise

    def _read(self, session: Session, contact: Contact, started: datetime, *, whole: bool) -> int:
        memory = self._keeper.recall()
        if memory is not None and memory.serial != contact.identity.serial:
            self._witness.serial_changed(memory.serial, contact)
            memory = None
        moved = _moved(contact.sizes, memory) or contact.sizes.operations != self._operations
        new = self._read_due(session, _Task(contact, memory, started, whole=whole), moved=moved)
        self._operations = contact.sizes.operations
        return new

    def _read_due(self, session: Session, task: "_Task", *, moved: bool) -> int:
        memory, started = task.memory, task.started
        whole = task.whole or memory is None or self.proof_due(memory.last_full_read_at, started)
        looks = moved or _long_ago(memory, started)
        if not (whole or looks):
            return 0
        if isinstance(session, CanReadTail):
            try:
                with session.prepare_log() as log:
                    return self._read_prepared(session, log, replace(task, whole=whole))
            except Unsupported as error:
                self._tell_no_tail(error)
        return self._read_whole(session, replace(task, whole=True))

    def proof_due(self, last: datetime | None, now: datetime) -> bool:
        """Whether the day's whole read is still to come: one after each local midnight."""
        if last is None:
            return True
        share = int.from_bytes(sha256(self._id.encode()).digest()[:4]) / 2**32
        today = now.astimezone(self._zone).date()
        boundary = datetime.combine(today, time(), self._zone) + PROOF_SPREAD * share
        return now - last >= timedelta(days=1) or last < boundary <= now

    def take_arrived(self, session: Session, contact: Contact) -> None:
        """Make durable what a live terminal told while something else was read."""
        if isinstance(session, CanListen):
            for item in session.arrived():
                self._keeper.keep(contact.identity.serial, [item], contact.clock.now)

    def _read_prepared(self, session: Session, log: PreparedLog, task: "_Task") -> int:
        known = self._known_part(log, task)
        proof = task.whole or not known
        follower = Follower(task.memory, continues=known > 0 or task.nothing_before)
        first = known
        if proof and not (known and log.renames):
            first = self._begun_part(log, task.memory)
        pages = Pages(first, log.records)
        try:
            new = self._read_pages(session, log, task, pages, follower, proof=proof)
        except DeviceError:
            if proof and pages.end > first:
                self._remember_begun(task, pages)
            raise
        self.mode = "tail"
        digest = log.digest(max(0, log.records - OVERLAP), log.records).hex()
        oldest = pages.oldest
        if proof and not (oldest or follower.continues):
            oldest = list(log.read(0, min(OVERLAP, log.records)))
        self._conclude(task, log.records, digest, Finding(follower, oldest, proof=proof))
        return new

    def _read_pages(
        self,
        session: Session,
        log: PreparedLog,
        task: "_Task",
        pages: Pages,
        follower: Follower,
        *,
        proof: bool,
    ) -> int:
        offset_at = task.offset_at(from_start=proof)
        new = 0
        for number, (start, end) in enumerate(pages, 1):
            page = list(log.read(start, end))
            doubtful = self._keeper.doubts(page)
            new += self._keeper.keep(task.serial, page, offset_at)
            if doubtful:
                again = partial(log.read, start, end)
                new += self._settle(task, follower, page, again, proof=proof)
            follower.see(page)
            pages.passed(end, page)
            if proof and number % SAVE_EVERY == 0:
                self._remember_begun(task, pages)
            self.take_arrived(session, task.contact)
        return new

    def _begun_part(self, log: PreparedLog, memory: TerminalMemory | None) -> int:
        """How many records a whole read that broke off has made durable; 0 if the log is another now."""
        if memory is None or not 0 < memory.begun <= log.records:
            return 0
        last = log.read(max(0, memory.begun - OVERLAP), memory.begun)
        return memory.begun if digest_of(last) == memory.begun_digest else 0

    def _remember_begun(self, task: "_Task", pages: Pages) -> None:
        """On a line that breaks more often than a log takes to read, the next read goes on from here."""
        memory = task.memory or _nothing_of(task.serial)
        self._keeper.remember(replace(memory, begun=pages.end, begun_digest=digest_of(pages.last)))

    def _known_part(self, log: PreparedLog, task: "_Task") -> int:
        """How many records at the log's start are those that were read before; 0 if that cannot be shown."""
        memory = task.memory
        if memory is None or not memory.tail_digest or memory.records == 0:
            return 0
        if log.records >= memory.records:
            overlap = log.digest(max(0, memory.records - OVERLAP), memory.records)
            if overlap.hex() == memory.tail_digest:
                return memory.records
        _log.info(
            "terminal %s: the log is not the one that was read (cleared, overwritten or renumbered); "
            "it is read whole",
            self._id,
            extra={"action": "log_changed", "terminal": self._id},
        )
        if log.records >= memory.records and not _full(task.contact.sizes):
            self._witness.tell(
                task.contact,
                EventKind.LOG_CHANGED,
                f"the first {memory.records} records are not the ones that were read: "
                "cleared and filled again, put back from a backup, or renumbered",
            )
        return 0

    def _read_whole(self, session: Session, task: "_Task") -> int:
        follower = Follower(task.memory, continues=task.nothing_before)
        finding = Finding(follower, [], proof=True)
        total = new = 0
        bad: list[BadRecord] = []
        doubtful = False
        items: Iterator[RawPunch | BadRecord] = iter(session.read_log())
        while page := list(islice(items, PAGE)):
            if not total:
                finding.oldest.extend(page[:OVERLAP])
            doubtful = self._keeper.doubts(page) or doubtful
            new += self._keeper.keep(task.serial, page, task.offset_at(from_start=True))
            bad += bad_of(page)
            follower.see(page)
            total += len(page)
            self.take_arrived(session, task.contact)
        if doubtful:
            new += self._settle(task, follower, bad, session.read_log, proof=True)
        self.mode = "whole"
        self._conclude(task, total, "", finding)
        return new

    def _settle(
        self,
        task: "_Task",
        follower: Follower,
        before: Iterable[RawPunch | BadRecord],
        read_again: Callable[[], Iterable[RawPunch | BadRecord]],
        *,
        proof: bool,
    ) -> int:
        """Read records that cannot all be punches again, until the same ones cannot twice running."""
        new = 0
        bad = bad_of(before)
        for _ in range(READINGS - 1):
            bad_before, bad = bad, []
            items = iter(read_again())
            while page := list(islice(items, PAGE)):
                new += self._keeper.keep(task.serial, page, task.offset_at(from_start=proof))
                bad += bad_of(page)
            if bad == bad_before:
                return new
        follower.sure = False
        return new

    def _conclude(self, task: "_Task", records: int, digest: str, finding: Finding) -> None:
        """Move the cursor, and after a whole read say what it covers."""
        before = task.memory
        if before is not None and records < before.records:
            self._witness.tell(
                task.contact,
                EventKind.LOG_SHRANK,
                f"the log held {before.records} records and holds {records}: cleared, and not by hadir",
            )
        memory = replace(
            before or _nothing_of(task.serial),
            records=records,
            last_contact_at=task.started,
            tail_digest=digest if finding.follower.sure else "",
            last_record=finding.follower.last_record,
        )
        coverage = None
        if finding.proof and finding.follower.sure:
            since = self._covered_since(task, finding)
            memory = replace(
                memory, last_full_read_at=task.started, covered_since=since, begun=0, begun_digest=""
            )
            coverage = task.coverage(since, records)
        self._keeper.conclude(memory, coverage)

    def _covered_since(self, task: "_Task", finding: Finding) -> datetime | None:
        return covered_since(
            task.memory,
            finding.oldest,
            continues=finding.follower.continues,
            overwritten=_full(task.contact.sizes),
            zone=self._zone,
            now=task.started,
        )

    def _tell_no_tail(self, error: Unsupported) -> None:
        if not self._no_tail_told:
            self._no_tail_told = True
            _log.info("terminal %s: %s", self._id, error, extra={"action": "no_tail", "terminal": self._id})


@dataclass(frozen=True, slots=True)
class _Task:
    """One read of one log."""

    contact: Contact
    memory: TerminalMemory | None
    started: datetime
    whole: bool

    @property
    def serial(self) -> str:
        return self.contact.identity.serial

    def offset_at(self, *, from_start: bool) -> OffsetAt:
        """What is known of the clock for the records that are read: the end is newer than the last read."""
        last = self.memory.last_contact_at if self.memory else None
        return self.contact.clock.at if from_start or last is None else self.contact.clock.since(last).at

    @property
    def nothing_before(self) -> bool:
        """Whether the log was empty, or emptied by hadir, when it was last read."""
        return self.memory is not None and read_before(self.memory) and self.memory.records == 0

    def coverage(self, since: datetime | None, records: int) -> Coverage | None:
        """Of when this read shows every punch, by the terminal's own days.

        A clock that is off by an hour may still write the old day for an hour; one that shows
        no date, or one of another year, cannot vouch for any day.
        """
        offset_s = self.contact.offset_s
        if offset_s is None or abs(offset_s) > FAR_OFF.total_seconds():
            return None
        return Coverage(since=since, until=self.started - timedelta(seconds=abs(offset_s)), records=records)


def _nothing_of(serial: str) -> TerminalMemory:
    return TerminalMemory(serial=serial, records=0, last_full_read_at=None, last_contact_at=None)


def _moved(sizes: Sizes, memory: TerminalMemory | None) -> bool:
    """Whether the count says, or cannot deny, that there is something new."""
    if memory is None or not sizes.records or sizes.records != memory.records:
        return True
    # A full log writes over its oldest records, and the count stands still.
    return _full(sizes)


def _full(sizes: Sizes) -> bool:
    return bool(sizes.records and sizes.record_capacity and sizes.records >= sizes.record_capacity)


def _long_ago(memory: TerminalMemory | None, now: datetime) -> bool:
    return memory is None or memory.last_contact_at is None or now - memory.last_contact_at >= LOOK_EVERY
