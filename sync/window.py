"""Which batches are on their way, and when each is sent again. Pure: time is given (steady seconds)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SIZE: Final = 20
"""Most batches on their way at once: enough for 40,000 punches/s at 50 ms, and cheap to send again."""

FIRST_SILENCE_S: Final = 5.0
LONGEST_SILENCE_S: Final = 60.0
_ASKED_AGAIN_S: Final = 1.0
"""Each of many receipts names the same missing batch: one answer a second is enough."""


@dataclass(slots=True)
class _Flight:
    sent_at: float
    tries: int

    @property
    def due_at(self) -> float:
        return self.sent_at + min(FIRST_SILENCE_S * 2.0 ** min(self.tries - 1, 10), LONGEST_SILENCE_S)


class Window:
    """Batches sent and not acknowledged. Not for more than one thread."""

    def __init__(self) -> None:
        self._flights: dict[int, _Flight] = {}

    def __len__(self) -> int:
        """How many are on their way."""
        return len(self._flights)

    @property
    def free(self) -> int:
        """How many more may be sent."""
        return max(0, SIZE - len(self._flights))

    def clear(self) -> None:
        """Forget everything: what was on its way may be lost."""
        self._flights.clear()

    def sent(self, number: int, now: float) -> None:
        """A batch was handed to the broker, for the first time or again."""
        flight = self._flights.setdefault(number, _Flight(now, 0))
        flight.sent_at = now
        flight.tries += 1

    def acknowledged(self, ranges: Sequence[tuple[int, int]]) -> bool:
        """Take out what the centre has; whether that was any."""
        arrived = [number for number in self._flights if any(low <= number <= high for low, high in ranges)]
        for number in arrived:
            del self._flights[number]
        return bool(arrived)

    def may_answer(self, number: int, now: float) -> bool:
        """Whether a batch that the centre misses should be sent at once."""
        flight = self._flights.get(number)
        return flight is None or now - flight.sent_at >= _ASKED_AGAIN_S

    def due(self, now: float) -> Sequence[int]:
        """The numbers that have been silent for too long."""
        return [number for number, flight in self._flights.items() if flight.due_at <= now]

    def next_due_in(self, now: float, otherwise: float) -> float:
        """Seconds until something is due; `otherwise` with nothing on its way."""
        due_at = min((flight.due_at for flight in self._flights.values()), default=now + otherwise)
        return max(0.0, due_at - now)


def single(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ranges."""
    return [(number, number) for number in numbers]
