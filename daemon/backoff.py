"""How long to wait before trying again. Pure."""

from datetime import timedelta


def delay(failures: int, *, first: timedelta, longest: timedelta, chance: float) -> timedelta:
    """Doubling from `first` to `longest`, times 0.5 to 1 by `chance` (0 to 1).

    The spread keeps terminals that failed together from returning together.
    """
    doubled: timedelta = first * (1 << min(max(failures - 1, 0), 16))
    return min(doubled, longest) * (0.5 + chance / 2)
