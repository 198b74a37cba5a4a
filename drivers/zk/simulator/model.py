"""What a simulated terminal is and holds: identity, people, log, clock. No protocol, no network."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import chain, zip_longest
from typing import Final
from zoneinfo import ZoneInfo

from attendance.clock import Clock, SystemClock
from attendance.errors import DeviceRefused, LocalProtocolError
from attendance.event import RawOperation
from attendance.punch import RawPunch, Source
from attendance.terminal import User
from drivers.zk.operations import pack_operation
from drivers.zk.records import (
    ATT40,
    ATT49,
    MIXED,
    PIN_BYTES,
    SHORT_SECONDS,
    cut_mixed,
    pack_record,
    pack_short,
)
from drivers.zk.simulator.firmware import NOTHING_TOLD, TFT, Firmware
from drivers.zk.simulator.options import first_options
from drivers.zk.simulator.untidy import untidy_log, untidy_users
from drivers.zk.sizes import SizeTable
from drivers.zk.users import is_no_one, pack_user, unpack_users

Listener = Callable[[RawPunch], None]
"""Told of every punch on the thread that makes it; must not block."""

MAX_CODE: Final = 0xFF
MAX_NUMBER: Final = 0xFFFF
SECONDS_OF_A_DAY: Final = 86_400
WESTERN_TIME: Final = ZoneInfo("Asia/Jakarta")


class Operation(IntEnum):
    """Codes of the operation log, as terminals that push them were seen to use."""

    POWERED_ON = 0
    POWERED_OFF = 1
    SETTING_CHANGED = 5
    USER_DELETED = 9
    ALL_CLEARED = 13
    CLOCK_SET = 21
    LOG_CLEARED = 23
    USER_ADDED = 30
    USER_CHANGED = 31


@dataclass(kw_only=True, eq=False)
class SimulatedTerminal:
    """A terminal, with log and users in its firmware's layouts. Safe to use from several threads.

    Its wall clock shows true time in `zone` plus `offset`, and gains `drift_s_a_day` from its making
    or its last setting on. When the log is full the oldest
    record is overwritten. `shown_records`, where set, is the count that the size table tells
    instead of the true one.
    """

    serial: str = "SIM0000000001"
    model: str = "HADIR-SIM"
    platform: str = "ZMM220_TFT"
    firmware: Firmware = TFT
    comm_key: int = 0
    zone: ZoneInfo = WESTERN_TIME
    offset: timedelta = timedelta(0)
    drift_s_a_day: float = 0.0
    user_capacity: int = 5_000
    record_capacity: int = 200_000
    shown_records: int | None = None
    clock: Clock = field(default_factory=SystemClock)
    options: dict[str, str] = field(default_factory=dict)
    _lock: threading.RLock = field(init=False, repr=False, default_factory=threading.RLock)
    _log: deque[bytes] = field(init=False, repr=False, default_factory=deque)
    clearings: int = field(init=False, default=0)
    _operations: list[bytes] = field(init=False, repr=False, default_factory=list)
    _last_long: datetime | None = field(init=False, repr=False, default=None)
    _slots: list[bytes] = field(init=False, repr=False, default_factory=list)
    _users: dict[int, bytes] = field(init=False, repr=False, default_factory=dict)
    _uids: dict[str, int] = field(init=False, repr=False, default_factory=dict)
    _listeners: list[Listener] = field(init=False, repr=False, default_factory=list)
    _stored: int = field(init=False, repr=False, default=0)
    _right_since: datetime = field(init=False, repr=False)
    _session: int = field(init=False, repr=False, default=0)
    _disabled_until: float | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Give the options every client asks for; those passed in win."""
        self._right_since = self.clock.now()
        known = first_options(
            self.serial,
            self.model,
            self.platform,
            self.firmware,
            users=self.user_capacity,
            records=self.record_capacity,
        )
        self.options = known | self.options

    # -- punches and the log

    def punch(self, pin: str, *, at: datetime | None = None, verify: int = 1, state: int = 0) -> RawPunch:
        """Somebody identifies himself: the record is in the log when this returns, and listeners were told.

        `at` is the terminal's wall time if naive, an instant if aware, and the clock's now if None.
        Raises LocalProtocolError for a pin or a code that no terminal could store, and DeviceRefused
        while a client holds the terminal disabled, where its firmware obeys that.
        """
        if self.firmware.locks and not self.enabled:
            raise DeviceRefused("the terminal is held disabled: nobody can punch")
        wall_time = self.wall_time() if at is None else self._on_the_wall(at)
        punch = RawPunch(
            pin=pin,
            wall_time=wall_time.replace(microsecond=0),
            verify_code=verify,
            state_code=state,
        )
        self.store(punch)
        return punch

    def store(self, punch: RawPunch) -> None:
        """Append a punch as it is given, and tell the listeners."""
        _check_punch(punch)
        with self._lock:
            self.remember([punch])
            listeners = list(self._listeners)
        live = punch._replace(source=Source.LIVE)
        for tell in listeners:
            tell(live)

    def remember(self, punches: Iterable[RawPunch]) -> None:
        """Append punches in the terminal's layout; nobody is told.

        Raises LocalProtocolError at the first that the layout cannot hold.
        """
        with self._lock:
            for punch in punches:
                self._log.append(self._packed(punch, self._number(punch.pin)))
            self._forget_oldest()

    def _number(self, pin: str) -> int:
        """What stands for a person in a record: his uid, or the record's own number."""
        self._stored += 1
        numbered = self.firmware.numbers_records and self.firmware.log in (ATT40, ATT49)
        return self._stored & MAX_NUMBER if numbered else self._uids.get(pin, 0)

    def add_raw_record(self, raw: bytes) -> None:
        """Append one record of any content, such as a corrupt one; nobody is told."""
        size = self.firmware.log.record_bytes
        if len(raw) != size and self.firmware.log is not MIXED:
            raise LocalProtocolError(f"a record has {size} bytes, not {len(raw)}")
        self.load(raw)

    def load(self, records: bytes) -> None:
        """Append whole records, given back to back; nobody is told."""
        size = self.firmware.log.record_bytes
        if self.firmware.log is MIXED:
            parts = list(cut_mixed(records))
        elif len(records) % size:
            raise LocalProtocolError(f"{len(records)} bytes are not whole records of {size}")
        else:
            parts = [records[at : at + size] for at in range(0, len(records), size)]
        with self._lock:
            self._last_long = None
            self._log.extend(parts)
            self._forget_oldest()

    def clear(self) -> None:
        """Empty the log; the operation log keeps that."""
        with self._lock:
            self._log.clear()
            self._last_long = None
            self.clearings += 1
            self.note(Operation.LOG_CLEARED)

    def log(self) -> bytes:
        """The log as it is now: records back to back."""
        with self._lock:
            return b"".join(untidy_log(self._log, self.firmware))

    @property
    def record_count(self) -> int:
        """How many records the log holds."""
        return len(self._log)

    def on_punch(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` told of every punch from now on; gives a function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    # -- people

    def enrol(self, users: Iterable[User]) -> None:
        """Add people; one with an uid in use takes its place."""
        for user in users:
            self.write_user(pack_user(user, self.firmware.users))

    def write_user(self, raw: bytes) -> None:
        """Insert or replace by uid from a record of the firmware's layout.

        Raises LocalProtocolError for a wrong length, no pin, a pin of another uid, or a full terminal.
        """
        size = self.firmware.users.record_bytes
        if len(raw) != size:
            raise LocalProtocolError(f"a user has {size} bytes, not {len(raw)}")
        for user in self._read_users(raw):
            with self._lock:
                self._check_user(user)
                self.delete_user(user.uid)
                self._users[user.uid] = raw
                self._uids[user.pin] = user.uid

    def add_empty_slot(self, raw: bytes = b"") -> None:
        """Put a slot that is nobody between the users: a freed one, or one with a template in it.

        Raises LocalProtocolError for a record of somebody, or of a wrong length.
        """
        raw = raw or bytes(self.firmware.users.record_bytes)
        if len(raw) != self.firmware.users.record_bytes or not is_no_one(raw):
            raise LocalProtocolError("a slot without a user is all zero or marked as one of a template")
        with self._lock:
            self._slots.append(raw)

    def delete_user(self, uid: int) -> bool:
        """Forget a person; False if there is none with this uid."""
        with self._lock:
            if self._users.pop(uid, None) is None:
                return False
            self._uids = {pin: other for pin, other in self._uids.items() if other != uid}
            return True

    def uid_of(self, pin: str) -> int:
        """The uid of whoever has this pin; 0 for nobody."""
        return self._uids.get(pin, 0)

    def user_records(self) -> bytes:
        """Everyone enrolled, by uid, with a slot that is nobody before each as long as there are some."""
        with self._lock:
            people = [raw for _uid, raw in sorted(self._users.items())]
            pairs = zip_longest(self._slots, people, fillvalue=b"")
            return b"".join(untidy_users(chain.from_iterable(pairs), self.firmware))

    def users(self) -> list[User]:
        """Everyone enrolled, by uid."""
        return list(self._read_users(self.user_records()))

    @property
    def user_count(self) -> int:
        """How many people are enrolled."""
        return len(self._users)

    # -- operations

    def note(self, code: int, *values: int, operator: int = 0) -> None:
        """Put an entry into the operation log, where this firmware keeps one; by wire nobody is signed in."""
        layout = self.firmware.operations
        if layout is not None:
            operation = RawOperation(
                code=code,
                operator=str(operator),
                wall_time=self.wall_time(),
                values=tuple(map(str, values)),
            )
            with self._lock:
                self._operations.append(pack_operation(operation, layout))

    def operations(self) -> bytes:
        """The operation log as it is now: entries back to back."""
        with self._lock:
            return b"".join(self._operations)

    def forget_operations(self) -> None:
        """Empty the operation log."""
        with self._lock:
            self._operations.clear()

    # -- clock and state

    def wall_time(self) -> datetime:
        """What the terminal's display shows: naive, whole seconds."""
        return self._on_the_wall(self.clock.now())

    def set_wall_time(self, wall_time: datetime) -> None:
        """Set the display; the offset to true time follows from it, and the operation log keeps it."""
        self.note(Operation.CLOCK_SET)
        self._right_since = self.clock.now()
        self.offset = timedelta(0)
        self.offset = wall_time - self.wall_time()

    def disable(self, seconds: int = 0) -> None:
        """Lock the keys; with `seconds` it ends by itself, else at `enable`."""
        self._disabled_until = self.clock.monotonic() + seconds if seconds else float("inf")

    def enable(self) -> None:
        """Unlock the keys."""
        self._disabled_until = None

    @property
    def enabled(self) -> bool:
        """Whether people may use it: not so while a client holds it disabled."""
        return self._disabled_until is None or self.clock.monotonic() >= self._disabled_until

    def next_session(self) -> int:
        """A session id (u16, never 0) that differs from the last ones."""
        with self._lock:
            start = self._session or int(self.clock.now().timestamp())
            self._session = start % 0xFFFF + 1
            return self._session

    def size_table(self, word: int | None = None) -> bytes:
        """The body of the reply to GET_SIZES, or the one word of it that was asked for."""
        length = self.firmware.sizes_bytes
        if word is not None and self.firmware.tells_words:
            return self._sizes().word(word)
        return bytes(NOTHING_TOLD) if length == NOTHING_TOLD else self._sizes().to_bytes(length)

    def _sizes(self) -> SizeTable:
        with self._lock:
            users, records = self.user_count, self.record_count
        return SizeTable(
            users=users,
            records=records if self.shown_records is None else self.shown_records,
            oplog=len(self._operations),
            user_capacity=self.user_capacity,
            record_capacity=self.record_capacity,
            users_free=self.user_capacity - users,
            records_free=self.record_capacity - records,
        )

    def _packed(self, punch: RawPunch, uid: int) -> bytes:
        """The punch as a record; in a mixed log a short one, if it soon follows a long one."""
        if self.firmware.log is MIXED:
            if self._last_long is not None:
                after = (punch.wall_time - self._last_long).total_seconds()
                if 0 <= after < SHORT_SECONDS:
                    return pack_short(punch, uid, int(after))
            self._last_long = punch.wall_time
        return pack_record(self.firmware.log, punch, uid)

    def _forget_oldest(self) -> None:
        while len(self._log) > self.record_capacity:
            self._log.popleft()

    def _read_users(self, records: bytes) -> Iterator[User]:
        return unpack_users(records, "utf-8", self.firmware.users)

    def _on_the_wall(self, at: datetime) -> datetime:
        if at.tzinfo is None:
            return at
        gained = (at - self._right_since).total_seconds() / SECONDS_OF_A_DAY * self.drift_s_a_day
        shown = at.astimezone(self.zone).replace(tzinfo=None) + self.offset + timedelta(seconds=gained)
        return shown.replace(microsecond=0)

    def _check_user(self, user: User) -> None:
        if not user.pin or user.pin == "0" or not user.uid:
            raise LocalProtocolError("a user needs a uid and a pin")
        if self._uids.get(user.pin, user.uid) != user.uid:
            raise LocalProtocolError(f"pin {user.pin} belongs to another user")
        if user.uid not in self._users and len(self._users) >= self.user_capacity:
            raise LocalProtocolError(f"the terminal is full: {self.user_capacity} users")


def _check_punch(punch: RawPunch) -> None:
    pin = punch.pin
    if not (pin.isascii() and pin.isprintable() and 0 < len(pin) <= PIN_BYTES):
        raise LocalProtocolError(f"a pin is 1 to {PIN_BYTES} printable ASCII characters, not {pin!r}")
    for name, code in (("verify", punch.verify_code), ("state", punch.state_code)):
        if not 0 <= code <= MAX_CODE:
            raise LocalProtocolError(f"a {name} code is 0 to {MAX_CODE}, not {code}")
