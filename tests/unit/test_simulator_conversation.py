"""What a terminal does with requests that are out of the ordinary."""

from struct import pack

import pytest

from attendance.errors import RemoteProtocolError
from drivers.zk.commands import Command, Reply
from drivers.zk.commkey import scramble
from drivers.zk.events import EVENT_BYTES
from drivers.zk.packet import Packet, frame
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Refuse
from drivers.zk.simulator.firmware import AK3750, JZ4725, EmptyReply, Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from terminals import START, some_terminal

SESSION = 77
READ_LOG = bytes.fromhex("010d000000000000000000")


def connected(terminal: SimulatedTerminal) -> TerminalConversation:
    conversation = TerminalConversation(terminal, SESSION)
    conversation.answer(Packet(Command.CONNECT, 0, 0))
    return conversation


def asked(conversation: TerminalConversation, command: int, data: bytes = b"") -> list[Packet]:
    return conversation.answer(Packet(command, SESSION, 5, data))


def code(conversation: TerminalConversation, command: int, data: bytes = b"") -> int:
    (reply,) = asked(conversation, command, data)
    return reply.command


def test_nothing_is_told_to_whoever_has_not_given_the_key() -> None:
    conversation = connected(some_terminal(records=3, comm_key=9))
    for command in (
        Command.PREPARE_BUFFER,
        Command.CLEAR_ATTLOG,
        Command.OPTION_READ,
        Command.REG_EVENT,
        4711,
    ):
        assert code(conversation, command, READ_LOG) == Reply.ACK_UNAUTH


def test_a_key_given_is_asked_for_again_after_exit() -> None:
    conversation = connected(some_terminal(comm_key=9))
    assert code(conversation, Command.AUTH, scramble(9, SESSION)) == Reply.ACK_OK
    assert code(conversation, Command.EXIT) == Reply.ACK_OK
    (reply,) = conversation.answer(Packet(Command.CONNECT, 0, 0))
    assert reply == Packet(Reply.ACK_UNAUTH, SESSION, 0)


def test_requests_before_connecting_or_of_another_session_are_dropped() -> None:
    conversation = TerminalConversation(some_terminal(), SESSION)
    assert asked(conversation, Command.GET_TIME) == []
    conversation.answer(Packet(Command.CONNECT, 0, 0))
    assert conversation.answer(Packet(Command.GET_TIME, SESSION + 1, 5)) == []
    assert len(asked(conversation, Command.GET_TIME)) == 1


def test_connecting_again_gives_the_same_session() -> None:
    conversation = connected(some_terminal())
    assert conversation.answer(Packet(Command.CONNECT, 0, 3)) == [Packet(Reply.ACK_OK, SESSION, 3)]


@pytest.mark.parametrize("unknown", [2001, 65535, 4711, 501])
def test_unknown_command_is_answered(unknown: int) -> None:
    assert code(connected(some_terminal()), unknown, b"x") == Reply.UNKNOWN_COMMAND


@pytest.mark.parametrize("reply", [2001, 4999])
def test_unknown_option_is_answered_as_the_firmware_does(reply: int) -> None:
    conversation = connected(some_terminal(firmware=Firmware(unknown_option=reply)))
    assert code(conversation, Command.OPTION_READ, b"Nonsense\0") == reply


@pytest.mark.parametrize("name", [b"~SerialNumber", b"~SerialNumber\0", b"~SerialNumber\0rubbish"])
def test_option_name_may_come_with_or_without_its_nul(name: bytes) -> None:
    (reply,) = asked(connected(some_terminal()), Command.OPTION_READ, name)
    assert reply.data == b"~SerialNumber=SIM0000000001\0"


