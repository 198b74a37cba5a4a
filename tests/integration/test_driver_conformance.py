"""What every driver that dials a terminal must do, over TCP and UDP, against the simulated terminal."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

import pytest

from attendance.errors import (
    ConfigError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    LocalProtocolError,
    RemoteProtocolError,
    Unsupported,
)
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import Sizes, Terminal
from drivers.base import CanListen, CanReadUsers, CanSetClock, Driver
from drivers.table import driver_named
from drivers.zk.simulator.faults import BadChecksum, CloseAfter, Fault, Merge, Refuse, Segment, Silent
from drivers.zk.simulator.firmware import EmptyReply, Firmware
from scripted import att40
from terminals import Running, made_log, running_terminal

WHEN = 0x2E489017
FEBRUARY_31 = (1 * 31 + 30) * 86400


@pytest.fixture(params=["zk", "pyzk"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return driver_named(request.param)


@pytest.fixture(params=["tcp", "udp"])
def over(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read_log(driver: Driver, terminal: Terminal) -> list[RawPunch | BadRecord]:
    with driver.open(terminal) as session:
        return list(session.read_log())


def test_it_has_the_name_that_the_configuration_uses(driver: Driver) -> None:
    assert driver_named(driver.name) is driver


def test_it_says_what_the_terminal_is(driver: Driver, over: str) -> None:
    with running_terminal(transport=over) as running, driver.open(running.as_configured()) as session:
        identity = session.identify()
    assert identity.serial == "SIM0000000001"
    assert identity.model == running.terminal.model
    assert identity.platform == running.terminal.platform
    assert identity.firmware == running.terminal.firmware.version


@pytest.mark.parametrize("unknown_option", [2001, 4999])
def test_an_option_that_a_terminal_does_not_know_is_empty(
    driver: Driver, over: str, unknown_option: int
) -> None:
    with running_terminal(transport=over, firmware=Firmware(unknown_option=unknown_option)) as running:
        del running.terminal.options["~Platform"]
        del running.terminal.options["~DeviceName"]
        with driver.open(running.as_configured()) as session:
            identity = session.identify()
    assert (identity.platform, identity.model) == ("", "")


def test_a_terminal_without_a_serial_number_is_not_taken(driver: Driver, over: str) -> None:
    with running_terminal(transport=over) as running:
        del running.terminal.options["~SerialNumber"]
        with driver.open(running.as_configured()) as session, pytest.raises(Unsupported, match="serial"):
            session.identify()


@pytest.mark.parametrize("told", ["\x1b[31mEVIL", "AB CD", "A/B", "A" * 65])
def test_a_serial_number_that_cannot_be_one_is_not_taken(driver: Driver, over: str, told: str) -> None:
    """A flash error at boot: it would end the edge's thread, and colour a technician's screen."""
    with running_terminal(transport=over) as running:
        running.terminal.options["~SerialNumber"] = told
        with driver.open(running.as_configured()) as session, pytest.raises(Unsupported) as refused:
            session.identify()
    assert "serial number that cannot be one" in str(refused.value)
    assert str(refused.value).isprintable()


def test_it_reads_the_clock_and_sets_it(driver: Driver, over: str) -> None:
    with running_terminal(transport=over) as running, driver.open(running.as_configured()) as session:
        before = running.terminal.wall_time()
        assert timedelta(seconds=-1) <= session.read_clock() - before <= timedelta(seconds=60)
        assert isinstance(session, CanSetClock)
        session.set_clock(datetime(2030, 1, 31, 12, 0))
        assert running.terminal.wall_time() - datetime(2030, 1, 31, 12, 0) < timedelta(seconds=60)


def test_it_reads_how_much_the_terminal_holds(driver: Driver, over: str) -> None:
    with (
        running_terminal(transport=over, users=7, records=30) as running,
        driver.open(running.as_configured()) as session,
    ):
        told = replace(session.read_sizes(), operations=None)
    assert told == Sizes(users=7, records=30, record_capacity=200_000)


def test_a_terminal_that_tells_no_sizes_holds_an_unknown_number(driver: Driver, over: str) -> None:
    with (
        running_terminal(transport=over, firmware=Firmware(sizes_bytes=4)) as running,
        driver.open(running.as_configured()) as session,
    ):
        assert session.read_sizes() == Sizes()


@pytest.mark.parametrize("count", [1, 25, 26, 1637, 4000])
@pytest.mark.parametrize("packet_bytes", [1008, 65528])
def test_it_reads_the_whole_log_in_its_order(
    driver: Driver, over: str, count: int, packet_bytes: int
) -> None:
    with running_terminal(
        transport=over, records=count, firmware=Firmware(packet_bytes=packet_bytes)
    ) as running:
        assert read_log(driver, running.as_configured()) == made_log(count)


@pytest.mark.parametrize("faults", [[Segment(1)], [Segment(7)], [Merge()], [Merge(), Segment(1000)]])
@pytest.mark.parametrize("count", [3, 300])
def test_no_segmentation_of_the_stream_changes_what_is_read(
    driver: Driver, faults: list[Fault], count: int
) -> None:
    small = Firmware(packet_bytes=1008)
    with (
        running_terminal(records=count, firmware=small, faults=faults) as running,
        driver.open(running.as_configured()) as session,
    ):
        assert session.identify().serial == "SIM0000000001"
        assert list(session.read_log()) == made_log(count)
        assert session.read_sizes().records == count


def test_another_terminal_at_a_known_address_is_noticed(driver: Driver, over: str) -> None:
    """Its punches would be counted for the serial of the one that was taken off the wall."""
    with (
        running_terminal(transport=over) as running,
        driver.open(running.as_configured()) as session,
    ):
        true = session.identify()
        assert session.identify(true) == true
        assert session.identify(replace(true, serial="GONE", model="GONE")) == true


def test_it_reads_a_log_twice_in_one_session(driver: Driver, over: str) -> None:
    with (
        running_terminal(transport=over, records=50) as running,
        driver.open(running.as_configured()) as session,
    ):
        assert list(session.read_log()) == list(session.read_log()) == made_log(50)


@pytest.mark.parametrize("empty_reply", list(EmptyReply))
def test_an_empty_log_is_empty_however_it_is_told(driver: Driver, over: str, empty_reply: EmptyReply) -> None:
    with running_terminal(transport=over, firmware=Firmware(empty_reply=empty_reply)) as running:
        assert read_log(driver, running.as_configured()) == []


@pytest.mark.parametrize("empty_reply", list(EmptyReply))
def test_a_log_that_should_hold_records_is_never_taken_for_empty(
    driver: Driver, over: str, empty_reply: EmptyReply
) -> None:
    with running_terminal(transport=over, firmware=Firmware(empty_reply=empty_reply)) as running:
        running.terminal.shown_records = 12
        with pytest.raises((RemoteProtocolError, DeviceRefused)):
            read_log(driver, running.as_configured())


def test_records_that_are_no_punches_are_kept_and_cost_no_other(driver: Driver, over: str) -> None:
    with running_terminal(transport=over) as running:
        records = [att40("1001", WHEN), att40("", WHEN), att40("1003", 0xFFFFFFFF), att40("1004", WHEN)]
        for raw in records:
            running.terminal.add_raw_record(raw)
        first, nobody, far, last = read_log(driver, running.as_configured())
    assert isinstance(first, RawPunch)
    assert isinstance(last, RawPunch)
    assert isinstance(nobody, BadRecord)
    assert isinstance(far, BadRecord)
    assert (nobody.raw, nobody.position) == (records[1], 1)
    assert (far.raw, far.position) == (records[2], 2)


def test_codes_come_as_the_terminal_wrote_them(driver: Driver, over: str) -> None:
    with running_terminal(transport=over) as running:
        raw = bytearray(att40("007", WHEN, verify=15, state=255))
        raw[32:36] = (77).to_bytes(4, "little")
        running.terminal.add_raw_record(bytes(raw))
        assert read_log(driver, running.as_configured()) == [
            RawPunch(
                pin="007",
                wall_time=datetime(2024, 2, 29, 8, 30, 15),
                verify_code=15,
                state_code=255,
                work_code=77,
                source=Source.LOG,
            )
        ]


@pytest.mark.parametrize("users", [0, 1, 14, 200])
def test_it_reads_everyone_enrolled(driver: Driver, over: str, users: int) -> None:
    with (
        running_terminal(transport=over, users=users) as running,
        driver.open(running.as_configured()) as session,
    ):
        assert isinstance(session, CanReadUsers)
        people = list(session.read_users())
    assert [(p.uid, p.pin, p.name) for p in people] == [
        (n, str(1000 + n), f"Pegawai {n}") for n in range(1, users + 1)
    ]


def test_it_opens_a_terminal_with_a_comm_key(driver: Driver, over: str) -> None:
    with running_terminal(transport=over, comm_key=123456, records=3) as running:
        assert read_log(driver, running.as_configured()) == made_log(3)


@pytest.mark.parametrize(("key", "words"), [(654321, "refused the comm key"), (0, "none is set")])
def test_a_wrong_comm_key_is_said_to_be_one(driver: Driver, over: str, key: int, words: str) -> None:
    with (
        running_terminal(transport=over, comm_key=123456) as running,
        pytest.raises(DeviceRefused, match=words),
        driver.open(replace(running.as_configured(), comm_key=key)),
    ):
        pass


def test_secure_firmware_is_named(driver: Driver, over: str) -> None:
    with (
        running_terminal(transport=over, faults=[Refuse()]) as running,
        pytest.raises(DeviceRefused, match="6001, secure firmware") as caught,
    ):
        read_log(driver, running.as_configured())
    assert caught.value.code == 6001


def test_a_refused_port_is_unreachable_and_says_what_to_look_at(driver: Driver) -> None:
    with running_terminal() as running:
        gone = running.as_configured()
    with pytest.raises(DeviceUnreachable, match="refuses connections: is the port right"):
        read_log(driver, gone)


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_a_terminal_that_falls_silent_is_given_up_at_the_deadline(
    driver: Driver, over: str, frames: int
) -> None:
    with (
        running_terminal(transport=over, records=40, faults=[Silent(after_frames=frames)]) as running,
        pytest.raises(DeviceTimeout, match=r"silent|did not answer"),
    ):
        read_log(driver, running.as_configured(timeout_s=0.3))


@pytest.mark.parametrize("after", [0, 5, 16, 24, 100, 1500, 3000])
def test_a_connection_that_breaks_in_mid_transfer_is_noticed_at_once(driver: Driver, after: int) -> None:
    small = Firmware(packet_bytes=1008)
    with (
        running_terminal(records=100, firmware=small, faults=[CloseAfter(after)]) as running,
        pytest.raises(DeviceUnreachable),
    ):
        read_log(driver, running.as_configured(timeout_s=60))


@pytest.mark.parametrize("nth", [1, 3, 5])
def test_a_damaged_reply_ends_the_session_and_gives_nothing(driver: Driver, nth: int) -> None:
    with (
        running_terminal(records=100, faults=[BadChecksum(nth)]) as running,
        pytest.raises(RemoteProtocolError, match="checksum"),
    ):
        read_log(driver, running.as_configured())


def test_a_session_that_broke_answers_nothing_more(driver: Driver, over: str) -> None:
    with (
        running_terminal(transport=over, faults=[Silent(after_frames=1)]) as running,
        driver.open(running.as_configured(timeout_s=0.2)) as session,
    ):
        with pytest.raises(DeviceTimeout):
            session.read_clock()
        with pytest.raises(LocalProtocolError, match="over"):
            session.read_clock()


def test_a_refusal_ends_no_session(driver: Driver, over: str) -> None:
    with (
        running_terminal(transport=over, records=3, faults=[Refuse(2001, 1503), Refuse(2001, 13)]) as running,
        driver.open(running.as_configured()) as session,
    ):
        with pytest.raises(DeviceRefused):
            list(session.read_log())
        assert session.read_sizes().records == 3


@pytest.mark.parametrize("shown", [9, 11, 0])
def test_a_count_that_is_stale_costs_no_punch_and_makes_none(shown: int) -> None:
    with running_terminal(records=10) as running:
        running.terminal.shown_records = shown
        assert read_log(driver_named("zk"), running.as_configured()) == made_log(10)


def test_pyzk_which_needs_the_count_reads_nothing_where_it_is_zero() -> None:
    with running_terminal(records=10) as running:
        running.terminal.shown_records = 0
        with pytest.raises(Unsupported, match='driver = "zk"'):
            read_log(driver_named("pyzk"), running.as_configured())


def test_it_leaves_the_terminal_to_the_next_client(driver: Driver, over: str) -> None:
    with running_terminal(transport=over, records=3) as running:
        for _ in range(3):
            assert read_log(driver, running.as_configured()) == made_log(3)
        assert running.terminal.enabled


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": ""}, "host is missing"),
        ({"transport": "serial"}, 'write "tcp", "udp" or "auto"'),
        ({"comm_key": 1_000_000}, "6 digits"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"encoding": "klingon"}, "encoding"),
    ],
)
def test_settings_that_can_never_work_are_refused_without_a_network(
    driver: Driver, change: dict[str, str], words: str
) -> None:
    good = Terminal(id="lobi", host="192.0.2.10")
    driver.check(good, {})
    with pytest.raises(ConfigError, match=words) as caught:
        driver.check(replace(good, **change), {})  # type: ignore[arg-type]
    assert str(caught.value).startswith("terminal lobi: ")


def test_an_option_that_no_driver_has_is_refused_by_name(driver: Driver) -> None:
    with pytest.raises(ConfigError, match="no option colour"):
        driver.check(Terminal(id="lobi", host="192.0.2.10"), {"colour": "red"})


def test_a_driver_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match='no driver "zkk"; it has "zk", "pyzk"'):
        driver_named("zkk")


@pytest.fixture
def listening(over: str) -> Iterator[tuple[Running, CanListen]]:
    """The one driver that listens."""
    with (
        running_terminal(records=3, transport=over) as running,
        driver_named("zk").open(running.as_configured()) as session,
    ):
        assert isinstance(session, CanListen)
        yield running, session


def test_a_punch_is_told_as_it_is_made(listening: tuple[Running, CanListen]) -> None:
    running, session = listening
    told = session.listen(quiet=timedelta(seconds=30))
    punch = running.terminal.punch("1004", verify=15, state=1)
    assert next(told) == punch._replace(source=Source.LIVE)


def test_a_quiet_spell_gives_none_and_the_listening_goes_on(listening: tuple[Running, CanListen]) -> None:
    running, session = listening
    told = session.listen(quiet=timedelta(milliseconds=20))
    assert list(islice(told, 3)) == [None, None, None]
    running.terminal.punch("1004")
    heard = next(punch for punch in told if punch is not None)
    assert isinstance(heard, RawPunch)
    assert heard.pin == "1004"
