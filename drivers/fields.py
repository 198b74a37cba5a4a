"""Fields of the text that terminals write, pushed or put on a stick. Bytes in, values out."""

import re
from typing import Final

NO_STATE: Final = 255
"""The terminal's own word for "no in/out state"."""

_PIN: Final = re.compile(rb"[!-~](?:[ -~]{0,62}[!-~])?")
_NUMBER: Final = re.compile(rb"\d{1,10}")


def read_pin(text: bytes) -> str | None:
    """A user id without the blanks around it; None where it is empty, longer than 64 or not plain text."""
    text = text.strip(b" ")
    return text.decode("ascii") if _PIN.fullmatch(text) else None


def read_code(text: bytes, *, absent: int, most: int) -> int | None:
    """A number; `absent` for an empty field, None for one that is no number up to `most`."""
    text = text.strip(b" ")
    if not text:
        return absent
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= most else None
