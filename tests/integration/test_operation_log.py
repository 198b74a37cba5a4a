"""The operation log: who did what to a terminal, read in every way that firmware offers."""

from dataclasses import replace
from datetime import datetime

import pytest

from attendance.errors import Unsupported
from attendance.event import RawOperation
from attendance.punch import BadRecord
from attendance.terminal import User
from drivers.zk.commands import Command
from drivers.zk.driver import ZkDriver
from drivers.zk.layouts import UnknownLayout
from drivers.zk.operations import (
    CODE_FIRST,
    OPERATOR_FIRST,
    OperationLayout,
    choose_operation_layout,
    pack_operation,
    unpack_operations,
)
from drivers.zk.simulator.faults import Refuse
from drivers.zk.simulator.firmware import AK3750, KINDS, NGTECO, TFT, EmptyReply, Firmware
from terminals import Running, running_terminal

ZK = ZkDriver()
WHEN = datetime(2026, 1, 5, 7, 30)


def operations_of(running: Running) -> list[RawOperation | BadRecord]:
    with ZK.open(running.as_configured()) as session:
        return list(session.read_operations())


def codes_of(running: Running) -> list[int]:
    return [item.code for item in operations_of(running) if isinstance(item, RawOperation)]


def entry(
    code: int, *, operator: str = "", at: datetime = WHEN, values: tuple[str, ...] = ()
) -> RawOperation:
    return RawOperation(code=code, operator=operator, wall_time=at, values=(values + ("0",) * 4)[:4])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_was_done_over_the_wire_stands_in_the_log(kind: str) -> None:
    """A clock set back or a log cleared by somebody else's program is what an auditor looks for."""
    with running_terminal(users=3, records=3, firmware=KINDS[kind]) as running:
        with ZK.open(running.as_configured()) as session:
            session.set_clock(WHEN)
            session.write_user(User(uid=9, pin="9", name="Siti", name_raw=b""))
            session.write_user(User(uid=9, pin="9", name="Budi", name_raw=b""))
            session.delete_user(9)
            session.clear_log()
        found = operations_of(running)
    assert [(item.code, item.values[0]) for item in found if isinstance(item, RawOperation)] == [
        (21, "0"),
        (30, "9"),
        (31, "9"),
        (9, "9"),
        (23, "0"),
    ]
    assert all(item.operator == "" for item in found if isinstance(item, RawOperation))


@pytest.mark.parametrize("firmware", [TFT, NGTECO, AK3750], ids=["tft", "ngteco", "ak3750"])
def test_more_entries_than_one_packet_holds_come_in_their_order(firmware: Firmware) -> None:
    with running_terminal(firmware=firmware) as running:
        for number in range(500):
            running.terminal.note(number % 92, number, operator=number % 3)
        found = operations_of(running)
    assert [
        (item.code, item.operator, item.values[0]) for item in found if isinstance(item, RawOperation)
    ] == [(number % 92, str(number % 3 or ""), str(number)) for number in range(500)]


@pytest.mark.parametrize("empty", list(EmptyReply))
@pytest.mark.parametrize("sizes_bytes", [4, 80, 92, 112])
def test_a_terminal_to_which_nothing_was_done_has_none(empty: EmptyReply, sizes_bytes: int) -> None:
    firmware = replace(TFT, empty_reply=empty, sizes_bytes=sizes_bytes, tells_words=True)
    with running_terminal(firmware=firmware) as running:
        assert operations_of(running) == []


def test_a_terminal_that_knows_it_by_the_database_only_is_asked_that_way() -> None:
    with running_terminal(faults=[Refuse(65535, Command.OPERATIONS_READ)]) as running:
        running.terminal.note(21)
        assert codes_of(running) == [21]


def test_a_terminal_that_keeps_none_is_unsupported_and_can_be_asked_on() -> None:
    """The poll that also looks for operations must not fail by it."""
    silent = replace(TFT, empty_reply=EmptyReply.NOT_AVAILABLE, operations=None, sizes_bytes=4)
    with running_terminal(records=2, firmware=silent) as running, ZK.open(running.as_configured()) as session:
        with pytest.raises(Unsupported, match=r"gives no operation log: .*4989"):
            session.read_operations()
        assert len(list(session.read_log())) == 2


def test_a_log_of_no_known_layout_is_kept_as_evidence_and_not_guessed_at() -> None:
    """Wrong operations would accuse somebody of setting the clock."""
    odd = bytes(range(200, 217)) * 3
    with pytest.raises(UnknownLayout, match="51 bytes") as caught:
        choose_operation_layout(odd)
    assert caught.value.raw == odd
    rubbish = bytes.fromhex("40d835802f330100d5dc0100df230100") * 4
    for count in (None, 0, 3):
        with pytest.raises(UnknownLayout):
            choose_operation_layout(rubbish, count)


def test_a_clock_without_a_battery_makes_no_operation_doubtful_where_the_count_is_right() -> None:
    """Power-on entries of 2000 are the very sign of it."""
    records = b"".join(pack_operation(entry(0, at=datetime(2000, 1, 1, 0, n))) for n in range(4))
    assert choose_operation_layout(records, 4) is OPERATOR_FIRST


@pytest.mark.parametrize("layout", [OPERATOR_FIRST, CODE_FIRST], ids=lambda layout: layout.name)
def test_the_order_of_the_fields_is_found_in_the_entries(layout: OperationLayout) -> None:
    """The two known terminals disagree; read the other way, every entry would be by somebody else."""
    made = [
        entry(4, operator="1"),
        entry(6, operator="1", values=("3", "0", "7", "1282")),
        entry(21, operator="1"),
        entry(0),
        entry(3, values=("55",)),
    ]
    records = b"".join(pack_operation(one, layout) for one in made)
    assert choose_operation_layout(records) is layout
    assert list(unpack_operations(records, layout)) == made


def test_rubbish_in_the_unused_byte_is_no_part_of_it() -> None:
    (found,) = unpack_operations(bytes.fromhex("0000062ac29b68230300000007000205"), OPERATOR_FIRST)
    assert found == RawOperation(
        code=6, operator="", wall_time=datetime(2018, 6, 25, 16, 9, 38), values=("3", "0", "7", "1282")
    )


def test_an_entry_whose_date_does_not_exist_is_evidence_beside_the_others() -> None:
    good = [pack_operation(entry(code)) for code in range(20)]
    bad = bytearray(good[5])
    bad[4:8] = ((1 * 31 + 30) * 86400).to_bytes(4, "little")
    records = b"".join([*good[:5], bytes(bad), *good[6:]])
    found = list(unpack_operations(records, choose_operation_layout(records)))
    assert len(found) == 20
    assert found[5] == BadRecord(raw=bytes(bad), reason="no such date: 2000-2-31", position=5)
