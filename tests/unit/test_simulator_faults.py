"""Faults that do not happen as announced would prove nothing about a driver."""

import pytest

from attendance.errors import RemoteProtocolError
from drivers.zk.packet import Packet, StreamDecoder, frame
from drivers.zk.simulator.faults import (
    BadChecksum,
    CloseAfter,
    Delay,
    Fault,
    Line,
    Merge,
    Pace,
    Refuse,
    Segment,
    Silent,
    delay_s,
    pace_s,
    refusals,
)

FRAMES = [frame(Packet(2000, 1, number, b"abc")) for number in range(3)]


def test_frames_leave_one_by_one_without_a_fault() -> None:
    assert Line([]).writes(FRAMES) == FRAMES


def test_segments_are_cut_in_each_frame() -> None:
    parts = Line([Segment(7)]).writes(FRAMES)
    assert [len(part) for part in parts] == [7, 7, 5] * 3
    assert b"".join(parts) == b"".join(FRAMES)


def test_merged_frames_leave_in_one_write() -> None:
    assert Line([Merge()]).writes(FRAMES) == [b"".join(FRAMES)]
    assert Line([Merge()]).writes([]) == []


@pytest.mark.parametrize(
    "faults", [[CloseAfter(25)], [Segment(4), CloseAfter(25)], [Merge(), CloseAfter(25)]]
)
def test_connection_closes_in_the_middle_of_a_frame(faults: list[Fault]) -> None:
    line = Line(faults)
    first = line.writes(FRAMES[:1])
    assert (b"".join(first), line.broken) == (FRAMES[0], False)
    assert b"".join(line.writes(FRAMES[1:])) == FRAMES[1][:6]
    assert line.broken


def test_silence_begins_after_so_many_frames() -> None:
    line = Line([Silent(after_frames=2)])
    assert line.writes(FRAMES[:1]) == FRAMES[:1]
    assert line.writes(FRAMES[1:]) == FRAMES[1:2]
    assert line.writes(FRAMES) == []
    assert Line([Silent()]).writes(FRAMES) == []


def test_only_the_nth_checksum_is_wrong() -> None:
    first, second, third = Line([BadChecksum(2)]).writes(FRAMES)
    assert (first, third) == (FRAMES[0], FRAMES[2])
    assert len(second) == len(FRAMES[1])
    with pytest.raises(RemoteProtocolError, match="checksum"):
        StreamDecoder().feed(second)


def test_timing_and_refusals_are_told() -> None:
    faults: list[Fault] = [Delay(0.5), Pace(0.1), Refuse(), Refuse(4989, command=1503)]
    assert (delay_s(faults), pace_s(faults)) == (0.5, 0.1)
    assert refusals(faults) == {1000: 6001, 1503: 4989}
    assert Line(faults).writes(FRAMES) == FRAMES
