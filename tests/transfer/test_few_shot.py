"""Who is labelled, who validates: the right number, never the same patient, small budgets within large ones."""

from itertools import pairwise

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.patients import patients_of
from nnunetv2_muduo.transfer.few_shot import Amount, Split, draw_split, rest_of

# 20 patients with one, two or three studies each
COHORT = patients_of(f"fdg_{number:03d}_{study}" for number in range(20) for study in range(1 + number % 3))


def draw(labelled: str, validation: str = "10", *, seed: int = 0, fold: int = 0, cohort=COHORT) -> Split:
    return draw_split(
        cohort, labelled=Amount.parse(labelled), validation=Amount.parse(validation), seed=seed, fold=fold
    )


@pytest.mark.parametrize("text", ["5", "1", "10%", "0.5%", "100%"])
def test_amounts_are_read_as_they_are_written(text: str):
    assert str(Amount.parse(text)) == text


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "five", "", "0%", "101%", "10%5", "nan", "inf"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises(UserError, match="no amount of cases"):
        Amount.parse(text)


def test_a_share_is_at_least_one_case():
    assert Amount.parse("1%").of(20) == 1
    assert Amount.parse("30%").of(20) == 6


@pytest.mark.parametrize("seed", range(10))
def test_nobody_trains_and_validates(seed: int):
    split = draw("12", "10", seed=seed)
    assert (len(set(split.train)), len(set(split.val))) == (12, 10)
    assert not {COHORT[case] for case in split.train} & {COHORT[case] for case in split.val}


@pytest.mark.parametrize("seed", range(5))
def test_smaller_budgets_are_within_larger_ones_and_validate_alike(seed: int):
    budgets = [draw(labelled, seed=seed) for labelled in ("2", "5", "30%", "15", "100%")]
    for smaller, larger in pairwise(budgets):
        assert set(smaller.train) < set(larger.train)
        assert smaller.val == larger.val


def test_training_cases_stay_when_fewer_validate():
    assert draw("5", "3").train == draw("5", "10").train
    assert set(draw("5", "3").val) < set(draw("5", "10").val)


def test_a_share_of_labelled_cases_is_one_of_those_that_do_not_validate():
    pool = len(draw("100%").train)
    assert pool < len(COHORT) - 10 + 1
    assert len(draw("50%").train) == round(pool / 2)


def test_seeds_and_folds_draw_differently_and_always_the_same():
    drawn = [draw("5", seed=seed, fold=fold) for seed in range(3) for fold in range(3)]
    assert len(set(drawn)) == 9
    assert drawn == [draw("5", seed=seed, fold=fold) for seed in range(3) for fold in range(3)]


def test_the_order_in_which_cases_are_listed_is_without_effect():
    backwards = dict(reversed(COHORT.items()))
    assert draw("5", cohort=backwards) == draw("5")


def test_a_new_case_of_another_dataset_moves_hardly_anybody():
    more = {**COHORT, "fdg_999_0": "fdg_999"}
    assert len(set(draw("8", cohort=more).train) & set(draw("8").train)) >= 7


@pytest.mark.parametrize(("labelled", "validation"), [("40", "10"), ("5", "39"), ("1", "100%")])
def test_more_than_there_is_cannot_be_had(labelled: str, validation: str):
    with pytest.raises(UserError, match="39 cases of 20 patients"):
        draw(labelled, validation)


def test_the_rest_is_of_no_fold_and_of_nobody_who_validates():
    splits = [draw("3", "4", fold=fold) for fold in range(2)]
    rest = rest_of(COHORT, splits)
    used = {case for split in splits for case in (*split.train, *split.val)}
    validating = {COHORT[case] for split in splits for case in split.val}
    assert rest
    assert not used & set(rest)
    assert not validating & {COHORT[case] for case in rest}
    assert len(rest) == sum(case not in used and COHORT[case] not in validating for case in COHORT)
