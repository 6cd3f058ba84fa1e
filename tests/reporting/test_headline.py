from dataclasses import replace

import pytest
from trained_folders import ORGANS, logged, write_fold

from nnunetv2_muduo.reporting.headline import headline, spoken_duration
from nnunetv2_muduo.reporting.training import read_training

DICE = {"a": {"liver": 0.9, "spleen": 0.5, "lesion": 0.1}}
BETTER = {"a": {"liver": 0.9, "spleen": 0.8, "lesion": 0.1}}


def headlines(tmp_path, *dice, **kwargs):
    folds = [write_fold(tmp_path / str(k), dice=d, **kwargs) for k, d in enumerate(dice)]
    trainings = [read_training(fold, f"t{k}") for k, fold in enumerate(folds)]
    return [headline(training, trainings[0]) for training in trainings]


def test_verdict_tells_dice_organs_cases_and_best_pseudo_dice(tmp_path):
    (found,) = headlines(tmp_path, DICE)
    assert found.verdict == (
        "Validation: mean Dice 0.500 over 3 organs in 1 case; best pseudo Dice (moving average) 0.250 after epoch 3."
    )
    assert found.status == "finished"


def test_patients_without_any_lesion_have_no_dice(tmp_path):
    (found,) = headlines(tmp_path, {case: dict.fromkeys(ORGANS, float("nan")) for case in "ab"})
    assert found.verdict.startswith("Validation: no organ has a Dice in 2 cases: neither references nor predictions")


def test_second_training_is_measured_against_the_first(tmp_path):
    _, second = headlines(tmp_path, DICE, BETTER)
    assert "(+0.100 against t0 on the same cases)" in second.verdict


def test_other_cases_are_not_compared(tmp_path):
    _, second = headlines(tmp_path, DICE, {"b": DICE["a"]})
    assert "not to be compared" in second.verdict


def test_other_organs_are_not_compared(tmp_path):
    first, second = (read_training(write_fold(tmp_path / name, dice=DICE), name) for name in "ab")
    second = replace(second, validation=replace(second.validation, means={"Dice": {"liver": 0.9}}))
    assert "(other organs than a's: not to be compared)" in headline(second, first).verdict


def test_few_cases_and_fold_all_are_cautioned_of(tmp_path):
    (found,) = headlines(tmp_path, DICE, fold="all")
    assert len(found.cautions) == 2
    assert "says nothing about new ones" in found.cautions[1]


def test_unfinished_training_says_how_far_it_came(tmp_path):
    (found,) = headlines(tmp_path, None, checkpoint="checkpoint_latest.pth", log=logged(3))
    assert found.status == "not finished: 3 of 4 epochs"
    assert found.verdict.startswith("No final validation yet")


def test_pretraining_is_judged_by_its_loss(tmp_path):
    (found,) = headlines(tmp_path, None, trainer="nnUNetTrainerPETCTMAE", log=logged(4, ema_fg_dice=[float("nan")] * 4))
    assert found.verdict == "Lowest validation loss 0.300 after epoch 3."


def test_length_counts_epochs_and_not_pauses(tmp_path):
    log = logged(2)
    log["epoch_start_timestamps"][1] += 5000
    log["epoch_end_timestamps"][1] += 5000
    (found,) = headlines(tmp_path, None, log=log)
    assert dict(found.facts)["Length"] == "2 epochs, 1 min 00 s"


def test_an_epoch_in_which_the_clock_was_set_back_counts_for_nothing(tmp_path):
    log = logged(2)
    log["epoch_end_timestamps"][0] -= 5000
    (found,) = headlines(tmp_path, None, log=log)
    assert dict(found.facts)["Length"] == "2 epochs, 30.0 s"


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.52, "4.5 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (200_000, "2 d 7 h")]
)
def test_durations_are_spoken(seconds, said):
    assert spoken_duration(seconds) == said
