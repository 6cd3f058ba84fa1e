"""No patient stands on two sides, and one seed gives one draw."""

from itertools import combinations

import pytest

from nnunetv2_muduo.autopet.sets import Sets, draw_sets
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.transfer.few_shot import Amount, draw_split

PATIENTS = {f"fdg_{number}_{study}": str(number) for number in range(20) for study in ("ab" if number % 3 else "a")}
WITH_LABELS = {case for case in PATIENTS if not case.startswith(("fdg_1_", "fdg_15_b"))}


def draw(labelled: str | None = "5", validation: str = "4", test: str | None = "3", seed: int = 0) -> Sets:
    amounts = [None if amount is None else Amount.parse(amount) for amount in (labelled, validation, test)]
    assert amounts[1] is not None
    return draw_sets(PATIENTS, WITH_LABELS, labelled=amounts[0], validation=amounts[1], test=amounts[2], seed=seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("labelled", ["5", None])
def test_no_patient_is_in_two_sets_and_no_case_is_lost(seed, labelled):
    sets = draw(labelled, seed=seed)
    people = [
        {PATIENTS[case] for case in cases} for cases in (sets.labelled, sets.validation, sets.test, sets.unlabelled)
    ]
    assert all(not first & second for first, second in combinations(people, 2))
    everything = [*sets.by_case(), *sets.left_out]
    assert sorted(everything) == sorted(PATIENTS)
    assert (len(sets.validation), len(sets.test)) == (4, 3)
    assert labelled is None or len(sets.labelled) == 5
    assert {*sets.labelled, *sets.validation, *sets.test} <= WITH_LABELS


def test_the_seed_decides_and_fewer_labelled_cases_are_among_more():
    assert draw() == draw()
    assert draw(seed=1) != draw()
    few, many = draw("3"), draw("8")
    assert set(few.labelled) < set(many.labelled)
    assert (few.validation, few.test) == (many.validation, many.test)
    assert draw(validation="2").test == draw().test


def test_without_a_test_set_it_is_the_draw_of_muduo_split():
    sets = draw(test=None)
    pool = {case: patient for case, patient in PATIENTS.items() if case in WITH_LABELS}
    split = draw_split(pool, labelled=Amount(5), validation=Amount(4), seed=0)
    assert (sets.labelled, sets.validation) == (split.train, split.val)


def test_too_much_is_refused():
    with pytest.raises(UserError, match="leave none to train on"):
        draw(test="100")
    with pytest.raises(UserError, match=r"^Beside 30 test cases, 5 labelled and 4 validation .*ask for fewer"):
        draw(test="30")
    two = {f"{patient}{study}": patient for patient in "ab" for study in "12"}
    with pytest.raises(UserError, match=r"^3 test cases cannot be had beside a patient to train on: .*ask for fewer"):
        draw_sets(two, two, labelled=None, validation=Amount(1), test=Amount(3), seed=0)
    with pytest.raises(UserError, match="25 labelled and 4 validation"):
        draw("25")
    with pytest.raises(UserError, match="No scan has a label map"):
        draw_sets(PATIENTS, (), labelled=None, validation=Amount(1), test=None, seed=0)
