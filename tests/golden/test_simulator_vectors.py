"""The simulator's answers against published bytes: nothing here passes through our own encoder.

Vectors of session 0x1F2E are computed by the protocol's rules; those marked captured
come from real terminals and clients.
"""

from datetime import UTC, datetime

import pytest

from attendance.punch import RawPunch
from drivers.zk.packet import frame
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from terminals import StillClock, some_terminal

SESSION = 0x1F2E
USER_SITI = (
    "070000"  # uid 7, an ordinary user
    "3132333400000000"  # password
    "53697469" + "00" * 20 + "4e61bc00"  # name and card
    "010000000000000000"  # group and time zones
    "31303031" + "00" * 20  # user id
)
WALL = datetime(2024, 2, 29, 8, 30, 15)
CONNECT = "e80317fc00000000"
CONNECTED = "d00701d92e1f0000"


def framed(packet: str) -> bytes:
    raw = bytes.fromhex(packet)
    return b"\x50\x50\x82\x7d" + len(raw).to_bytes(4, "little") + raw


def answers(conversation: TerminalConversation, chunk: bytes) -> list[bytes]:
    return [frame(packet) for answer in conversation.receive(chunk) for packet in answer]


def terminal_of_the_vectors(comm_key: int = 0, records: int = 0) -> SimulatedTerminal:
    clock = StillClock(datetime(2024, 2, 29, 1, 30, 15, tzinfo=UTC))
    return some_terminal(users=20, records=records, comm_key=comm_key, clock=clock)


def conversation_at(terminal: SimulatedTerminal, session: int = SESSION) -> TerminalConversation:
    conversation = TerminalConversation(terminal, session)
    answers(conversation, framed(CONNECT))
    return conversation


def test_connect_is_answered_with_the_session() -> None:
    conversation = TerminalConversation(terminal_of_the_vectors(), SESSION)
    assert answers(conversation, framed(CONNECT)) == [framed(CONNECTED)]


def test_connect_with_a_key_is_answered_unauthenticated_then_opened_by_the_key() -> None:
    conversation = TerminalConversation(terminal_of_the_vectors(comm_key=1234), SESSION)
    assert answers(conversation, framed(CONNECT)) == [framed("d507fcd82e1f0000")]
    assert answers(conversation, framed("4e040f402e1f010041363266")) == [framed("d00700d92e1f0100")]


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        pytest.param("eb03e4dc2e1f0200", "d007ffd82e1f0200", id="disable"),
        pytest.param("eb03b8db2e1f02002c010000", "d007ffd82e1f0200", id="disable for 300 s"),
        pytest.param("c90005e02e1f0300", "d0079f1a2e1f03001790482e", id="time"),
        pytest.param(
            "0b00bf972e1f04007e53657269616c4e756d62657200",
            "d00768182e1f04007e53657269616c4e756d6265723d53494d3030303030303030303100",
            id="serial number",
        ),
        pytest.param("de05ebda2e1f0800", "d007f9d82e1f0800", id="free data"),
        pytest.param("f401d3de2e1f090001000000", "d007f8d82e1f0900", id="register for punches"),
        pytest.param("f401d4de2e1f0900ffff0000", "d007f8d82e1f0900", id="register for all"),
        pytest.param("ea03dddc2e1f0a00", "d007f7d82e1f0a00", id="enable"),
        pytest.param("e903dddc2e1f0b00", "d007f6d82e1f0b00", id="exit"),
    ],
)
def test_request_gets_the_published_reply(request_hex: str, reply_hex: str) -> None:
    conversation = conversation_at(terminal_of_the_vectors())
    assert answers(conversation, framed(request_hex)) == [framed(reply_hex)]


