"""Whatever a client sends, in whatever pieces: the simulator answers or ends the conversation."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from attendance.errors import RemoteProtocolError
from drivers.zk.commands import Command
from drivers.zk.packet import Packet, frame
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.line import pieces
from terminals import some_terminal

U16 = st.integers(0, 0xFFFF)
KNOWN = st.sampled_from([*Command, 7, 8, 14, 18, 34, 501, 1014])
SESSION = 300


def connected() -> TerminalConversation:
    conversation = TerminalConversation(some_terminal(users=2, records=30), SESSION)
    conversation.answer(Packet(Command.CONNECT, 0, 0))
    return conversation


@given(st.binary(max_size=100))
def test_rubbish_is_a_protocol_error_or_nothing(rubbish: bytes) -> None:
    with suppress(RemoteProtocolError):
        connected().receive(rubbish)


@given(st.lists(st.tuples(st.one_of(KNOWN, U16), U16, st.binary(max_size=80)), max_size=6))
def test_every_request_is_answered_in_wholes_under_its_reply_id(
    requests: list[tuple[int, int, bytes]],
) -> None:
    conversation = connected()
    for command, reply_id, data in requests:
        for reply in conversation.answer(Packet(command, SESSION, reply_id, data)):
            assert reply.reply_id == reply_id
            assert frame(reply)


@given(st.integers(1, 60), st.lists(st.sampled_from([Command.GET_TIME, Command.STATE, Command.GET_SIZES])))
def test_answers_do_not_depend_on_how_requests_are_segmented(piece_bytes: int, commands: list[int]) -> None:
    stream = b"".join(frame(Packet(command, SESSION, 1)) for command in commands)
    whole, cut = connected(), connected()
    answers = [answer for piece in pieces(stream, piece_bytes) for answer in cut.receive(piece)]
    assert [[packet.command for packet in answer] for answer in answers] == [
        [packet.command for packet in answer] for answer in whole.receive(stream)
    ]
    assert len(answers) == len(commands)
