"""Every driver over UDP that loses, doubles and reorders: a log is whole or it is an error, never less."""

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from struct import unpack
from time import monotonic

import pytest

from attendance.errors import DeviceError, DeviceRefused, DeviceTimeout, DeviceUnreachable
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Terminal
from drivers.base import CanListen, CanReadTail, CanSetClock, Driver
from drivers.table import driver_named
from drivers.zk.commands import Command
from drivers.zk.packet import Packet, encode
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import (
    BadChecksum,
    Duplicate,
    EarlyAck,
    Fault,
    IgnoresLowerIds,
    Late,
    Lose,
    Refuse,
    Reorder,
    RepeatsReply,
    Silent,
    SilentTcp,
    WrongReplyId,
    WrongSession,
)
from drivers.zk.simulator.firmware import AK3750, KINDS, Firmware
from drivers.zk.simulator.server import TerminalServer
from terminals import START, Running, running_terminal, serving, some_terminal

RULES: list[Fault] = [RepeatsReply(), IgnoresLowerIds()]


@pytest.fixture(params=["zk", "pyzk"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return driver_named(request.param)


def made(count: int) -> list[RawPunch]:
    """What `some_terminal` holds."""
    return [
        RawPunch(
            pin=str(1001 + n % 10), wall_time=START + timedelta(minutes=n), verify_code=1, state_code=n % 2
        )
        for n in range(count)
    ]


def read_log(driver: Driver, running: Running, timeout_s: float = 3) -> list[RawPunch | BadRecord]:
    with driver.open(running.as_configured(timeout_s)) as session:
        return list(session.read_log())


@pytest.mark.parametrize("rules", [[], RULES], ids=["no rules", "rules"])
@pytest.mark.parametrize("seed", range(4))
def test_a_log_is_whole_over_a_network_that_does_everything(
    driver: Driver, rules: list[Fault], seed: int
) -> None:
    """With and without the rules of older terminals for repeated and lower reply ids."""
    bad: list[Fault] = [Lose(0.05, seed), Duplicate(0.1, seed), Reorder(0.1, seed)]
    with running_terminal(records=600, faults=[*bad, *rules], transport="udp") as running:
        assert read_log(driver, running) == made(600)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", [1, 2])
def test_every_kind_of_firmware_is_read_over_a_lossy_network(kind: str, seed: int) -> None:
    faults: list[Fault] = [Lose(0.03, seed), Duplicate(0.05, seed), Reorder(0.05, seed), *RULES]
    with running_terminal(records=130, firmware=KINDS[kind], faults=faults, transport="udp") as running:
        assert read_log(driver_named("zk"), running) == made(130)


def test_only_what_was_lost_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An office pays its 2G by the byte, and its terminal takes no fingers while it sends."""
    asked: list[tuple[int, int]] = []
    original = TerminalConversation.answer

    def noted(self: TerminalConversation, request: Packet) -> list[Packet]:
        if request.command == Command.READ_BUFFER:
            start, size = unpack("<ii", request.data)
            asked.append((start, size))
        return original(self, request)

    monkeypatch.setattr(TerminalConversation, "answer", noted)
    with running_terminal(records=400, faults=[BadChecksum(8)], transport="udp") as running:
        assert read_log(driver_named("zk"), running) == made(400)
    assert asked == [(0, 16004), (3072, 1024)]


ODD: list[Fault] = [EarlyAck(), Late(1), *(kind(n) for kind in (Late, WrongSession) for n in range(2, 10))]


@pytest.mark.parametrize("fault", ODD)
def test_one_odd_datagram_changes_nothing(driver: Driver, fault: Fault) -> None:
    with running_terminal(records=100, faults=[fault, *RULES], transport="udp") as running:
        assert read_log(driver, running, timeout_s=1.5) == made(100)


@pytest.mark.parametrize("nth", range(1, 10))
@pytest.mark.parametrize("kind", [BadChecksum, WrongReplyId])
def test_a_damaged_or_foreign_datagram_is_as_good_as_lost(
    driver: Driver, kind: type[BadChecksum] | type[WrongReplyId], nth: int
) -> None:
    with running_terminal(records=100, faults=[kind(nth), *RULES], transport="udp") as running:
        assert read_log(driver, running, timeout_s=1.5) == made(100)


def test_a_direct_read_with_a_loss_is_made_again_whole() -> None:
    faults: list[Fault] = [Lose(0.05, 3), Refuse(65535, 1503), *RULES]
    with running_terminal(records=300, faults=faults, transport="udp") as running:
        assert read_log(driver_named("zk"), running) == made(300)


def test_a_terminal_without_buffer_and_with_long_packets_is_read() -> None:
    with running_terminal(records=300, firmware=AK3750, faults=[Lose(0.05, 2)], transport="udp") as running:
        assert read_log(driver_named("zk"), running) == made(300)


def test_the_end_of_a_log_is_read_over_a_lossy_network() -> None:
    faults: list[Fault] = [Lose(0.05, 5), Reorder(0.1, 5), *RULES]
    with (
        running_terminal(records=500, faults=faults, transport="udp") as running,
        driver_named("zk").open(running.as_configured(3)) as session,
    ):
        assert isinstance(session, CanReadTail)
        with session.prepare_log() as log:
            assert list(log.read(480)) == made(500)[480:]


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_loses_most_is_an_error_of_ours_in_time(driver: Driver, seed: int) -> None:
    begun = monotonic()
    with (
        running_terminal(records=100, faults=[Lose(0.9, seed)], transport="udp") as running,
        pytest.raises(DeviceError),
    ):
        read_log(driver, running, timeout_s=0.5)
    assert monotonic() - begun < 30


def test_what_changes_a_terminal_is_sent_once_and_its_lost_answer_is_an_error() -> None:
    """A clock set again later is set wrong; a log cleared again costs the punches made since."""
    with (
        running_terminal(faults=[Silent(after_frames=1)], transport="udp") as running,
        driver_named("zk").open(running.as_configured(0.6)) as session,
    ):
        before = running.terminal.offset
        set_at: list[datetime] = []
        original = running.terminal.set_wall_time

        def noted(wall_time: datetime) -> None:
            set_at.append(wall_time)
            original(wall_time)

        running.terminal.set_wall_time = noted  # type: ignore[method-assign]
        assert isinstance(session, CanSetClock)
        with pytest.raises(DeviceTimeout, match="SET_TIME"):
            session.set_clock(datetime(2030, 1, 31, 12))
    assert set_at == [datetime(2030, 1, 31, 12)]
    assert running.terminal.offset != before


def test_a_live_punch_that_arrives_twice_is_told_as_the_same_punch() -> None:
    """It may be one that the terminal tells again as it saw no acknowledgement: it is acknowledged again."""
    with (
        running_terminal(faults=[Duplicate(1.0)], transport="udp") as running,
        driver_named("zk").open(running.as_configured()) as session,
    ):
        assert isinstance(session, CanListen)
        told = session.listen(quiet=timedelta(seconds=0.3))
        running.terminal.punch("1004")
        heard = [next(told), next(told), next(told)]
    assert isinstance(heard[0], RawPunch)
    assert heard[0].pin == "1004"
    assert set(heard) <= {heard[0], None}


def test_a_closed_udp_port_is_told_at_once(driver: Driver) -> None:
    with TerminalServer(some_terminal(), transports=("tcp",)) as server:
        gone = replace(Running(server.terminal, server).as_configured(60), transport="udp")
        with (
            pytest.raises(DeviceUnreachable, match="refuses datagrams: is the port right"),
            driver.open(gone),
        ):
            pass


def test_datagrams_of_others_are_not_heard(driver: Driver) -> None:
    """Whoever guesses the port could otherwise answer for the terminal."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as terminal,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign,
    ):
        terminal.bind(("127.0.0.1", 0))
        connect = encode(Packet(2000, 0x1F2E, 0))

        def answer() -> None:
            _request, ours = terminal.recvfrom(1032)
            foreign.sendto(encode(Packet(6001, 0x1F2E, 0)), ours)
            terminal.sendto(connect, ours)

        answering = threading.Thread(target=answer)
        answering.start()
        configured = Terminal(
            id="lobi",
            host="127.0.0.1",
            port=terminal.getsockname()[1],
            transport="udp",
            timeout=timedelta(seconds=2),
        )
        with driver.open(configured):
            answering.join()


def test_silence_tells_how_much_of_what_came_was_unusable() -> None:
    with (
        running_terminal(faults=[BadChecksum(n) for n in range(1, 30)], transport="udp") as running,
        pytest.raises(DeviceTimeout, match=r"did not answer CONNECT.*; [2-9] packets were damaged"),
    ):
        read_log(driver_named("zk"), running, timeout_s=0.6)


def test_a_session_that_the_terminal_does_not_know_is_silence_and_no_answer() -> None:
    with (
        running_terminal(faults=[WrongSession(1)], transport="udp") as running,
        pytest.raises(DeviceTimeout, match="GET_SIZES"),
    ):
        read_log(driver_named("zk"), running, timeout_s=0.5)


# -- transport = "auto"


def auto(running: Running, timeout_s: float = 2) -> list[RawPunch | BadRecord]:
    terminal = replace(running.as_configured(timeout_s), transport="auto")
    with driver_named("zk").open(terminal) as session:
        return list(session.read_log())


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "drivers.zk.driver"):
        yield caplog


