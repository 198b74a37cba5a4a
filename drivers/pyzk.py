"""The driver "pyzk": the same session over the library pyzk 0.9, for what that can do.

pyzk composes the requests and reads the records. Its own socket handling is replaced by
our conversation, over TCP as over UDP, which gives it one whole packet for each request, within
a deadline: split and merged frames, lost and late replies and a peer that closes cannot
mislead it. It cannot listen here, and reads the 40-byte log and the 72-byte users only.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from struct import error as StructError  # noqa: N812 - it is no constant
from typing import Final

from attendance.errors import (
    DeviceError,
    DeviceRefused,
    LocalProtocolError,
    RemoteProtocolError,
    Unsupported,
)
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Identity, Sizes, Terminal, User, checked_serial
from drivers.zk.commands import EMPTY_TABLE_REFUSALS, Command, Reply, command_name, refusal_text
from drivers.zk.commkey import wrong_key_text
from drivers.zk.dialogue import Dialogue
from drivers.zk.driver import check_dialled, dialled
from drivers.zk.layouts import LogEvidence, choose_log_layout, choose_user_layout
from drivers.zk.packet import decode, encode
from drivers.zk.records import ATT40, ATT40_BYTES, pin_text, without_prefix
from drivers.zk.session import CLOCK_SLACK
from drivers.zk.times import LAST_YEAR
from drivers.zk.transport import Transport
from drivers.zk.users import USER72, USER72_BYTES
from zk.attendance import Attendance
from zk.base import ZK
from zk.exception import ZKError, ZKErrorResponse
from zk.user import User as PyzkUser

_LOST_ITS_WAY: Final = (StructError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)
"""What pyzk lets escape when an answer is not what it expects."""


class PyzkDriver:
    """See drivers.base.Driver."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return "pyzk"

    def check(self, terminal: Terminal, options: Mapping[str, object]) -> None:
        """See drivers.base.Driver."""
        check_dialled(self.name, terminal, options)

    @contextmanager
    def open(self, terminal: Terminal) -> Iterator["PyzkSession"]:
        """See drivers.base.Driver."""
        session = dialled(terminal, PyzkSession)
        try:
            yield session
        finally:
            session.close()


class _PacketSocket:
    """What pyzk takes for its UDP socket: each request that it sends is answered by one packet."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._answer = b""
        self.timeout_s: float | None = None

    def sendto(self, data: bytes, _address: object) -> int:
        """Carry a request through. Raises DeviceTimeout, DeviceUnreachable, RemoteProtocolError."""
        request = decode(data)
        exchange = self._dialogue.conversation.relay(request.command, request.data)
        answer = self._dialogue.run(exchange, command_name(request.command), self.timeout_s)
        # pyzk counts on from the reply id that it is given.
        self._answer = encode(replace(answer, reply_id=request.reply_id))
        return len(data)

    def recv(self, _size: int) -> bytes:
        """The whole packet, also where pyzk would cut it off: it asks for too little."""
        return self._answer

    def close(self) -> None:
        """Nothing: whoever made the connection ends it."""


class _Client(ZK):
    """pyzk with our socket, which keeps the tables that it reads and checks that they are whole."""

    def __init__(self, terminal: Terminal, dialogue: Dialogue) -> None:
        super().__init__(
            terminal.host,
            port=terminal.port,
            timeout=terminal.timeout.total_seconds(),
            password=terminal.comm_key,
            force_udp=True,
            ommit_ping=True,
            encoding=terminal.encoding,
        )
        self._ZK__sock.close()
        self.wire = _PacketSocket(dialogue)
        self.tables: dict[int, bytes] = {}

    @property
    def code(self) -> int:
        """The terminal's last reply code."""
        return self._ZK__response

    def _ZK__create_socket(self) -> None:  # noqa: N802 - pyzk's name
        self._ZK__sock = self.wire

    def read_with_buffer(self, command: int, fct: int = 0, ext: int = 0) -> tuple[bytes, int]:
        """As in pyzk; raises RemoteProtocolError for a table that is not whole, DeviceRefused for none."""
        try:
            body, size = super().read_with_buffer(command, fct, ext)
        except ZKErrorResponse as error:
            refusal = DeviceRefused(
                f"the terminal refused a table: {refusal_text(self.code)}", code=self.code
            )
            with suppress(ZKError):
                self.free_data()
            raise refusal from error
        self.tables[command] = without_prefix(body)
        count = self.records if command == Command.ATTLOG_READ else self.users
        if count and not self.tables[command]:
            raise RemoteProtocolError(f"the terminal counts {count} records and gives an empty table")
        return body, size


