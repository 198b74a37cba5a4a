"""Every layout and every way of reading, through the whole driver, against the simulated terminal."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from attendance.errors import DeviceRefused, DeviceTimeout, RemoteProtocolError, Unsupported
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import Sizes, User
from drivers.base import CanListen, CanReadUsers, Driver
from drivers.table import driver_named
from drivers.zk.driver import ZkDriver
from drivers.zk.events import EVENT_BYTES
from drivers.zk.layouts import UnknownLayout
from drivers.zk.records import ATT40, LOG_LAYOUTS, MIXED
from drivers.zk.simulator.faults import Fault, Merge, Refuse, Segment
from drivers.zk.simulator.firmware import AK3750, JZ4725, KINDS, EmptyReply, Firmware
from drivers.zk.users import USER28, USER72, USER120, UserLayout
from scripted import ScriptedTerminal, att40, body_of, chunks, offered, over_tcp, reply, silence, size_table
from terminals import Running, made_log, running_terminal

WHEN = 0x2E489017
LONG = timedelta(seconds=30)


@pytest.fixture(params=list(KINDS))
def firmware(request: pytest.FixtureRequest) -> Firmware:
    return KINDS[request.param]


@pytest.fixture(params=["zk", "pyzk"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return driver_named(request.param)


def read_log(running: Running, driver: Driver | None = None) -> list[RawPunch | BadRecord]:
    with (driver or ZkDriver()).open(running.as_configured()) as session:
        return list(session.read_log())


@pytest.mark.parametrize("count", [0, 1, 3, 25, 26, 127, 1637])
def test_every_kind_of_firmware_gives_the_same_log(firmware: Firmware, count: int) -> None:
    with running_terminal(records=count, firmware=firmware) as running:
        assert read_log(running) == made_log(count)


@pytest.mark.parametrize("faults", [[Segment(1)], [Segment(7)], [Merge()], [Merge(), Segment(1000)]])
def test_no_segmentation_changes_what_any_firmware_gives(firmware: Firmware, faults: list[Fault]) -> None:
    with running_terminal(records=130, firmware=firmware, faults=faults) as running:
        assert read_log(running) == made_log(130)


@pytest.mark.parametrize("shown", [0, 29, 31, 60])
def test_a_count_that_is_wrong_costs_no_punch_and_makes_none(firmware: Firmware, shown: int) -> None:
    with running_terminal(records=30, firmware=firmware) as running:
        running.terminal.shown_records = shown
        assert read_log(running) == made_log(30)


@pytest.mark.parametrize("packet_bytes", [1008, 1024, 40880, 65528])
def test_packets_of_any_size(packet_bytes: int) -> None:
    for buffered in (True, False):
        firmware = Firmware(packet_bytes=packet_bytes, direct_packet_bytes=packet_bytes, buffered=buffered)
        with running_terminal(records=2000, firmware=firmware) as running:
            assert read_log(running) == made_log(2000)


@pytest.mark.parametrize("records", [24, 25, 26])
def test_the_largest_inline_body_and_the_smallest_buffered_one(records: int) -> None:
    with running_terminal(records=records) as running:
        assert read_log(running) == made_log(records)


def test_pyzk_reads_what_it_can_and_refuses_what_it_would_misread(firmware: Firmware) -> None:
    with running_terminal(records=30, firmware=firmware) as running:
        if firmware.log is ATT40:
            assert read_log(running, driver_named("pyzk")) == made_log(30)
        else:
            with pytest.raises((Unsupported, DeviceRefused, RemoteProtocolError)):
                read_log(running, driver_named("pyzk"))


@pytest.mark.parametrize("users", [1, 7, 14, 200])
def test_everyone_enrolled_is_read_from_every_firmware(firmware: Firmware, users: int) -> None:
    with (
        running_terminal(users=users, firmware=firmware) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        people = list(session.read_users())
    width = 8 if firmware.users is USER28 else 24
    assert [(p.uid, p.pin, p.name) for p in people] == [
        (n, str(1000 + n), f"Pegawai {n}"[:width]) for n in range(1, users + 1)
    ]


@pytest.mark.parametrize("layout", [USER28, USER72, USER120], ids=lambda layout: layout.name)
def test_cards_and_privileges_come_where_the_layout_has_them(layout: UserLayout) -> None:
    with running_terminal(users=0, firmware=Firmware(users=layout)) as running:
        running.terminal.enrol([User(uid=9, pin="1009", name="", name_raw=b"Sri", privilege=14, card=123456)])
        with ZkDriver().open(running.as_configured()) as session:
            (person,) = session.read_users()
    assert (person.pin, person.name, person.privilege) == ("1009", "Sri", 14)
    assert person.card == (0 if layout is USER120 else 123456)


@pytest.mark.parametrize("length", EVENT_BYTES)
def test_live_punches_of_every_length_name_the_same_person_as_the_log(length: int) -> None:
    with (
        running_terminal(firmware=Firmware(event_bytes=length)) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        assert isinstance(session, CanListen)
        told = session.listen(quiet=LONG)
        punch = running.terminal.punch("1004", verify=1, state=1)
        heard = next(told)
        assert isinstance(heard, RawPunch)
        assert (heard.pin, heard.wall_time, heard.source) == ("1004", punch.wall_time, Source.LIVE)
        assert list(session.read_log()) == [punch]


def test_somebody_enrolled_while_listening_is_known_by_his_uid() -> None:
    with (
        running_terminal(firmware=KINDS["8b"]) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        told = session.listen(quiet=LONG)
        running.terminal.punch("1001")
        assert isinstance(next(told), RawPunch)
        running.terminal.enrol([User(uid=99, pin="5555", name="", name_raw=b"Baru")])
        running.terminal.punch("5555")
        heard = next(told)
    assert isinstance(heard, RawPunch)
    assert heard.pin == "5555"


def test_a_live_punch_whose_users_cannot_be_read_is_kept_and_ends_nothing() -> None:
    refused: list[Fault] = [Refuse(2001, 1503), Refuse(2001, 9)]
    with (
        running_terminal(firmware=KINDS["8b"], faults=[*refused]) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        told = session.listen(quiet=LONG)
        running.terminal.punch("1001")
        heard = next(told)
        assert isinstance(heard, BadRecord)
        assert session.read_clock() is not None


@pytest.mark.parametrize("kind", ["8a", "8b", "mixed"])
def test_a_punch_of_a_uid_that_is_nobodys_any_more_is_given_to_nobody(kind: str) -> None:
    """Uids are used again after deletion: a guess gives one person's punch to another."""
    with running_terminal(records=30, firmware=KINDS[kind]) as running:
        running.terminal.delete_user(4)
        items = read_log(running)
    assert [item.position for item in items if isinstance(item, BadRecord)] == [3, 13, 23]
    assert {item.pin for item in items if isinstance(item, RawPunch)} == {
        str(1001 + n) for n in range(10) if n != 3
    }


