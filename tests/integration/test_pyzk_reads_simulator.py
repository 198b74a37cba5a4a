"""The simulator is proven by pyzk: what a client that knows nothing of us reads is what was put in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from struct import pack

import pytest

from attendance.terminal import User
from drivers.zk.simulator.faults import Delay, Fault, IgnoresLowerIds, Refuse, RepeatsReply
from drivers.zk.simulator.firmware import KINDS, EmptyReply, Firmware
from pyzk_client import IGNORE_ITS_SOCKETS, connected_pyzk, make_pyzk
from terminals import START, StillClock, running_terminal, serving, some_terminal

pytestmark = pytest.mark.filterwarnings(IGNORE_ITS_SOCKETS)

ATTLOG = 13
USERS = 9
USER_TABLE = 5


def packed(at: datetime) -> int:
    """The terminal's time word, written here a second time so that a mistake of ours cannot cancel out."""
    days = ((at.year - 2000) * 12 + at.month - 1) * 31 + at.day - 1
    return ((days * 24 + at.hour) * 60 + at.minute) * 60 + at.second


def expected_log(users: int, records: int) -> bytes:
    """The body of a log read, as `some_terminal` must give it, by the published layout."""
    body = b""
    for number in range(records):
        uid = 1 + number % users
        when = packed(START + timedelta(minutes=number))
        body += pack("<H24sBIB8s", uid, str(1000 + uid).encode(), 1, when, number % 2, b"")
    return pack("<I", len(body)) + body


def test_identity_reads_back() -> None:
    with running_terminal() as running, connected_pyzk(running.port) as client:
        assert client.get_serialnumber() == "SIM0000000001"
        assert client.get_firmware_version() == "Ver 6.60 Jan 13 2016"
        assert client.get_platform() == "ZMM220_TFT"
        assert client.get_device_name() == "HADIR-SIM"
        assert client.get_mac() == "02:00:5e:00:02:ca"
        assert client.get_fp_version() == 10
        assert client.get_pin_width() == 9
        assert client.get_face_version() == 0
        assert client.get_network_params()["gateway"] == "192.0.2.1"


def test_unknown_option_does_not_stall_a_client_that_clears_errors() -> None:
    """The client then sends 2001 and three times 65535 as commands, and waits for each answer."""
    with running_terminal() as running:
        del running.terminal.options["~ExtendFmt"]
        with connected_pyzk(running.port) as client:
            assert client.get_extend_fmt() is None
            assert client.get_serialnumber() == "SIM0000000001"


def test_sizes_read_back() -> None:
    with running_terminal(users=7, records=12) as running, connected_pyzk(running.port) as client:
        client.read_sizes()
        assert (client.users, client.records) == (7, 12)
        assert (client.users_cap, client.rec_cap) == (5_000, 200_000)
        assert (client.users_av, client.rec_av) == (4_993, 199_988)


@pytest.mark.parametrize("offset_s", [0, 3600, -90])
def test_clock_shows_the_wall_time_of_its_zone(offset_s: int) -> None:
    clock = StillClock(datetime(2026, 3, 1, 20, 0, 5, tzinfo=UTC))
    with running_terminal(clock=clock) as running:
        running.terminal.offset = timedelta(seconds=offset_s)
        with connected_pyzk(running.port) as client:
            assert client.get_time() == datetime(2026, 3, 2, 3, 0, 5) + timedelta(seconds=offset_s)


def test_clock_can_be_set_and_runs_on_from_there() -> None:
    clock = StillClock()
    with running_terminal(clock=clock) as running, connected_pyzk(running.port) as client:
        client.set_time(datetime(2026, 5, 31, 23, 59, 59))
        clock.advance(1)
        assert client.get_time() == datetime(2026, 6, 1, 0, 0, 0)


def test_users_read_back_with_names_and_privileges() -> None:
    terminal = some_terminal(users=0)
    people = [
        User(uid=1, pin="1001", name="", name_raw=b"Ni Made Ayu", privilege=14, card=12345678),
        User(uid=70, pin="197001012000031001", name="", name_raw="Ñanda é".encode()),
    ]
    terminal.enrol(people)
    with serving(terminal) as running, connected_pyzk(running.port) as client:
        read = [(user.uid, user.user_id, user.name, user.privilege, user.card) for user in client.get_users()]
    assert read == [
        (1, "1001", "Ni Made Ayu", 14, 12345678),
        (70, "197001012000031001", "Ñanda é", 0, 0),
    ]


@pytest.mark.parametrize("users", [1, 14, 15, 500])
def test_user_table_byte_for_byte_inline_and_buffered(users: int) -> None:
    with running_terminal(users=users) as running, connected_pyzk(running.port) as client:
        body, size = client.read_with_buffer(USERS, USER_TABLE)
    rows = [
        pack(
            "<HB8s24sIBHHHH24s",
            uid,
            0,
            b"",
            f"Pegawai {uid}".encode(),
            0,
            1,
            0,
            0,
            0,
            0,
            str(1000 + uid).encode(),
        )
        for uid in range(1, users + 1)
    ]
    assert size == 4 + 72 * users
    assert body == pack("<I", 72 * users) + b"".join(rows)


