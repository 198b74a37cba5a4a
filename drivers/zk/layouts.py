"""Which layout a table has, by the evidence in it. No input or output.

A length that a record size divides proves nothing: every third 40-byte log is also one of whole
8-byte records, and counts are stale, wrong, or zero. So each known layout is tried on a sample
of the records, and what comes out must look like punches, or like people.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from attendance.errors import RemoteProtocolError, Unsupported
from drivers.zk.records import (
    ATT8A,
    ATT8B,
    ATT16,
    LOG_LAYOUTS,
    MIXED,
    SHORT_BYTES,
    SHORT_FLAG,
    Fields,
    LogLayout,
    Names,
    cut_mixed,
    fields_of,
    pin_text,
)
from drivers.zk.times import unpack_time
from drivers.zk.users import USER28, USER_LAYOUTS, UserLayout, is_no_one, unpack_users

SAMPLES: Final = 8
IN_A_ROW: Final = 50
"""So many stretches of so many records stand for the whole log; single ones could all be every second."""

MOSTLY: Final = 0.9
HALF: Final = 0.5
AHEAD: Final = timedelta(days=31)
"""How far in the future a terminal's clock may be before its records look like rubbish."""

EARLIEST: Final = datetime(2005, 1, 1)
"""Small numbers read as times are dates of 2000 to 2004: of a clock without a battery, or of no log."""

HIGHEST_WORK_CODE: Final = 99_999_999
HIGHEST_PRIVILEGE: Final = 0x0F
_LONG_BITS: Final = bytes(bits for bits in range(256) if not bits & SHORT_FLAG)
_STATES: Final = frozenset({0, 1, 2, 3, 4, 5, 255})
_VERIFIES: Final = frozenset({*range(26), 101, 104, 200, 255})


class UnknownLayout(Unsupported):
    """A table of records that nobody here can read: nothing is imported from it.

    `raw` holds a log's bytes, as evidence. A user table's are not kept, for they hold passwords, nor those
    of a direct read, which may be stale memory with templates in it.
    """

    def __init__(self, text: str, *, raw: bytes = b"") -> None:
        super().__init__(text)
        self.raw = raw


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvidence:
    """What is known of a log before its layout is.

    `records` are its bytes, or the first of them, of `total_bytes` altogether. `counts` are what
    the terminal told before and after. `now` is the wall time where it stands, None for no idea.
    """

    records: bytes
    total_bytes: int
    counts: Collection[int]
    now: datetime | None = None

    def fits(self, count: int) -> bool:
        """Whether the terminal counts so many."""
        return bool(self.counts) and min(self.counts) <= count <= max(self.counts)


class _Look(Enum):
    """What a record looks like when it is read in one layout."""

    GOOD = "a punch of somebody"
    ODD = "somebody's, with a date or code that cannot be"
    NOBODY = "a punch of a deleted user"
    BLANK = "nothing"
    RUBBISH = "no record"


@dataclass(frozen=True, slots=True)
class _Trial:
    layout: LogLayout
    fits: bool
    looks: Sequence[_Look]

    def share(self, *looks: _Look) -> float:
        return sum(look in looks for look in self.looks) / len(self.looks)

    def is_sure(self) -> bool:
        good = self.share(_Look.GOOD)
        return self.fits and good > 0 and good + self.share(_Look.NOBODY) >= MOSTLY

    def is_likely(self) -> bool:
        good = self.share(_Look.GOOD)
        return not self.fits and good >= HALF and good + self.share(_Look.NOBODY) >= MOSTLY

    def rules_out_uids(self) -> bool:
        """Whether these are so surely records of another kind that no further look is needed."""
        return self.layout.names is not Names.UID and (
            self.is_sure() or (self.is_likely() and self.layout.names is Names.TEXT)
        )

    def is_bearable(self) -> bool:
        """Damaged, but as many records as the terminal counts, and at least half of them somebody's."""
        named = self.share(_Look.GOOD)
        if self.layout.names is Names.TEXT:
            named += self.share(_Look.ODD)
        empty = self.share(_Look.NOBODY, _Look.BLANK)
        return self.fits and (empty == 1 or (named > 0 and named >= (1 - empty) * HALF))


def choose_log_layout(evidence: LogEvidence, *, counts_suffice: bool = True) -> LogLayout:
    """The layout of a log. Raises UnknownLayout where no known one makes punches of it.

    Without `counts_suffice` the records must prove themselves; so it is with direct reads, which
    some firmware answers with stale memory.
    """
    tests: list[Callable[[_Trial], bool]] = [_Trial.is_sure, _Trial.is_likely]
    if counts_suffice:
        tests.append(_Trial.is_bearable)
    trials: list[_Trial] = []
    for layout in LOG_LAYOUTS:
        # To cut a long log into records of 4 and 8 bytes takes time; only those of 8 look like it.
        if layout is MIXED and any(trial.rules_out_uids() for trial in trials):
            continue
        if trial := _try(layout, evidence, counts_suffice=counts_suffice):
            trials.append(trial)
    for passes in tests:
        passed = [trial for trial in trials if passes(trial)]
        if passed:
            return max(passed, key=lambda trial: trial.share(_Look.GOOD)).layout
    text = _unknown("log", evidence.total_bytes, evidence.counts)
    raise UnknownLayout(text, raw=evidence.records if counts_suffice else b"")


