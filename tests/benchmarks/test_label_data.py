import pytest
from label_data import (
    BUDGETS,
    DEALT_MAPS,
    HELD_OUT_MAPS,
    TEST_MAPS,
    UNLABELLED,
    _folds,
    dataset_name,
    deal,
    fold_of,
    more_labels_name,
)
from label_methods import METHODS, SPLITS
from standin_teachers import TRAINING_MAPS, VALIDATION_MAPS


def person(case: str) -> int:
    return int(case.split("_")[1])


@pytest.mark.parametrize("seed", range(4))
def test_no_person_is_in_two_groups_and_the_counts_are_right(seed):
    cases = deal(seed)
    groups = [cases.labelled, cases.held_out, cases.unlabelled, cases.test]
    assert [len(set(group)) for group in groups] == [max(BUDGETS), len(HELD_OUT_MAPS), UNLABELLED, len(TEST_MAPS)]
    persons = [{person(case) for case in group} for group in groups]
    assert sum(map(len, persons)) == len(set.union(*persons))


def test_a_seed_draws_the_labelled_cases_and_not_the_test_cases():
    first, second = deal(0), deal(1)
    assert first.labelled != second.labelled
    assert first.test == second.test
    assert first == deal(0)


def test_teachers_were_trained_on_none_of_the_persons():
    assert not set(TRAINING_MAPS) & {*DEALT_MAPS, *HELD_OUT_MAPS, *TEST_MAPS}
    assert not set(VALIDATION_MAPS) & {*TEST_MAPS, *HELD_OUT_MAPS}


def test_small_budgets_lie_within_large_ones():
    cases = deal(2)
    folds = _folds(cases)
    for split in SPLITS:
        small, middle, large = (set(folds[fold_of(budget, split)]["train"]) for budget in BUDGETS)
        assert small < middle < large
        assert not large & set(cases.test)


def test_nothing_is_reported_on_training_cases_unless_asked_for():
    cases = deal(0)
    folds = _folds(cases)
    for budget in BUDGETS:
        plain, own, more = (folds[fold_of(budget, split)] for split in SPLITS)
        assert plain == {"train": list(cases.labelled[:budget]), "val": list(cases.held_out)}
        assert own == {"train": plain["train"], "val": plain["train"]}
        assert more == {"train": [*plain["train"], *cases.held_out], "val": list(cases.held_out)}


def test_no_two_datasets_share_a_number():
    kinds = {method.unlabelled for method in METHODS.values()} - {"without labels"}
    names = [more_labels_name(seed, budget, kind) for kind in kinds for seed in range(3) for budget in BUDGETS]
    numbers = [name[7:10] for name in (*names, *map(dataset_name, range(10)))]
    assert len(set(numbers)) == len(numbers) == 3 * 3 * 3 + 10