def test_auto_takes_tcp_where_that_answers(told: pytest.LogCaptureFixture) -> None:
    with running_terminal(records=3) as running:
        assert auto(running) == made(3)
    assert told.records == []


def test_auto_takes_udp_where_tcp_is_refused_and_says_so(told: pytest.LogCaptureFixture) -> None:
    with running_terminal(records=3, transport="udp") as running:
        assert auto(running) == made(3)
    (line,) = told.messages
    assert "answers over UDP only" in line
    assert "refuses connections" in line
    assert 'transport = "udp"' in line


def test_auto_takes_udp_where_tcp_connects_and_stays_silent(told: pytest.LogCaptureFixture) -> None:
    with running_terminal(records=3, faults=[SilentTcp()]) as running:
        assert auto(running, timeout_s=0.5) == made(3)
    (line,) = told.messages
    assert "did not answer CONNECT" in line


def test_auto_does_not_turn_a_refusal_over_tcp_into_an_attempt_over_udp(
    told: pytest.LogCaptureFixture,
) -> None:
    with running_terminal(faults=[Refuse(6001)]) as running, pytest.raises(DeviceRefused, match="6001"):
        auto(running)
    assert told.records == []


def test_auto_tells_of_both_ways_where_neither_leads_to_a_terminal() -> None:
    with running_terminal(faults=[Silent()]) as running, pytest.raises(DeviceTimeout) as caught:
        auto(running, timeout_s=0.3)
    assert "did not answer CONNECT within 0.3 s; and over UDP: " in str(caught.value)
    assert "(UDP) did not answer CONNECT" in str(caught.value)


def test_auto_does_not_ask_twice_for_a_name_that_nobody_knows() -> None:
    with running_terminal() as running:
        unknown = replace(running.as_configured(), host="no.such.host.invalid", transport="auto")
        with pytest.raises(DeviceUnreachable) as caught, driver_named("zk").open(unknown):
            pass
    assert "UDP" not in str(caught.value)


def test_no_socket_and_no_thread_is_left(driver: Driver) -> None:
    before = set(threading.enumerate())
    with serving(some_terminal(records=3, firmware=Firmware()), transport="udp") as running:
        assert read_log(driver, running) == made(3)
    assert set(threading.enumerate()) <= before
