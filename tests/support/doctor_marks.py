"""How a check of the doctor came out."""

from nnunetv2_muduo.doctor.check import Check, Mark


def mark_of(check: Check) -> Mark:
    """The mark, after making sure that whatever is not in order has a remedy."""
    assert bool(check.remedy) == (check.mark is not Mark.OK)
    return check.mark