def test_buffered_read_of_1000_records_goes_by_the_book() -> None:
    conversation = conversation_at(terminal_of_the_vectors(records=1000))
    offer = answers(conversation, framed("df05ebcd2e1f0600010d000000000000000000"))
    assert offer == [framed("d007d35e2e1f060000449c0000449c0000cdef2300")]
    prepare, data, end = answers(conversation, framed("e005a63e2e1f070000000000449c0000"))
    assert prepare == framed("dc05b13e2e1f0700449c0000f8ff0000")
    assert data[:10] == bytes.fromhex("5050827d4c9c0000dd05")
    assert data[12:20].hex() == "00000700409c0000"  # index 0, reply id 7, then the prefix: 40,000 bytes
    assert len(data) == 16 + 40_004
    assert end == framed("d00728f800000700")


def test_live_punch_is_the_published_event() -> None:
    conversation = conversation_at(terminal_of_the_vectors())
    answers(conversation, framed("f401d3de2e1f090001000000"))
    punch = RawPunch(pin="1001", wall_time=WALL, verify_code=1, state_code=0)
    event = "f4015583010000003130303100000000000000000000000000000000000000000100" + "18021d081e0f"
    assert [frame(told) for told in conversation.tell(punch)] == [framed(event)]


def test_clients_acknowledgement_of_an_event_is_not_answered() -> None:
    assert answers(conversation_at(terminal_of_the_vectors()), framed(CONNECTED)) == []


def test_stored_record_is_the_published_one() -> None:
    terminal = some_terminal(users=0)
    terminal.write_user(bytes.fromhex(USER_SITI))
    terminal.punch("1001", at=WALL)
    assert terminal.log().hex() == "070031303031" + "00" * 20 + "011790482e00" + "00" * 8


def test_published_user_reads_back_as_it_was_written() -> None:
    terminal = some_terminal(users=0)
    terminal.write_user(bytes.fromhex(USER_SITI))
    assert terminal.user_records().hex() == USER_SITI
    (siti,) = terminal.users()
    assert (siti.uid, siti.pin, siti.name, siti.card) == (7, "1001", "Siti", 12345678)


CAPTURED_SESSION = 0x45CF


@pytest.mark.parametrize(
    ("auth_hex", "reply_hex"),
    [
        pytest.param("4e044e2ccf450100614d323c", "d5075ab2cf450100", id="captured: key 12, refused"),
        pytest.param("4e044db0cf45010061c9323c", "d0075fb2cf450100", id="captured: key 45, accepted"),
    ],
)
def test_captured_authentication_at_a_terminal_with_key_45(auth_hex: str, reply_hex: str) -> None:
    conversation = TerminalConversation(terminal_of_the_vectors(comm_key=45), CAPTURED_SESSION)
    assert answers(conversation, framed(CONNECT)) == [framed("d5075bb2cf450000")]
    assert answers(conversation, framed(auth_hex)) == [framed(reply_hex)]


def jz4725() -> SimulatedTerminal:
    """Set up as the terminal of the `codefans` captures, without the options that it did not know."""
    terminal = some_terminal(firmware=Firmware(version="Ver 6.60 (build39)"))
    terminal.options |= {"~Platform": "JZ4725_TFT", "~UserExtFmt": "1"}
    del terminal.options["ExtendOPLog"], terminal.options["FaceFunOn"]
    return terminal


def ak3750() -> SimulatedTerminal:
    """Set up as the D2 of the `pyzk41` captures."""
    terminal = some_terminal(firmware=Firmware(sizes_bytes=4))
    terminal.options |= {"~Platform": "AK3750WIFI_TFT", "IPAddress": "192.168.1.199"}
    return terminal


def test_captured_question_to_a_jz4725_gets_its_captured_answer() -> None:
    """Captured as codefans-01 and 02: the firmware version."""
    conversation = conversation_at(jz4725(), session=7007)
    reply = framed("d00711925f1b010056657220362e363020286275696c6433392900")
    assert answers(conversation, framed("4c0453e05f1b0100")) == [reply]


