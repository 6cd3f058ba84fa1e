"""Numbers in the headers of images, which other readers take up to the first letter that fits none."""

import re

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")


def plain_numbers(text: str, length: int, *, separator: str | None = None) -> tuple[float, ...] | None:
    """So many finite numbers with decimal points; None where a text holds anything else.

    Args:
        text: such as "1 -2.5 3e-1".
        length: how many there must be.
        separator: between them; None: blanks.
    """
    parts = [part.strip() for part in text.split(separator)]
    if len(parts) != length or not all(map(_NUMBER.fullmatch, parts)):
        return None
    numbers = tuple(map(float, parts))
    return numbers if all(abs(number) < float("inf") for number in numbers) else None
