"""The doctor's list, for people and for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from nnunetv2_muduo.doctor.check import Check, Mark


def as_text(checks: Sequence[Check]) -> str:
    """One line a check, a remedy below where there is one, and a summary at the end."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = check.mark.value.upper() if check.mark is Mark.FAIL else check.mark.value
        lines.append(f"{mark:>4}  {check.name:<{width}}  {check.found}")
        if check.remedy:
            lines.append(f"{'':>4}  {'':<{width}}  -> {check.remedy}")
    counts = Counter(check.mark for check in checks)
    lines.append(f"\n{counts[Mark.OK]} ok, {counts[Mark.WARN]} to look at, {counts[Mark.FAIL]} failed")
    return "\n".join(lines)


def as_json(checks: Sequence[Check]) -> str:
    """A JSON list of objects with the keys name, mark ("ok", "warn", "fail"), found and remedy."""
    return json.dumps([asdict(check) for check in checks], indent=2)


def exit_code(checks: Sequence[Check]) -> int:
    """1 when a check failed, else 0: what is worth a look does not stop a script."""
    return int(any(check.mark is Mark.FAIL for check in checks))
