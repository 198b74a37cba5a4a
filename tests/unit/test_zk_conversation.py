"""The client's state machine without a socket: every terminal here is a script, handed over bytewise."""

from struct import pack

import pytest

from attendance.errors import DeviceRefused, RemoteProtocolError
from drivers.zk.answers import LiveEvent
from drivers.zk.conversation import CHUNK_BYTES, Conversation
from drivers.zk.packet import Packet, StreamDecoder, frame
from scripted import (
    SESSION,
    Answer,
    ScriptedTerminal,
    Starved,
    att40,
    body_of,
    chunks,
    converse,
    live_event,
    offered,
    reply,
)

ATTLOG = 13


def connected(terminal: ScriptedTerminal, comm_key: int = 0) -> Conversation:
    conversation = Conversation(comm_key)
    converse(conversation, conversation.connect(), terminal)
    return conversation


def read(terminal: ScriptedTerminal, piece: int = 1) -> bytes:
    conversation = connected(terminal)
    return converse(conversation, conversation.read_table(ATTLOG), terminal, piece)


def test_requests_carry_the_session_that_connect_was_given_and_count_up() -> None:
    terminal = ScriptedTerminal({201: reply(2000, bytes(4))})
    conversation = connected(terminal)
    for _ in range(2):
        converse(conversation, conversation.ask(201), terminal)
    assert [(p.command, p.session, p.reply_id) for p in terminal.asked] == [
        (1000, 0, 0),
        (201, SESSION, 1),
        (201, SESSION, 2),
    ]


def test_reply_ids_wrap_after_65535_so_that_terminals_do_not_ignore_the_rest() -> None:
    terminal = ScriptedTerminal({201: reply()})
    conversation = connected(terminal)
    for _ in range(0x10000):
        converse(conversation, conversation.ask(201), terminal, 64)
    assert [p.reply_id for p in terminal.asked[-3:]] == [0xFFFE, 0xFFFF, 0]


def test_the_comm_key_is_scrambled_with_the_session_of_the_refusal() -> None:
    terminal = ScriptedTerminal({1000: reply(2005), 1102: reply()})
    connected(terminal, comm_key=1234)
    assert terminal.asked[1].data.hex() == "41363266"


def test_a_terminal_that_wants_authentication_without_a_key_gets_key_0() -> None:
    terminal = ScriptedTerminal({1000: reply(2005, session=0x45CF), 1102: reply(session=0x45CF)})
    connected(terminal)
    assert terminal.asked[1].data.hex() == "617d323c"


@pytest.mark.parametrize(("key", "words"), [(0, "none is set"), (4711, "refused the comm key")])
def test_a_wrong_comm_key_says_what_to_set(key: int, words: str) -> None:
    terminal = ScriptedTerminal({1000: reply(2005), 1102: reply(2005)})
    with pytest.raises(DeviceRefused, match=words) as caught:
        connected(terminal, key)
    assert caught.value.code == 2005


def test_secure_firmware_is_named_with_its_code() -> None:
    with pytest.raises(DeviceRefused, match=r"6001.*secure firmware") as caught:
        connected(ScriptedTerminal({1000: reply(6001)}))
    assert caught.value.code == 6001


def test_a_code_nobody_knows_is_shown_and_never_taken_for_an_empty_answer() -> None:
    terminal = ScriptedTerminal({201: reply(2032)})
    conversation = connected(terminal)
    with pytest.raises(DeviceRefused, match="2032, meaning unknown"):
        converse(conversation, conversation.ask(201), terminal)


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param(
            lambda r: Packet(2000, SESSION, r.reply_id - 1, b"late"), id="reply to the request before"
        ),
        pytest.param(lambda r: Packet(2000, SESSION + 1, r.reply_id, b"foreign"), id="another session"),
        pytest.param(lambda r: Packet(1501, 0, 0, b"late data"), id="rest of an old transfer"),
    ],
)
def test_a_late_or_foreign_reply_never_answers_a_later_request(stale: "Answer") -> None:
    terminal = ScriptedTerminal({201: lambda r: [stale(r), Packet(2000, SESSION, r.reply_id, b"true")]})  # type: ignore[list-item]
    conversation = connected(terminal)
    assert converse(conversation, conversation.ask(201), terminal) == b"true"


def test_a_reply_that_was_given_up_on_is_dropped_when_it_comes() -> None:
    terminal = ScriptedTerminal({201: lambda _r: [], 202: reply(2000, b"second")})
    conversation = connected(terminal)
    with pytest.raises(Starved):
        converse(conversation, conversation.ask(201), terminal)
    given_up = terminal.asked[-1]
    conversation.receive(frame(Packet(2000, SESSION, given_up.reply_id, b"first")))
    assert converse(conversation, conversation.ask(202), terminal) == b"second"