@pytest.mark.parametrize("records", [1, 25, 26, 3_300, 15_378])
def test_log_byte_for_byte_inline_and_buffered(records: int) -> None:
    """25 records are the most that fits an inline reply; 15,378 were read from a real terminal so."""
    with running_terminal(users=30, records=records) as running, connected_pyzk(running.port) as client:
        body, _size = client.read_with_buffer(ATTLOG)
    assert body == expected_log(30, records)


def test_attendance_reads_back_as_it_was_punched() -> None:
    terminal = some_terminal(users=3)
    made = [
        terminal.punch(str(1001 + n % 3), at=START + timedelta(seconds=7 * n), verify=v, state=s)
        for n, (v, s) in enumerate([(1, 0), (15, 1), (4, 255), (25, 5)] * 800)
    ]
    with serving(terminal) as running, connected_pyzk(running.port) as client:
        read = [(row.user_id, row.timestamp, row.status, row.punch) for row in client.get_attendance()]
    assert read == [(punch.pin, punch.wall_time, punch.verify_code, punch.state_code) for punch in made]


def test_right_key_opens() -> None:
    with running_terminal(comm_key=1234) as running, connected_pyzk(running.port, password=1234) as client:
        assert client.get_serialnumber() == "SIM0000000001"


@pytest.mark.parametrize("password", [0, 1233, 999_999])
def test_wrong_or_missing_key_is_refused(password: int) -> None:
    with running_terminal(comm_key=1234) as running:
        client = make_pyzk(running.port, password=password)
        with pytest.raises(Exception, match="Unauthenticated"):
            client.connect()


def test_secure_firmware_refuses_the_plain_protocol() -> None:
    with (
        running_terminal(faults=[Refuse(6001)]) as running,
        pytest.raises(Exception, match="Can't connect"),
    ):
        make_pyzk(running.port).connect()


def test_clear_empties_the_log() -> None:
    with running_terminal(records=40) as running, connected_pyzk(running.port) as client:
        client.clear_attendance()
        assert running.terminal.record_count == 0
        assert client.get_attendance() == []


@pytest.mark.parametrize("empty_reply", [EmptyReply.REFUSED, EmptyReply.NOT_AVAILABLE])
def test_empty_log_may_be_answered_by_a_refusal(empty_reply: EmptyReply) -> None:
    with (
        running_terminal(firmware=Firmware(empty_reply=empty_reply)) as running,
        connected_pyzk(running.port) as client,
        pytest.raises(Exception, match="Not supported"),
    ):
        client.read_with_buffer(ATTLOG)


def test_empty_log_may_be_four_zero_bytes() -> None:
    with running_terminal() as running, connected_pyzk(running.port) as client:
        assert client.read_with_buffer(ATTLOG) == (bytes(4), 4)


def test_users_can_be_written_and_deleted() -> None:
    with running_terminal(users=2) as running, connected_pyzk(running.port) as client:
        client.get_users()
        client.set_user(9, "Budi Santoso", 0, user_id="1009")
        client.delete_user(1)
        left = [(user.uid, user.pin, user.name) for user in running.terminal.users()]
    assert left == [(2, "1002", "Pegawai 2"), (9, "1009", "Budi Santoso")]


def test_a_client_that_disables_leaves_the_terminal_free_when_it_exits() -> None:
    with running_terminal() as running:
        with connected_pyzk(running.port) as client:
            client.disable_device()
            assert not running.terminal.enabled
        assert running.terminal.enabled


def test_live_events_arrive_as_they_are_punched() -> None:
    """Whoever listens sees each punch, once, in order, and the log holds them too."""
    with running_terminal(users=3) as running, connected_pyzk(running.port) as client:
        seen = []
        for event in client.live_capture(new_timeout=0.05):
            if event is not None:
                seen.append((event.user_id, event.timestamp, event.status, event.punch, event.uid))
                if len(seen) == 3:
                    break
            running.terminal.punch(
                str(1001 + len(seen)), at=START + timedelta(hours=len(seen)), verify=15, state=len(seen)
            )
    assert seen == [(str(1001 + n), START + timedelta(hours=n), 15, n, n + 1) for n in range(3)]
    assert running.terminal.record_count == 3


def test_a_slow_terminal_is_still_understood() -> None:
    with running_terminal(records=2, faults=[Delay(0.05)]) as running, connected_pyzk(running.port) as client:
        assert len(client.get_attendance()) == 2


@pytest.mark.parametrize("kind", ["40", "8a", "16", "ngteco"])
@pytest.mark.parametrize("records", [3, 300])
def test_punches_of_the_layouts_that_it_knows_read_back(kind: str, records: int) -> None:
    """For 16 bytes it calls the state `status` and the verify mode `punch`: the other way round.

    In packets of one body, as it stalls where several arrive together.
    """
    firmware = replace(KINDS[kind], packet_bytes=65528)
    with (
        running_terminal(records=records, firmware=firmware) as running,
        connected_pyzk(running.port) as client,
    ):
        got = [(p.user_id, p.timestamp, p.status, p.punch) for p in client.get_attendance()]
    turned = kind == "16"
    assert got == [
        (
            str(1001 + n % 10),
            START + timedelta(minutes=n),
            *((n % 2, 1) if turned else (1, n % 2)),
        )
        for n in range(records)
    ]


