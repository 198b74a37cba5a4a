"""Both ends face to face, without sockets: whatever a network does, a log is right, or one typed error.

A log that is nearly right would dock the pay of whoever's punch is missing.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from struct import pack
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.errors import AttendanceError, DeviceTimeout, RemoteProtocolError
from drivers.zk import assembly
from drivers.zk.assembly import Assembly, Unnumbered
from drivers.zk.commands import Reply
from drivers.zk.conversation import Conversation, Exchange
from drivers.zk.correspondence import MOST_EVENTS
from drivers.zk.packet import Packet, decode, encode, frame
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Fault, IgnoresLowerIds, RepeatsReply
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from terminals import some_terminal

T = TypeVar("T")
SESSION = 0x1F2E
MOST_STEPS = 3000

RATES = st.sampled_from([0.0, 0.02, 0.1, 0.4])
RULES: list[list[Fault]] = [[], [RepeatsReply()], [IgnoresLowerIds()], [RepeatsReply(), IgnoresLowerIds()]]


@dataclass(slots=True)
class Chaos:
    """What the network does to each datagram."""

    dice: Random
    loss: float
    double: float
    damage: float
    overtake: float

    def through(self, datagram: bytes) -> list[bytes]:
        """What arrives of it."""
        copies = 2 if self.dice.random() < self.double else 1
        return [self._damaged(datagram) for _ in range(copies) if self.dice.random() >= self.loss]

    def taken(self, waiting: list[bytes]) -> bytes:
        """The next one of those under way."""
        late = self.dice.random() < self.overtake
        return waiting.pop(self.dice.randrange(len(waiting)) if late else 0)

    def _damaged(self, datagram: bytes) -> bytes:
        if self.dice.random() >= self.damage:
            return datagram
        at = self.dice.randrange(len(datagram))
        return datagram[:at] + bytes([datagram[at] ^ (1 << self.dice.randrange(8))]) + datagram[at + 1 :]


chaos = st.builds(
    Chaos,
    dice=st.builds(Random, st.integers(0, 2**32)),
    loss=RATES,
    double=RATES,
    damage=RATES,
    overtake=RATES,
)


class Face:
    """A terminal's conversation, whose packets carry no index where it is not `numbered`."""

    def __init__(self, terminal: SimulatedTerminal, rules: list[Fault], *, numbered: bool) -> None:
        self.terminal = terminal
        self._conversation = TerminalConversation(terminal, SESSION, rules, most_data_bytes=1024)
        self._numbered = numbered

    def answer(self, datagram: bytes) -> list[bytes]:
        try:
            answer = self._conversation.answer(decode(datagram))
        except RemoteProtocolError:
            return []
        if not self._numbered:
            answer = [replace(p, session=SESSION) if p.command == Reply.DATA else p for p in answer]
        return [encode(packet) for packet in answer]


def carried(conversation: Conversation, exchange: Exchange[T], face: Face, network: Chaos) -> T:
    """Carry an exchange through; DeviceTimeout when that leads nowhere."""
    waiting: list[bytes] = []
    try:
        outgoing = next(exchange)
        for _ in range(MOST_STEPS):
            arriving = network.through(outgoing) if outgoing else []
            for request in arriving:
                for answer in face.answer(request):
                    waiting += network.through(answer)
            reply = None
            while waiting and reply is None:
                conversation.receive(network.taken(waiting))
                reply = conversation.next_reply()
            outgoing = exchange.send(reply)
    except StopIteration as done:
        value: T = done.value
        return value
    raise DeviceTimeout("it would go on for ever")


@given(
    network=chaos,
    rules=st.sampled_from(RULES),
    records=st.integers(0, 150),
    buffered=st.booleans(),
    numbered=st.booleans(),
    comm_key=st.sampled_from([0, 4711]),
)
def test_a_log_over_datagrams_is_right_or_an_error(
    network: Chaos, rules: list[Fault], records: int, *, buffered: bool, numbered: bool, comm_key: int
) -> None:
    terminal = some_terminal(records=records, comm_key=comm_key, firmware=Firmware(buffered=buffered))
    face = Face(terminal, rules, numbered=numbered)
    conversation = Conversation(comm_key, datagrams=True)
    with suppress(AttendanceError):
        carried(conversation, conversation.connect(), face, network)
        read = conversation.read_table(13) if buffered else conversation.read_directly(13)
        assert carried(conversation, read, face, network) == terminal.log()


@given(network=chaos, records=st.integers(26, 150), punches=st.integers(1, 3))
def test_punches_made_meanwhile_leave_a_log_as_it_was_at_one_moment(
    network: Chaos, records: int, punches: int
) -> None:
    terminal = some_terminal(records=records)
    face = Face(terminal, [], numbered=True)
    conversation = Conversation(datagrams=True)
    with suppress(AttendanceError):
        carried(conversation, conversation.connect(), face, network)
        offer = carried(conversation, conversation.prepare(13), face, network)
        for _ in range(punches):
            terminal.punch("1001")
        body = carried(conversation, conversation.read_range(0, offer.length), face, network)
        told = int.from_bytes(body[:4], "little")
        if told == len(body) - 4:
            assert terminal.log().startswith(body[4:])