def test_a_small_table_comes_inline() -> None:
    records = att40("7", 100)
    assert read(ScriptedTerminal({1503: reply(1501, body_of(records))})) == records


@pytest.mark.parametrize("packet_bytes", [1008, 1024, 40880, 65528, 65536])
def test_a_large_table_comes_in_chunks_whatever_the_packet_size(packet_bytes: int) -> None:
    records = b"".join(att40(str(n), n) for n in range(4000))
    body = body_of(records)
    terminal = ScriptedTerminal({1503: offered(body), 1504: chunks(body, packet_bytes)})
    assert read(terminal, piece=997) == records
    asked = [p.data for p in terminal.asked if p.command == 1504]
    assert asked == [
        pack("<ii", 0, CHUNK_BYTES),
        pack("<ii", CHUNK_BYTES, CHUNK_BYTES),
        pack("<ii", 2 * CHUNK_BYTES, len(body) - 2 * CHUNK_BYTES),
    ]


def test_the_query_is_the_eleven_bytes_that_terminals_accept() -> None:
    terminal = ScriptedTerminal({1503: reply(1501, body_of(b""))})
    read(terminal)
    assert terminal.asked[-1].data.hex() == "010d000000000000000000"


def test_a_chunk_may_be_answered_by_one_data_packet() -> None:
    body = body_of(att40("7", 100))
    terminal = ScriptedTerminal({1503: offered(body), 1504: reply(1501, body)})
    assert read(terminal) == body[4:]


def test_a_terminal_may_begin_the_transfer_at_once() -> None:
    body = body_of(att40("7", 100))
    terminal = ScriptedTerminal(
        {
            1503: lambda r: [
                Packet(1500, SESSION, r.reply_id, pack("<II", len(body), 1024)),
                Packet(1501, 0, r.reply_id, body),
                Packet(2000, 0, r.reply_id),
            ]
        }
    )
    assert read(terminal) == body[4:]


def test_punches_told_in_the_middle_of_a_transfer_are_kept_apart() -> None:
    body = body_of(b"".join(att40(str(n), n) for n in range(100)))
    told = [live_event("1001"), live_event("1002", reply_id=3)]
    terminal = ScriptedTerminal({1503: offered(body), 1504: chunks(body, between=told)})
    conversation = connected(terminal)
    assert converse(conversation, conversation.read_table(ATTLOG), terminal) == body[4:]
    assert list(conversation.events) == [
        LiveEvent(1, 0, told[0].data),
        LiveEvent(1, 3, told[1].data),
    ]


def test_an_event_is_acknowledged_with_its_own_reply_id() -> None:
    conversation = connected(ScriptedTerminal({}))
    (ack,) = StreamDecoder().feed(conversation.acknowledge(LiveEvent(1, 3, b"")))
    assert ack == Packet(2000, SESSION, 3)


@pytest.mark.parametrize("code", [2, 4, 8, 256, 512])
def test_events_that_are_known_to_be_something_else_are_no_punches(code: int) -> None:
    assert not LiveEvent(code, 0, b"").is_punch


@pytest.mark.parametrize("code", [1, SESSION])
def test_an_event_is_a_punch_also_where_firmware_writes_its_session_for_the_code(code: int) -> None:
    assert LiveEvent(code, 0, b"").is_punch


BODY = body_of(b"".join(att40(str(n), n) for n in range(100)))


def cut(request: Packet) -> list[Packet]:
    size = int.from_bytes(request.data[4:], "little")
    return [
        Packet(1500, SESSION, request.reply_id, pack("<II", size, 1008)),
        Packet(1501, 0, request.reply_id, BODY[:1008]),
        Packet(2000, 0, request.reply_id),
    ]


def too_much(request: Packet) -> list[Packet]:
    size = int.from_bytes(request.data[4:], "little")
    return [
        Packet(1500, SESSION, request.reply_id, pack("<II", size, 65528)),
        Packet(1501, 0, request.reply_id, BODY + b"more"),
        Packet(2000, 0, request.reply_id),
    ]