def _try(layout: LogLayout, evidence: LogEvidence, *, counts_suffice: bool) -> _Trial | None:
    """A layout's trial; None where the log is no whole number of its records."""
    whole = len(evidence.records) == evidence.total_bytes
    if layout is MIXED:
        parts = _mixed_parts(evidence.records) if whole else []
        count = len(parts)
        # A short record shows next to nothing: the long ones between them must convince.
        sample = [parts[number] for number in _spread(count) if len(parts[number]) > SHORT_BYTES]
    else:
        count, rest = divmod(evidence.total_bytes, layout.record_bytes)
        if rest or (layout is ATT8B and _has_short(evidence.records)):
            return None
        size = layout.record_bytes
        numbers = _spread(len(evidence.records) // size)
        sample = [evidence.records[number * size : (number + 1) * size] for number in numbers]
    if not sample:
        return None
    fits = evidence.fits(count)
    # A clock that is wrong by years makes no punch doubtful where the count is right, with the one
    # exception of the layout that shows least of itself.
    told = fits and counts_suffice
    doubtful_early = layout.names is not Names.TEXT and (not told or layout is ATT8A)
    earliest = EARLIEST if doubtful_early else datetime.min  # noqa: DTZ901 - wall times are naive
    latest = evidence.now + AHEAD if evidence.now and not fits else datetime.max  # noqa: DTZ901
    read = fields_of(b"".join(sample), ATT8B if layout is MIXED else layout)
    looks = [_look(layout, raw, fields, earliest, latest) for raw, fields in zip(sample, read, strict=True)]
    return _Trial(layout, fits, looks)


def _mixed_parts(records: bytes) -> list[bytes]:
    """The records of a mixed log; none where it cannot be one, or has no short record."""
    if not _has_short(records):
        return []
    try:
        return list(cut_mixed(records))
    except RemoteProtocolError:
        return []


def _has_short(records: bytes) -> bool:
    """Whether a record is short, cut into 8 bytes each: the first short one of a mixed log is found so."""
    return bool(records[2 :: ATT8B.record_bytes].translate(None, _LONG_BITS))


def _spread(count: int) -> Iterator[int]:
    """Which of so many records are looked at."""
    if count <= SAMPLES * IN_A_ROW:
        yield from range(count)
        return
    for stretch in range(SAMPLES):
        start = (count - IN_A_ROW) * stretch // (SAMPLES - 1)
        yield from range(start, start + IN_A_ROW)


def _look(layout: LogLayout, raw: bytes, fields: Fields, earliest: datetime, latest: datetime) -> _Look:
    who, verify, when, state, work = fields
    if isinstance(who, bytes) and who[0]:
        try:
            pin_text(who)
        except RemoteProtocolError:
            return _Look.RUBBISH
    somebody = bool(who[0] if isinstance(who, bytes) else who)
    if not somebody and not when:
        return _Look.BLANK
    try:
        dated = earliest <= unpack_time(when) <= latest
    except RemoteProtocolError:
        dated = False
    if not (dated and state in _STATES and verify in _VERIFIES and _is_tidy(layout, raw, when, work)):
        return _Look.ODD if somebody else _Look.RUBBISH
    return _Look.GOOD if somebody else _Look.NOBODY


def _is_tidy(layout: LogLayout, raw: bytes, when: int, work: int) -> bool:
    """What short records, which look like each other, show beyond their date and codes."""
    if layout is ATT16:
        return when > 0 and raw[11] == 0 and work <= HIGHEST_WORK_CODE
    if layout in (ATT8B, MIXED):
        return when > 0 and raw[3] == 0 and not raw[2] & 7
    return when > 0


# -- users


def choose_user_layout(records: bytes, counts: Collection[int]) -> UserLayout:
    """The layout of a user table. Raises UnknownLayout where no known one makes people of it.

    Freed slots and slots of templates are not in the terminal's count; what remains decides.
    """
    trials: list[tuple[UserLayout, bool, float]] = []
    for layout in USER_LAYOUTS:
        count, rest = divmod(len(records), layout.record_bytes)
        if count and not rest:
            trials.append((layout, count in counts, _share_of_people(records, layout)))
    for wanted_fit, least in ((True, MOSTLY), (False, MOSTLY), (True, HALF)):
        passed = [trial for trial in trials if trial[1] is wanted_fit and trial[2] >= least]
        if passed:
            return max(passed, key=lambda trial: trial[2])[0]
    raise UnknownLayout(_unknown("user table", len(records), counts))


def _share_of_people(records: bytes, layout: UserLayout) -> float:
    """Of the records that are no empty slots, how many look like a person with a uid of his own."""
    size = layout.record_bytes
    parts = [records[at : at + size] for at in range(0, len(records), size)]
    taken = [part for part in parts if not is_no_one(part)]
    uids: set[int] = set()
    for part in taken:
        for person in unpack_users(part, "latin-1", layout):
            printable = person.pin.isprintable() and person.pin.isascii() and "\\x" not in person.pin
            tidy = layout is not USER28 or not any(part[20:21])
            if person.uid and person.privilege <= HIGHEST_PRIVILEGE and printable and tidy:
                uids.add(person.uid)
    return len(uids) / len(taken) if taken else 1.0


def _unknown(table: str, length: int, counts: Collection[int]) -> str:
    told = " or ".join(str(count) for count in sorted(set(counts))) or "an unknown number of"
    size = next((length // count for count in counts if count > 0 and length % count == 0), 0)
    each = f", {size} bytes each" if size else ""
    return (
        f"the terminal's {table} has an unknown layout: {length} bytes for {told} records{each}; "
        "nothing was taken from it"
    )