class PyzkSession:
    """One open conversation with a terminal: see drivers.base."""

    def __init__(self, terminal: Terminal, transport: Transport) -> None:
        self._terminal = terminal
        self._dialogue = Dialogue(terminal, transport)
        self._client = _Client(terminal, self._dialogue)
        self._over = False

    def connect(self, timeout_s: float | None = None) -> None:
        """Open the conversation: to be called once, first."""
        with self._translated():
            self._client.wire.timeout_s = timeout_s
            try:
                self._client.connect()
            except StructError:
                text = 'pyzk cannot compute this comm key for this session: use driver = "zk"'
                raise Unsupported(text) from None
            except ZKErrorResponse as error:
                raise self._refusal_to_connect() from error
            self._client.wire.timeout_s = None
            self._dialogue.connected = True

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        self._dialogue.close()

    def identify(self, known: Identity | None = None) -> Identity:
        """See drivers.base.Session."""
        serial = checked_serial(self._text(self._client.get_serialnumber), self._dialogue.where)
        if known is not None and known.serial == serial:
            return known
        return Identity(
            serial=serial,
            model=self._text(self._client.get_device_name),
            platform=self._text(self._client.get_platform),
            firmware=self._text(self._client.get_firmware_version),
        )

    def read_clock(self) -> datetime:
        """See drivers.base.Session."""
        with self._translated():
            try:
                return _within_a_century(self._client.get_time())
            except (ValueError, RemoteProtocolError) as error:
                raise Unsupported(f"the terminal's clock is unusable: {error}") from None

    def set_clock(self, wall_time: datetime) -> None:
        """Set the clock and read it again, as not every terminal does what it acknowledges."""
        with self._translated():
            self._client.set_time(wall_time)
        shown = self.read_clock()
        if abs(shown - wall_time.replace(microsecond=0)) > CLOCK_SLACK:
            raise DeviceRefused(f"the terminal acknowledged {wall_time:%F %T} and still shows {shown:%F %T}")

    def read_sizes(self) -> Sizes:
        """See drivers.base.Session."""
        with self._translated():
            self._client.read_sizes()
        if not (self._client.rec_cap or self._client.users_cap):
            return Sizes()
        return Sizes(
            users=self._client.users,
            records=self._client.records,
            record_capacity=self._client.rec_cap or None,
        )

    def read_log(self) -> Iterator[RawPunch | BadRecord]:
        """See drivers.base.Session; an impossible date anywhere in the log is Unsupported."""
        self._client.tables.clear()
        with self._translated():
            try:
                found = self._client.get_attendance()
            except ValueError as error:
                raise Unsupported(
                    f'pyzk cannot read past a record whose date does not exist ({error}): use driver = "zk"'
                ) from None
            table = self._client.tables.get(Command.ATTLOG_READ)
            if table is None:
                self._make_sure_of_empty_log()
                return iter(())
            counted = self._client.records
            self._client.read_sizes()
            _check_log(table, (counted, self._client.records))
            _same_number("log", len(found), len(table) / ATT40_BYTES)
        return _punches(found, table)

    def read_users(self) -> Iterator[User]:
        """See drivers.base.CanReadUsers."""
        self._client.tables.clear()
        with self._translated():
            found = self._client.get_users()
            table = self._client.tables.get(Command.USERS_READ, b"")
            _check_users(table, self._client.users)
            _same_number("user table", len(found), len(table) / USER72_BYTES)
        return _people(found, table, self._terminal.encoding)

    def _make_sure_of_empty_log(self) -> None:
        """Pyzk believes a count of 0; a terminal in push mode says so of a full log."""
        try:
            self._client.read_with_buffer(Command.ATTLOG_READ)
        except DeviceRefused as refusal:
            if refusal.code in EMPTY_TABLE_REFUSALS:
                return
            raise
        if self._client.tables[Command.ATTLOG_READ]:
            raise Unsupported(
                'the terminal counts no records and holds some; pyzk needs the count: use driver = "zk"'
            )

    def _text(self, ask: Callable[[], str]) -> str:
        """An option's value; empty where this terminal does not know it."""
        with self._translated():
            try:
                return ask().strip()
            except ZKErrorResponse:
                if self._client.code == Reply.ACK_UNAUTH:
                    raise
                return ""

    def _refusal_to_connect(self) -> DeviceRefused:
        code = self._client.code
        if code == Reply.ACK_UNAUTH:
            return DeviceRefused(wrong_key_text(self._terminal.comm_key), code=code)
        return DeviceRefused(f"the terminal refused to connect: {refusal_text(code)}", code=code)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn whatever pyzk lets escape into our errors, and remember when nothing may be asked any more."""
        if self._over:
            raise LocalProtocolError("this session is over; open a new one")
        try:
            yield
        except (DeviceRefused, Unsupported):
            raise
        except DeviceError:
            self._over = True
            raise
        except ZKErrorResponse as error:
            code = self._client.code
            raise DeviceRefused(f"the terminal refused ({error}): {refusal_text(code)}", code=code) from error
        except ZKError as error:
            self._over = True
            # pyzk raises anew with the text alone; what really happened is the context.
            if isinstance(error.__context__, DeviceError):
                raise error.__context__ from None
            raise RemoteProtocolError(f"pyzk gave up: {error}") from error
        except _LOST_ITS_WAY as error:
            self._over = True
            raise RemoteProtocolError(
                f"pyzk could make no sense of the terminal's answer: {error}"
            ) from error


def _within_a_century(wall_time: datetime) -> datetime:
    """The time as it is; pyzk reads words beyond a terminal's last year as times, too."""
    if wall_time.year > LAST_YEAR:
        raise RemoteProtocolError(f"no such date: the year {wall_time.year}")
    return wall_time


