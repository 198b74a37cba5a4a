"""A session with a terminal over our own codec: what it can be asked."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from struct import Struct
from time import monotonic
from typing import Final

from attendance.errors import (
    DeviceRefused,
    LocalProtocolError,
    RemoteProtocolError,
    Unsupported,
)
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal, User
from drivers.zk.commands import EMPTY_TABLE_REFUSALS, Command, EventMask, Reply, command_name
from drivers.zk.conversation import LiveEvent, Offer
from drivers.zk.dialogue import Dialogue
from drivers.zk.events import uid_of_event, unpack_event
from drivers.zk.layouts import LogEvidence, choose_log_layout, choose_user_layout
from drivers.zk.prepared import HEAD_BYTES, ZkPreparedLog, check_head
from drivers.zk.records import MIXED, PREFIX_BYTES, LogLayout, Names, unpack_log
from drivers.zk.sizes import CAPACITY_WORD, RECORDS_WORD, USERS_WORD, SizeTable, word_value
from drivers.zk.times import pack_time, unpack_time
from drivers.zk.transport import TcpTransport
from drivers.zk.users import pins_by_uid, unpack_users

CLOCK_SLACK: Final = timedelta(seconds=5)
"""A clock that was set may have moved on so far when it is read again."""

EARLIEST_NOW: Final = datetime(2026, 1, 1)
"""A host whose clock shows less has not set it yet: it cannot say what lies in the future."""

_U32: Final = Struct("<I")
_ALL_USERS: Final = 5


class ZkSession:
    """One open conversation with a terminal: see drivers.base.

    Events that arrive while something else is asked are kept for `listen`. Every answer
    must come within the terminal's timeout, in a table read every packet of it.
    """

    def __init__(self, terminal: Terminal, transport: TcpTransport) -> None:
        self._terminal = terminal
        self._dialogue = Dialogue(terminal, transport)
        self._listening = False
        self._pins: dict[int, str] | None = None
        self._prepared: Offer | None = None
        self.layouts: dict[str, str] = {}

    def connect(self) -> None:
        """Open the conversation: to be called once, first."""
        self._dialogue.connect()

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        self._dialogue.close()

    def identify(self) -> Identity:
        """See drivers.base.Session."""
        serial = self._option("~SerialNumber")
        if not serial:
            where = self._dialogue.where
            raise Unsupported(
                f"{where} tells no serial number (option ~SerialNumber): its punches have no origin"
            )
        return Identity(
            serial=serial,
            model=self._option("~DeviceName"),
            platform=self._option("~Platform"),
            firmware=self._text(Command.GET_VERSION).strip(),
        )

    # -- clock and sizes

    def read_clock(self) -> datetime:
        """See drivers.base.Session; also the cheapest way to find out whether the terminal is there."""
        data = self._dialogue.ask(Command.GET_TIME)
        with self._dialogue.watched():
            if len(data) < _U32.size:
                raise RemoteProtocolError(f"the terminal's clock is told in {len(data)} bytes, should be 4")
        try:
            return unpack_time(_U32.unpack_from(data)[0])
        except RemoteProtocolError as error:
            raise Unsupported(f"the terminal's clock is unusable: {error}") from None

    def set_clock(self, wall_time: datetime) -> None:
        """Set the clock and read it again, as not every terminal does what it acknowledges."""
        self._dialogue.ask(Command.SET_TIME, _U32.pack(pack_time(wall_time)))
        shown = self.read_clock()
        if abs(shown - wall_time.replace(microsecond=0)) > CLOCK_SLACK:
            raise DeviceRefused(f"the terminal acknowledged {wall_time:%F %T} and still shows {shown:%F %T}")

    def read_sizes(self) -> Sizes:
        """See drivers.base.Session."""
        data = self._dialogue.ask(Command.GET_SIZES)
        with self._dialogue.watched():
            table = SizeTable.from_bytes(data)
        return (table or self._sizes_by_word()).as_sizes()

    def _sizes_by_word(self) -> SizeTable:
        """Counts that a terminal tells only word by word; below zero where it does not tell them at all.

        A terminal that answers four zero bytes to everything shows itself by a capacity of 0.
        """
        capacity = self._size_word(CAPACITY_WORD)
        if capacity <= 0:
            return SizeTable(users=-1, records=-1)
        return SizeTable(
            users=self._size_word(USERS_WORD),
            records=self._size_word(RECORDS_WORD),
            record_capacity=capacity,
        )

    def _size_word(self, number: int) -> int:
        try:
            value = word_value(self._dialogue.ask(Command.GET_SIZES, _U32.pack(number)))
        except DeviceRefused:
            return -1
        return -1 if value is None else value

    # -- the log

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.Session. The transfer is over when this returns."""
        before = self.read_sizes().records
        records, direct = self._read_table(Command.ATTLOG_READ, 0, before)
        counts = _known(before, self.read_sizes().records)
        if not records:
            self._check_empty(counts)
            return iter(())
        evidence = LogEvidence(records=records, total_bytes=len(records), counts=counts, now=self._now())
        layout = choose_log_layout(evidence, counts_suffice=not direct)
        self.layouts["log"] = layout.name
        return unpack_log(records, layout, self._pins_for(layout))

    @contextmanager
    def prepare_log(self) -> Iterator[ZkPreparedLog]:
        """See drivers.base.CanReadTail."""
        try:
            yield self._prepare()
        finally:
            self._prepared = None
            self._dialogue.free_buffer()

    def _prepare(self) -> ZkPreparedLog:
        before = self.read_sizes().records
        offer = self._offer(before)
        counts = _known(before, self.read_sizes().records)
        head = self._range(offer, 0, min(HEAD_BYTES, offer.length))
        with self._dialogue.watched():
            records = check_head(head, offer.length)
        if not records:
            self._check_empty(counts)
            return ZkPreparedLog(length=offer.length, layout=None, read_range=bytes_of_nothing, pins={})
        layout = self._layout_of_head(records, offer.length, counts)
        pins: Mapping[int, str] = {}
        if layout.names is Names.UID:
            # The terminal holds one table at a time: reading the users dropped the log.
            pins = self._pins_for(layout)
            length = offer.length
            offer = self._offer(before)
            if offer.length != length:
                raise Unsupported("the log grew while it was prepared; read it whole")
        kept = offer
        return ZkPreparedLog(
            length=offer.length,
            layout=layout,
            read_range=lambda start, size: self._range(kept, start, size),
            pins=pins,
        )

    def _layout_of_head(self, head: bytes, length: int, counts: Collection[int]) -> LogLayout:
        total = length - PREFIX_BYTES
        evidence = LogEvidence(records=head, total_bytes=total, counts=counts, now=self._now())
        layout = choose_log_layout(evidence)
        if layout is MIXED or (layout.names is Names.UID and not evidence.fits(total // layout.record_bytes)):
            raise Unsupported("this log may have records of 4 and of 8 bytes; it is read whole")
        self.layouts["log"] = layout.name
        return layout

    def _offer(self, count: int | None) -> Offer:
        """The log, held ready by the terminal; an empty body where it refuses one that it counts as empty."""
        exchange = self._dialogue.conversation.prepare(Command.ATTLOG_READ)
        try:
            self._prepared = self._dialogue.run(exchange, Command.PREPARE_BUFFER.name)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise
            if count != 0 or refusal.code not in EMPTY_TABLE_REFUSALS:
                raise Unsupported(f"this terminal prepares no log, it is read whole: {refusal}") from refusal
            self._prepared = Offer(PREFIX_BYTES, bytes(PREFIX_BYTES))
        return self._prepared

    def _range(self, offer: Offer, start: int, size: int) -> bytes:
        if self._prepared is not offer:
            raise LocalProtocolError("the prepared log is gone: something else was read, or its block ended")
        if offer.body is not None:
            return offer.body[start : start + size]
        return self._dialogue.run(
            self._dialogue.conversation.read_range(start, size), Command.READ_BUFFER.name
        )

    def _check_empty(self, counts: Collection[int]) -> None:
        with self._dialogue.watched():
            if 0 not in counts:
                told = " or ".join(map(str, counts)) or "no number of"
                raise RemoteProtocolError(f"the terminal counts {told} records and gives an empty log")

    def _now(self) -> datetime | None:
        """The wall time where the terminal stands."""
        now = datetime.now(UTC).astimezone(self._terminal.zone).replace(tzinfo=None)
        return now if now >= EARLIEST_NOW else None

    # -- people

    def read_users(self) -> Iterator[User]:
        """See drivers.base.CanReadUsers. The transfer is over when this returns."""
        count = self.read_sizes().users
        records, _direct = self._read_table(Command.USERS_READ, _ALL_USERS, count)
        if not records:
            with self._dialogue.watched():
                if count:
                    raise RemoteProtocolError(f"the terminal counts {count} users and gives an empty table")
            return iter(())
        layout = choose_user_layout(records, _known(count))
        self.layouts["users"] = layout.name
        return unpack_users(records, self._terminal.encoding, layout)

    def _pins_for(self, layout: LogLayout) -> Mapping[int, str]:
        """User ids by uid, read anew, where the layout names uids."""
        if layout.names is not Names.UID:
            return {}
        self._pins = pins_by_uid(self.read_users())
        return self._pins

    def _pins_for_event(self, data: bytes) -> Mapping[int, str] | None:
        """The same for an event, read anew for a uid not seen before; None where users cannot be read."""
        uid = uid_of_event(data)
        if uid is None:
            return {}
        if self._pins is None or uid not in self._pins:
            try:
                self._pins = pins_by_uid(self.read_users())
            except (DeviceRefused, Unsupported):
                return None
        return self._pins

    # -- live events

    def listen(self, *, quiet: timedelta) -> Iterator[RawPunch | BadRecord | None]:
        """See drivers.base.CanListen. The terminal tells of punches from this call on.

        A punch whose successor was never asked for is given again by the next `listen`.
        """
        if not self._listening:
            self._dialogue.ask(Command.REG_EVENT, _U32.pack(EventMask.ATTLOG))
            self._listening = True
        return self._punches(quiet.total_seconds())

    def arrived(self) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.CanListen. One whose user id must first be asked for waits for `listen`."""
        while (event := self._dialogue.waiting_punch()) is not None:
            uid = uid_of_event(event.data)
            if uid is not None and uid not in (self._pins or {}):
                return
            yield unpack_event(event.data, self._pins or {})
            self._dialogue.settle(event)

    def _punches(self, quiet_s: float) -> Iterator[RawPunch | BadRecord | None]:
        while True:
            event: LiveEvent | None = self._dialogue.next_punch(monotonic() + quiet_s)
            if event is None:
                yield None
                continue
            yield unpack_event(event.data, self._pins_for_event(event.data))
            self._dialogue.settle(event)

    # -- asking

    def _option(self, name: str) -> str:
        """An option's value; empty where this terminal does not know it."""
        return self._text(Command.OPTION_READ, name.encode("ascii") + b"\0").split("=", 1)[-1].strip()

    def _text(self, command: int, data: bytes = b"") -> str:
        try:
            answer = self._dialogue.ask(command, data)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise
            return ""
        return answer.split(b"\0", 1)[0].decode("ascii", "backslashreplace")

    def _read_table(self, table: int, parameter: int, count: int | None) -> tuple[bytes, bool]:
        """The records of a table, and whether they were read directly: some firmware knows no buffer.

        None, too, where a table is refused that the terminal counts as empty.
        """
        conversation = self._dialogue.conversation
        self._prepared = None
        try:
            return self._dialogue.run(conversation.read_table(table, parameter), command_name(table)), False
        except DeviceRefused as refusal:
            if count == 0 and refusal.code in EMPTY_TABLE_REFUSALS:
                return b"", False
            if refusal.code == Reply.ACK_UNAUTH or conversation.holds_buffer:
                raise
            return self._read_directly(table, parameter, count, refusal), True
        finally:
            self._dialogue.free_buffer()

    def _read_directly(self, table: int, parameter: int, count: int | None, refusal: DeviceRefused) -> bytes:
        data = bytes([parameter]) if parameter else b""
        exchange = self._dialogue.conversation.read_directly(table, data)
        try:
            return self._dialogue.run(exchange, command_name(table))
        except DeviceRefused as direct:
            if count == 0 and direct.code in EMPTY_TABLE_REFUSALS:
                return b""
            raise refusal from direct


def bytes_of_nothing(_start: int, _size: int) -> bytes:
    """What a log without records gives."""
    return b""


def _known(*counts: int | None) -> tuple[int, ...]:
    return tuple(count for count in counts if count is not None)
