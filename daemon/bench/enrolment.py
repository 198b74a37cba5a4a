"""The people of a terminal beside those of the centre: who is missing on which side, whose name differs."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from attendance.terminal import User
from sync.central.people_file import PinOwner

_DISABLED: Final = 1
_RANKS: Final = {0: "user", 2: "enroller", 6: "administrator", 14: "super administrator"}
_FULL: Final = (8, 22)
"""Bytes: a name of exactly 8, or of 22 to 24, fills its field in some layout and may be cut."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`unknown`: enrolled, and nobody's pin at the centre; `missing`: of this unit, and not enrolled."""

    same: int
    unknown: Sequence[User]
    missing: Sequence[PinOwner]
    renamed: Sequence[tuple[User, PinOwner]]


def compare(enrolled: Sequence[User], owners: Sequence[PinOwner], unit: str | None) -> Comparison:
    """By pin, verbatim. `unit` is whose people use the terminal; None: everyone of the group."""
    owner_of = {owner.pin: owner for owner in owners}
    here = {user.pin: user for user in enrolled}
    pairs = [(user, owner_of[user.pin]) for user in enrolled if user.pin in owner_of]
    renamed = [(user, owner) for user, owner in pairs if not _same_name(user, owner.name)]
    return Comparison(
        same=len(pairs) - len(renamed),
        unknown=[user for user in enrolled if user.pin not in owner_of],
        missing=[
            owner for owner in owner_of.values() if owner.pin not in here and unit in (None, owner.unit)
        ],
        renamed=renamed,
    )


def rank_of(user: User) -> str:
    """A privilege's name; its number where it has none."""
    rank = user.privilege & ~_DISABLED
    name = _RANKS.get(rank, f"privilege {rank}")
    return f"{name}, disabled" if user.privilege & _DISABLED else name


def is_administrator(user: User) -> bool:
    """Whether this person may do more at the terminal than punch."""
    return user.privilege & ~_DISABLED > 0


def _same_name(user: User, name: str) -> bool:
    """Case, accents of writing and spaces aside; a name that fills the terminal's field may be cut."""
    there, here = _plain(user.name.rstrip("\N{REPLACEMENT CHARACTER}")), _plain(name)
    size = len(user.name_raw)
    cut = size == _FULL[0] or size >= _FULL[1]
    return there == here or (cut and bool(there) and here.startswith(there))


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
