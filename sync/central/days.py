"""What stands in a dated row that is open at an end: text, so that it sorts with every day."""

from typing import Final

FIRST_DAY: Final = "0001-01-01"
LAST_DAY: Final = "9999-12-31"
