"""Reading only what is new: of a log that the terminal holds ready, just the asked part travels."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from struct import pack

import pytest

from attendance.errors import DeviceRefused, LocalProtocolError, RemoteProtocolError, Unsupported
from attendance.punch import BadRecord, RawPunch
from drivers.base import CanReadTail, Driver
from drivers.table import driver_named
from drivers.zk.commands import Command
from drivers.zk.driver import ZkDriver
from drivers.zk.layouts import UnknownLayout
from drivers.zk.records import MIXED
from drivers.zk.simulator.faults import Refuse
from drivers.zk.simulator.firmware import JZ4725, KINDS, EmptyReply, Firmware
from proxy import proxy_before
from scripted import ScriptedTerminal, att40, body_of, chunks, offered, over_tcp, reply, size_table
from terminals import START, running_terminal

WHEN = 0x2E489017
FIXED = [name for name, kind in KINDS.items() if kind.buffered and kind.log is not MIXED]


def made(first: int, last: int) -> list[RawPunch]:
    """What `some_terminal` holds from one record up to another."""
    return [
        RawPunch(
            pin=str(1001 + n % 10), wall_time=START + timedelta(minutes=n), verify_code=1, state_code=n % 2
        )
        for n in range(first, last)
    ]


def test_the_driver_has_the_capability() -> None:
    with running_terminal() as running, ZkDriver().open(running.as_configured()) as session:
        assert isinstance(session, CanReadTail)


@pytest.mark.parametrize("kind", FIXED)
@pytest.mark.parametrize("count", [1, 20, 26, 1637])
def test_the_end_of_a_log_is_the_end_of_the_whole(kind: str, count: int) -> None:
    with (
        running_terminal(records=count, firmware=KINDS[kind]) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        with session.prepare_log() as log:
            assert log.records == count
            for first in {0, count // 2, count - 1, count}:
                assert list(log.read(first)) == made(first, count)
        assert list(session.read_log()) == made(0, count)


@pytest.mark.parametrize("kind", FIXED)
def test_a_digest_is_that_of_the_terminals_own_bytes(kind: str) -> None:
    """What proves that the part before the new records is unchanged."""
    with (
        running_terminal(records=2000, firmware=KINDS[kind]) as running,
        ZkDriver().open(running.as_configured()) as session,
        session.prepare_log() as log,
    ):
        raw, size = running.terminal.log(), running.terminal.firmware.log.record_bytes
        for first, last in ((0, 0), (0, 1), (0, 2000), (1990, 2000), (700, 705), (2000, 2000)):
            assert log.digest(first, last) == sha256(raw[first * size : last * size]).digest()


def test_five_new_records_of_a_hundred_thousand_cost_less_than_4_kilobytes() -> None:
    """On a 2G link the whole log takes minutes, and every poll would read it."""
    with ExitStack() as stack:
        running = stack.enter_context(running_terminal(users=10))
        running.terminal.remember(made(0, 100_000))
        proxy = stack.enter_context(proxy_before(running.port))
        configured = replace(running.as_configured(), port=proxy.port)
        with ZkDriver().open(configured) as session:
            session.identify()
            session.read_clock()
            assert session.read_sizes().records == 100_000
            with session.prepare_log() as log:
                log.digest(99_985, 99_995)
                assert list(log.read(99_995)) == made(99_995, 100_000)
        assert proxy.passed_bytes < 4096


def test_a_poll_without_news_costs_less_than_a_kilobyte() -> None:
    with running_terminal(records=1000) as running, proxy_before(running.port) as proxy:
        with ZkDriver().open(replace(running.as_configured(), port=proxy.port)) as session:
            assert session.read_sizes().records == 1000
        assert proxy.passed_bytes < 1024


def test_punches_made_meanwhile_do_not_move_what_is_held_ready() -> None:
    with running_terminal(records=300) as running, ZkDriver().open(running.as_configured()) as session:
        with session.prepare_log() as log:
            running.terminal.punch("1001")
            assert log.records == 300
            assert list(log.read(298)) == made(298, 300)
        with session.prepare_log() as log:
            assert log.records == 301


def test_a_bad_record_has_its_place_in_the_whole_log() -> None:
    with running_terminal(records=300) as running, ZkDriver().open(running.as_configured()) as session:
        running.terminal.add_raw_record(b"\xff" * 40)
        with session.prepare_log() as log:
            _good, bad = log.read(299)
    assert isinstance(bad, BadRecord)
    assert bad.position == 300


@pytest.mark.parametrize("empty_reply", list(EmptyReply))
def test_an_empty_log_holds_no_record(empty_reply: EmptyReply) -> None:
    with (
        running_terminal(firmware=Firmware(empty_reply=empty_reply)) as running,
        ZkDriver().open(running.as_configured()) as session,
        session.prepare_log() as log,
    ):
        assert log.records == 0
        assert log.digest(0, 0) == sha256().digest()
        assert list(log.read(0)) == []
        with pytest.raises(LocalProtocolError):
            log.digest(0, 1)


def test_a_log_that_should_hold_records_is_never_taken_for_empty() -> None:
    with running_terminal() as running, ZkDriver().open(running.as_configured()) as session:
        running.terminal.shown_records = 12
        with pytest.raises(RemoteProtocolError, match="counts 12"), session.prepare_log():
            pass


@pytest.mark.parametrize("kind", ["22", "mixed"])
def test_a_terminal_whose_log_cannot_be_read_in_part_says_so_and_is_read_whole(kind: str) -> None:
    with (
        running_terminal(records=30, firmware=KINDS[kind]) as running,
        ZkDriver().open(running.as_configured()) as session,
    ):
        with pytest.raises(Unsupported, match="whole"), session.prepare_log():
            pass
        assert list(session.read_log()) == made(0, 30)


def test_a_long_mixed_log_is_not_taken_for_one_of_8_bytes() -> None:
    with running_terminal(firmware=KINDS["mixed"]) as running:
        start = datetime(2026, 1, 5, 7)
        hours = [start + timedelta(hours=n) for n in range(998)]
        for at in (*hours, hours[-1] + timedelta(seconds=5), hours[-1] + timedelta(seconds=9)):
            running.terminal.punch("1001", at=at)
        with ZkDriver().open(running.as_configured()) as session:
            with pytest.raises(Unsupported), session.prepare_log():
                pass
            assert len([item for item in session.read_log() if isinstance(item, RawPunch)]) == 1000


def test_a_refused_key_is_no_missing_ability() -> None:
    with (
        running_terminal(records=3, faults=[Refuse(2005, Command.PREPARE_BUFFER)]) as running,
        ZkDriver().open(running.as_configured()) as session,
        pytest.raises(DeviceRefused, match="2005"),
        session.prepare_log(),
    ):
        pass


def test_an_unknown_layout_is_not_read_in_part() -> None:
    body = body_of(b"".join(att40(str(n + 1), WHEN) + bytes(16) for n in range(50)))
    terminal = ScriptedTerminal(
        {50: reply(2000, size_table(records=50)), 1503: offered(body), 1504: chunks(body)}
    )
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        with pytest.raises(UnknownLayout), session.prepare_log():
            pass
        assert session.read_sizes().records == 50
    assert 1502 in terminal.commands()


def test_only_the_asked_range_is_asked_for() -> None:
    body = body_of(b"".join(att40(str(n + 1), WHEN) for n in range(3000)))
    terminal = ScriptedTerminal(
        {50: reply(2000, size_table(records=3000)), 1503: offered(body), 1504: chunks(body)}
    )
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        with session.prepare_log() as log:
            log.digest(100, 103)
            log.read(2990)
            log.read(3000)
        assert terminal.commands() == [1000, 50, 1503, 50, 1504, 1504, 1504, 1502]
    asked = [packet.data for packet in terminal.asked if packet.command == 1504]
    assert asked == [pack("<ii", 0, 396), pack("<ii", 4004, 120), pack("<ii", 119604, 400)]


def test_a_prefix_that_does_not_fit_the_offer_ends_the_session() -> None:
    body = body_of(b"".join(att40(str(n + 1), WHEN) for n in range(100))) + bytes(40)
    terminal = ScriptedTerminal(
        {50: reply(2000, size_table(records=100)), 1503: offered(body), 1504: chunks(body)}
    )
    with (
        over_tcp(terminal) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(RemoteProtocolError, match="announces 4000 bytes in a body of 4044"),
        session.prepare_log(),
    ):
        pass


def test_nothing_is_read_from_a_log_that_is_no_longer_held() -> None:
    """The terminal holds one table at a time: what came instead would be taken for punches."""
    with running_terminal(records=300) as running, ZkDriver().open(running.as_configured()) as session:
        with session.prepare_log() as log:
            list(session.read_users())
            with pytest.raises(LocalProtocolError, match="gone"):
                log.read(0)
        with session.prepare_log() as log:
            pass
        with pytest.raises(LocalProtocolError, match="gone"):
            log.digest(0, 5)
        assert session.read_sizes().records == 300


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (3, 2), (0, 301)])
def test_records_that_are_not_there_are_not_asked_for(first: int, last: int) -> None:
    with (
        running_terminal(records=300) as running,
        ZkDriver().open(running.as_configured()) as session,
        session.prepare_log() as log,
        pytest.raises(LocalProtocolError),
    ):
        log.digest(first, last)


def test_a_broken_connection_within_the_block_is_the_error_that_is_told() -> None:
    body = body_of(b"".join(att40(str(n + 1), WHEN) for n in range(100)))
    terminal = ScriptedTerminal(
        {
            50: reply(2000, size_table(records=100)),
            1503: offered(body),
            1504: [chunks(body), lambda _request: [b"HTTP/1.1 400"]],
        }
    )
    with (
        over_tcp(terminal) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(RemoteProtocolError, match="not a ZK frame"),
        session.prepare_log() as log,
    ):
        log.read(50)


def test_live_punches_told_meanwhile_are_kept() -> None:
    with running_terminal(records=300) as running, ZkDriver().open(running.as_configured()) as session:
        told = session.listen(quiet=timedelta(seconds=30))
        with session.prepare_log() as log:
            running.terminal.punch("1003")
            assert len(list(log.read(290))) == 10
        heard = next(told)
    assert isinstance(heard, RawPunch)
    assert heard.pin == "1003"


def test_a_driver_without_it_does_not_claim_it() -> None:
    driver: Driver = driver_named("pyzk")
    with running_terminal() as running, driver.open(running.as_configured()) as session:
        assert not isinstance(session, CanReadTail)


def test_firmware_that_needs_it_most_has_small_packets() -> None:
    with (
        running_terminal(records=3000, firmware=JZ4725) as running,
        ZkDriver().open(running.as_configured()) as session,
        session.prepare_log() as log,
    ):
        assert list(log.read(0)) == made(0, 3000)
