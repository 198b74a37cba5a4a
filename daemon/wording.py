"""Numbers with their words, as people read them."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 terminal`, `2 terminals`; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
