"""How firmware of terminals that dial in writes punches, people and wishes. No input or output."""

import re
from datetime import UTC, datetime
from enum import Enum
from typing import Final


class LineForm(Enum):
    """The ways in which a punch has been seen written."""

    PLAIN = "plain"
    WIDE = "wide"
    KEYED = "keyed"
    EPOCH = "epoch"
    NUMBERED = "numbered"


class FlagForm(Enum):
    """How firmware reads TransFlag, what it is to send: names, or the bits of one of two orders."""

    NAMES = "names"
    BITS = "bits"


_PEOPLE: Final = "EnrollUser"
_PEOPLE_BIT: Final = 4
"""Its place, from 0, in the order of attendance firmware 2.x."""


def punch_line(form: LineForm, number: int, pin: str, when: datetime, *codes: int) -> bytes:
    """A punch as one line; `number` counts records from 1, the codes are state and verify."""
    state, verify = codes
    time = f"{when:%Y-%m-%d %H:%M:%S}"
    plain = f"{pin}\t{time}\t{state}\t{verify}\t0\t0\t0"
    lines = {
        LineForm.PLAIN: plain,
        LineForm.WIDE: f"{pin}\t{time}\t{state}\t{verify}\t0\t\t\t\t\t3",
        LineForm.KEYED: f"PIN={pin}\tDateTime={time}\tStatus={state}\tVerify={verify}",
        LineForm.EPOCH: f"{pin}\t{when.replace(tzinfo=UTC).timestamp():.0f}\t{state}\t{verify}",
        LineForm.NUMBERED: f"{number}\t{plain}",
    }
    return lines[form].encode()


def person_line(pin: str, name: str, encoding: str) -> bytes:
    """A person as the operation log tells of one."""
    return f"USER PIN={pin}\tName={name}\tPri=0\tGrp=1".encode(encoding, "replace")


def wants_people(form: FlagForm, flag: str) -> bool:
    """Whether a server's TransFlag asks for people, as firmware of this form reads it."""
    if form is FlagForm.NAMES:
        return _PEOPLE in flag
    return re.fullmatch(r"[01]{5,}", flag.strip()) is not None and flag.strip()[_PEOPLE_BIT] == "1"