@pytest.mark.parametrize(
    ("command", "reply_id", "text", "reply_hex"),
    [
        pytest.param(11, 2, b"~OS", "d007c851631902007e4f533d3100", id="codefans-12"),
        pytest.param(11, 4, b"ExtendOPLog", "d107c7de63190400", id="codefans-06, unknown"),
        pytest.param(65535, 5, b"ExtendOPLog", "ffff97e663190500", id="codefans-07, clears the error"),
        pytest.param(65535, 6, b"ExtendOPLog", "ffff96e663190600", id="codefans-08"),
        pytest.param(65535, 8, b"ExtendOPLog", "ffff94e663190800", id="codefans-09"),
        pytest.param(69, 11, b" P", "d007b8de63190b0009", id="codefans-11"),
        pytest.param(11, 13, b"~SSR", "d007b10763190d007e5353523d3100", id="codefans-17"),
        pytest.param(11, 14, b"~PIN2Width", "d007a9e263190e007e50494e3257696474683d3900", id="codefans-13"),
        pytest.param(11, 15, b"FaceFunOn", "d107bcde63190f00", id="codefans-10, unknown"),
        pytest.param(
            11,
            9,
            b"~Platform",
            "d00731a7631909007e506c6174666f726d3d4a5a343732355f54465400",
            id="codefans-14",
        ),
        pytest.param(
            11, 16, b"~UserExtFmt", "d007f4be631910007e55736572457874466d743d3100", id="codefans-05"
        ),
        pytest.param(
            11,
            19,
            b"~IsOnlyRFMachine",
            "d00724d7631913007e49734f6e6c7952464d616368696e653d3000",
            id="codefans-16",
        ),
    ],
)
def test_answer_is_the_one_captured_from_a_jz4725(
    command: int, reply_id: int, text: bytes, reply_hex: str
) -> None:
    conversation = conversation_at(jz4725(), session=6499)
    request = request_frame(command, 6499, reply_id, (text + b"\0").hex())
    assert answers(conversation, request) == [framed(reply_hex)]


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        pytest.param(
            "0b0061f73d7d1a007e506c6174666f726d00",
            "d007afc43d7d1a007e506c6174666f726d3d414b33373530574946495f54465400",
            id="pyzk41-09 and 10, platform",
        ),
        pytest.param(
            "0b00dae73d7d150049504164647265737300",
            "d007ad6f3d7d15004950416464726573733d3139322e3136382e312e31393900",
            id="pyzk41-07 and 08, address",
        ),
    ],
)
def test_captured_question_to_a_d2_gets_its_captured_answer(request_hex: str, reply_hex: str) -> None:
    conversation = conversation_at(ak3750(), session=32061)
    assert answers(conversation, framed(request_hex)) == [framed(reply_hex)]


def test_size_table_that_tells_nothing_is_the_one_captured_from_a_d2() -> None:
    """Captured as pyzk41-12: whoever takes four zero bytes for an empty log loses all punches."""
    conversation = conversation_at(ak3750(), session=32061)
    assert answers(conversation, request_frame(50, 32061, 31, "")) == [framed("d007d37a3d7d1f0000000000")]


def test_captured_packet_sizes_cut_5044_bytes_into_six() -> None:
    """Captured at a terminal of 70 users: 5044 bytes in packets of 1008, indexes 0 to 5."""
    terminal = some_terminal(users=70)
    terminal.firmware = Firmware(packet_bytes=1008)
    conversation = conversation_at(terminal, session=0x165C)
    answers(conversation, request_frame(1503, 0x165C, 0x3A, "0109000500000000000000"))
    frames = answers(conversation, request_frame(1504, 0x165C, 0x3C, "00000000b4130000"))
    assert frames[0][16:].hex() == "b4130000f0030000"
    indexes = [int.from_bytes(frame[12:14], "little") for frame in frames[1:]]
    assert indexes == [0, 1, 2, 3, 4, 5, 5]
    assert [len(frame) - 16 for frame in frames[1:]] == [1008, 1008, 1008, 1008, 1008, 4, 0]


def request_frame(command: int, session: int, reply_id: int, data: str) -> bytes:
    body = bytes.fromhex(data)
    padded = body + b"\0" * (len(body) % 2)
    words = [int.from_bytes(padded[at : at + 2], "little") for at in range(0, len(padded), 2)]
    total = command + session + reply_id + sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    head = b"".join(word.to_bytes(2, "little") for word in (command, total ^ 0xFFFF, session, reply_id))
    return framed((head + body).hex())