# -- reads without a buffer


@pytest.mark.parametrize("code", [2001, 65535, 65533, 2032])
def test_a_terminal_without_the_buffered_read_is_read_directly(code: int) -> None:
    with running_terminal(records=300, faults=[Refuse(code, 1503)]) as running:
        assert read_log(running) == made_log(300)
        with ZkDriver().open(running.as_configured()) as session:
            assert len(list(session.read_users())) == 10


def test_stale_memory_given_for_a_log_is_refused_and_not_kept() -> None:
    """What a Z40 was captured giving looks like somebody's fingerprint."""
    with (
        running_terminal(records=3, firmware=JZ4725, faults=[Refuse(65535, 1503)]) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        for shown in (3, 0, 15, 120):
            running.terminal.shown_records = shown
            with pytest.raises(UnknownLayout, match="120 bytes") as caught:
                session.read_log()
            assert caught.value.raw == b""
        assert session.read_sizes().records == 120


def test_a_direct_read_is_not_tried_where_the_buffered_one_works() -> None:
    with running_terminal(records=300, firmware=JZ4725) as running:
        assert read_log(running) == made_log(300)


def test_a_direct_body_that_does_not_fit_its_prefix_gives_nothing() -> None:
    body = body_of(att40("1001", WHEN))
    for wrong in (body[:-1], body + b"\0", b"\1\2"):
        terminal = ScriptedTerminal(
            {50: reply(2000, size_table(records=1)), 1503: reply(65535), 13: reply(1501, wrong)}
        )
        with (
            over_tcp(terminal) as configured,
            ZkDriver().open(configured) as session,
            pytest.raises(RemoteProtocolError),
        ):
            session.read_log()


def test_the_first_refusal_is_told_where_both_reads_are_refused() -> None:
    faults: list[Fault] = [Refuse(4989, 1503), Refuse(2001, 13)]
    with (
        running_terminal(records=3, faults=faults) as running,
        ZkDriver().open(running.as_configured()) as session,
        pytest.raises(DeviceRefused, match="4989"),
    ):
        session.read_log()


def test_a_direct_read_that_is_not_answered_is_given_up_at_the_deadline() -> None:
    terminal = ScriptedTerminal({50: reply(2000, size_table(records=1)), 1503: reply(65535), 13: silence})
    with (
        over_tcp(terminal, timeout_s=0.2) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(DeviceTimeout, match="ATTLOG_READ"),
    ):
        session.read_log()


def test_an_acknowledgement_is_no_table() -> None:
    terminal = ScriptedTerminal({50: reply(2000, size_table(records=1)), 1503: reply(65535), 13: reply()})
    with (
        over_tcp(terminal) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(DeviceRefused, match="65535"),
    ):
        session.read_log()


# -- AK3750


def test_a_terminal_that_tells_its_sizes_word_by_word() -> None:
    with (
        running_terminal(records=30, firmware=AK3750) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        assert session.read_sizes() == Sizes(users=10, records=30, record_capacity=200_000, operations=0)


def test_words_that_are_refused_or_always_zero_are_no_counts() -> None:
    table = [reply(2000, bytes(4))]
    for word in (reply(2001), reply(2000, bytes(4)), reply(2000, bytes(8))):
        terminal = ScriptedTerminal({50: [*table, word]})
        with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
            assert session.read_sizes() == Sizes()


def test_slots_of_templates_and_freed_slots_are_nobody_and_templates_are_nowhere() -> None:
    template = bytearray(b"\xa7" * 72)
    template[2] = 0x31
    with running_terminal(users=5, firmware=AK3750) as running:
        for raw in (bytes(template), b"", bytes(template)):
            running.terminal.add_empty_slot(raw)
        with ZkDriver().open(running.as_configured()) as session:
            people = list(session.read_users())
    assert [person.pin for person in people] == ["1001", "1002", "1003", "1004", "1005"]
    assert "\xa7" not in repr(people)
    assert "\\xa7" not in repr(people)


@pytest.mark.parametrize("empty_reply", list(EmptyReply))
def test_an_empty_log_is_empty_in_every_firmware(firmware: Firmware, empty_reply: EmptyReply) -> None:
    with running_terminal(firmware=replace(firmware, empty_reply=empty_reply)) as running:
        assert read_log(running) == []


# -- what nobody knows


def test_a_layout_that_nobody_knows_gives_no_punch_and_keeps_its_bytes(driver: Driver) -> None:
    log = b"".join(att40(str(n + 1), WHEN) + bytes(16) for n in range(50))
    body = body_of(log)
    terminal = ScriptedTerminal(
        {50: reply(2000, size_table(records=50)), 1503: offered(body), 1504: chunks(body)}
    )
    with over_tcp(terminal) as configured, driver.open(configured) as session:
        with pytest.raises(UnknownLayout, match="2800 bytes for 50 records, 56 bytes each") as caught:
            session.read_log()
        assert caught.value.raw == log
        assert session.read_sizes().records == 50


def test_passwords_never_leave_the_user_table(caplog: pytest.LogCaptureFixture) -> None:
    for layout in (USER28, USER72, USER120):
        with running_terminal(users=0, firmware=Firmware(users=layout)) as running:
            raw = bytearray(layout.record_bytes)
            raw[0], raw[3:8] = 7, b"S3cr\0"
            at = layout.record_bytes - (4 if layout is USER28 else 24)
            raw[at : at + 1] = b"7"
            running.terminal.write_user(bytes(raw))
            with ZkDriver().open(running.as_configured()) as session:
                assert isinstance(session, CanReadUsers)
                assert "S3cr" not in repr(list(session.read_users())) + caplog.text


def test_records_of_every_layout_that_are_no_punches_are_kept_and_cost_no_other() -> None:
    for layout in LOG_LAYOUTS:
        if layout is MIXED:
            continue
        with running_terminal(records=20, firmware=KINDS[layout.name]) as running:
            running.terminal.add_raw_record(b"\xfb" * layout.record_bytes)
            running.terminal.punch("1001", at=datetime(2026, 1, 6, 8))
            items = read_log(running)
        assert [item.position for item in items if isinstance(item, BadRecord)] == [20]
        assert len(items) == 22