@pytest.mark.parametrize("kind", ["49", "8b"])
def test_punches_of_layouts_that_it_does_not_know_are_misread_by_it(kind: str) -> None:
    """So that it is seen when these become something that it can judge."""
    with (
        running_terminal(records=30, firmware=KINDS[kind]) as running,
        connected_pyzk(running.port) as client,
    ):
        try:
            times = [punch.timestamp for punch in client.get_attendance()]
        except ValueError:
            return
    assert times != [START + timedelta(minutes=n) for n in range(30)]


@pytest.mark.parametrize("kind", ["40", "8a", "16"])
def test_users_of_28_and_72_bytes_read_back(kind: str) -> None:
    with running_terminal(users=0, firmware=KINDS[kind]) as running:
        running.terminal.enrol(
            [
                User(uid=1, pin="1001", name="", name_raw=b"Ni Made", privilege=14, card=12345678),
                User(uid=70, pin="197001012", name="", name_raw=b"Sri"),
            ]
        )
        with connected_pyzk(running.port) as client:
            read = [(u.uid, u.user_id, u.name, u.privilege, u.card) for u in client.get_users()]
            client.set_user(71, "Budi", 0, user_id="1009")
        written = running.terminal.users()[-1]
    assert read == [(1, "1001", "Ni Made", 14, 12345678), (70, "197001012", "Sri", 0, 0)]
    assert (written.uid, written.pin, written.name) == (71, "1009", "Budi")


@pytest.mark.parametrize("length", [12, 32, 36, 52])
def test_live_events_of_the_lengths_that_it_knows(length: int) -> None:
    with (
        running_terminal(users=3, firmware=Firmware(event_bytes=length)) as running,
        connected_pyzk(running.port) as client,
    ):
        for event in client.live_capture(new_timeout=0.05):
            if event is not None:
                break
            running.terminal.punch("1002", at=START, verify=15, state=1)
    assert event is not None
    assert (event.user_id, event.timestamp, event.status, event.punch) == ("1002", START, 15, 1)


# -- over UDP


def test_identity_and_sizes_read_back_over_udp() -> None:
    with running_terminal(users=7, records=12) as running, connected_pyzk(running.port, udp=True) as client:
        assert client.get_serialnumber() == "SIM0000000001"
        assert client.get_firmware_version() == "Ver 6.60 Jan 13 2016"
        client.read_sizes()
        assert (client.users, client.records) == (7, 12)


def test_right_key_opens_over_udp_and_a_wrong_one_does_not() -> None:
    with running_terminal(comm_key=1234) as running:
        with connected_pyzk(running.port, password=1234, udp=True) as client:
            assert client.get_serialnumber() == "SIM0000000001"
        with pytest.raises(Exception, match="Unauthenticated"):
            make_pyzk(running.port, password=1233, udp=True).connect()


@pytest.mark.parametrize("records", [1, 24, 26, 410, 3_000])
def test_log_byte_for_byte_over_udp(records: int) -> None:
    """In packets of 1024; of an inline reply with 25 records it would cut off the end itself."""
    with (
        running_terminal(users=30, records=records) as running,
        connected_pyzk(running.port, udp=True) as client,
    ):
        body, _size = client.read_with_buffer(ATTLOG)
    assert body == expected_log(30, records)


@pytest.mark.parametrize("users", [1, 14, 200])
def test_users_read_back_over_udp(users: int) -> None:
    with running_terminal(users=users) as running, connected_pyzk(running.port, udp=True) as client:
        read = [(user.uid, user.user_id, user.name) for user in client.get_users()]
    assert read == [(uid, str(1000 + uid), f"Pegawai {uid}") for uid in range(1, users + 1)]


@pytest.mark.parametrize("kind", ["40", "8a"])
def test_punches_read_back_over_udp(kind: str) -> None:
    with (
        running_terminal(records=300, firmware=KINDS[kind]) as running,
        connected_pyzk(running.port, udp=True) as client,
    ):
        got = [(p.user_id, p.timestamp, p.status, p.punch) for p in client.get_attendance()]
    assert got == [(str(1001 + n % 10), START + timedelta(minutes=n), 1, n % 2) for n in range(300)]


def test_live_events_arrive_over_udp() -> None:
    with running_terminal(users=3) as running, connected_pyzk(running.port, udp=True) as client:
        for event in client.live_capture(new_timeout=0.05):
            if event is not None:
                break
            running.terminal.punch("1002", at=START, verify=15, state=1)
    assert event is not None
    assert (event.user_id, event.timestamp, event.status, event.punch) == ("1002", START, 15, 1)


def test_with_the_repeat_rules_of_older_terminals_it_still_reads() -> None:
    faults: list[Fault] = [RepeatsReply(), IgnoresLowerIds()]
    with (
        running_terminal(records=600, faults=faults) as running,
        connected_pyzk(running.port, udp=True) as client,
    ):
        assert len(client.get_attendance()) == 600