def test_option_written_is_read_back() -> None:
    conversation = connected(some_terminal())
    assert code(conversation, Command.OPTION_WRITE, b"SDKBuild=1") == Reply.ACK_OK
    (reply,) = asked(conversation, Command.OPTION_READ, b"SDKBuild")
    assert reply.data == b"SDKBuild=1\0"
    assert code(conversation, Command.OPTION_WRITE, b"no value") == Reply.ACK_ERROR


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (Command.SET_TIME, b""),
        (Command.SET_TIME, b"\xff\xff\xff\xff"),
        (Command.REG_EVENT, b"\1"),
        (Command.PREPARE_BUFFER, READ_LOG[:10]),
        (Command.READ_BUFFER, bytes(8)),
        (8, b"short user"),
        (18, b""),
        (18, b"\x63\0"),
        (34, b""),
    ],
)
def test_request_that_cannot_be_carried_out_is_refused_and_the_session_goes_on(
    command: int, data: bytes
) -> None:
    conversation = connected(some_terminal())
    assert code(conversation, command, data) == Reply.ACK_ERROR
    assert code(conversation, Command.GET_TIME) == Reply.ACK_OK


@pytest.mark.parametrize(("start", "size"), [(0, 4005), (-1, 10), (4003, 2), (0, 0), (0, -4)])
def test_reading_beyond_the_buffer_is_refused(start: int, size: int) -> None:
    conversation = connected(some_terminal(records=100))
    asked(conversation, Command.PREPARE_BUFFER, READ_LOG)
    assert code(conversation, Command.READ_BUFFER, pack("<ii", start, size)) == Reply.ACK_ERROR


def test_buffer_holds_still_while_punches_are_made() -> None:
    """Prefix and size were fixed when the buffer was prepared; a read must fit them."""
    terminal = some_terminal(records=100)
    conversation = connected(terminal)
    asked(conversation, Command.PREPARE_BUFFER, READ_LOG)
    terminal.punch("1001")
    _prepare, data, _end = asked(conversation, Command.READ_BUFFER, pack("<ii", 0, 4004))
    assert data.data[:4] == pack("<I", 4000)
    assert len(data.data) == 4004


def test_freed_buffer_cannot_be_read() -> None:
    conversation = connected(some_terminal(records=100))
    asked(conversation, Command.PREPARE_BUFFER, READ_LOG)
    assert code(conversation, Command.FREE_DATA) == Reply.ACK_OK
    assert code(conversation, Command.READ_BUFFER, pack("<ii", 0, 4004)) == Reply.ACK_ERROR
    assert code(conversation, Command.FREE_DATA) == Reply.ACK_OK


def test_last_small_piece_comes_as_one_packet_with_the_real_session() -> None:
    conversation = connected(some_terminal(records=100))
    asked(conversation, Command.PREPARE_BUFFER, READ_LOG)
    (reply,) = asked(conversation, Command.READ_BUFFER, pack("<ii", 4000, 4))
    assert (reply.command, reply.session, len(reply.data)) == (Reply.DATA, SESSION, 4)


@pytest.mark.parametrize("empty", EmptyReply)
def test_empty_log_is_answered_in_each_way_that_was_seen(empty: EmptyReply) -> None:
    conversation = connected(some_terminal(firmware=Firmware(empty_reply=empty)))
    (reply,) = asked(conversation, Command.PREPARE_BUFFER, READ_LOG)
    assert reply.command == empty.value
    assert reply.data == (bytes(4) if empty is EmptyReply.FOUR_ZERO_BYTES else b"")


@pytest.mark.parametrize(("command", "data"), [(13, b""), (7, b"\1")])
def test_direct_read_comes_in_packets_of_1024(command: int, data: bytes) -> None:
    terminal = some_terminal(records=60)
    prepare, *parts, end = asked(connected(terminal), command, data)
    assert prepare.data == pack("<II", 2404, 1024)
    assert b"".join(part.data for part in parts) == pack("<I", 2400) + terminal.log()
    assert [part.session for part in parts] == [0, 1, 2]
    assert (end.command, end.session) == (Reply.ACK_OK, 2)


@pytest.mark.parametrize(("command", "data"), [(9, b"\5"), (7, b"\5")])
def test_users_can_be_read_directly(command: int, data: bytes) -> None:
    terminal = some_terminal(users=3)
    _prepare, part, _end = asked(connected(terminal), command, data)
    assert part.data == pack("<I", 216) + terminal.user_records()


