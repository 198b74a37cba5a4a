"""A session with a terminal over our own codec: what it can be asked."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from math import ceil
from struct import Struct
from time import monotonic
from typing import Final

from attendance.errors import DeviceRefused, RemoteProtocolError, Unsupported
from attendance.event import RawOperation
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal, User, checked_serial
from drivers.base import PreparedLog
from drivers.zk.answers import LiveEvent
from drivers.zk.commands import EMPTY_TABLE_REFUSALS, Command, EventMask, Reply
from drivers.zk.dialogue import Dialogue
from drivers.zk.events import uid_of_event, unpack_event
from drivers.zk.log import AttendanceLog
from drivers.zk.operations import choose_operation_layout, unpack_operations
from drivers.zk.people import People
from drivers.zk.tables import Tables, told
from drivers.zk.times import pack_time, unpack_time
from drivers.zk.transport import Transport

CLOCK_SLACK: Final = timedelta(seconds=5)
"""A clock that was set may have moved on so far when it is read again."""

USUAL_PIN_WIDTH: Final = 9
"""How long a pin may be where the terminal does not tell."""

_U32: Final = Struct("<I")


class ZkSession:
    """One open conversation with a terminal: see drivers.base.

    Events that arrive while something else is asked are kept for `listen`. Every answer
    must come within the terminal's timeout, in a table read every packet of it.
    """

    def __init__(self, terminal: Terminal, transport: Transport) -> None:
        self._dialogue = Dialogue(terminal, transport)
        self._tables = Tables(self._dialogue)
        self._people = People(self._dialogue, self._tables, terminal)
        self._log = AttendanceLog(self._dialogue, self._tables, self._people, terminal.zone)
        self._listening = False

    def connect(self, timeout_s: float | None = None) -> None:
        """Open the conversation: to be called once, first."""
        self._dialogue.connect(timeout_s)

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        self._dialogue.close()

    def identify(self, known: Identity | None = None) -> Identity:
        """See drivers.base.Session. A session that has lasted for weeks is renewed here."""
        self._dialogue.renew()
        serial = checked_serial(self._option("~SerialNumber"), self._dialogue.where)
        if known is not None and known.serial == serial:
            return known
        return Identity(
            serial=serial,
            model=self._option("~DeviceName"),
            platform=self._option("~Platform"),
            firmware=self._text(Command.GET_VERSION).strip(),
        )

    @property
    def layouts(self) -> Mapping[str, str]:
        """See drivers.base.TellsLayouts."""
        return self._tables.layouts

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
        return self._tables.sizes().as_sizes()

    # -- the logs

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.Session. The transfer is over when this returns."""
        return self._log.read()

    def prepare_log(self) -> AbstractContextManager[PreparedLog]:
        """See drivers.base.CanReadTail."""
        return self._log.prepared()

    def clear_log(self) -> None:
        """See drivers.base.CanClearLog."""
        self._dialogue.ask(Command.CLEAR_ATTLOG)

    def read_operations(self) -> Iterator[RawOperation | BadRecord]:
        """See drivers.base.CanReadOperations. The transfer is over when this returns."""
        count = told(self._tables.sizes().oplog)
        try:
            records, direct = self._tables.read_operations(count)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise
            if count == 0 and refusal.code in EMPTY_TABLE_REFUSALS:
                return iter(())
            raise Unsupported(f"this terminal gives no operation log: {refusal}") from refusal
        if not records:
            if count:
                raise Unsupported(f"the terminal counts {count} operations and gives an empty log of them")
            return iter(())
        layout = choose_operation_layout(records, count, direct=direct)
        return unpack_operations(records, layout)

    @contextmanager
    def held_still(self, longest: timedelta) -> Iterator[None]:
        """See drivers.base.CanHoldStill. Raises DeviceRefused where the terminal will not."""
        self._dialogue.ask(Command.DISABLE_DEVICE, _U32.pack(max(1, ceil(longest.total_seconds()))))
        try:
            yield
        finally:
            self._dialogue.enable()

    # -- people

    def read_users(self) -> Iterator[User]:
        """See drivers.base.CanReadUsers. The transfer is over when this returns."""
        return self._people.read()

    def write_user(self, user: User) -> None:
        """See drivers.base.CanWriteUsers.

        The name is cut to what the terminal has room for, never inside a character. A password, card,
        privilege or group that the terminal holds for this uid stays. Raises DataError for what it
        cannot hold: a name beyond its encoding, a pin that is too long, another's, or not this uid's.
        """
        self._people.write(user, self._pin_width())

    def delete_user(self, uid: int) -> None:
        """See drivers.base.CanWriteUsers. Read back before it returns; raises DataError for no uid."""
        self._people.delete(uid)

    def _pin_width(self) -> int:
        width = self._option("~PIN2Width")
        if width.isdecimal() and int(width) > 0:
            return int(width)
        try:
            data = self._dialogue.ask(Command.PIN_WIDTH)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise
            return USUAL_PIN_WIDTH
        return data[0] if data and data[0] else USUAL_PIN_WIDTH

    # -- live events

    def listen(self, *, quiet: timedelta) -> Iterator[RawPunch | BadRecord | None]:
        """See drivers.base.CanListen. The terminal tells of punches from this call on.

        A punch whose successor was never asked for is given again by the next `listen`.
        """
        if not self._listening:
            self._dialogue.register(_U32.pack(EventMask.ATTLOG))
            self._listening = True
        return self._punches(quiet.total_seconds())

    def arrived(self) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.CanListen. One whose user id must first be asked for waits for `listen`."""
        while (event := self._dialogue.waiting_punch()) is not None:
            uid = uid_of_event(event.data)
            pins = self._people.known_pins()
            if uid is not None and uid not in pins:
                return
            yield unpack_event(event.data, pins)
            self._dialogue.settle(event)

    def _punches(self, quiet_s: float) -> Iterator[RawPunch | BadRecord | None]:
        while True:
            event: LiveEvent | None = self._dialogue.next_punch(monotonic() + quiet_s)
            if event is None:
                yield None
                continue
            yield unpack_event(event.data, self._pins_for_event(event.data))
            self._dialogue.settle(event)

    def _pins_for_event(self, data: bytes) -> Mapping[int, str] | None:
        uid = uid_of_event(data)
        return {} if uid is None else self._people.pins_with(uid)

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
