"""Time as a thing that is passed in, so that nothing in a test has to sleep."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """True time, a steady counter, and a wait that a stop can end."""

    def now(self) -> datetime:
        """True time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of a counter that never steps."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for `event` at most `timeout_s`; True if it is set."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """See Clock."""
        return event.wait(timeout_s)
