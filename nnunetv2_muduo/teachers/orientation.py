"""Which way the axes of scans grow in the patient, in letters: "RAS" is right, anterior, superior for x, y and z."""

_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "I": "S", "S": "I"}


def is_orientation(letters: str) -> bool:
    """Whether a text has one letter for each of the patient's three axes."""
    return len(letters) == 3 and sorted(min(letter, _OPPOSITE.get(letter, "")) for letter in letters) == ["A", "I", "L"]


def mirrored_axes(stored: str, wanted: str) -> tuple[int, ...] | None:
    """The axes of a scan's array, of (z, y, x), that grow against the wanted ones.

    Args:
        stored: which way x, y and z of the scan grow, in the letters of `TeacherSpec.orientation`.
        wanted: which way they should.

    Returns:
        Numbers among 0, 1 and 2, ascending; None where the axes are in another order, which no mirror puts right.
    """
    if any(is_ not in (want, _OPPOSITE[want]) for is_, want in zip(stored, wanted, strict=True)):
        return None
    return tuple(axis for axis in range(3) if stored[2 - axis] != wanted[2 - axis])
