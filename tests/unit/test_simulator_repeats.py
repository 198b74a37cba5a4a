"""A driver is only as safe against terminals that remember requests as these are true to what is reported."""

from struct import pack

import pytest

from drivers.zk.commands import Command, Reply
from drivers.zk.packet import Packet
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Fault, IgnoresLowerIds, RepeatsReply
from terminals import some_terminal

SESSION = 300
READ_LOG = bytes.fromhex("010d000000000000000000")


def connected(*faults: Fault) -> TerminalConversation:
    conversation = TerminalConversation(some_terminal(records=100), SESSION, faults)
    conversation.answer(Packet(Command.CONNECT, 0, 0))
    return conversation


def test_an_equal_reply_id_gets_the_last_reply_whatever_was_asked() -> None:
    conversation = connected(RepeatsReply())
    reply = conversation.answer(Packet(Command.GET_SIZES, SESSION, 5))
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, 5)) == reply
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, 6)) != reply


def test_of_a_transfer_only_the_closing_ack_is_sent_again() -> None:
    conversation = connected(RepeatsReply())
    conversation.answer(Packet(Command.PREPARE_BUFFER, SESSION, 1, READ_LOG))
    chunk = Packet(Command.READ_BUFFER, SESSION, 2, pack("<ii", 0, 4004))
    whole = conversation.answer(chunk)
    assert [packet.command for packet in whole] == [Reply.PREPARE_DATA, Reply.DATA, Reply.ACK_OK]
    assert conversation.answer(chunk) == whole[-1:]


def test_a_connect_sent_again_gets_its_session_again() -> None:
    conversation = connected(RepeatsReply(), IgnoresLowerIds())
    assert conversation.answer(Packet(Command.CONNECT, 0, 0))[0].session == SESSION
    conversation.answer(Packet(Command.GET_TIME, SESSION, 9))
    assert conversation.answer(Packet(Command.CONNECT, 0, 0))[0].session == SESSION
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, 1))


@pytest.mark.parametrize(("last", "lower"), [(5, 4), (0xFFFE, 0)])
def test_a_lower_reply_id_is_ignored(last: int, lower: int) -> None:
    conversation = connected(IgnoresLowerIds())
    conversation.answer(Packet(Command.GET_TIME, SESSION, last))
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, lower)) == []
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, last))


def test_after_65535_reply_ids_begin_again() -> None:
    conversation = connected(IgnoresLowerIds())
    conversation.answer(Packet(Command.GET_TIME, SESSION, 0xFFFF))
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, 0))


def test_without_the_rules_every_request_is_carried_out() -> None:
    conversation = connected()
    sizes = conversation.answer(Packet(Command.GET_SIZES, SESSION, 5))
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, 5)) != sizes
    assert conversation.answer(Packet(Command.GET_TIME, SESSION, 4))
