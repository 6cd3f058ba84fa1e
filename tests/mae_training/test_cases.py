from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_training.cases import PretrainingCase, hold_out, labelled_cases


def cases(number: int) -> list[PretrainingCase]:
    return [PretrainingCase(f"case_{i:03d}", Path("folder"), labelled=i % 2 == 0) for i in range(number)]


def test_every_case_is_in_one_part_and_the_share_is_rounded():
    split = hold_out(cases(26), 0.1)
    assert len(split.held_out) == 3
    assert sorted((*split.training, *split.held_out), key=lambda case: case.name) == cases(26)
    assert split.counts() == {"labelled": 13, "unlabelled": 13, "held_out": 3}


def test_at_least_one_case_is_held_out_and_which_one_follows_from_the_names():
    first, second = hold_out(cases(5), 0.0), hold_out(list(reversed(cases(5))), 0.0)
    assert len(first.held_out) == 1
    assert first == second


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6])
def test_no_patient_is_learnt_from_and_held_out(share):
    patients = {case.name: f"patient_{number // 3}" for number, case in enumerate(cases(26))}
    split = hold_out(cases(26), share, patients)
    learnt, held_out = ({patients[case.name] for case in part} for part in (split.training, split.held_out))
    assert not learnt & held_out
    number = max(1, round(26 * share))
    assert number <= len(split.held_out) < number + 3
    assert len(split.training) + len(split.held_out) == 26


def test_scans_of_one_patient_alone_are_held_out_one_by_one():
    split = hold_out(cases(4), 0.25, dict.fromkeys([case.name for case in cases(4)], "patient"))
    assert len(split.held_out) == 1


@pytest.mark.parametrize(("number", "share"), [(0, 0.1), (1, 0.1), (2, 0.9)])
def test_too_few_cases_are_refused(number, share):
    with pytest.raises(UserError, match="at least one case to learn from"):
        hold_out(cases(number), share)


def test_a_folder_that_is_not_there_has_no_cases(tmp_path):
    assert labelled_cases(tmp_path / "nowhere") == []
    assert labelled_cases(tmp_path) == []
