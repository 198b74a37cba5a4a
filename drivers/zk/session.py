"""A session with a terminal over our own codec: joins conversation and transport."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from struct import Struct
from time import monotonic
from typing import Final, TypeVar

from attendance.errors import (
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    LocalProtocolError,
    RemoteProtocolError,
    Unsupported,
)
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal, User
from drivers.zk.commands import EMPTY_TABLE_REFUSALS, Command, EventMask, Reply, command_name
from drivers.zk.conversation import Conversation, Exchange, LiveEvent
from drivers.zk.packet import Packet
from drivers.zk.records import (
    check_log_layout,
    check_user_layout,
    unpack_event,
    unpack_log,
    unpack_users72,
)
from drivers.zk.sizes import SizeTable
from drivers.zk.times import pack_time, unpack_time
from drivers.zk.transport import TcpTransport

T = TypeVar("T")
logger = logging.getLogger(__name__)

FAREWELL_S: Final = 1.0
"""How long closing waits for the terminal's last word."""

CLOCK_SLACK: Final = timedelta(seconds=5)
"""A clock that was set may have moved on so far when it is read again."""

_U32: Final = Struct("<I")
_ALL_USERS: Final = 5


class ZkSession:
    """One open conversation with a terminal: see drivers.base.

    Events that arrive while something else is asked are kept for `listen`. Every answer
    must come within the terminal's timeout, in a table read every packet of it.
    """

    def __init__(self, terminal: Terminal, transport: TcpTransport) -> None:
        self._terminal = terminal
        self._transport = transport
        self._conversation = Conversation(terminal.comm_key)
        self._timeout_s = terminal.timeout.total_seconds()
        self._connected = False
        self._listening = False
        self._fault: DeviceError | None = None

    def connect(self) -> None:
        """Open the conversation: to be called once, first."""
        self._run(self._conversation.connect(), Command.CONNECT.name)
        self._connected = True

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        try:
            with suppress(DeviceError):
                if self._connected and self._fault is None:
                    self._ask(Command.EXIT, timeout_s=min(FAREWELL_S, self._timeout_s))
                elif self._fault is None or isinstance(self._fault, DeviceTimeout):
                    self._transport.send(self._conversation.farewell(), deadline=monotonic())
        finally:
            self._transport.close()

    def identify(self) -> Identity:
        """See drivers.base.Session."""
        serial = self._option("~SerialNumber")
        if not serial:
            where = self._transport.where
            raise Unsupported(
                f"{where} tells no serial number (option ~SerialNumber): its punches have no origin"
            )
        return Identity(
            serial=serial,
            model=self._option("~DeviceName"),
            platform=self._option("~Platform"),
            firmware=self._firmware(),
        )

    def read_clock(self) -> datetime:
        """See drivers.base.Session; also the cheapest way to find out whether the terminal is there."""
        data = self._ask(Command.GET_TIME)
        with self._watched():
            if len(data) < _U32.size:
                raise RemoteProtocolError(f"the terminal's clock is told in {len(data)} bytes, should be 4")
        try:
            return unpack_time(_U32.unpack_from(data)[0])
        except RemoteProtocolError as error:
            raise Unsupported(f"the terminal's clock is unusable: {error}") from None

    def set_clock(self, wall_time: datetime) -> None:
        """Set the clock and read it again, as not every terminal does what it acknowledges."""
        self._ask(Command.SET_TIME, _U32.pack(pack_time(wall_time)))
        shown = self.read_clock()
        if abs(shown - wall_time.replace(microsecond=0)) > CLOCK_SLACK:
            raise DeviceRefused(f"the terminal acknowledged {wall_time:%F %T} and still shows {shown:%F %T}")

    def read_sizes(self) -> Sizes:
        """See drivers.base.Session."""
        data = self._ask(Command.GET_SIZES)
        with self._watched():
            table = SizeTable.from_bytes(data)
        return table.as_sizes() if table else Sizes()

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.Session. The transfer is over when this returns."""
        before = self.read_sizes().records
        records = self._read_table(Command.ATTLOG_READ, 0, before)
        counts = _known(before, self.read_sizes().records)
        with self._watched():
            if not records and 0 not in counts:
                told = " or ".join(map(str, counts)) or "no number of"
                raise RemoteProtocolError(f"the terminal counts {told} records and gives an empty log")
            check_log_layout(records, counts)
        return unpack_log(records)

    def read_users(self) -> Iterator[User]:
        """See drivers.base.CanReadUsers. The transfer is over when this returns."""
        count = self.read_sizes().users
        records = self._read_table(Command.USERS_READ, _ALL_USERS, count)
        with self._watched():
            if not records and count:
                raise RemoteProtocolError(f"the terminal counts {count} users and gives an empty table")
            check_user_layout(records, _known(count))
        return unpack_users72(records, self._terminal.encoding)

    def listen(self, *, quiet: timedelta) -> Iterator[RawPunch | BadRecord | None]:
        """See drivers.base.CanListen. The terminal tells of punches from this call on.

        A punch whose successor was never asked for is given again by the next `listen`.
        """
        if not self._listening:
            self._ask(Command.REG_EVENT, _U32.pack(EventMask.ATTLOG))
            self._listening = True
        return self._punches(quiet.total_seconds())

    def _punches(self, quiet_s: float) -> Iterator[RawPunch | BadRecord | None]:
        while True:
            due = monotonic() + quiet_s
            with self._watched():
                event = self._next_punch(due)
            if event is None:
                yield None
                continue
            yield unpack_event(event.data)
            with self._watched():
                self._settle(event)

    def _next_punch(self, due: float) -> LiveEvent | None:
        """The oldest punch not yet acknowledged; it stays in its place. None when the time is over."""
        while True:
            while self._conversation.events:
                event = self._conversation.events[0]
                if event.is_punch:
                    return event
                self._settle(event)
            try:
                chunk = self._transport.receive(deadline=due)
            except DeviceTimeout:
                return None
            self._conversation.receive(chunk)
            if monotonic() >= due and not self._conversation.events:
                return None

    def _settle(self, event: LiveEvent) -> None:
        self._conversation.events.remove(event)
        self._transport.send(self._conversation.acknowledge(event), deadline=monotonic() + self._timeout_s)

    def _option(self, name: str) -> str:
        """An option's value; empty where this terminal does not know it."""
        return self._text(Command.OPTION_READ, name.encode("ascii") + b"\0").split("=", 1)[-1].strip()

    def _firmware(self) -> str:
        return self._text(Command.GET_VERSION).strip()

    def _text(self, command: int, data: bytes = b"") -> str:
        try:
            answer = self._ask(command, data)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise
            return ""
        return answer.split(b"\0", 1)[0].decode("ascii", "backslashreplace")

    def _read_table(self, table: int, parameter: int, count: int | None) -> bytes:
        """The records of a table; none, too, where one is refused that the terminal counts as empty."""
        try:
            return self._run(self._conversation.read_table(table, parameter), command_name(table))
        except DeviceRefused as refusal:
            if count == 0 and refusal.code in EMPTY_TABLE_REFUSALS:
                return b""
            raise
        finally:
            self._free_buffer()

    def _free_buffer(self) -> None:
        if self._conversation.holds_buffer and self._fault is None:
            with suppress(DeviceRefused):
                self._run(self._conversation.free(), Command.FREE_DATA.name)

    def _ask(self, command: int, data: bytes = b"", *, timeout_s: float | None = None) -> bytes:
        return self._run(self._conversation.ask(command, data), command_name(command), timeout_s)

    def _run(self, exchange: Exchange[T], name: str, timeout_s: float | None = None) -> T:
        """Carry an exchange through; a packet that belongs to it moves the deadline on, nothing else does."""
        timeout_s = timeout_s or self._timeout_s
        with self._watched():
            try:
                outgoing = next(exchange)
                while True:
                    deadline = monotonic() + timeout_s
                    if outgoing:
                        self._transport.send(outgoing, deadline=deadline)
                    outgoing = exchange.send(self._reply(deadline))
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
            except DeviceTimeout:
                text = f"{self._transport.where} did not answer {name} within {timeout_s:g} s"
                raise DeviceTimeout(text) from None

    def _reply(self, deadline: float) -> Packet:
        while (reply := self._conversation.next_reply()) is None:
            if monotonic() > deadline:
                raise DeviceTimeout("no answer among what arrives")
            self._conversation.receive(self._transport.receive(deadline=deadline))
        return reply

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Remember the error after which nothing may be asked any more."""
        if self._fault is not None:
            raise LocalProtocolError("this session is over; open a new one") from self._fault
        try:
            yield
        except (DeviceRefused, Unsupported):
            raise
        except DeviceError as error:
            self._fault = error
            if isinstance(error, RemoteProtocolError):
                self._log_frames()
            raise

    def _log_frames(self) -> None:
        shown = ", ".join(map(str, self._conversation.frames))
        logger.warning(
            "The last frames with %s before the protocol error: %s.",
            self._transport.where,
            shown,
            extra={"action": "protocol_error", "terminal": self._terminal.id},
        )


def _known(*counts: int | None) -> tuple[int, ...]:
    return tuple(count for count in counts if count is not None)
