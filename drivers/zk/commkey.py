"""The comm key's scrambling. It hides nothing; the network has to be trusted or tunnelled.

Source: captures of accepted and refused keys (12, 45, 1); agrees with pyzk where pyzk can compute.
"""

from struct import pack
from typing import Final

from attendance.errors import LocalProtocolError

DEFAULT_TICK: Final = 50
MAX_COMM_KEY: Final = 999_999


def scramble(key: int, session: int, tick: int = DEFAULT_TICK) -> bytes:
    """The four bytes of AUTH for a key (0 to 999999) in a session (u16)."""
    if not 0 <= key <= MAX_COMM_KEY:
        raise LocalProtocolError(f"a comm key has at most 6 digits, 0 to {MAX_COMM_KEY}")
    mirrored = int(f"{key:032b}"[::-1], 2)
    mixed = pack("<I", (mirrored + session) & 0xFFFFFFFF)
    b = bytes(byte ^ salt for byte, salt in zip(mixed, b"ZKSO", strict=True))
    swapped = b[2:] + b[:2]
    return bytes((swapped[0] ^ tick, swapped[1] ^ tick, tick, swapped[3] ^ tick))


def matches(answer: bytes, key: int, session: int) -> bool:
    """Whether four received bytes prove knowledge of `key`; the tick is the answer's third byte."""
    return len(answer) == 4 and answer == scramble(key, session, answer[2])


def wrong_key_text(key: int) -> str:
    """What to tell whoever set `key`, which the terminal refused."""
    if key == 0:
        return "the terminal asks for a comm key and none is set (comm_key or comm_key_file)"
    return "the terminal refused the comm key: set the one that stands in its menu (Comm. > Comm Key)"
