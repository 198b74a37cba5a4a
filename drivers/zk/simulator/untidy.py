"""Stale memory behind the NUL of every text, as much firmware leaves it. No input or output."""

from collections.abc import Iterable, Mapping
from typing import Final

from drivers.zk.records import ATT22, ATT40, ATT49, LogLayout
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.users import USER28, USER72, USER120, UserLayout

RUBBISH: Final = 0xA5

_USER_TEXTS: Final[Mapping[UserLayout, tuple[slice, ...]]] = {
    USER28: (slice(3, 8), slice(8, 16)),
    USER72: (slice(3, 11), slice(11, 35), slice(48, 72)),
    USER120: (slice(3, 11), slice(35, 59), slice(59, 83), slice(96, 120)),
}
_RECORD_TEXTS: Final[Mapping[LogLayout, tuple[slice, ...]]] = {
    ATT40: (slice(2, 26),),
    ATT49: (slice(2, 26),),
    ATT22: (slice(2, 8), slice(8, 12)),
}


def untidy_users(records: Iterable[bytes], firmware: Firmware) -> Iterable[bytes]:
    """Users' records as this firmware gives them; a slot that is nobody stays as it is."""
    if not firmware.rubbish:
        return records
    texts = _USER_TEXTS[firmware.users]
    return (_filled(raw, texts) if any(raw) else raw for raw in records)


def untidy_log(records: Iterable[bytes], firmware: Firmware) -> Iterable[bytes]:
    """Punches' records as this firmware gives them."""
    if not firmware.rubbish:
        return records
    texts = _RECORD_TEXTS.get(firmware.log, ())
    return (_filled(raw, texts) for raw in records)


def _filled(raw: bytes, texts: tuple[slice, ...]) -> bytes:
    filled = bytearray(raw)
    for text in texts:
        end = raw.find(b"\0", text.start, text.stop)
        if end >= 0:
            filled[end + 1 : text.stop] = bytes([RUBBISH]) * (text.stop - end - 1)
    return bytes(filled)
