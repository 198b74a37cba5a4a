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
from drivers.zk.commands import Command, command_name
from drivers.zk.conversation import Conversation, Exchange, LiveEvent
from drivers.zk.packet import Packet
from drivers.zk.transport import TcpTransport

T = TypeVar("T")
logger = logging.getLogger(__name__)

FAREWELL_S: Final = 1.0
"""How long closing waits for the terminal's last word."""


class Dialogue:
    """One connection to a terminal, used by one thread.

    After a DeviceError that is neither DeviceRefused nor Unsupported it is over, and only
    `close` is allowed.
    """

    def __init__(self, terminal: Terminal, transport: TcpTransport) -> None:
        self._terminal = terminal
        self._transport = transport
        self._timeout_s = terminal.timeout.total_seconds()
        self._connected = False
        self._fault: DeviceError | None = None
        self.conversation = Conversation(terminal.comm_key)

    @property
    def where(self) -> str:
        """The terminal's address, for messages."""
        return self._transport.where

    def connect(self) -> None:
        """Open the conversation: to be called once, first."""
        self.run(self.conversation.connect(), Command.CONNECT.name)
        self._connected = True

    def close(self) -> None:
        """Release the terminal as far as it still listens, and end the connection."""
        try:
            with suppress(DeviceError):
                if self._connected and self._fault is None:
                    self.ask(Command.EXIT, timeout_s=min(FAREWELL_S, self._timeout_s))
                elif self._fault is None or isinstance(self._fault, DeviceTimeout):
                    self._transport.send(self.conversation.farewell(), deadline=monotonic())
        finally:
            self._transport.close()

    def ask(self, command: int, data: bytes = b"", *, timeout_s: float | None = None) -> bytes:
        """One request with one reply; gives the reply's data."""
        return self.run(self.conversation.ask(command, data), command_name(command), timeout_s)

    def run(self, exchange: Exchange[T], name: str, timeout_s: float | None = None) -> T:
        """Carry an exchange through; a packet that belongs to it moves the deadline on, nothing else does."""
        timeout_s = timeout_s or self._timeout_s
        with self.watched():
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
                text = f"{self.where} did not answer {name} within {timeout_s:g} s"
                raise DeviceTimeout(text) from None

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

    def _reply(self, deadline: float) -> Packet:
        while (reply := self.conversation.next_reply()) is None:
            if monotonic() > deadline:
                raise DeviceTimeout("no answer among what arrives")
            self.conversation.receive(self._transport.receive(deadline=deadline))
        return reply

    def _log_frames(self) -> None:
        shown = ", ".join(map(str, self.conversation.frames))
        logger.warning(
            "The last frames with %s before the protocol error: %s.",
            self.where,
            shown,
            extra={"action": "protocol_error", "terminal": self._terminal.id},
        )
