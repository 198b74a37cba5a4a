"""How right a terminal's clock is: what one contact measured, and what it means."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Verdict(StrEnum):
    """What a measurement says of a terminal's clock; the likely cause where it is known."""

    RIGHT = "right"
    OFF = "off"
    WRONG_ZONE = "wrong_zone"
    UTC = "utc"
    WHOLE_HOURS = "whole_hours"
    YEAR_2000 = "year_2000"
    FAR_FUTURE = "far_future"
    NO_DATE = "no_date"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """One measurement of a terminal's clock against the host's.

    `at` is the moment in the middle of the round trip (aware, UTC); `offset_s` is the terminal's time
    minus the host's, None where the terminal shows no date; the truth lies within `error_s` of it.
    `trusted`: the host's own clock followed a time server.
    """

    at: datetime
    offset_s: float | None
    error_s: float
    trusted: bool
    verdict: Verdict

    def __post_init__(self) -> None:
        """Refuse a time that would be ambiguous later."""
        if self.at.utcoffset() != timedelta(0):
            raise ValueError("at must be aware and UTC")
