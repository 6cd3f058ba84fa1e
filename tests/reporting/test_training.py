import os
import shutil

import numpy as np
import pytest
import torch
from trained_folders import DATASET, ORGANS, STARTED, log_text, logged, write_fold

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.reporting.training import read_training

DICE = {"a": {"liver": 0.9, "spleen": 0.5, "lesion": 0.1}, "b": {"liver": 0.7, "spleen": 0.3, "lesion": 0.2}}


def test_everything_that_commands_need_is_found(tmp_path):
    training = read_training(write_fold(tmp_path, dice=DICE), "mine")
    named = (training.trainer, training.plans_name, training.configuration, training.fold, training.dataset)
    assert named == ("nnUNetTrainerMuDuo", "nnUNetPlans", "3d_fullres", "0", DATASET)
    assert training.organs == ORGANS
    assert (training.epochs, training.planned_epochs, training.finished) == (4, 4, True)
    assert training.notes == ()


def test_folder_that_was_moved_is_known_by_its_checkpoint(tmp_path):
    moved = write_fold(tmp_path, trainer="nnUNetTrainerX", fold="3").rename(tmp_path / "moved")
    training = read_training(moved, "mine")
    named = (training.trainer, training.plans_name, training.configuration, training.fold, training.dataset)
    assert named == ("nnUNetTrainerX", "nnUNetPlans", "3d_fullres", "3", DATASET)


def test_tensors_listed_twice_are_counted_once_and_indices_never(tmp_path):
    fold = write_fold(tmp_path)
    assert read_training(fold, "mine").parameters == 7
    content = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    content["network_weights"]["relative_position_index"] = torch.arange(100)
    torch.save(content, fold / "checkpoint_final.pth")
    assert read_training(fold, "mine").parameters == 7


def test_validation_is_that_of_summary_json(tmp_path):
    validation = read_training(write_fold(tmp_path, dice=DICE), "mine").validation
    assert validation.means["Dice"] == pytest.approx({"liver": 0.8, "spleen": 0.4, "lesion": 0.15})
    assert validation.foreground["Dice"] == pytest.approx(0.45)
    assert {case.name: case.mean for case in validation.cases} == pytest.approx({"a": 0.5, "b": 0.4})


def test_missing_validation_is_told_with_the_remedy(tmp_path):
    notes = read_training(write_fold(tmp_path), "mine").notes
    assert len(notes) == 1
    assert "no Dice of whole cases" in notes[0]
    assert "--val" in notes[0]


def test_unfinished_training_is_read_from_its_newest_checkpoint(tmp_path):
    folder = write_fold(tmp_path, checkpoint="checkpoint_best.pth", log=logged(2))
    write_fold(tmp_path / "other", checkpoint="checkpoint_latest.pth", log=logged(3)).joinpath(
        "checkpoint_latest.pth"
    ).rename(folder / "checkpoint_latest.pth")
    training = read_training(folder, "mine")
    assert (training.checkpoint, training.epochs, training.finished) == ("checkpoint_latest.pth", 3, False)


def test_training_that_was_begun_again_is_shown_and_not_the_finished_one_before(tmp_path):
    folder = write_fold(tmp_path, log=logged(4))
    (folder / "training_log_2026_1_2_10_00_00.txt").write_text(log_text(4))
    write_fold(tmp_path / "other", checkpoint="checkpoint_latest.pth", log=logged(1)).joinpath(
        "checkpoint_latest.pth"
    ).rename(folder / "checkpoint_latest.pth")
    (folder / "training_log_2026_1_3_10_00_00.txt").write_text(log_text(2, done=False, losses=7.0))
    training = read_training(folder, "mine")
    assert (training.checkpoint, training.epochs, training.finished) == ("checkpoint_latest.pth", 2, False)
    assert training.logged["train_losses"] == [7.0, 6.0]
    assert any("begun again" in note for note in training.notes)


def test_finished_training_that_was_copied_is_finished_whatever_the_files_times(tmp_path):
    folder = write_fold(tmp_path, log=logged(4), dice=DICE)
    shutil.copyfile(folder / "checkpoint_final.pth", folder / "checkpoint_best.pth")
    os.utime(folder / "checkpoint_final.pth", (STARTED, STARTED))
    (folder / "training_log_2026_1_2_10_00_00.txt").write_text(log_text(4))
    training = read_training(folder, "mine")
    assert (training.checkpoint, training.finished, training.notes) == ("checkpoint_final.pth", True, ())


def test_log_that_goes_further_than_the_checkpoint_is_drawn(tmp_path):
    folder = write_fold(tmp_path, checkpoint="checkpoint_best.pth", log=logged(2, consistency_losses=[0.2, 0.1]))
    (folder / "training_log_1.txt").write_text(log_text(3, done=False))
    training = read_training(folder, "mine")
    assert training.epochs == 3
    assert training.logged["consistency_losses"] == [0.2, 0.1]
    assert any("of 2 epochs, the log of 3" in note for note in training.notes)


def test_logs_follow_each_other_as_they_were_written_though_days_lack_zeros(tmp_path):
    (tmp_path / "training_log_2026_9_30_10_00_00.txt").write_text(log_text(3, done=False))
    (tmp_path / "training_log_2026_10_2_10_00_00.txt").write_text(log_text(2, first=3, losses=9.0))
    training = read_training(tmp_path, "mine")
    assert training.logged["train_losses"] == [1.0, 0.0, -1.0, 6.0, 5.0]
    assert training.finished


def test_damaged_checkpoint_leaves_the_log_and_a_sentence(tmp_path):
    folder = write_fold(tmp_path)
    (folder / "checkpoint_final.pth").write_bytes(b"PK damaged")
    (folder / "training_log_1.txt").write_text(log_text(3))
    training = read_training(folder, "mine")
    assert training.logged["train_losses"] == [1.0, 0.0, -1.0]
    assert any("checkpoint_final.pth tells nothing" in note for note in training.notes)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").touch, ())

    folder = write_fold(tmp_path)
    torch.save({"logging": Evil()}, folder / "checkpoint_final.pth")
    assert read_training(folder, "mine").epochs == 0
    assert not (tmp_path / "executed").exists()


def test_folder_with_a_log_alone_is_enough(tmp_path):
    (tmp_path / "training_log_1.txt").write_text(log_text(2))
    training = read_training(tmp_path, "mine")
    assert (training.epochs, training.finished, training.task) == (2, True, None)
    assert {"plans.json", "dataset.json", "debug.json"} <= {note.split()[0] for note in training.notes}


def test_any_other_folder_is_refused_with_an_example(tmp_path):
    with pytest.raises(UserError, match="no folder of a training"):
        read_training(tmp_path, "mine")


def test_logged_numbers_are_those_of_the_checkpoint(tmp_path):
    log = logged(3, teacher_agreement=[[0.1, 0.2, 0.3]] * 3)
    read = read_training(write_fold(tmp_path, log=log), "mine").logged
    assert set(read) == set(log)
    np.testing.assert_equal(read["dice_per_class_or_region"], log["dice_per_class_or_region"])