def _check_log(table: bytes, counts: Collection[int]) -> None:
    if not table:
        raise RemoteProtocolError(f"the terminal counts {min(counts)} records and gives an empty log")
    evidence = LogEvidence(records=table, total_bytes=len(table), counts=counts)
    layout = choose_log_layout(evidence)
    if layout is not ATT40:
        raise Unsupported(
            f'the log has records of layout {layout.name}, which pyzk misreads: use driver = "zk"'
        )


def _check_users(table: bytes, count: int) -> None:
    if not table and count:
        raise RemoteProtocolError(f"the terminal counts {count} users and gives an empty table")
    if table and (layout := choose_user_layout(table, (count,))) is not USER72:
        raise Unsupported(
            f'the users have layout {layout.name}, which is not read with pyzk: use driver = "zk"'
        )


def _same_number(table: str, found: int, held: float) -> None:
    if found != held:
        raise RemoteProtocolError(f"pyzk made {found} records of a {table} of {held:g}")


def _people(found: list[PyzkUser], table: bytes, encoding: str) -> Iterator[User]:
    # pyzk invents a name where there is none and drops what does not decode: the bytes are taken instead.
    for number, user in enumerate(found):
        if user.uid == 0 and not user.user_id:
            continue
        name_raw = table[number * USER72_BYTES + 11 :][:24].split(b"\0", 1)[0]
        yield User(
            uid=user.uid,
            pin=user.user_id,
            name=name_raw.decode(encoding, "replace"),
            name_raw=name_raw,
            privilege=user.privilege,
            card=user.card,
        )


def _punches(found: list[Attendance], table: bytes) -> Iterator[RawPunch | BadRecord]:
    for position, record in enumerate(found):
        raw = table[position * ATT40_BYTES : (position + 1) * ATT40_BYTES]
        try:
            yield _punch(record, raw)
        except RemoteProtocolError as error:
            yield BadRecord(raw=raw, reason=str(error), position=position)


def _punch(record: Attendance, raw: bytes) -> RawPunch:
    """For the 40-byte record pyzk calls the verify mode `status` and the in/out state `punch`."""
    return RawPunch(
        pin=pin_text(raw[2:26]),
        wall_time=_within_a_century(record.timestamp),
        verify_code=record.status,
        state_code=record.punch,
        work_code=int.from_bytes(raw[32:36], "little"),
    )
