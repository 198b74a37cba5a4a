"""Requests numbered and framed, replies matched to them, events kept apart. No input or output, no clock.

Source: captures and pyzk 0.9; what fields mean in which reply differs by command, see `_answers`.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attendance.errors import LocalProtocolError, RemoteProtocolError
from drivers.zk.answers import FrameNote, LiveEvent
from drivers.zk.commands import Reply
from drivers.zk.packet import Packet, StreamDecoder, decode, encode, frame

SINGLE_PACKET_BYTES: Final = 1024
"""What any terminal gives in one packet, and takes in one request over UDP."""

SPENT_AFTER: Final = 0xF000
"""After so many requests a session is to be renewed: not every terminal bears the return to reply id 0."""

MOST_EVENTS: Final = 10_000
"""A terminal that tells more punches than this unacknowledged is out of step: they are in its log, too."""

FRAMES_KEPT: Final = 20


class Correspondence:
    """One connection's packets: of a TCP stream, or each in a datagram of its own."""

    def __init__(self, *, datagrams: bool = False) -> None:
        self._datagrams = datagrams
        self._decoder = StreamDecoder()
        self.all_sent = False
        """The terminal says so of the transfer under way: what is missing comes soon or never."""
        self.ignored = 0
        """Packets that were damaged, late, doubled or from elsewhere."""
        self.events: deque[LiveEvent] = deque()
        """Not yet acknowledged, oldest first."""
        self.frames: deque[FrameNote] = deque(maxlen=FRAMES_KEPT)
        """The last frames of both directions."""
        self._start()

    def _start(self) -> None:
        self._arrived: deque[Packet] = deque()
        self._session = 0
        self._reply_id = 0xFFFF
        self._requests = 0
        self._in_transfer = False
        self._last_request = b""

    @property
    def spent(self) -> bool:
        """Whether so many requests were made that the session should be renewed when that suits."""
        return self._requests >= SPENT_AFTER

    @property
    def arriving_bytes(self) -> int:
        """Bytes of the part of a frame that has come so far, if it answers the request under way."""
        head = self._decoder.head
        if head is None or head.reply_id != self._reply_id or head.command == Reply.EVENT:
            return 0
        return self._decoder.pending_bytes

    def receive(self, chunk: bytes) -> None:
        """Take what a socket gave: of a stream any piece, else one datagram.

        Raises RemoteProtocolError when the stream is out of step.
        """
        for packet in self._datagram(chunk) if self._datagrams else self._decoder.feed(chunk):
            self._note(packet, sent=False)
            if packet.command == Reply.EVENT:
                self._keep(LiveEvent(packet.session, packet.reply_id, packet.data))
            elif packet.reply_id == self._reply_id:
                self._arrived.append(packet)
            else:
                self.ignored += 1

    def _datagram(self, raw: bytes) -> list[Packet]:
        """The packet of a datagram; none of a damaged one, which terminals drop without a word, too."""
        try:
            return [decode(raw)]
        except RemoteProtocolError:
            self.ignored += 1
            return []

    def _keep(self, event: LiveEvent) -> None:
        if self._datagrams and event in self.events:
            self.ignored += 1
            return
        if len(self.events) >= MOST_EVENTS:
            raise RemoteProtocolError(f"the terminal told {MOST_EVENTS} events, and more, that nobody took")
        self.events.append(event)

    def next_reply(self) -> Packet | None:
        """The next packet that answers the request under way; late and foreign ones are dropped."""
        while self._arrived:
            packet = self._arrived.popleft()
            if self._answers(packet):
                return packet
            self.ignored += 1
        return None

    def rest(self) -> None:
        """No request is under way any more: nothing that still comes answers one."""
        self._arrived.clear()

    def acknowledge(self, event: LiveEvent) -> bytes:
        """The frame that tells the terminal that an event has arrived; nothing answers it."""
        return self._frame(Packet(Reply.ACK_OK, self._session, event.reply_id))

    @contextmanager
    def _transferring(self) -> Iterator[None]:
        """The session fields of what answers are no sessions."""
        self._in_transfer = True
        try:
            yield
        finally:
            self._in_transfer = False

    def _request(self, command: int, data: bytes = b"") -> bytes:
        self._reply_id = (self._reply_id + 1) & 0xFFFF
        self._requests += 1
        self.all_sent = False
        self._arrived.clear()
        self._last_request = self._frame(Packet(command, self._session, self._reply_id, data))
        return self._last_request

    def _answers(self, packet: Packet) -> bool:
        # The session field of DATA and of what closes a transfer counts packets, and that
        # of an error may hold a sub-code; there the reply id alone, which `receive` looks at, tells.
        if self._session == 0 or (self._in_transfer and packet.command != Reply.PREPARE_DATA):
            return True
        if packet.command in (Reply.ACK_OK, Reply.PREPARE_DATA):
            return packet.session == self._session
        return True

    def _frame(self, packet: Packet) -> bytes:
        self._note(packet, sent=True)
        if not self._datagrams:
            return frame(packet)
        if len(packet.data) > SINGLE_PACKET_BYTES:
            raise LocalProtocolError(f"a request of {len(packet.data)} bytes fits no datagram")
        return encode(packet)

    def _note(self, packet: Packet, *, sent: bool) -> None:
        self.frames.append(FrameNote(sent, packet.command, packet.session, packet.reply_id, len(packet.data)))
