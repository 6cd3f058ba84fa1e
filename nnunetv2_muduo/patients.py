"""Whose scan a case is: what must not stand on both sides of a split."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnunetv2_muduo.autopet_manifest import patients_told
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.record import RECORD_FILE, read_records

# AutoPET: fdg_<patient>_<study>, psma_<patient>_<study>, PETCT_<patient>_<study>
DEFAULT_PATIENT = r"(?i)((?:fdg|psma|petct)_[^_]+)"


def patients_of(cases: Iterable[str], pattern: str = DEFAULT_PATIENT) -> dict[str, str]:
    """Case -> patient: what the pattern's first group, or all of it, matches at the name's start; else the case itself.

    Raises:
        UserError: if the pattern is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"'{pattern}' is no regular expression ({error}); one for C001_2 is --patient 'C[0-9]+'."
        ) from error
    found = {case: compiled.match(case) for case in cases}
    return {
        case: case if match is None else match[1 if compiled.groups else 0] or case for case, match in found.items()
    }


def patients_of_dataset(raw: Path, cases: Sequence[str], pattern: str | None = None) -> dict[str, str]:
    """Case -> patient: by the pattern, or as harmonise or convert-autopet recorded it, or by the names AutoPET uses.

    Args:
        raw: the dataset's folder in nnUNet_raw.
        cases: names of its cases.
        pattern: see `patients_of`.

    Raises:
        UserError: if the pattern is no regular expression or finds no patient at all, or the record is damaged.
    """
    by_name = patients_of(cases, pattern or DEFAULT_PATIENT)
    record = raw / RECORD_FILE
    if pattern is not None:
        if cases and not any(re.match(pattern, case) for case in cases):
            raise UserError(
                f"--patient '{pattern}' matches at the start of no case's name, such as {cases[0]}, so every case "
                "would be a patient of its own; correct the pattern."
            )
        return by_name
    recorded = patients_told(raw)  # fdg_1 and PETCT_1 are one patient
    if record.is_file():
        recorded |= {case: of.patient for case, of in read_records(record).items()}
    return {case: recorded.get(case, patient) for case, patient in by_name.items()}
