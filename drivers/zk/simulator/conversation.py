"""The terminal's side of one conversation: requests in, answers out. No input or output, no threads.

`TerminalConversation` is not thread-safe; whoever owns the connection guards it.
"""

from collections.abc import Callable, Iterable
from struct import Struct, error
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError
from attendance.punch import RawPunch
from drivers.zk.commands import Command, EventMask, Reply
from drivers.zk.commkey import matches
from drivers.zk.packet import Packet, StreamDecoder
from drivers.zk.records import with_prefix
from drivers.zk.simulator.faults import Fault, LoseReply, PunchAfter, PunchInTransfer, refusals
from drivers.zk.simulator.firmware import EmptyReply
from drivers.zk.simulator.model import Operation, SimulatedTerminal
from drivers.zk.simulator.repeats import RequestMemory
from drivers.zk.simulator.telling import Events
from drivers.zk.times import pack_time, unpack_time

U16: Final = Struct("<H")
U32: Final = Struct("<I")
BUFFER_REQUEST: Final = Struct("<BHii")
CHUNK_REQUEST: Final = Struct("<ii")
BUFFER_REPLY: Final = Struct("<BIII")
PREPARE: Final = Struct("<II")

BUFFER_HASH: Final = 0x0023EFCD
"""Sent in every offer of a buffer, as captured once; no client is known to check it."""

STALE_MEMORY: Final = bytes.fromhex(
    "40d835802f330100d5dc0100df230100c9010200cb140100d1260200e50901004b4d0200c3fe0000b173020085f10000"
) + bytes(72)
"""What a K40 was captured giving for its log, in part; zeros stand for the rest."""

WAITING: Final = 2
"""The machine state that a terminal at rest was captured with."""

ATTLOG_TABLE: Final = 1
OPERATION_TABLE: Final = 4
USER_TABLE: Final = 5

_DATABASES: Final = {
    ATTLOG_TABLE: Command.ATTLOG_READ,
    OPERATION_TABLE: Command.OPERATIONS_READ,
    USER_TABLE: Command.USERS_READ,
}

REFRESH_OPTION: Final = 1014
CLEAR_DATA: Final = 14
CLEAR_OPERATIONS: Final = 33

ONLY_ACKNOWLEDGED: Final = frozenset(
    {
        Command.REFRESH_DATA,
        REFRESH_OPTION,
        20,  # clear administrators
        31,  # unlock the door
        57,  # the clock on the display
        60,  # start verifying
        61,  # start enrolling
        62,  # cancel
        66,  # write on the display
        67,  # clear the display
        1017,  # play a voice
    }
)
"""Commands whose effect nobody could see on a terminal without a finger sensor, door or display."""

Handler = Callable[[Packet], list[Packet]]


