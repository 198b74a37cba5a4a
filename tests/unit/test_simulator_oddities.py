"""Terminals that have stood on a wall for years: what a driver must bear, and so the simulator must show."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from struct import pack, unpack_from

import pytest

from attendance.punch import BadRecord
from drivers.zk.commands import Command, Reply
from drivers.zk.commkey import scramble
from drivers.zk.packet import Packet
from drivers.zk.records import unpack_log
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Fault, PunchInTransfer, ResendsEvents
from drivers.zk.simulator.firmware import KINDS, NGTECO, TFT
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.oddities import NOBODY, Oddities
from drivers.zk.simulator.seeding import enrol_people, fill_log
from drivers.zk.users import unpack_users
from terminals import START, StillClock, some_terminal

SESSION = 77
ATTLOG_EVENTS = pack("<I", 1)


def filled(oddities: Oddities, kind: str = "40", *, records: int = 200) -> SimulatedTerminal:
    terminal = SimulatedTerminal(firmware=KINDS[kind])
    enrol_people(terminal, 20, seed=1, oddities=oddities)
    fill_log(terminal, records, seed=1, last_day=date(2026, 3, 31), oddities=oddities)
    return terminal


def records_of(terminal: SimulatedTerminal) -> list[bytes]:
    log, size = terminal.log(), terminal.firmware.log.record_bytes
    return [log[at : at + size] for at in range(0, len(log), size)]


def changed(odd: SimulatedTerminal, plain: SimulatedTerminal) -> list[bytes]:
    """The records that differ."""
    pairs = zip(records_of(odd), records_of(plain), strict=True)
    return [one for one, other in pairs if one != other]


@pytest.mark.parametrize("kind", ["40", "49", "22", "16", "8a", "8b"])
def test_so_many_records_are_of_days_that_no_calendar_has(kind: str) -> None:
    """30 February: each is evidence for itself and must not stop the reading of the others."""
    odd, plain = filled(Oddities(impossible_dates=5), kind), filled(Oddities(), kind)
    assert len(changed(odd, plain)) == 5
    pins = {user.uid: user.pin for user in odd.users()}
    read = list(unpack_log(odd.log(), odd.firmware.log, pins))
    assert sum(isinstance(each, BadRecord) for each in read) == 5
    assert len(read) == 200


def test_dead_batteries_deleted_people_and_leaps_in_time_are_as_many_as_asked() -> None:
    odd = filled(Oddities(year_2000=4, of_deleted_users=3, out_of_order=6))
    plain = filled(Oddities())
    assert len(changed(odd, plain)) == 13
    read = [(int(raw[27:31][::-1].hex(), 16), raw) for raw in changed(odd, plain)]
    assert sum(when < 366 * 86400 for when, _raw in read) == 4
    of_nobody = [raw for raw in records_of(odd) if raw[2:26].rstrip(b"\0") == NOBODY.encode()]
    assert [unpack_from("<H", raw)[0] for raw in of_nobody] == [0, 0, 0]
    times = [unpack_from("<I", raw, 27)[0] for raw in records_of(plain)]
    assert times == sorted(times)


def test_duplicates_and_nothing_else_make_the_log_longer() -> None:
    odd, plain = filled(Oddities(duplicates=7)), filled(Oddities())
    counts = Counter(records_of(odd))
    assert odd.record_count == plain.record_count + 7
    assert sorted(counts) == sorted(records_of(plain))
    assert sum(count == 2 for count in counts.values()) == 7


def test_freed_places_stand_among_the_people_and_are_nobody() -> None:
    odd = filled(Oddities(empty_slots=4))
    table = odd.user_records()
    size = odd.firmware.users.record_bytes
    slots = [table[at : at + size] for at in range(0, len(table), size)]
    assert len(slots) == 24
    assert slots.count(bytes(size)) == 4
    assert not any(slots[0])


@pytest.mark.parametrize("page", ["gbk", "cp1256", "cp1252"])
def test_names_are_in_the_code_page_and_end_where_the_field_does(page: str) -> None:
    table = filled(Oddities(names=page)).user_records()
    raws = [user.name_raw for user in unpack_users(table, "utf-8", TFT.users)]
    assert {len(raw) for raw in raws} == {24}
    assert all("�" in raw.decode("utf-8", "replace") for raw in raws)
    cut = [raw.decode(page, "replace").endswith("�") for raw in raws]
    assert all(cut) if page == "gbk" else not any(cut)


def test_a_clock_that_gains_is_off_by_more_each_day_and_right_when_set() -> None:
    clock = StillClock(datetime(2026, 3, 1, tzinfo=UTC))
    terminal = SimulatedTerminal(clock=clock, zone=UTC, drift_s_a_day=4.0)  # type: ignore[arg-type]
    clock.at += timedelta(days=10)
    assert terminal.wall_time() == datetime(2026, 3, 11, 0, 0, 40)
    terminal.set_wall_time(datetime(2026, 3, 11))
    assert terminal.wall_time() == datetime(2026, 3, 11)
    clock.at += timedelta(days=1)
    assert terminal.wall_time() == datetime(2026, 3, 12, 0, 0, 4)


def test_records_may_begin_with_a_number_that_is_nobody() -> None:
    """On NGTeco it counts records: whoever takes it for the uid gives punches to the wrong people."""
    terminal = some_terminal(firmware=NGTECO, users=10)
    for _ in range(3):
        terminal.punch("1009", at=START)
    assert [unpack_from("<H", raw)[0] for raw in records_of(terminal)] == [1, 2, 3]
    by_uid = some_terminal(users=10)
    by_uid.punch("1009", at=START)
    assert unpack_from("<H", by_uid.log())[0] == 9


def test_a_key_may_be_asked_for_where_none_is_set() -> None:
    talk = TerminalConversation(some_terminal(firmware=replace(TFT, always_asks_key=True)), SESSION)
    assert talk.answer(Packet(Command.CONNECT, 0, 0))[0].command == Reply.ACK_UNAUTH
    assert asked(talk, Command.GET_TIME)[0].command == Reply.ACK_UNAUTH
    assert asked(talk, Command.AUTH, scramble(0, SESSION))[0].command == Reply.ACK_OK
    assert asked(talk, Command.GET_TIME)[0].command == Reply.ACK_OK


def asked(talk: TerminalConversation, command: int, data: bytes = b"") -> list[Packet]:
    return talk.answer(Packet(command, SESSION, 5, data))


def listening(terminal: SimulatedTerminal, *faults: Fault) -> TerminalConversation:
    talk = TerminalConversation(terminal, SESSION, faults)
    talk.answer(Packet(Command.CONNECT, 0, 0))
    asked(talk, Command.REG_EVENT, ATTLOG_EVENTS)
    return talk


def test_an_event_may_come_inside_a_transfer() -> None:
    """And the record is not in what was announced before: the count and the body differ by one."""
    terminal = some_terminal(records=500, firmware=replace(TFT, packet_bytes=1024))
    talk = listening(terminal, PunchInTransfer("1003"))
    asked(talk, Command.PREPARE_BUFFER, bytes.fromhex("010d000000000000000000"))
    packets = asked(talk, Command.READ_BUFFER, pack("<ii", 0, 20_004))
    commands = [packet.command for packet in packets]
    place = commands.index(Reply.EVENT)
    assert {commands[place - 1], commands[place + 1]} == {Reply.DATA}
    assert packets[place].data[:4] == b"1003"
    assert sum(len(packet.data) for packet in packets if packet.command == Reply.DATA) == 20_004
    assert terminal.record_count == 501
    again = asked(talk, Command.READ_BUFFER, pack("<ii", 0, 20_004))
    assert Reply.EVENT not in [packet.command for packet in again]


def test_events_without_an_ack_come_again_until_it_names_them() -> None:
    terminal = some_terminal()
    talk = listening(terminal, ResendsEvents())
    events = [talk.tell(terminal.punch(pin, at=START))[0] for pin in ("1001", "1002")]
    assert [event.reply_id for event in events] == [1, 2]
    assert asked(talk, Command.GET_TIME)[1:] == events
    talk.answer(Packet(Reply.ACK_OK, SESSION, 1))
    assert asked(talk, Command.GET_TIME)[1:] == [events[1]]
    talk.answer(Packet(Reply.ACK_OK, SESSION, 2))
    assert len(asked(talk, Command.GET_TIME)) == 1
    plain = listening(terminal)
    assert plain.tell(terminal.punch("1001", at=START))[0].reply_id == 0
    assert len(asked(plain, Command.GET_TIME)) == 1


@pytest.mark.parametrize("length", [8, 33, 40, 60])
def test_an_event_may_have_a_length_that_nobody_knows(length: int) -> None:
    terminal = some_terminal(firmware=replace(TFT, event_bytes=length))
    (event,) = listening(terminal).tell(terminal.punch("1001", at=START))
    assert len(event.data) == length
