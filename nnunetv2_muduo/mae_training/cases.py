"""Which cases pretraining learns from, and which only its validation loss sees."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.cases.preprocessed import preprocessed_cases
from nnunetv2_muduo.errors import UserError


@dataclass(frozen=True)
class PretrainingCase:
    """A preprocessed case.

    Attributes:
        name: nnU-Net's identifier.
        folder: holds its files.
        labelled: whether nnU-Net preprocessed it with labels, which nothing here reads.
    """

    name: str
    folder: Path
    labelled: bool


@dataclass(frozen=True)
class CaseSplit:
    """The cases of a pretraining run, each in one of the two."""

    training: tuple[PretrainingCase, ...]
    held_out: tuple[PretrainingCase, ...]

    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        everything = (*self.training, *self.held_out)
        labelled = sum(case.labelled for case in everything)
        return {"labelled": labelled, "unlabelled": len(everything) - labelled, "held_out": len(self.held_out)}

    def roles(self) -> dict[str, str]:
        """Case -> "training" or "held_out"."""
        parts = {"training": self.training, "held_out": self.held_out}
        return {case.name: role for role, cases in parts.items() for case in cases}


def labelled_cases(folder: Path) -> list[PretrainingCase]:
    """The cases that nnU-Net preprocessed into a folder; none where there is no such folder."""
    return [PretrainingCase(name, folder, labelled=True) for name in preprocessed_cases(folder)]


def hold_out(cases: Sequence[PretrainingCase], share: float, patients: Mapping[str, str] | None = None) -> CaseSplit:
    """Set a share of the cases aside, rounded, at least one; all of a patient's or none.

    Which ones follows from the patients' names alone, so that runs of other seeds and settings are measured on the same
    cases. Where all cases are one patient's, they are held out case by case.

    Args:
        cases: each once.
        share: of the cases.
        patients: case -> patient; a case that is missing is its own patient.

    Raises:
        UserError: where there are fewer than two cases, or none would be left to learn from.
    """
    by_patient: dict[str, list[PretrainingCase]] = {}
    for case in sorted(cases, key=_name):
        by_patient.setdefault((patients or {}).get(case.name, case.name), []).append(case)
    if len(by_patient) == 1:
        by_patient = {case.name: [case] for case in cases}
    number = max(1, round(share * len(cases)))
    ranked = iter(sorted(by_patient, key=lambda patient: (zlib.crc32(patient.encode()), patient)))
    aside: list[PretrainingCase] = []
    while len(aside) < min(number, len(cases)):
        aside += by_patient[next(ranked)]
    if len(aside) >= len(cases):
        raise UserError(
            f"Pretraining needs at least one case to learn from and one for its validation loss, but there are "
            f"{len(cases)} case(s) of {len(by_patient)} patient(s), of which {len(aside)} would be held out; add scans "
            "to imagesUn, or lower the setting held_out with: muduo plan -d ID -p PLANS --set mae.held_out=0.1"
        )
    training = (case for patient in ranked for case in by_patient[patient])
    return CaseSplit(tuple(sorted(training, key=_name)), tuple(sorted(aside, key=_name)))


def _name(case: PretrainingCase) -> str:
    return case.name