class TerminalConversation:
    """One client's conversation with a terminal.

    `session` is the id that CONNECT will assign. Of `faults` those count here that a terminal
    commits by what it answers: commands refused, requests taken for repetitions, replies lost,
    punches made in between. No packet of a transfer carries more than `most_data_bytes`.
    """

    def __init__(
        self,
        terminal: SimulatedTerminal,
        session: int,
        faults: Iterable[Fault] = (),
        *,
        most_data_bytes: int = 0xFFFF,
    ) -> None:
        self._terminal = terminal
        self._most_data_bytes = most_data_bytes
        self._session = session
        faults = tuple(faults)
        self._refusals = refusals(faults)
        self._memory = RequestMemory(faults)
        self._lost = {fault.command: fault for fault in faults if isinstance(fault, LoseReply)}
        self._intruders = [fault for fault in faults if isinstance(fault, PunchAfter)]
        self._in_transfer = [fault.pin for fault in faults if isinstance(fault, PunchInTransfer)]
        self._events = Events(faults)
        self._decoder = StreamDecoder()
        self._connected = False
        self._trusted = False
        self._mask = 0
        self._buffer: bytes | None = None
        self._handlers = self._table()
        self.ended = False
        """The terminal restarts: the connection is to be closed once the last frame is out."""

    @property
    def connected(self) -> bool:
        """Whether there is a session: from CONNECT to EXIT."""
        return self._connected

    def receive(self, chunk: bytes) -> list[list[Packet]]:
        """Take what a TCP socket gave; give the answer to each request that became whole.

        Raises RemoteProtocolError when the client's stream is out of step.
        """
        return [self.answer(request) for request in self._decoder.feed(chunk)]

    def answer(self, request: Packet) -> list[Packet]:
        """The packets that answer one request, in their order; none where a terminal stays silent."""
        if request.command == Reply.ACK_OK:
            self._events.acknowledged(request.reply_id)
            return []
        known = self._memory.known(request)
        if known is not None:
            return known
        unheard = self._events.waiting()
        reply = self._answer_anew(request)
        if reply:
            self._memory.remember(request, reply)
        return reply + (unheard if self._mask else [])

    def _answer_anew(self, request: Packet) -> list[Packet]:
        if request.command in self._refusals:
            return self._reply(request, self._refusals[request.command])
        if request.command == Command.CONNECT:
            return self._connect(request)
        if not self._connected or request.session != self._session:
            return []
        answers = self._carry_out(request)
        self._let_intruders_in(request.command)
        if request.command in self._lost:
            self.ended = self._lost[request.command].ends
            return []
        return answers

    def tell(self, punch: RawPunch) -> list[Packet]:
        """The live event of a punch, if this client asked for punches."""
        if not self._mask & EventMask.ATTLOG:
            return []
        terminal = self._terminal
        return [self._events.made(punch, terminal.uid_of(punch.pin), terminal.firmware.event_bytes)]

    def _let_intruders_in(self, command: int) -> None:
        for fault in [fault for fault in self._intruders if fault.command == command]:
            self._intruders.remove(fault)
            self._punched(fault.pin)

    def _punched(self, pin: str) -> RawPunch:
        """Somebody punches; no client is told."""
        punch = RawPunch(pin=pin, wall_time=self._terminal.wall_time(), verify_code=1, state_code=0)
        self._terminal.remember([punch])
        return punch

    def _carry_out(self, request: Packet) -> list[Packet]:
        if request.command == Command.AUTH:
            return self._authenticate(request)
        if not self._trusted:
            return self._reply(request, Reply.ACK_UNAUTH)
        handler = self._handlers.get(request.command)
        if handler is None:
            known = request.command in ONLY_ACKNOWLEDGED
            return self._reply(request, Reply.ACK_OK if known else Reply.UNKNOWN_COMMAND)
        try:
            return handler(request)
        except (LocalProtocolError, RemoteProtocolError, error):
            return self._reply(request, Reply.ACK_ERROR)

    def _table(self) -> dict[int, Handler]:
        return {
            Command.EXIT: self._exit,
            Command.ENABLE_DEVICE: self._enable,
            Command.DISABLE_DEVICE: self._disable,
            Command.RESTART: self._restart,
            Command.GET_VERSION: self._version,
            Command.OPTION_READ: self._read_option,
            Command.OPTION_WRITE: self._write_option,
            Command.GET_SIZES: self._sizes,
            Command.GET_TIME: self._read_time,
            Command.SET_TIME: self._write_time,
            Command.PIN_WIDTH: lambda request: self._ok(request, bytes([self._terminal.firmware.pin_width])),
            Command.STATE: lambda request: [Packet(Reply.ACK_OK, WAITING, request.reply_id)],
            Command.PREPARE_BUFFER: self._prepare_buffer,
            Command.READ_BUFFER: self._read_buffer,
            Command.FREE_DATA: self._free,
            Command.USERS_READ: self._read_directly,
            Command.ATTLOG_READ: self._read_directly,
            Command.DATABASE_READ: self._read_directly,
            Command.OPERATIONS_READ: self._read_directly,
            Command.REG_EVENT: self._register,
            Command.CLEAR_ATTLOG: self._clear_log,
            CLEAR_DATA: self._clear_table,
            CLEAR_OPERATIONS: self._clear_operations,
            Command.USER_WRITE: self._write_user,
            Command.USER_DELETE: self._delete_user,
        }

    def _reply(self, request: Packet, code: int, data: bytes = b"") -> list[Packet]:
        return [Packet(code, self._session, request.reply_id, data)]

    def _ok(self, request: Packet, data: bytes = b"") -> list[Packet]:
        return self._reply(request, Reply.ACK_OK, data)

    # -- the session

    def _connect(self, request: Packet) -> list[Packet]:
        self._connected = True
        self._trusted = self._trusted or not (
            self._terminal.comm_key or self._terminal.firmware.always_asks_key
        )
        return self._reply(request, Reply.ACK_OK if self._trusted else Reply.ACK_UNAUTH)

    def _authenticate(self, request: Packet) -> list[Packet]:
        self._trusted = matches(request.data, self._terminal.comm_key, self._session)
        return self._reply(request, Reply.ACK_OK if self._trusted else Reply.ACK_UNAUTH)

    def _exit(self, request: Packet) -> list[Packet]:
        self._connected = self._trusted = False
        self._mask = 0
        self._buffer = None
        self._terminal.enable()
        return self._ok(request)

    def _restart(self, request: Packet) -> list[Packet]:
        self.ended = True
        self._terminal.note(Operation.POWERED_OFF)
        self._terminal.note(Operation.POWERED_ON)
        answer = self._exit(request)
        return answer if self._terminal.firmware.answers_restart else []

    def _enable(self, request: Packet) -> list[Packet]:
        self._terminal.enable()
        return self._ok(request)

    def _disable(self, request: Packet) -> list[Packet]:
        self._terminal.disable(U32.unpack_from(request.data)[0] if request.data else 0)
        return self._ok(request)

    def _register(self, request: Packet) -> list[Packet]:
        (self._mask,) = U32.unpack_from(request.data)
        return self._ok(request)

    # -- what it is

    def _version(self, request: Packet) -> list[Packet]:
        text = self._terminal.platform if request.data == b"\0" else self._terminal.firmware.version
        return self._ok(request, text.encode() + b"\0")

    def _read_option(self, request: Packet) -> list[Packet]:
        name = request.data.split(b"\0", 1)[0]
        value = self._terminal.options.get(name.decode("latin-1"))
        if value is None:
            return self._reply(request, self._terminal.firmware.unknown_option)
        return self._ok(request, name + b"=" + value.encode() + b"\0")

    def _write_option(self, request: Packet) -> list[Packet]:
        name, equals, value = request.data.split(b"\0", 1)[0].decode("latin-1").partition("=")
        if not name or not equals:
            return self._reply(request, Reply.ACK_ERROR)
        self._terminal.options[name] = value
        self._terminal.note(Operation.SETTING_CHANGED)
        return self._ok(request)

    def _sizes(self, request: Packet) -> list[Packet]:
        asked = U32.unpack(request.data)[0] if len(request.data) == U32.size else None
        return self._ok(request, self._terminal.size_table(asked))

    def _read_time(self, request: Packet) -> list[Packet]:
        return self._ok(request, U32.pack(pack_time(self._terminal.wall_time())))

    def _write_time(self, request: Packet) -> list[Packet]:
        self._terminal.set_wall_time(unpack_time(U32.unpack_from(request.data)[0]))
        return self._ok(request)

    # -- reading tables

    def _table_of(self, command: int, table: int) -> bytes:
        if command == Command.DATABASE_READ:
            command = _DATABASES.get(table, command)
        if command == Command.ATTLOG_READ:
            return self._terminal.log()
        if command == Command.USERS_READ:
            return self._terminal.user_records()
        return self._terminal.operations() if command == Command.OPERATIONS_READ else b""

    def _prepare_buffer(self, request: Packet) -> list[Packet]:
        if not self._terminal.firmware.buffered:
            return self._reply(request, Reply.UNKNOWN_COMMAND)
        if len(request.data) != BUFFER_REQUEST.size:
            return self._reply(request, Reply.ACK_ERROR)
        _flag, command, table, _extra = BUFFER_REQUEST.unpack(request.data)
        records = self._table_of(command, table)
        empty = self._terminal.firmware.empty_reply
        if not records and empty is not EmptyReply.FOUR_ZERO_BYTES:
            return self._reply(request, empty.value)
        body = with_prefix([records])
        if len(body) <= self._terminal.firmware.inline_bytes:
            return self._reply(request, Reply.DATA, body)
        self._buffer = body
        return self._ok(request, BUFFER_REPLY.pack(0, len(body), len(body), BUFFER_HASH))

    def _read_buffer(self, request: Packet) -> list[Packet]:
        start, size = CHUNK_REQUEST.unpack_from(request.data)
        if self._buffer is None or start < 0 or size <= 0 or start + size > len(self._buffer):
            return self._reply(request, Reply.ACK_ERROR)
        chunk = self._buffer[start : start + size]
        if size <= self._terminal.firmware.inline_bytes:
            return self._reply(request, Reply.DATA, chunk)
        return self._transfer(request, chunk, self._terminal.firmware.packet_bytes)

    def _read_directly(self, request: Packet) -> list[Packet]:
        table = request.data[0] if request.data else 0
        firmware = self._terminal.firmware
        records = self._table_of(request.command, table)
        if not records:
            return self._reply(request, Reply.ACK_ERROR)
        if firmware.stale_direct_reads:
            records = STALE_MEMORY
        return self._transfer(request, with_prefix([records]), firmware.direct_packet_bytes)

    def _transfer(self, request: Packet, body: bytes, packet_bytes: int) -> list[Packet]:
        packet_bytes = min(packet_bytes, self._most_data_bytes)
        parts = [body[at : at + packet_bytes] for at in range(0, len(body), packet_bytes)]
        data = [Packet(Reply.DATA, number, request.reply_id, part) for number, part in enumerate(parts)]
        end = Packet(Reply.ACK_OK, len(parts) - 1, request.reply_id)
        if self._in_transfer:
            data[len(data) // 2 : len(data) // 2] = self.tell(self._punched(self._in_transfer.pop(0)))
        return [*self._reply(request, Reply.PREPARE_DATA, PREPARE.pack(len(body), packet_bytes)), *data, end]

    def _free(self, request: Packet) -> list[Packet]:
        self._buffer = None
        return self._ok(request)

    # -- changing tables

    def _clear_log(self, request: Packet) -> list[Packet]:
        self._terminal.clear()
        return self._ok(request)

    def _clear_table(self, request: Packet) -> list[Packet]:
        table = request.data[0] if request.data else None
        if table in (None, ATTLOG_TABLE):
            self._terminal.clear()
        if table in (None, USER_TABLE):
            for user in self._terminal.users():
                self._terminal.delete_user(user.uid)
        if table is None:
            self._terminal.note(Operation.ALL_CLEARED)
        return self._ok(request)

    def _clear_operations(self, request: Packet) -> list[Packet]:
        self._terminal.forget_operations()
        return self._ok(request)

    def _write_user(self, request: Packet) -> list[Packet]:
        known = self._terminal.user_count
        self._terminal.write_user(request.data)
        added = self._terminal.user_count > known
        uid = U16.unpack_from(request.data)[0]
        self._terminal.note(Operation.USER_ADDED if added else Operation.USER_CHANGED, uid)
        return self._ok(request)

    def _delete_user(self, request: Packet) -> list[Packet]:
        (uid,) = U16.unpack_from(request.data)
        if not self._terminal.delete_user(uid):
            return self._reply(request, Reply.ACK_ERROR)
        self._terminal.note(Operation.USER_DELETED, uid)
        return self._ok(request)
