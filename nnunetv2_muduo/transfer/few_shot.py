"""Few-shot splits: who is labelled, who validates, nobody is in both. Pure: names in, names out."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nnunetv2_muduo.errors import UserError


@dataclass(frozen=True)
class Amount:
    """So many cases, or so much of a hundred of them."""

    value: float
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> "Amount":
        """Read "5" or "10%".

        Raises:
            UserError: if it is neither a whole number of at least 1 nor a share above 0 and up to 100 %.
        """
        number, sign, rest = text.strip().partition("%")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        good = 0 < value <= 100 if sign else value >= 1 and value.is_integer()
        if rest or not good:
            raise UserError(f"'{text}' is no amount of cases; write a whole number such as 5, or a share such as 10%.")
        return cls(value, bool(sign))

    def of(self, total: int) -> int:
        """How many of `total` cases it asks for; a share is at least one."""
        return max(1, round(total * self.value / 100)) if self.percent else int(self.value)

    def __str__(self) -> str:
        return f"{self.value:g}%" if self.percent else f"{self.value:g}"


@dataclass(frozen=True)
class Split:
    """One fold.

    Attributes:
        train: cases to train on, sorted.
        val: cases to validate on, sorted; of other patients.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


def draw_split(patients: Mapping[str, str], *, labelled: Amount, validation: Amount, seed: int, fold: int = 0) -> Split:
    """Draw the cases of one fold.

    Patients stand in an order that depends on the seed, the fold and their name alone. Validation takes from its front,
    training from its back, so that with one seed 5 training cases are among the 10, and these among the 30 %, whatever
    the validation. What is left of a patient who was needed in part is left out.

    Args:
        patients: case -> patient (`patients_of`).
        labelled: training cases; a share is one of the cases of patients who do not validate.
        validation: validation cases; a share is one of all cases.
        seed, fold: each fold is a draw of its own.

    Raises:
        UserError: if there are not so many cases of different patients.
    """
    by_patient: dict[str, list[str]] = {}
    for case in sorted(patients, key=lambda case: _rank(seed, fold, case)):
        by_patient.setdefault(patients[case], []).append(case)
    order = sorted(by_patient, key=lambda patient: _rank(seed, fold, patient))
    val = _take(order, by_patient, validation.of(len(patients)))
    validating = {patients[case] for case in val}
    others = [patient for patient in reversed(order) if patient not in validating]
    pool = sum(len(by_patient[patient]) for patient in others)
    train = _take(others, by_patient, labelled.of(pool))
    if len(val) < validation.of(len(patients)) or len(train) < labelled.of(pool):
        raise UserError(
            f"{labelled} labelled and {validation} validation cases of different patients cannot be had: there are "
            f"{len(patients)} cases of {len(order)} patients, and with {len(val)} to validate on, {pool} are left to "
            "train on; ask for fewer."
        )
    return Split(tuple(sorted(train)), tuple(sorted(val)))


def rest_of(patients: Mapping[str, str], splits: Sequence[Split]) -> list[str]:
    """Cases that may serve as unlabelled ones: in no fold of any kind, and of no patient who validates in any."""
    used = {case for split in splits for case in (*split.train, *split.val)}
    validating = {patients[case] for split in splits for case in split.val}
    return sorted(case for case, patient in patients.items() if case not in used and patient not in validating)


def _take(order: Iterable[str], by_patient: Mapping[str, list[str]], number: int) -> list[str]:
    """The first `number` cases, patient by patient."""
    return [case for patient in order for case in by_patient[patient]][:number]


def _rank(seed: int, fold: int, name: str) -> str:
    """A place in a random order that stays when other names come or go, on every machine and with every version."""
    return hashlib.sha256(f"{seed}/{fold}/{name}".encode()).hexdigest()
