"""Which validation cases are shown, the best and the worst, and their pictures."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.overlap import dice_score
from nnunetv2_muduo.reporting.case_files import LoadedCase, load_case
from nnunetv2_muduo.reporting.case_picture import draw_case, mask_of
from nnunetv2_muduo.reporting.pictures import Picture
from nnunetv2_muduo.reporting.training import Training
from nnunetv2_muduo.reporting.validation import CaseScore

WORST, BEST, ONLY = "worst", "best", "only"
_ROUNDING = 1e-3  # what two Dice of the same masks may differ by


def chosen_cases(cases: Sequence[CaseScore], number: int) -> list[tuple[str, CaseScore]]:
    """The so many worst cases by mean Dice, then the so many best, no case twice; those without a Dice are left out."""
    ranked = sorted((case for case in cases if np.isfinite(case.mean)), key=lambda case: case.mean)
    if number and len(ranked) == 1:
        return [(ONLY, ranked[0])]
    worst = min(number, (len(ranked) + 1) // 2)
    best = min(number, len(ranked) - worst)
    return [(WORST, case) for case in ranked[:worst]] + [(BEST, case) for case in ranked[: len(ranked) - best - 1 : -1]]


def case_pictures(
    trainings: Sequence[Training], *, number: int, colours: Sequence[str]
) -> tuple[list[tuple[int, Picture]], list[str]]:
    """(index of the training, picture) of the chosen cases, and a sentence for each that cannot be shown.

    Args:
        trainings: with their validations.
        number: of the worst and of the best cases of each training.
        colours: of the trainings' contours.
    """
    wanted = [
        (index, kind, case)
        for index, training in enumerate(trainings)
        if training.validation is not None
        for kind, case in chosen_cases(training.validation.cases, number)
    ]
    drawn: list[tuple[int, Picture]] = []
    notes: dict[str, None] = {}
    for index, kind, case in tqdm(wanted, unit="case", desc="drawing cases", disable=not wanted):
        try:
            drawn.append((index, _picture(trainings[index], kind, case, colours[index])))
        except (UserError, KeyError, ValueError) as error:
            notes[f"{trainings[index].name}: {case.name} is not shown. {error}"] = None
    return drawn, list(notes)


def _picture(training: Training, kind: str, case: CaseScore, colour: str) -> Picture:
    loaded = load_case(training, case)
    organs = training.task.organs if training.task else {}
    counted = {organ: dice for organ, dice in case.dice.items() if np.isfinite(dice)}
    focus = min(counted, key=lambda organ: counted[organ])
    image = draw_case(loaded, list(organs.values()), focus=organs[focus], colour=colour)
    which = {WORST: "one of the worst", BEST: "one of the best", ONLY: "the only case"}[kind]
    caption = (
        f"{training.name}, case {case.name} ({which}): mean Dice {case.mean:.3f}. The slices are where most of its "
        f"worst organ is wrong: {focus}, Dice {counted[focus]:.3f}."
    )
    now = _dice_of(loaded, organs[focus], ignore=training.task.ignore_label if training.task else None)
    if not abs(now - counted[focus]) < _ROUNDING:
        caption += (
            f" Its label map or its prediction was changed since the validation: as they are drawn, Dice {now:.3f}."
        )
    channels = " and ".join(loaded.images)
    return Picture(image, caption, f"Contours of reference and prediction on {channels} of case {case.name}")


def _dice_of(case: LoadedCase, labels: Sequence[int], *, ignore: int | None) -> float:
    """Dice of an organ, as nnU-Net counts it: where the reference is to be ignored, nothing does."""
    counts = True if ignore is None else np.not_equal(case.reference, ignore)
    return dice_score(mask_of(case.prediction, labels) & counts, mask_of(case.reference, labels) & counts)
