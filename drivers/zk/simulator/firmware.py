"""In what the firmware of terminals differs on the wire. No protocol, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from drivers.zk.operations import CODE_FIRST, OPERATOR_FIRST, OperationLayout
from drivers.zk.records import ATT8A, ATT8B, ATT16, ATT22, ATT40, ATT49, MIXED, LogLayout
from drivers.zk.users import USER28, USER72, USER120, UserLayout

NOTHING_TOLD: Final = 4
"""Length of the AK3750's size table, all zero."""
SIZES_BYTES: Final = (NOTHING_TOLD, 80, 92, 112)


class EmptyReply(Enum):
    """How firmware answers a buffered read of a table without records; all three have been seen."""

    FOUR_ZERO_BYTES = 1501
    REFUSED = 2001
    NOT_AVAILABLE = 4989


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """One kind of firmware.

    `packet_bytes` is the most that one DATA packet carries: 1008 on JZ4725, 65528 on newer
    TFT terminals; `direct_packet_bytes` the same for reads without a buffer. `sizes_bytes` is
    the length of the size table: 4, 80, 92 or 112; with `tells_words` a word of it is told to
    whoever asks by its number. Without `buffered` the reads by buffer (1503) are unknown; with
    `stale_direct_reads` those without one give memory that is no log. Without `locks` people can
    punch while a client holds the terminal disabled, as some face models let them; `operations`
    is None where no operation log is kept; with `rubbish` stale memory stands behind the NUL of every text;
    without `answers_restart` RESTART is obeyed and not answered. With `always_asks_key` a comm key is
    asked for even where it is 0; with `numbers_records` records of 40 and 49 bytes begin with a
    running number instead of a uid.
    """

    version: str = "Ver 6.60 Jan 13 2016"
    log: LogLayout = ATT40
    users: UserLayout = USER72
    event_bytes: int = 32
    packet_bytes: int = 65528
    direct_packet_bytes: int = 1024
    inline_bytes: int = 1024
    buffered: bool = True
    stale_direct_reads: bool = False
    sizes_bytes: int = 92
    tells_words: bool = False
    unknown_option: int = 2001
    empty_reply: EmptyReply = EmptyReply.FOUR_ZERO_BYTES
    pin_width: int = 9
    locks: bool = True
    operations: OperationLayout | None = OPERATOR_FIRST
    rubbish: bool = False
    answers_restart: bool = True
    always_asks_key: bool = False
    numbers_records: bool = False


TFT: Final = Firmware()
JZ4725: Final = Firmware(packet_bytes=1008, sizes_bytes=80, stale_direct_reads=True)
VISIBLE_LIGHT: Final = Firmware(log=ATT49, event_bytes=52, sizes_bytes=112)
NGTECO: Final = Firmware(
    version="Ver 8.0.4.5-7108-02",
    users=USER120,
    operations=CODE_FIRST,
    sizes_bytes=112,
    unknown_option=4999,
    numbers_records=True,
)
AK3750: Final = Firmware(
    version="Ver 6.60 May 19 2023",
    log=ATT22,
    buffered=False,
    sizes_bytes=NOTHING_TOLD,
    tells_words=True,
    direct_packet_bytes=40880,
    pin_width=5,
)


def _black_and_white(log: LogLayout, event_bytes: int) -> Firmware:
    return Firmware(
        version="Ver 6.21 Nov 19 2008",
        log=log,
        users=USER28,
        event_bytes=event_bytes,
        packet_bytes=1024,
        sizes_bytes=80,
    )


KINDS: Final[Mapping[str, Firmware]] = MappingProxyType(
    {
        ATT40.name: TFT,
        ATT49.name: VISIBLE_LIGHT,
        ATT22.name: AK3750,
        ATT16.name: _black_and_white(ATT16, 12),
        ATT8B.name: _black_and_white(ATT8B, 10),
        ATT8A.name: _black_and_white(ATT8A, 14),
        MIXED.name: _black_and_white(MIXED, 10),
        "ngteco": NGTECO,
        "jz4725": JZ4725,
    }
)
"""Firmware by the layout of its log, as it comes with other traits in the field, and by its name."""