@pytest.mark.parametrize(
    ("prepared", "read_answer"),
    [
        pytest.param(offered(BODY), cut, id="the transfer ends early"),
        pytest.param(offered(BODY), too_much, id="the transfer is too long"),
        pytest.param(offered(BODY), chunks(BODY[:1000]), id="short chunk under a true announcement"),
        pytest.param(offered(BODY[:-40]), chunks(BODY[:-40]), id="the prefix tells more than there is"),
        pytest.param(
            offered(BODY + bytes(40)), chunks(BODY + bytes(40)), id="the prefix tells less than there is"
        ),
        pytest.param(reply(2000, b"\0\1\2"), chunks(BODY), id="an offer of three bytes"),
        pytest.param(reply(2000, pack("<BIII", 0, 404, 408, 0)), chunks(BODY), id="two lengths offered"),
        pytest.param(
            reply(2000, pack("<BIII", 0, 2**31, 2**31, 0)), chunks(BODY), id="two gigabytes offered"
        ),
        pytest.param(reply(1501, b"\0\0"), chunks(BODY), id="an inline body without a prefix"),
        pytest.param(reply(1501, BODY[:-1]), chunks(BODY), id="an inline body cut short"),
        pytest.param(offered(BODY), reply(1500, b""), id="a transfer without a length"),
    ],
)
def test_a_table_that_is_not_whole_gives_nothing(prepared: "Answer", read_answer: "Answer") -> None:
    with pytest.raises(RemoteProtocolError):
        read(ScriptedTerminal({1503: prepared, 1504: read_answer}), piece=512)


@pytest.mark.parametrize("code", [2001, 4989, 65535])
def test_a_refused_table_is_a_refusal_with_its_number(code: int) -> None:
    with pytest.raises(DeviceRefused, match=str(code)) as caught:
        read(ScriptedTerminal({1503: reply(code, session=1)}))
    assert caught.value.code == code


def test_a_refused_chunk_leaves_the_buffer_to_be_freed() -> None:
    terminal = ScriptedTerminal({1503: offered(BODY), 1504: reply(2001)})
    conversation = connected(terminal)
    with pytest.raises(DeviceRefused):
        converse(conversation, conversation.read_table(ATTLOG), terminal)
    assert conversation.holds_buffer
    converse(conversation, conversation.free(), terminal)
    assert not conversation.holds_buffer
    assert terminal.commands()[-1] == 1502


def test_the_ring_of_frames_holds_no_data() -> None:
    terminal = ScriptedTerminal({1503: offered(BODY), 1504: chunks(BODY)})
    conversation = connected(terminal)
    converse(conversation, conversation.read_table(ATTLOG), terminal)
    assert str(conversation.frames[0]) == ">1000 s0000 r0 0B"
    assert str(conversation.frames[-1]) == "<2000 s0003 r2 0B"
    for _ in range(30):
        converse(conversation, conversation.ask(11, b"~SerialNumber\0"), terminal)
    assert len(conversation.frames) == 20
    assert "ABC123" not in str(list(conversation.frames))


def test_a_prepared_table_is_read_in_parts() -> None:
    terminal = ScriptedTerminal({1503: offered(BODY), 1504: chunks(BODY)})
    conversation = connected(terminal)
    offer = converse(conversation, conversation.prepare(ATTLOG), terminal)
    assert (offer.length, offer.body) == (len(BODY), None)
    assert conversation.holds_buffer
    assert converse(conversation, conversation.read_range(44, 80), terminal) == BODY[44:124]
    assert converse(conversation, conversation.read_range(0, 4), terminal) == BODY[:4]


def test_a_small_table_is_prepared_and_given_in_one() -> None:
    terminal = ScriptedTerminal({1503: reply(1501, body_of(att40("7", 100)))})
    conversation = connected(terminal)
    offer = converse(conversation, conversation.prepare(ATTLOG), terminal)
    assert offer.body == body_of(att40("7", 100))
    assert not conversation.holds_buffer


def direct(packet_bytes: int, closing_session: int) -> "Answer":
    def answer(request: Packet) -> list[Packet]:
        parts = [BODY[at : at + packet_bytes] for at in range(0, len(BODY), packet_bytes)]
        return [
            Packet(1500, SESSION, request.reply_id, pack("<II", len(BODY), packet_bytes)),
            *(Packet(1501, index, request.reply_id, part) for index, part in enumerate(parts)),
            Packet(2000, closing_session, request.reply_id),
        ]

    return answer


@pytest.mark.parametrize(("packet_bytes", "closing"), [(1024, 3), (1008, len(BODY)), (40880, SESSION)])
def test_a_direct_read_ends_with_its_bytes_whatever_its_last_session_field(
    packet_bytes: int, closing: int
) -> None:
    terminal = ScriptedTerminal({13: direct(packet_bytes, closing)})
    conversation = connected(terminal)
    assert converse(conversation, conversation.read_directly(ATTLOG), terminal, 7) == BODY[4:]
    assert not conversation.holds_buffer


def test_a_transfer_of_gigabytes_is_not_begun() -> None:
    terminal = ScriptedTerminal({13: reply(1500, pack("<II", 2**31, 1024))})
    conversation = connected(terminal)
    with pytest.raises(RemoteProtocolError, match="announces 2147483648 bytes"):
        converse(conversation, conversation.read_directly(ATTLOG), terminal)
