"""Slow terminals and slow links, with default settings: an office on 2G must not need an engineer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from attendance.errors import DeviceTimeout
from attendance.punch import BadRecord, RawPunch
from attendance.terminal import Terminal
from config.model import TerminalSettings
from drivers.table import driver_named
from drivers.zk.simulator.faults import Fault, Pace, Speed
from drivers.zk.simulator.firmware import JZ4725
from relay import GPRS, Link, relay_before
from terminals import START, Running, running_terminal

DEFAULT_TIMEOUT: timedelta = TerminalSettings.model_fields["timeout"].default


@pytest.fixture(params=["tcp", "udp"])
def over(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(count: int) -> list[RawPunch]:
    """What `some_terminal` holds."""
    return [
        RawPunch(
            pin=str(1001 + n % 10), wall_time=START + timedelta(minutes=n), verify_code=1, state_code=n % 2
        )
        for n in range(count)
    ]


def behind(running: Running, port: int, timeout: timedelta = DEFAULT_TIMEOUT) -> Terminal:
    return replace(running.as_configured(), port=port, timeout=timeout)


def read_log(terminal: Terminal, driver: str = "zk") -> list[RawPunch | BadRecord]:
    with driver_named(driver).open(terminal) as session:
        return list(session.read_log())


def test_a_log_is_read_over_2g_with_default_settings(over: str) -> None:
    with (
        running_terminal(records=2000, transport=over) as running,
        relay_before(running.port, GPRS) as relay,
    ):
        assert read_log(behind(running, relay.port)) == made(2000)


@pytest.mark.parametrize("driver", ["zk", "pyzk"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_log_is_read_over_a_network_that_jitters_and_loses(over: str, driver: str, seed: int) -> None:
    link = Link(delay_s=0.01, jitter_s=0.02, loss=0.02, stall_s=0.2, seed=seed)
    with running_terminal(records=500, transport=over) as running, relay_before(running.port, link) as relay:
        assert read_log(behind(running, relay.port, timedelta(seconds=3)), driver) == made(500)


@pytest.mark.parametrize("faults", [[Speed(50_000)], [Speed(50_000), Pace(0.02)]])
def test_a_terminal_that_sends_50_kilobytes_a_second_is_read(over: str, faults: list[Fault]) -> None:
    with running_terminal(records=3000, firmware=JZ4725, faults=faults, transport=over) as running:
        assert read_log(replace(running.as_configured(), timeout=DEFAULT_TIMEOUT)) == made(3000)


@pytest.mark.parametrize("driver", ["zk", "pyzk"])
def test_a_frame_may_take_longer_than_the_time_out_as_long_as_it_comes(driver: str) -> None:
    """64 KiB in one frame take 13 s where 5,000 bytes come in a second; the time-out is for silence."""
    with (
        running_terminal(records=1600) as running,
        relay_before(running.port, Link(bytes_per_s=40_000)) as relay,
    ):
        assert read_log(behind(running, relay.port, timedelta(seconds=0.5)), driver) == made(1600)


def test_a_stream_that_stops_in_a_frame_is_given_up_at_the_time_out() -> None:
    with (
        running_terminal(records=1600) as running,
        relay_before(running.port, Link(bytes_per_s=40_000, loss=0.05, stall_s=30)) as relay,
        pytest.raises(DeviceTimeout),
    ):
        read_log(behind(running, relay.port, timedelta(seconds=0.5)))
