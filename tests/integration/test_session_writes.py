"""What a session does to a terminal: people written and removed, the log cleared, the keys locked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from time import sleep

import pytest

from attendance.errors import (
    DataError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    Unsupported,
)
from attendance.terminal import Privilege, User
from drivers.base import CanClearLog, CanHoldStill, CanReadOperations, CanWriteUsers
from drivers.table import driver_named
from drivers.zk.commands import Command, Reply
from drivers.zk.driver import ZkDriver
from drivers.zk.session import ZkSession
from drivers.zk.simulator.faults import Fault, LoseReply, Refuse, Silent
from drivers.zk.simulator.firmware import AK3750, TFT, Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.users import USER28, USER72, USER120, UserLayout
from scripted import Answer, ScriptedTerminal, over_tcp, reply, size_table
from terminals import Running, StillClock, running_terminal

ZK = ZkDriver()
LAYOUTS = [USER28, USER72, USER120]
PIN_PLACES = {USER28: range(20, 28), USER72: range(48, 72), USER120: range(96, 120)}


def firmware_of(layout: UserLayout, **changes: object) -> Firmware:
    return replace(TFT, users=layout, **changes)  # type: ignore[arg-type]


def person(uid: int, pin: str, name: str, **more: int) -> User:
    return User(uid=uid, pin=pin, name=name, name_raw=b"", **more)


def write(running: Running, *users: User, encoding: str = "utf-8") -> None:
    with ZK.open(replace(running.as_configured(), encoding=encoding)) as session:
        for user in users:
            session.write_user(user)


def raw_of(terminal: SimulatedTerminal, uid: int) -> bytes:
    size = terminal.firmware.users.record_bytes
    table = terminal.user_records()
    parts = [table[at : at + size] for at in range(0, len(table), size)]
    return next(part for part in parts if part[:2] == uid.to_bytes(2, "little"))


def test_a_zk_session_can_all_of_it() -> None:
    """Commands ask by these protocols; a missing method would make a feature vanish without an error."""
    with running_terminal() as running, ZK.open(running.as_configured()) as session:
        for protocol in (CanClearLog, CanWriteUsers, CanReadOperations, CanHoldStill):
            assert isinstance(session, protocol)


# -- people


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_new_person_is_in_the_terminal_with_pin_name_and_no_password(layout: UserLayout) -> None:
    with running_terminal(users=3, firmware=firmware_of(layout)) as running:
        write(running, person(9, "1234", "Siti A"))
        users = {user.uid: user for user in running.terminal.users()}
        raw = raw_of(running.terminal, 9)
    assert (users[9].pin, users[9].name, users[9].role) == ("1234", "Siti A", Privilege.USER)
    assert len(users) == 4
    assert not any(raw[3:8])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_new_name_leaves_every_other_byte_as_it_was(layout: UserLayout) -> None:
    """Password, card, privilege, group and what nobody knows: lost, the person could not punch any more."""
    fields = {USER28: [slice(8, 16)], USER72: [slice(11, 35)], USER120: [slice(35, 59), slice(59, 83)]}
    with running_terminal(users=2, firmware=firmware_of(layout)) as running:
        raw = bytearray(raw_of(running.terminal, 2))
        for at in range(3, len(raw)):
            if not raw[at] and at not in PIN_PLACES[layout]:
                raw[at] = 0xA5
        running.terminal.write_user(bytes(raw))
        write(running, person(2, "1002", "Budi"))
        after = raw_of(running.terminal, 2)
    for field in fields[layout]:
        raw[field] = after[field]
    assert after == bytes(raw)
    assert after[fields[layout][0]].rstrip(b"\0") == b"Budi"


@pytest.mark.parametrize(
    ("name", "encoding", "layout", "kept"),
    [
        ("a" * 23 + "ñb", "utf-8", USER72, "a" * 23),
        ("a" * 23 + "ñb", "cp1252", USER72, "a" * 23 + "ñ"),
        ("王小明王小明王小明王小明王", "gbk", USER72, "王小明王小明王小明王小明"),
        ("x王小明王小明王小明王小明王", "gbk", USER72, "x王小明王小明王小明王小"),
        ("محمد عبد", "cp1256", USER28, "محمد عبد"),
        ("Łukasz Żółć", "cp1250", USER28, "Łukasz Ż"),
        ("王小明五", "gbk", USER28, "王小明五"),
        ("王小明五六", "gbk", USER28, "王小明五"),
        ("Raden Ajeng Kartini Djojoadiningrat", "utf-8", USER120, "Raden Ajeng Kartini Djojoadiningrat"),
        ("y" * 60, "utf-8", USER120, "y" * 24),
        ("Ni Luh " + "é" * 60, "utf-8", USER120, "Ni Luh " + "é" * 12),
    ],
)
def test_a_long_name_is_cut_between_characters(
    name: str, encoding: str, layout: UserLayout, kept: str
) -> None:
    """Half a character would show as rubbish on the display, and in every list made of it."""
    with running_terminal(users=1, firmware=firmware_of(layout)) as running:
        write(running, person(1, "1001", name), encoding=encoding)
        with ZK.open(replace(running.as_configured(), encoding=encoding)) as session:
            (user,) = session.read_users()
    assert user.name == kept


@pytest.mark.parametrize(
    ("encoding", "stored", "shown"),
    [
        ("gbk", "王小明".encode("gbk")[:5], "王小\N{REPLACEMENT CHARACTER}"),
        ("utf-8", "Ñandú".encode()[:-1], "Ñand\N{REPLACEMENT CHARACTER}"),
        ("cp1252", b"CAST\xd1EI\x81", "CASTÑEI\N{REPLACEMENT CHARACTER}"),
        ("cp1256", "محمد".encode("cp1256"), "محمد"),
        ("cp1250", "Łódź".encode("cp1250"), "Łódź"),
    ],
)
def test_names_are_read_in_the_terminals_encoding_and_damage_shows(
    encoding: str, stored: bytes, shown: str
) -> None:
    with running_terminal(users=0, firmware=replace(TFT, rubbish=True)) as running:
        running.terminal.enrol([User(uid=1, pin="0007", name="", name_raw=stored)])
        with ZK.open(replace(running.as_configured(), encoding=encoding)) as session:
            (user,) = session.read_users()
    assert (user.pin, user.name, user.name_raw) == ("0007", shown, stored)


@pytest.mark.parametrize("pin", ["0007", "A12b", "123456789"])
def test_pins_are_verbatim(pin: str) -> None:
    with running_terminal(users=1) as running:
        write(running, person(5, pin, "Siti"))
        assert {user.uid: user.pin for user in running.terminal.users()}[5] == pin


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (person(5, "1234567890", "Siti"), "1 to 9 digits or letters"),
        (person(5, "0", "Siti"), "1 to 9 digits or letters"),
        (person(5, "", "Siti"), "1 to 9 digits or letters"),
        (person(5, "12 3", "Siti"), "1 to 9 digits or letters"),
        (person(0, "77", "Siti"), "1 to 65535, not 0"),
        (person(65536, "77", "Siti"), "1 to 65535, not 65536"),
        (person(5, "1002", "Siti"), "pin 1002 belongs to user 2"),
        (person(2, "77", "Siti"), "user 2 of this terminal has pin 1002, not 77"),
        (person(5, "77", "Si\nti"), "letters, digits"),
        (person(5, "77", "王"), "the encoding cp1252 has not"),
    ],
)
def test_what_a_terminal_cannot_hold_is_refused_before_anything_is_sent(user: User, words: str) -> None:
    """A pin beyond the width made a person that could not be deleted (NGTeco MB1)."""
    with running_terminal(users=3) as running:
        before = running.terminal.user_records()
        with pytest.raises(DataError, match=words):
            write(running, user, encoding="cp1252")
        assert running.terminal.user_records() == before


def test_where_people_are_known_by_uid_both_numbers_must_agree() -> None:
    with running_terminal(users=0, firmware=firmware_of(USER28, pin_width=5)) as running:
        running.terminal.enrol([person(3, "3", "")])
        with pytest.raises(DataError, match="pin 8 needs uid 8, not 7"):
            write(running, person(7, "8", "Siti"))
        with pytest.raises(DataError, match="without leading zeros"):
            write(running, person(7, "007", "Siti"))
        write(running, person(7, "7", "Siti"))
        assert [user.pin for user in running.terminal.users()] == ["3", "7"]


def test_into_an_empty_terminal_nothing_is_written_blindly() -> None:
    """Its layout is unknown: 72 bytes for a terminal of 120 would be a broken person."""
    with (
        running_terminal(users=0) as running,
        pytest.raises(Unsupported, match="layout of its users is unknown"),
    ):
        write(running, person(1, "1", "Siti"))


def test_template_slots_and_freed_slots_are_never_written_over() -> None:
    slot = bytearray(72)
    slot[0], slot[2] = 2, 0x31
    with running_terminal(users=3, firmware=AK3750) as running:
        running.terminal.add_empty_slot()
        running.terminal.add_empty_slot(bytes(slot))
        write(running, person(2, "1002", "Budi"))
        assert running.terminal.users()[1].name == "Budi"
        assert bytes(slot) in running.terminal.user_records()


def test_a_terminal_that_acknowledges_and_keeps_nothing_is_found_out() -> None:
    """WL10 and MB1 were seen to acknowledge deletions that they do not carry out."""
    records = bytes([1, 0, 0]) + bytes(8) + b"Siti".ljust(24, b"\0") + bytes(13) + b"77".ljust(24, b"\0")
    script: dict[int, Answer | list[Answer]] = {
        Command.GET_SIZES: reply(data=size_table(users=1)),
        Command.PREPARE_BUFFER: reply(Reply.DATA, len(records).to_bytes(4, "little") + records),
        Command.USER_WRITE: reply(),
        Command.USER_DELETE: reply(),
        Command.REFRESH_DATA: reply(),
        Command.OPTION_READ: reply(data=b"~PIN2Width=9\0"),
    }
    with over_tcp(ScriptedTerminal(script)) as terminal, ZK.open(terminal) as session:
        with pytest.raises(DeviceRefused, match="deleted and still holds it"):
            session.delete_user(1)
        with pytest.raises(DeviceRefused, match="did not keep it"):
            session.write_user(person(2, "78", "Budi"))
        with pytest.raises(DeviceRefused, match="did not keep it"):
            session.write_user(person(1, "77", "Budi"))


@pytest.mark.parametrize("uid", [1, 40_000])
def test_a_person_is_removed_whatever_the_number(uid: int) -> None:
    """Pyzk fails beyond 32767."""
    with running_terminal(users=0) as running:
        running.terminal.enrol([person(uid, "1001", ""), person(2, "1002", "")])
        with ZK.open(running.as_configured()) as session:
            session.delete_user(uid)
            with pytest.raises(DeviceRefused):
                session.delete_user(uid)
        assert [user.uid for user in running.terminal.users()] == [2]


@pytest.mark.parametrize(
    ("number", "role", "disabled"),
    [
        (0, Privilege.USER, False),
        (1, Privilege.USER, True),
        (2, Privilege.ENROLLER, False),
        (6, Privilege.ADMIN, False),
        (10, Privilege.CUSTOM, False),
        (14, Privilege.SUPER_ADMIN, False),
        (15, Privilege.SUPER_ADMIN, True),
        (4, Privilege.OTHER, False),
    ],
)
def test_privileges_have_names(number: int, role: Privilege, disabled: object) -> None:
    with running_terminal(users=0) as running:
        running.terminal.enrol([person(1, "1", "", privilege=number)])
        with ZK.open(running.as_configured()) as session:
            (user,) = session.read_users()
    assert (user.role, user.disabled, user.privilege) == (role, disabled, number)


# -- clearing, and holding still


def test_clearing_empties_the_log_and_says_so_in_the_operation_log() -> None:
    with running_terminal(records=20) as running, ZK.open(running.as_configured()) as session:
        session.clear_log()
        assert session.read_sizes().records == 0
        assert [operation.code for operation in session.read_operations()] == [23]  # type: ignore[union-attr]


def test_a_refused_clear_leaves_the_session_in_use() -> None:
    faults = [Refuse(2001, Command.CLEAR_ATTLOG)]
    with running_terminal(records=5, faults=faults) as running, ZK.open(running.as_configured()) as session:
        with pytest.raises(DeviceRefused, match="CLEAR_ATTLOG"):
            session.clear_log()
        assert session.read_sizes().records == 5


def test_a_lost_reply_is_no_refusal_and_no_success() -> None:
    """Whoever took it for either would clear again, or never."""
    faults = [LoseReply(Command.CLEAR_ATTLOG)]
    with running_terminal(records=5, faults=faults) as running, ZK.open(running.as_configured()) as session:
        with pytest.raises(DeviceUnreachable):
            session.clear_log()
        assert running.terminal.clearings == 1


@pytest.fixture
def still() -> StillClock:
    return StillClock()


def test_nobody_punches_while_held_still_and_everybody_after(still: StillClock) -> None:
    with running_terminal(clock=still) as running, ZK.open(running.as_configured()) as session:
        with session.held_still(timedelta(seconds=20)):
            with pytest.raises(DeviceRefused, match="held disabled"):
                running.terminal.punch("1001")
            still.advance(19.5)
            assert not running.terminal.enabled
        assert running.terminal.enabled
        running.terminal.punch("1001")


def test_the_hold_ends_by_itself_in_the_terminal(still: StillClock) -> None:
    with (
        running_terminal(clock=still) as running,
        ZK.open(running.as_configured()) as session,
        session.held_still(timedelta(seconds=1.2)),
    ):
        still.advance(2)
        assert running.terminal.enabled


class Mishap(Exception):
    """Something that the caller does wrong."""


def break_off(_session: ZkSession) -> None:
    raise Mishap


def ask_what_is_refused(session: ZkSession) -> None:
    session.clear_log()


@pytest.mark.parametrize("mishap", [break_off, ask_what_is_refused])
def test_whatever_happens_while_held_still_the_door_opens_again(mishap: Callable[[ZkSession], None]) -> None:
    faults = [Refuse(2001, Command.CLEAR_ATTLOG)]
    with running_terminal(faults=faults) as running, ZK.open(running.as_configured()) as session:
        with pytest.raises((Mishap, DeviceError)), session.held_still(timedelta(minutes=1)):
            mishap(session)
        assert running.terminal.enabled


def test_a_terminal_that_falls_silent_while_held_still_is_told_exit_and_the_first_error_stands() -> None:
    faults = [Silent(after_frames=2)]
    with running_terminal(faults=faults) as running:
        with (
            pytest.raises(DeviceTimeout, match="GET_TIME"),
            ZK.open(running.as_configured(timeout_s=0.2)) as session,
            session.held_still(timedelta(minutes=1)),
        ):
            session.read_clock()
        while running.server.connections:
            sleep(0.01)
        assert running.terminal.enabled


def drop_and_ask(running: Running, session: ZkSession) -> None:
    running.server.drop_connections()
    session.read_clock()


def test_a_network_that_breaks_while_held_still_leaves_the_hold_to_its_time_out(still: StillClock) -> None:
    with running_terminal(clock=still) as running:
        session_of = ZK.open(running.as_configured())
        with (
            pytest.raises(DeviceUnreachable),
            session_of as session,
            session.held_still(timedelta(seconds=30)),
        ):
            drop_and_ask(running, session)
        assert not running.terminal.enabled
        still.advance(31)
        assert running.terminal.enabled


def test_a_terminal_that_will_not_be_held_says_so_before_the_block() -> None:
    faults: list[Fault] = [Refuse(65535, Command.DISABLE_DEVICE)]
    with running_terminal(faults=faults) as running, ZK.open(running.as_configured()) as session:
        with pytest.raises(DeviceRefused), session.held_still(timedelta(seconds=1)):
            pytest.fail("the block must not run unguarded")
        assert session.read_sizes().users == 10


def test_a_face_model_that_acknowledges_and_does_not_lock_goes_on_taking_punches() -> None:
    with (
        running_terminal(firmware=replace(TFT, locks=False)) as running,
        ZK.open(running.as_configured()) as session,
    ):
        with session.held_still(timedelta(seconds=20)):
            running.terminal.punch("1001")
        assert running.terminal.record_count == 1


def test_the_pyzk_driver_promises_nothing_of_it() -> None:
    """It would write 72 bytes to a terminal of 120; commands must see that it cannot."""
    with running_terminal() as running, driver_named("pyzk").open(running.as_configured()) as session:
        for protocol in (CanClearLog, CanWriteUsers, CanReadOperations, CanHoldStill):
            assert not isinstance(session, protocol)
