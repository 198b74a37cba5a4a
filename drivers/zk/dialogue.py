"""Carries a conversation over a transport: one exchange after the other, each within its deadline."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from attendance.terminal import Terminal
from drivers.zk.answers import LiveEvent
from drivers.zk.commands import Command, command_name
from drivers.zk.conversation import Conversation, Exchange
from drivers.zk.packet import Packet
from drivers.zk.patience import Patience
from drivers.zk.transport import Transport

T = TypeVar("T")
logger = logging.getLogger(__name__)

FAREWELL_S: Final = 1.0
"""How long closing waits for the terminal's last word."""

SLOWEST_BYTES_S: Final = 1000
"""An operation that is to give many bytes may take as long as at this speed: a poor 2G link."""

SOON: Final = 0.25
"""What is still missing when a terminal has sent all is waited for this part of the usual time."""


class Dialogue:
    """One connection to a terminal, used by one thread.

    After a DeviceError that is neither DeviceRefused nor Unsupported it is over, and only
    `close` is allowed.
    """

    def __init__(self, terminal: Terminal, transport: Transport) -> None:
        self._terminal = terminal
        self._transport = transport
        self._timeout_s = terminal.timeout.total_seconds()
        self._fault: DeviceError | None = None
        self._event_mask: bytes | None = None
        self._patience = Patience(self._timeout_s)
        self.conversation = Conversation(terminal.comm_key, datagrams=transport.datagrams)
        self.connected = False
        """The terminal knows us: closing says farewell and waits for the answer."""

    @property
    def where(self) -> str:
        """The terminal's address, for messages."""
        return self._transport.where

    def connect(self, timeout_s: float | None = None) -> None:
        """Open the conversation: to be called once, first."""
        self.run(self.conversation.connect(), Command.CONNECT.name, timeout_s)
        self.connected = True

    def register(self, mask: bytes) -> None:
        """Have the terminal tell of events from now on."""
        self.ask(Command.REG_EVENT, mask)
        self._event_mask = mask

    def renew(self) -> None:
        """Leave and connect again where the session has used up its reply ids; events go on.

        To be called where nothing is prepared or held in the terminal: leaving ends that.
        """
        if not self.conversation.spent:
            return
        with suppress(DeviceRefused):
            self.ask(Command.EXIT)
        self.connect()
        if self._event_mask is not None:
            self.ask(Command.REG_EVENT, self._event_mask)

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        try:
            with suppress(DeviceError):
                if self.connected and self._fault is None:
                    self.ask(Command.EXIT, timeout_s=min(FAREWELL_S, self._timeout_s))
                elif self._fault is None or isinstance(self._fault, DeviceTimeout):
                    self._transport.send(self.conversation.farewell(), deadline=monotonic())
        finally:
            self._transport.close()

    def ask(self, command: int, data: bytes = b"", *, timeout_s: float | None = None) -> bytes:
        """One request with one reply; gives the reply's data."""
        return self.run(self.conversation.ask(command, data), command_name(command), timeout_s)

    def run(self, exchange: Exchange[T], name: str, timeout_s: float | None = None) -> T:
        """Carry an exchange through.

        Nothing of its answer may come for `timeout_s`, and the whole may take that long and
        what its bytes take at SLOWEST_BYTES_S: no terminal can draw it out without end.
        """
        timeout_s = timeout_s or self._timeout_s
        with self.watched():
            try:
                return self._carry(exchange, timeout_s)
            except DeviceTimeout:
                raise DeviceTimeout(self._unanswered(name, timeout_s)) from None
            finally:
                self.conversation.rest()

    def _carry(self, exchange: Exchange[T], timeout_s: float) -> T:
        clock = _Deadline(self.conversation, timeout_s)
        try:
            outgoing, again = next(exchange), False
            while True:
                if outgoing:
                    self._transport.send(outgoing, deadline=clock.due)
                if self._transport.datagrams:
                    # What answers a repeated request may answer the first one: its time tells nothing.
                    reply = self._awaited(clock, measured=bool(outgoing) and not again)
                else:
                    reply = self._reply(clock)
                again = reply is None
                outgoing = exchange.send(reply)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic

    def _unanswered(self, name: str, timeout_s: float) -> str:
        ignored = self.conversation.ignored
        beside = f"; {ignored} packets were damaged, late or from elsewhere" if ignored else ""
        return f"{self.where} did not answer {name} within {timeout_s:g} s{beside}"

    def free_buffer(self) -> None:
        """Have the terminal drop a table that it prepared, if it still can be asked."""
        if self.conversation.holds_buffer and self._fault is None:
            with suppress(DeviceRefused):
                self.run(self.conversation.free(), Command.FREE_DATA.name)

    def enable(self) -> None:
        """Let people use the terminal again, if it still can be asked."""
        if self._fault is None:
            with suppress(DeviceRefused):
                self.ask(Command.ENABLE_DEVICE)

    def next_punch(self, due: float) -> LiveEvent | None:
        """The oldest punch not yet acknowledged; it stays in its place. None when the time is over."""
        with self.watched():
            while True:
                if (event := self.waiting_punch()) is not None:
                    return event
                try:
                    chunk = self._transport.receive(deadline=due)
                except DeviceTimeout:
                    return None
                self.conversation.receive(chunk)
                if monotonic() >= due and not self.conversation.events:
                    return None

    def waiting_punch(self) -> LiveEvent | None:
        """The oldest punch that has arrived already; other events before it are dismissed."""
        while self.conversation.events:
            event = self.conversation.events[0]
            if event.is_punch:
                return event
            self.settle(event)
        return None

    def settle(self, event: LiveEvent) -> None:
        """Tell the terminal that an event has arrived, and forget it; once, whoever asks."""
        if event not in self.conversation.events:
            return
        with self.watched():
            self.conversation.events.remove(event)
            deadline = monotonic() + self._timeout_s
            self._transport.send(self.conversation.acknowledge(event), deadline=deadline)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remember the error after which nothing may be asked any more."""
        if self._fault is not None:
            raise LocalProtocolError("this session is over; open a new one") from self._fault
        try:
            yield
        except (DeviceRefused, Unsupported):
            raise
        except DeviceError as error:
            self._remember(error)
            raise

    def _remember(self, error: DeviceError) -> None:
        if self._fault is None:
            self._fault = error
            if isinstance(error, RemoteProtocolError):
                self._log_frames()

    def _reply(self, clock: "_Deadline") -> Packet:
        while (reply := self.conversation.next_reply()) is None:
            if monotonic() > clock.due:
                raise DeviceTimeout("no answer among what arrives")
            before = self.conversation.arriving_bytes
            self.conversation.receive(self._transport.receive(deadline=clock.due))
            if self.conversation.arriving_bytes > before:
                clock.move_on()
        clock.move_on()
        return reply

    def _awaited(self, clock: "_Deadline", *, measured: bool) -> Packet | None:
        """The next answering packet over UDP; None when it is time to ask again."""
        asked = monotonic()
        wait_s = self._patience.wait_s * (SOON if self.conversation.all_sent else 1)
        due = min(clock.due, asked + wait_s)
        while (reply := self.conversation.next_reply()) is None:
            if not self._hear(due):
                if monotonic() >= clock.due:
                    raise DeviceTimeout("no answer among what arrives")
                self._patience.ran_out()
                return None
        if measured:
            self._patience.answered(monotonic() - asked)
        clock.move_on()
        return reply

    def _hear(self, due: float) -> bool:
        """Take what arrives next; False when the time is over."""
        if monotonic() > due:
            return False
        try:
            self.conversation.receive(self._transport.receive(deadline=due))
        except DeviceTimeout:
            return False
        return True

    def _log_frames(self) -> None:
        shown = ", ".join(map(str, self.conversation.frames))
        logger.warning(
            "The last frames with %s before the protocol error: %s.",
            self.where,
            shown,
            extra={"action": "protocol_error", "terminal": self._terminal.id},
        )


class _Deadline:
    """When an exchange is given up: see `Dialogue.run`."""

    def __init__(self, conversation: Conversation, timeout_s: float) -> None:
        self._conversation = conversation
        self._owed_before = conversation.owed_bytes
        self._timeout_s = timeout_s
        self._begun = monotonic()
        self.due = self._begun + timeout_s

    def move_on(self) -> None:
        """Something of the answer came."""
        owed = self._conversation.owed_bytes - self._owed_before
        last = self._begun + self._timeout_s + owed / SLOWEST_BYTES_S
        self.due = min(monotonic() + self._timeout_s, last)