def test_events_go_only_to_who_asked_and_until_he_asks_no_more() -> None:
    terminal = some_terminal()
    conversation = connected(terminal)
    punch = terminal.punch("1001", at=START)
    assert conversation.tell(punch) == []
    asked(conversation, Command.REG_EVENT, pack("<I", 2))
    assert conversation.tell(punch) == []
    asked(conversation, Command.REG_EVENT, pack("<I", 0xFFFF))
    assert len(conversation.tell(punch)) == 1
    asked(conversation, Command.REG_EVENT, pack("<I", 0))
    assert conversation.tell(punch) == []


def test_clearing_without_naming_a_table_erases_everything() -> None:
    """What a careless client does to a real terminal; a driver of ours must never cause it."""
    terminal = some_terminal(users=3, records=3)
    conversation = connected(terminal)
    asked(conversation, 14, b"\1")
    assert (terminal.user_count, terminal.record_count) == (3, 0)
    asked(conversation, 14)
    assert terminal.user_count == 0


def test_restart_ends_the_conversation() -> None:
    conversation = connected(some_terminal())
    assert code(conversation, Command.RESTART) == Reply.ACK_OK
    assert conversation.ended


def test_refused_command_is_answered_with_the_code_and_not_carried_out() -> None:
    terminal = some_terminal(records=3)
    conversation = TerminalConversation(terminal, SESSION, [Refuse(4989, Command.CLEAR_ATTLOG)])
    conversation.answer(Packet(Command.CONNECT, 0, 0))
    assert code(conversation, Command.CLEAR_ATTLOG) == 4989
    assert terminal.record_count == 3


def test_version_asked_with_a_zero_byte_is_the_platform() -> None:
    (reply,) = asked(connected(some_terminal()), Command.GET_VERSION, b"\0")
    assert reply.data == b"ZMM220_TFT\0"


def test_rubbish_ends_the_conversation_with_the_clients_fault() -> None:
    with pytest.raises(RemoteProtocolError):
        TerminalConversation(some_terminal(), SESSION).receive(b"GET / HTTP/1.1\r\n")


def test_requests_that_arrive_together_are_answered_in_turn() -> None:
    conversation = connected(some_terminal())
    together = frame(Packet(Command.GET_TIME, SESSION, 1)) + frame(Packet(Command.STATE, SESSION, 2))
    assert [reply.reply_id for answer in conversation.receive(together) for reply in answer] == [1, 2]


def test_an_ak3750_tells_words_and_knows_no_buffer() -> None:
    conversation = connected(some_terminal(users=7, records=3, firmware=AK3750))
    (reply,) = asked(conversation, Command.GET_SIZES)
    assert reply.data == bytes(4)
    told = {word: asked(conversation, Command.GET_SIZES, pack("<I", word))[0].data for word in (4, 8, 16, 3)}
    assert told == {4: pack("<i", 7), 8: pack("<i", 3), 16: pack("<i", 200_000), 3: bytes(4)}
    assert code(conversation, Command.PREPARE_BUFFER, READ_LOG) == Reply.UNKNOWN_COMMAND
    prepare, part, _end = asked(conversation, Command.ATTLOG_READ)
    assert prepare.data == pack("<II", 70, 40880)
    assert len(part.data) == 70


def test_a_jz4725_answers_a_direct_read_with_what_lies_in_its_memory() -> None:
    terminal = some_terminal(records=3, firmware=JZ4725)
    _prepare, part, _end = asked(connected(terminal), Command.ATTLOG_READ)
    assert part.data != pack("<I", 120) + terminal.log()
    assert part.data[:8].hex() == "7800000040d83580"
    (reply,) = asked(connected(terminal), Command.PREPARE_BUFFER, READ_LOG)
    assert reply.data == pack("<I", 120) + terminal.log()


@pytest.mark.parametrize("length", EVENT_BYTES)
def test_events_have_the_length_of_the_firmware(length: int) -> None:
    terminal = some_terminal(firmware=Firmware(event_bytes=length))
    conversation = connected(terminal)
    asked(conversation, Command.REG_EVENT, pack("<I", 1))
    (told,) = conversation.tell(terminal.punch("1002", at=START))
    assert len(told.data) == length
