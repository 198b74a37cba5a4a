"""The tables of a terminal: their sizes, and their bytes by whichever way this terminal gives them."""

from struct import Struct
from typing import Final

from attendance.errors import DeviceRefused, LocalProtocolError, Unsupported
from drivers.zk.answers import Offer
from drivers.zk.commands import EMPTY_TABLE_REFUSALS, Command, Reply, command_name
from drivers.zk.dialogue import Dialogue
from drivers.zk.records import PREFIX_BYTES
from drivers.zk.sizes import CAPACITY_WORD, OPERATIONS_WORD, RECORDS_WORD, USERS_WORD, SizeTable, word_value

OPERATIONS_DATABASE: Final = 4
"""The number of the operation log among the tables of DATABASE_READ."""

_U32: Final = Struct("<I")


class Tables:
    """What one session reads of its terminal's tables. The terminal holds one of them ready at a time."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._prepared: Offer | None = None
        self.layouts: dict[str, str] = {}
        """The layout of each table that was read, by its name."""

    # -- sizes

    def sizes(self) -> SizeTable:
        """How much the terminal says it holds; below zero where it does not tell."""
        data = self._dialogue.ask(Command.GET_SIZES)
        with self._dialogue.watched():
            table = SizeTable.from_bytes(data)
        return table or self._sizes_by_word()

    def _sizes_by_word(self) -> SizeTable:
        """Counts that a terminal tells only word by word; below zero where it does not tell them at all.

        A terminal that answers four zero bytes to everything shows itself by a capacity of 0.
        """
        capacity = self._size_word(CAPACITY_WORD)
        if capacity <= 0:
            return SizeTable(users=-1, records=-1, oplog=-1)
        return SizeTable(
            users=self._size_word(USERS_WORD),
            records=self._size_word(RECORDS_WORD),
            oplog=self._size_word(OPERATIONS_WORD),
            record_capacity=capacity,
        )

    def _size_word(self, number: int) -> int:
        try:
            value = word_value(self._dialogue.ask(Command.GET_SIZES, _U32.pack(number)))
        except DeviceRefused:
            return -1
        return -1 if value is None else value

    # -- whole tables

    def read(self, table: int, parameter: int, count: int | None) -> tuple[bytes, bool]:
        """The records of a table, and whether they were read directly: some firmware knows no buffer.

        None, too, where a table is refused that the terminal counts as empty.
        """
        try:
            return self.read_buffered(table, parameter), False
        except DeviceRefused as refusal:
            if count == 0 and refusal.code in EMPTY_TABLE_REFUSALS:
                return b"", False
            if refusal.code == Reply.ACK_UNAUTH or self._dialogue.conversation.holds_buffer:
                raise
            return self._read_directly(table, parameter, count, refusal), True
        finally:
            self._dialogue.free_buffer()

    def read_operations(self, count: int | None) -> tuple[bytes, bool]:
        """The operation log by the first of its names that this terminal knows, and whether directly.

        Raises DeviceRefused where it knows none.
        """
        try:
            return self.read(Command.OPERATIONS_READ, 0, count)
        except DeviceRefused as refusal:
            if refusal.code == Reply.ACK_UNAUTH:
                raise
        try:
            return self.read_buffered(Command.DATABASE_READ, OPERATIONS_DATABASE), False
        finally:
            self._dialogue.free_buffer()

    def read_buffered(self, table: int, parameter: int) -> bytes:
        """The records of a table by the buffered read; the buffer is still to be freed."""
        self._prepared = None
        return self._dialogue.run(
            self._dialogue.conversation.read_table(table, parameter), command_name(table)
        )

    def _read_directly(self, table: int, parameter: int, count: int | None, refusal: DeviceRefused) -> bytes:
        data = bytes([parameter]) if parameter else b""
        exchange = self._dialogue.conversation.read_directly(table, data)
        try:
            return self._dialogue.run(exchange, command_name(table))
        except DeviceRefused as direct:
            if count == 0 and direct.code in EMPTY_TABLE_REFUSALS:
                return b""
            raise refusal from direct

    # -- a prepared log, in parts

    def offer_log(self, count: int | None) -> Offer:
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

    def part(self, offer: Offer, start: int, size: int) -> bytes:
        """Bytes of the prepared body, its length prefix counted in."""
        if self._prepared is not offer:
            raise LocalProtocolError("the prepared log is gone: something else was read, or its block ended")
        if offer.body is not None:
            return offer.body[start : start + size]
        return self._dialogue.run(
            self._dialogue.conversation.read_range(start, size), Command.READ_BUFFER.name
        )

    def release(self) -> None:
        """Have the terminal drop what it holds ready."""
        self._prepared = None
        self._dialogue.free_buffer()


def known(*counts: int) -> tuple[int, ...]:
    """The counts that the terminal told: those that are not below zero."""
    return tuple(count for count in counts if count >= 0)


def told(count: int) -> int | None:
    """A count, None where the terminal does not tell it."""
    return count if count >= 0 else None
