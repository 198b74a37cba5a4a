"""Faults that do not happen as announced would prove nothing about a driver."""

import pytest

from attendance.errors import RemoteProtocolError
from drivers.zk.packet import Packet, StreamDecoder, decode, encode, frame
from drivers.zk.simulator.faults import (
    BadChecksum,
    CloseAfter,
    Delay,
    Duplicate,
    EarlyAck,
    Fault,
    Late,
    Lose,
    Merge,
    Pace,
    Refuse,
    Reorder,
    Segment,
    Silent,
    Speed,
    WrongReplyId,
    WrongSession,
    delay_s,
    refusals,
    rest_s,
)
from drivers.zk.simulator.line import DatagramLine, Line

PACKETS = [Packet(2000, 1, number, b"abc") for number in range(3)]
FRAMES = [frame(packet) for packet in PACKETS]
DATAGRAMS = [encode(packet) for packet in PACKETS]
TRANSFER = [Packet(1500, 1, 7, bytes(8)), *(Packet(1501, n, 7, b"abc") for n in range(3)), Packet(2000, 2, 7)]


def test_frames_leave_one_by_one_without_a_fault() -> None:
    assert Line([]).writes(PACKETS) == FRAMES
    assert DatagramLine([]).writes(PACKETS) == DATAGRAMS
    assert DatagramLine([]).takes(b"request") == [b"request"]


def test_segments_are_cut_in_each_frame() -> None:
    parts = Line([Segment(7)]).writes(PACKETS)
    assert [len(part) for part in parts] == [7, 7, 5] * 3
    assert b"".join(parts) == b"".join(FRAMES)


def test_merged_frames_leave_in_one_write() -> None:
    assert Line([Merge()]).writes(PACKETS) == [b"".join(FRAMES)]
    assert Line([Merge()]).writes([]) == []


@pytest.mark.parametrize(
    "faults", [[CloseAfter(25)], [Segment(4), CloseAfter(25)], [Merge(), CloseAfter(25)]]
)
def test_connection_closes_in_the_middle_of_a_frame(faults: list[Fault]) -> None:
    line = Line(faults)
    first = line.writes(PACKETS[:1])
    assert (b"".join(first), line.broken) == (FRAMES[0], False)
    assert b"".join(line.writes(PACKETS[1:])) == FRAMES[1][:6]
    assert line.broken


def test_silence_begins_after_so_many_frames() -> None:
    line = Line([Silent(after_frames=2)])
    assert line.writes(PACKETS[:1]) == FRAMES[:1]
    assert line.writes(PACKETS[1:]) == FRAMES[1:2]
    assert line.writes(PACKETS) == []
    assert Line([Silent()]).writes(PACKETS) == []


def test_only_the_nth_checksum_is_wrong() -> None:
    first, second, third = Line([BadChecksum(2)]).writes(PACKETS)
    assert (first, third) == (FRAMES[0], FRAMES[2])
    assert len(second) == len(FRAMES[1])
    with pytest.raises(RemoteProtocolError, match="checksum"):
        StreamDecoder().feed(second)
    with pytest.raises(RemoteProtocolError, match="checksum"):
        decode(DatagramLine([BadChecksum(2)]).writes(PACKETS)[1])


def test_only_the_nth_frame_names_another_session_or_request() -> None:
    first, second, third = map(decode, DatagramLine([WrongSession(1), WrongReplyId(3)]).writes(PACKETS))
    assert (first.session != 1, first.reply_id) == (True, 0)
    assert second == PACKETS[1]
    assert (third.session, third.reply_id != 2) == (1, True)


def test_a_late_answer_leaves_after_the_next_one() -> None:
    line = Line([Late(2)])
    assert line.writes(PACKETS[:1]) == FRAMES[:1]
    assert line.writes(PACKETS[1:2]) == []
    assert line.writes(PACKETS[2:]) == [FRAMES[2], FRAMES[1]]


def test_the_end_of_a_transfer_can_overtake_its_last_data() -> None:
    left = [decode(datagram) for datagram in DatagramLine([EarlyAck()]).writes(TRANSFER)]
    assert left == [*TRANSFER[:3], TRANSFER[4], TRANSFER[3]]
    assert DatagramLine([EarlyAck()]).writes(PACKETS[:1]) == DATAGRAMS[:1]


def test_loss_and_duplication_take_their_part_of_both_directions() -> None:
    many = [Packet(2000, 1, number) for number in range(1000)]
    lossy = DatagramLine([Lose(0.2)])
    assert 100 < 1000 - len(lossy.writes(many)) < 300
    assert 100 < sum(not lossy.takes(b"request") for _ in many) < 300
    double = DatagramLine([Duplicate(0.2)])
    assert 1100 < len(double.writes(many)) < 1300
    assert 100 < sum(len(double.takes(b"request")) == 2 for _ in many) < 300


def test_reordered_datagrams_are_overtaken_by_one_and_none_is_lost() -> None:
    left = [decode(datagram).reply_id for datagram in DatagramLine([Reorder(1.0)]).writes(PACKETS * 2)]
    assert left == [1, 0, 0, 2, 2, 1]
    line = DatagramLine([Reorder(1.0)])
    assert line.writes(PACKETS[:1]) == []
    assert line.writes(PACKETS[1:2]) == [DATAGRAMS[1], DATAGRAMS[0]]


def test_the_same_seed_does_the_same_and_another_something_else() -> None:
    many = [Packet(2000, 1, number) for number in range(200)]

    def left(seed: int) -> list[bytes]:
        return DatagramLine([Lose(0.2, seed), Duplicate(0.2, seed), Reorder(0.2, seed)]).writes(many)

    assert left(1) == left(1) != left(2)


def test_timing_and_refusals_are_told() -> None:
    faults: list[Fault] = [Delay(0.5), Pace(0.1), Speed(1000), Refuse(), Refuse(4989, command=1503)]
    assert (delay_s(faults), rest_s(faults, 500)) == (0.5, 0.6)
    assert refusals(faults) == {1000: 6001, 1503: 4989}
    assert Line(faults).writes(PACKETS) == FRAMES
