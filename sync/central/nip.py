"""What a NIP tells, and what is odd about it. Oddities are warnings: old data has typing errors. Pure."""

import re
from datetime import date
from typing import Final

DIGITS: Final = 18
_SPACED: Final = re.compile(r"[\d ]+")
_YOUNGEST: Final = 15


def clean_nip(text: str) -> str:
    """The NIP without the spaces with which it is often printed; anything else as it is."""
    text = text.strip()
    joined = text.replace(" ", "")
    return joined if _SPACED.fullmatch(text) and len(joined) == DIGITS else text


def kind_of(nip: str) -> str:
    """The employment kind that a NIP suggests: `pns`, `pppk`, or `other` for an office's own number.

    Positions 13 and 14 hold the month of appointment of a PNS, the contract's number (21 and
    more) of a PPPK. A CPNS has the NIP of a PNS.
    """
    if len(nip) != DIGITS or not nip.isdigit():
        return "other"
    return "pns" if 1 <= int(nip[12:14]) <= 12 else "pppk"


def oddities(nip: str, kind: str) -> list[str]:
    """What is odd about a NIP of 18 digits, or about its length where the kind has one."""
    if not nip.isdigit() or len(nip) != DIGITS:
        return [] if kind == "other" else [f"{len(nip)} characters, not {DIGITS} digits"]
    found = []
    year, month = int(nip[8:12]), int(nip[12:14])
    born = _birth(nip)
    if born is None:
        found.append(f"{nip[:8]} is no birth date")
    if not 1945 <= year <= 2100 or (born is not None and year < born.year + _YOUNGEST):
        found.append(f"year of appointment {nip[8:12]}")
    if kind in ("pns", "cpns") and not 1 <= month <= 12:
        found.append(f"month of appointment {nip[12:14]}")
    if nip[14] not in "12":
        found.append(f"sex {nip[14]}, not 1 or 2")
    if nip[15:] == "000":
        found.append("serial 000 (a spreadsheet rounds long numbers: was the column formatted as text?)")
    return found


def _birth(nip: str) -> date | None:
    try:
        return date(int(nip[:4]), int(nip[4:6]), int(nip[6:8]))
    except ValueError:
        return None
