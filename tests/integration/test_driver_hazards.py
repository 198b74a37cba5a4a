"""What terminals and networks have done to other clients, done to ours: none of it may cost a punch."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from struct import pack

import pytest

from attendance.errors import (
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    LocalProtocolError,
    RemoteProtocolError,
    Unsupported,
)
from attendance.punch import BadRecord, RawPunch
from drivers.base import CanReadUsers, Driver
from drivers.pyzk import PyzkDriver
from drivers.table import driver_named
from drivers.zk.driver import ZkDriver
from drivers.zk.packet import Packet, frame
from drivers.zk.session import ZkSession
from program import eventually
from scripted import (
    SESSION,
    Answer,
    ScriptedTerminal,
    att40,
    body_of,
    chunks,
    live_event,
    offered,
    over_tcp,
    reply,
    silence,
    size_table,
)

WHEN = 0x2E489017
FEBRUARY_31 = (1 * 31 + 30) * 86400
QUIET = timedelta(milliseconds=50)
LONG = timedelta(seconds=30)


@pytest.fixture(params=["zk", "pyzk"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return driver_named(request.param)


def log_of(count: int) -> bytes:
    return b"".join(att40(str(1001 + n), WHEN) for n in range(count))


def holding(records: bytes, *counts: int, between: list[Packet] | None = None) -> ScriptedTerminal:
    """A terminal with a log and no users, that tells these counts one after the other."""
    body = body_of(records)
    return ScriptedTerminal(
        {
            50: [reply(2000, size_table(records=count)) for count in counts],
            1503: offered(body),
            1504: chunks(body, between=between or []),
        }
    )


def pins(session: ZkSession) -> list[str]:
    return [item.pin for item in session.read_log() if isinstance(item, RawPunch)]


def test_a_late_reply_never_answers_the_next_question(driver: Driver) -> None:
    """The bare library gave the serial number for the platform, and so on for ever."""

    def late(request: Packet) -> list[Packet]:
        return [
            Packet(2000, SESSION, request.reply_id - 1, b"~Platform=WRONG\0"),
            Packet(2000, SESSION, request.reply_id, request.data.rstrip(b"\0") + b"=RIGHT\0"),
        ]

    terminal = ScriptedTerminal({11: late, 1100: reply(2000, b"Ver 6.60\0")})
    with over_tcp(terminal) as configured, driver.open(configured) as session:
        identity = session.identify()
    assert {identity.serial, identity.model, identity.platform} == {"RIGHT"}


def test_a_header_may_come_in_two_segments_and_a_frame_with_the_next(driver: Driver) -> None:
    def merged(request: Packet) -> list[bytes]:
        whole = frame(Packet(2000, SESSION, request.reply_id, pack("<I", WHEN)))
        return [whole[:3], whole[3:11], whole[11:] + frame(live_event("1001"))]

    with over_tcp(ScriptedTerminal({201: merged})) as configured, driver.open(configured) as session:
        for _ in range(3):
            assert session.read_clock() == datetime(2024, 2, 29, 8, 30, 15)


def test_events_inside_a_transfer_do_not_disturb_it(driver: Driver) -> None:
    told = [live_event("1001"), live_event("1002")]
    with over_tcp(holding(log_of(100), 100, between=told)) as configured, driver.open(configured) as session:
        assert len(list(session.read_log())) == 100


def test_a_peer_that_closes_in_mid_transfer_is_noticed_and_not_waited_for(driver: Driver) -> None:
    def closing(request: Packet) -> list[Packet | bytes]:
        return [Packet(1500, SESSION, request.reply_id, pack("<II", 4004, 1008)), b""]

    terminal = ScriptedTerminal(
        {50: reply(2000, size_table(records=100)), 1503: offered(body_of(log_of(100))), 1504: closing}
    )
    with (
        over_tcp(terminal, timeout_s=60) as configured,
        driver.open(configured) as session,
        pytest.raises(DeviceUnreachable, match="closed"),
    ):
        session.read_log()


def test_a_body_cut_short_gives_no_record(driver: Driver) -> None:
    cut = body_of(log_of(100))[:2004]
    terminal = ScriptedTerminal(
        {50: reply(2000, size_table(records=100)), 1503: offered(cut), 1504: chunks(cut)}
    )
    with (
        over_tcp(terminal) as configured,
        driver.open(configured) as session,
        pytest.raises(RemoteProtocolError),
    ):
        session.read_log()


def test_records_of_49_bytes_are_never_read_as_40(driver: Driver) -> None:
    """The bare library made 61 records of 50, with dates to 2130."""
    tail = bytes.fromhex("ff3235350000000000")
    log = b"".join(att40(str(n + 1), WHEN) + tail for n in range(50))
    with over_tcp(holding(log, 50)) as configured, driver.open(configured) as session:
        if isinstance(session, ZkSession):
            assert pins(session) == [str(n + 1) for n in range(50)]
        else:
            with pytest.raises(Unsupported, match=r'layout 49.*driver = "zk"'):
                session.read_log()
        assert session.read_sizes().records == 50


def test_records_of_16_bytes_beside_a_stale_count_are_never_read_as_40(driver: Driver) -> None:
    """The bare library made 20 records of rubbish of them."""
    log = b"".join(pack("<IIBBHI", 1000 + n, WHEN + n, 0, 1, 0, 0) for n in range(50))
    with over_tcp(holding(log, 49)) as configured, driver.open(configured) as session:
        if isinstance(session, ZkSession):
            assert pins(session) == [str(1000 + n) for n in range(50)]
        else:
            with pytest.raises(Unsupported, match="layout 16"):
                session.read_log()


def test_a_punch_made_while_the_log_is_read_does_not_fail_the_read(driver: Driver) -> None:
    with over_tcp(holding(log_of(101), 100, 100, 100, 101)) as configured, driver.open(configured) as session:
        assert len(list(session.read_log())) == 101


def test_pyzk_says_who_can_read_past_an_impossible_date() -> None:
    log = log_of(5) + att40("1001", FEBRUARY_31) + log_of(5)
    with over_tcp(holding(log, 11)) as configured:
        with PyzkDriver().open(configured) as session, pytest.raises(Unsupported, match='driver = "zk"'):
            session.read_log()
        with ZkDriver().open(configured) as session:
            read = list(session.read_log())
    assert sum(isinstance(item, RawPunch) for item in read) == 10
    assert [item.position for item in read if isinstance(item, BadRecord)] == [5]


def test_a_terminal_in_push_mode_counts_nothing_and_still_gives_its_log() -> None:
    with over_tcp(holding(log_of(60), 0)) as configured, ZkDriver().open(configured) as session:
        assert len(pins(session)) == 60


def test_an_empty_body_of_a_terminal_that_tells_no_count_is_not_believed() -> None:
    terminal = ScriptedTerminal({50: reply(2000, bytes(4)), 1503: reply(1501, bytes(4))})
    with (
        over_tcp(terminal) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(RemoteProtocolError, match="no number of records"),
    ):
        session.read_log()


def test_a_terminal_that_wants_a_key_although_it_has_none_gets_key_0(driver: Driver) -> None:
    terminal = ScriptedTerminal({1000: reply(2005), 1102: reply(), 201: reply(2000, pack("<I", WHEN))})
    with over_tcp(terminal) as configured, driver.open(configured) as session:
        assert session.read_clock().year == 2024


def test_the_buffer_is_freed_and_the_session_ended() -> None:
    terminal = holding(log_of(60), 60)
    with over_tcp(terminal) as configured:
        with ZkDriver().open(configured) as session:
            session.read_log()
        assert terminal.commands() == [1000, 50, 1503, 1504, 1502, 50, 1001]


def test_the_buffer_is_freed_when_a_part_of_it_is_refused() -> None:
    terminal = holding(log_of(60), 60)
    terminal.follow(1504, reply(2001))
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        with pytest.raises(DeviceRefused, match="2001"):
            session.read_log()
        assert terminal.commands()[-2:] == [1504, 1502]


def test_a_terminal_that_does_not_say_farewell_does_not_hold_up_the_others() -> None:
    terminal = ScriptedTerminal({1001: silence})
    with over_tcp(terminal, timeout_s=0.2) as configured, ZkDriver().open(configured):
        pass
    assert terminal.commands()[-1] == 1001


def test_silence_is_answered_with_a_farewell_so_that_the_terminal_frees_its_session() -> None:
    terminal = ScriptedTerminal({201: silence})
    with over_tcp(terminal, timeout_s=0.2) as configured:
        with (
            pytest.raises(DeviceTimeout, match=r"did not answer GET_TIME within 0\.2 s"),
            ZkDriver().open(configured) as session,
        ):
            session.read_clock()
        eventually(lambda: terminal.commands() == [1000, 201, 1001], what="EXIT at the terminal")


def test_rubbish_that_keeps_coming_does_not_move_the_deadline_on() -> None:
    def chatter(request: Packet) -> list[Packet]:
        return [Packet(2000, SESSION, request.reply_id + 1 & 0xFFFF)] * 2000

    with (
        over_tcp(ScriptedTerminal({201: chatter}), timeout_s=0.2) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(DeviceTimeout, match="did not answer"),
    ):
        session.read_clock()


def test_a_clock_that_is_acknowledged_and_not_set_is_told() -> None:
    terminal = ScriptedTerminal({202: reply(), 201: reply(2000, pack("<I", WHEN))})
    with (
        over_tcp(terminal) as configured,
        ZkDriver().open(configured) as session,
        pytest.raises(DeviceRefused, match="still shows 2024-02-29 08:30:15"),
    ):
        session.set_clock(datetime(2026, 1, 1))


def test_the_last_frames_are_logged_without_anyones_data(caplog: pytest.LogCaptureFixture) -> None:
    terminal = ScriptedTerminal({201: lambda _request: [b"HTTP/1.1 400 Bad Request"]})
    with (
        caplog.at_level(logging.WARNING),
        over_tcp(terminal) as configured,
        ZkDriver().open(configured) as session,
    ):
        with pytest.raises(RemoteProtocolError, match="not a ZK frame"):
            session.read_clock()
        with pytest.raises(LocalProtocolError):
            session.read_clock()
    (record,) = caplog.records
    assert ">1000 s0000 r0 0B, <2000 s1f2e r0 0B, >201 s1f2e r1 0B" in record.getMessage()


@pytest.mark.parametrize("answer", [b"", b"\1\2"])
def test_a_clock_that_is_told_in_too_few_bytes_is_an_error(driver: Driver, answer: bytes) -> None:
    with (
        over_tcp(ScriptedTerminal({201: reply(2000, answer)})) as configured,
        driver.open(configured) as session,
        pytest.raises(RemoteProtocolError),
    ):
        session.read_clock()


@pytest.mark.parametrize("word", [FEBRUARY_31, 0xFFFFFFFF])
def test_a_clock_that_shows_no_date_does_not_end_the_session(driver: Driver, word: int) -> None:
    """The log behind a broken clock must still be read, in the same session."""
    with (
        over_tcp(ScriptedTerminal({201: reply(2000, pack("<I", word))})) as configured,
        driver.open(configured) as session,
    ):
        for _ in range(2):
            with pytest.raises(Unsupported, match="clock is unusable"):
                session.read_clock()


def test_a_session_that_is_no_longer_trusted_is_not_a_terminal_without_a_name(driver: Driver) -> None:
    with (
        over_tcp(ScriptedTerminal({11: reply(2005)})) as configured,
        driver.open(configured) as session,
        pytest.raises(DeviceRefused, match="2005, not authenticated"),
    ):
        session.identify()


def test_users_that_are_counted_and_not_given_are_an_error(driver: Driver) -> None:
    terminal = ScriptedTerminal({50: reply(2000, size_table(users=5)), 1503: reply(1501, bytes(4))})
    with over_tcp(terminal) as configured, driver.open(configured) as session:
        assert isinstance(session, CanReadUsers)
        with pytest.raises(RemoteProtocolError, match="counts 5"):
            session.read_users()


def test_a_comm_key_that_pyzk_cannot_compute_is_told_with_the_driver_that_can() -> None:
    terminal = ScriptedTerminal({1000: reply(2005, session=0xFFFF), 1102: reply(session=0xFFFF)})
    with over_tcp(terminal) as configured:
        keyed = replace(configured, comm_key=131071)
        with pytest.raises(Unsupported, match='driver = "zk"'), PyzkDriver().open(keyed):
            pass
        with ZkDriver().open(keyed):
            pass


def acknowledgements(terminal: ScriptedTerminal) -> list[int]:
    return [packet.reply_id for packet in terminal.asked if packet.command == 2000]


def telling(*told: Packet) -> "Answer":
    """The answer to REG_EVENT, with events that follow at once."""
    return lambda request: [Packet(2000, SESSION, request.reply_id), *told]


def test_an_event_is_acknowledged_only_when_the_next_is_asked_for() -> None:
    terminal = ScriptedTerminal(
        {500: telling(live_event("1001", reply_id=3), live_event("1002", reply_id=4)), 201: clock_answer()}
    )
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        told = session.listen(quiet=LONG)
        assert isinstance(next(told), RawPunch)
        session.read_clock()
        assert acknowledgements(terminal) == []
        assert isinstance(next(told), RawPunch)
        session.read_clock()
        assert acknowledgements(terminal) == [3]


def clock_answer() -> "Answer":
    return reply(2000, pack("<I", WHEN))


def test_a_punch_that_was_not_made_durable_is_told_again() -> None:
    terminal = ScriptedTerminal({500: telling(live_event("1001"))})
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        first = next(iter(session.listen(quiet=LONG)))
        again = next(iter(session.listen(quiet=LONG)))
    assert first == again
    assert isinstance(first, RawPunch)


def test_one_session_serves_events_and_polls() -> None:
    terminal = holding(log_of(60), 60, between=[live_event("2001"), live_event("2002")])
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        told = session.listen(quiet=QUIET)
        assert next(told) is None
        assert len(pins(session)) == 60
        heard = [next(told), next(told)]
        assert [punch.pin for punch in heard if isinstance(punch, RawPunch)] == ["2001", "2002"]
        assert next(told) is None


def test_events_that_are_no_punches_are_acknowledged_and_passed_over() -> None:
    finger = Packet(500, 2, 9)
    terminal = ScriptedTerminal({500: telling(finger, live_event("1001")), 201: clock_answer()})
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        heard = next(iter(session.listen(quiet=LONG)))
        assert isinstance(heard, RawPunch)
        session.read_clock()
        assert acknowledgements(terminal) == [9]


def test_an_event_of_an_unknown_length_is_kept() -> None:
    odd = Packet(500, 1, 0, bytes(13))
    with (
        over_tcp(ScriptedTerminal({500: telling(odd)})) as configured,
        ZkDriver().open(configured) as session,
    ):
        heard = next(iter(session.listen(quiet=LONG)))
    assert isinstance(heard, BadRecord)
    assert heard.raw == bytes(13)


def test_none_is_given_as_soon_as_it_is_due_also_after_a_long_poll() -> None:
    terminal = ScriptedTerminal({201: clock_answer()})
    with over_tcp(terminal) as configured, ZkDriver().open(configured) as session:
        told = session.listen(quiet=timedelta(0))
        assert next(told) is None
        session.read_clock()
        assert next(told) is None


def test_a_peer_that_closes_while_listened_to_is_noticed_at_once() -> None:
    def closing(request: Packet) -> list[Packet | bytes]:
        return [Packet(2000, SESSION, request.reply_id), b""]

    with over_tcp(ScriptedTerminal({500: closing})) as configured, ZkDriver().open(configured) as session:
        told = session.listen(quiet=LONG)
        with pytest.raises(DeviceUnreachable, match="closed"):
            next(told)
