"""How long an answer over UDP is waited for before it is asked for again. No clock, no input or output."""

from typing import Final

FIRST_S: Final = 1.5
"""Older terminals rest up to 1.2 s within a transfer; asking again meanwhile only burdens them."""

LONGER: Final = 1.5
SLACK: Final = 3.0
"""An answer is late after so many times what the last ones took."""


class Patience:
    """Waits that grow while nothing comes and follow what a terminal and its network need.

    None is longer than a third of `timeout_s`, so that a request is made several times within it.
    """

    def __init__(self, timeout_s: float) -> None:
        self._most_s = timeout_s / 3
        self._least_s = min(FIRST_S, timeout_s / 6)
        self.wait_s = self._least_s

    def ran_out(self) -> None:
        """Nothing came."""
        self.wait_s = min(self.wait_s * LONGER, self._most_s)

    def answered(self, after_s: float) -> None:
        """The first answer to a request that was made once came so much later."""
        self.wait_s = min(max(self._least_s, SLACK * after_s), self._most_s)
