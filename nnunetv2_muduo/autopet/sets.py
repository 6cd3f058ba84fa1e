"""Who is labelled, who validates, who tests and who stays unlabelled. Pure: names in, names out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.transfer.few_shot import Amount, draw_split

_TEST = -1  # the fold whose draw decides the test set; others do not change it


@dataclass(frozen=True)
class Sets:
    """Cases by what they are for; no patient is in two of the first four.

    Attributes:
        labelled, validation, test, unlabelled: names, sorted.
        left_out: further cases of patients of the labelled, validation or test set.
    """

    labelled: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    unlabelled: tuple[str, ...]
    left_out: tuple[str, ...]

    def by_case(self) -> dict[str, str]:
        """Case -> "labelled", "validation", "test" or "unlabelled"."""
        return {
            case: which for which in ("labelled", "validation", "test", "unlabelled") for case in getattr(self, which)
        }


def draw_sets(
    patients: Mapping[str, str],
    with_labels: Collection[str],
    *,
    labelled: Amount | None,
    validation: Amount,
    test: Amount | None,
    seed: int,
) -> Sets:
    """Draw the sets.

    The test set depends on the seed and its own size alone. The rest is drawn as `muduo split` draws its first fold:
    with one seed, few labelled cases are among many, and these are no matter how many validate.

    Args:
        patients: case -> patient.
        with_labels: cases that can be labelled, validate or test; the others can only be unlabelled.
        labelled: a share is one of the cases with labels of patients who neither test nor validate; None: all of them.
        validation: a share is one of the cases with labels of patients who do not test.
        test: a share is one of all cases with labels; None: no test set.
        seed: of the draw.

    Raises:
        UserError: if there are not so many cases of different patients.
    """
    pool = {case: patient for case, patient in patients.items() if case in with_labels}
    if not pool:
        raise UserError("No scan has a label map, so there is nothing to train on; see --target and --organs.")
    testing: tuple[str, ...] = ()
    if test is not None:
        wanted = test.of(len(pool))
        if wanted >= len(pool):
            raise UserError(f"{wanted} test cases of {len(pool)} with labels leave none to train on; ask for fewer.")
        testing = _draw_test(pool, test, seed=seed)
    rest = _without(pool, testing)
    try:
        split = draw_split(rest, labelled=labelled or Amount(100, percent=True), validation=validation, seed=seed)
    except UserError as error:
        if not testing:
            raise
        raise UserError(f"Beside {len(testing)} test cases, {error}") from error
    used = (*testing, *split.train, *split.val)
    unlabelled = tuple(sorted(_without(patients, used)))
    left_out = tuple(sorted(set(patients) - set(used) - set(unlabelled)))
    return Sets(split.train, split.val, testing, unlabelled, left_out)


def _draw_test(pool: Mapping[str, str], test: Amount, *, seed: int) -> tuple[str, ...]:
    """The test set, which leaves a patient to train on.

    Raises:
        UserError: if there are not so many cases of other patients.
    """
    try:
        return draw_split(pool, labelled=Amount(1), validation=test, seed=seed, fold=_TEST).val
    except UserError as error:  # whose sentence is about sets that nobody asked for
        raise UserError(
            f"{test.of(len(pool))} test cases cannot be had beside a patient to train on: there are {len(pool)} cases "
            f"with labels of {len(set(pool.values()))} patients; ask for fewer."
        ) from error


def _without(patients: Mapping[str, str], cases: Collection[str]) -> dict[str, str]:
    """The cases of all patients of whom none of these cases is."""
    taken = {patients[case] for case in cases}
    return {case: patient for case, patient in patients.items() if patient not in taken}