@given(
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=40),
    records=st.integers(0, 150),
    packet_bytes=st.sampled_from([1008, 1024, 65528]),
    buffered=st.booleans(),
)
def test_a_log_over_a_stream_does_not_depend_on_how_it_is_cut(
    cuts: list[int], records: int, packet_bytes: int, *, buffered: bool
) -> None:
    firmware = Firmware(packet_bytes=packet_bytes, direct_packet_bytes=packet_bytes, buffered=buffered)
    terminal = some_terminal(records=records, firmware=firmware)
    conversation, face = Conversation(), TerminalConversation(terminal, SESSION)
    _streamed(conversation, conversation.connect(), face, cuts)
    read = conversation.read_table(13) if buffered else conversation.read_directly(13)
    if records or buffered:
        assert _streamed(conversation, read, face, cuts) == terminal.log()


def test_a_log_comes_one_byte_at_a_time() -> None:
    terminal = some_terminal(records=130)
    conversation, face = Conversation(), TerminalConversation(terminal, SESSION)
    _streamed(conversation, conversation.connect(), face, [1])
    assert _streamed(conversation, conversation.read_table(13), face, [1]) == terminal.log()


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(26, 120))
def test_a_stream_with_a_damaged_byte_is_right_or_an_error(seed: int, damages: int, records: int) -> None:
    """A damaged length may also leave the stream waiting: that is the deadline's to end."""
    dice = Random(seed)
    terminal = some_terminal(records=records)
    conversation, face = Conversation(), TerminalConversation(terminal, SESSION)
    _streamed(conversation, conversation.connect(), face, [4096])
    with suppress(AttendanceError):
        log = _streamed(conversation, conversation.read_table(13), face, [512], dice, damages)
        assert log == terminal.log()


def _streamed(
    conversation: Conversation,
    exchange: Exchange[T],
    face: TerminalConversation,
    cuts: list[int],
    dice: Random | None = None,
    damages: int = 0,
) -> T:
    waiting = b""
    turn = 0
    try:
        outgoing = next(exchange)
        while True:
            if outgoing:
                waiting += b"".join(frame(p) for answer in face.receive(outgoing) for p in answer)
            while (packet := conversation.next_reply()) is None:
                if not waiting:
                    raise DeviceTimeout("nothing more comes")
                piece = bytearray(waiting[: cuts[turn % len(cuts)]])
                if dice is not None and damages and dice.random() < 0.3:
                    piece[dice.randrange(len(piece))] ^= 1 << dice.randrange(8)
                    damages -= 1
                conversation.receive(bytes(piece))
                waiting = waiting[len(piece) :]
                turn += 1
            outgoing = exchange.send(packet)
    except StopIteration as done:
        value: T = done.value
        return value


# -- memory


def test_events_that_nobody_takes_end_a_conversation() -> None:
    conversation = Conversation()
    for number in range(MOST_EVENTS):
        conversation.receive(frame(Packet(Reply.EVENT, 1, 0, pack("<I", number))))
    with pytest.raises(RemoteProtocolError, match="events"):
        conversation.receive(frame(Packet(Reply.EVENT, 1, 0, bytes(12))))


def test_a_transfer_that_is_never_announced_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "MAX_BODY_BYTES", 10_000)
    pieces = Assembly()
    for index in range(10):
        pieces.add(index, bytes(1000))
    with pytest.raises(RemoteProtocolError, match="out of step"):
        pieces.add(10, bytes(1000))


def test_what_comes_when_nothing_was_asked_is_not_kept() -> None:
    conversation = Conversation(datagrams=True)
    carried(
        conversation,
        conversation.connect(),
        Face(some_terminal(), [], numbered=True),
        Chaos(Random(1), 0, 0, 0, 0),
    )
    for _ in range(100):
        conversation.receive(encode(Packet(Reply.ACK_OK, SESSION, 0)))
        conversation.rest()
    assert conversation.next_reply() is None


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=0, max_size=8)), max_size=40),
    st.integers(0, 90),
)
def test_an_assembly_gives_a_body_of_its_size_or_says_why_not(
    parts: list[tuple[int, bytes]], size: int
) -> None:
    pieces = Assembly(size)
    with suppress(Unnumbered, RemoteProtocolError):
        for index, data in parts:
            pieces.add(index, data)
            placed, gaps = pieces.placed(), pieces.gaps()
            covered = sorted([(at, len(piece)) for at, piece in placed] + gaps)
            assert sum(length for _at, length in covered) == size
            assert all(first[0] + first[1] == second[0] for first, second in pairwise(covered))
        body = pieces.body
        assert body is None or len(body) == size


def test_the_last_packet_alone_does_not_tell_how_long_the_others_are() -> None:
    """Placed by its own length, it would stand where another record belongs."""
    pieces = Assembly(1044)
    pieces.add(1, bytes(20))
    assert (pieces.placed(), pieces.gaps()) == ([], [(0, 1044)])
    pieces.announce(1044, 1024)
    assert pieces.gaps() == [(0, 1024)]


def test_the_tail_of_a_log_that_comes_first_is_not_taken_for_an_empty_log() -> None:
    """128 records of 40 bytes end in a packet of four zero bytes: also how an empty table is told."""
    conversation = Conversation(datagrams=True)
    calm = Chaos(Random(1), 0, 0, 0, 0)
    carried(conversation, conversation.connect(), Face(some_terminal(), [], numbered=True), calm)
    exchange = conversation.read_directly(13)
    request = decode(next(exchange))
    for index in (5, SESSION):
        conversation.receive(encode(Packet(Reply.DATA, index, request.reply_id, bytes(4))))
        reply = conversation.next_reply()
        assert reply is not None
        assert exchange.send(reply) == b""
