"""Whether this host's clock follows a time server: terminals are judged, and set, by ours."""

import logging
from collections.abc import Callable
from typing import Final

from attendance.clock import Clock

_log = logging.getLogger(__name__)

TRUST_FOR_S: Final = 60.0
"""An answer holds for so long."""

_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_ROOM: Final = 512
"""More than `struct timex` takes on any Linux; all zero, it asks and changes nothing."""


def synchronised() -> bool:
    """What the kernel says, told by chrony, ntpd or systemd-timesyncd; False where it cannot be asked."""
    try:
        # Some hardened hosts refuse ctypes itself, at its import.
        import ctypes

        adjtimex = ctypes.CDLL(None).adjtimex
    except (ImportError, MemoryError, OSError, AttributeError):
        return False
    state = int(adjtimex(ctypes.create_string_buffer(_ROOM)))
    return 0 <= state < _UNSYNCHRONISED


class TrustedClock:
    """Asks now and then whether the host's clock is right, and tells when that changes. Any thread."""

    def __init__(self, ask: Callable[[], bool], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._answer: bool | None = None
        self._asked_at = 0.0

    def __call__(self) -> bool:
        """Whether the host's clock may judge others."""
        now = self._clock.monotonic()
        before = self._answer
        if before is not None and now - self._asked_at < TRUST_FOR_S:
            return before
        answer = self._ask()
        self._answer, self._asked_at = answer, now
        if answer is not before:
            if not answer:
                _log.warning(
                    "this host's clock follows no time server: the terminals' clocks are measured, but "
                    "neither judged nor corrected, and terminals that dial in are not told the time",
                    extra={"action": "host_clock_untrusted"},
                )
            elif before is not None:
                _log.info(
                    "this host's clock is right again: terminals are judged by it, and told the time",
                    extra={"action": "host_clock_trusted"},
                )
        return answer
