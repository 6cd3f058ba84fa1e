import re

import numpy as np
import pytest
from trained_folders import log_text

from nnunetv2_muduo.reporting.log_text import read_log_texts


def test_curves_are_read_as_a_checkpoint_has_them():
    log = read_log_texts([log_text(3)])
    assert log.logged["train_losses"] == [1.0, 0.0, -1.0]
    assert log.logged["val_losses"] == [-0.5] * 3
    assert log.logged["lrs"] == [0.009, 0.008, 0.007]
    np.testing.assert_equal(log.logged["dice_per_class_or_region"][0], [0.25, 0.75, np.nan])
    assert log.logged["mean_fg_dice"] == [0.5] * 3
    assert log.logged["ema_fg_dice"] == pytest.approx([0.5] * 3)
    starts, ends = log.logged["epoch_start_timestamps"], log.logged["epoch_end_timestamps"]
    assert np.subtract(ends, starts) == pytest.approx([30.0] * 3)


def test_moving_average_is_nnunets():
    epochs = [
        f"2026-01-02 03:00:00: Epoch {epoch}\n2026-01-02 03:00:00: Pseudo dice [np.float32({dice})]\n"
        "2026-01-02 03:00:09: Epoch time: 9.0 s\n"
        for epoch, dice in enumerate((0.2, 0.8, 0.4))
    ]
    assert read_log_texts(["".join(epochs)]).logged["ema_fg_dice"] == pytest.approx([0.2, 0.26, 0.274])


def test_number_in_numpys_name_is_no_dice():
    text = "2026-01-02 03:00:00: Epoch 0\n2026-01-02 03:00:00: Pseudo dice [np.float64(1e-05), np.float32(1.0)]\n"
    log = read_log_texts([text + "2026-01-02 03:00:09: Epoch time: 9.0 s"])
    assert log.logged["dice_per_class_or_region"] == [[1e-05, 1.0]]


def test_continued_training_replaces_the_epochs_it_repeats():
    log = read_log_texts([log_text(3, done=False), log_text(2, first=2, losses=9.0)])
    assert log.logged["train_losses"] == [1.0, 0.0, 7.0, 6.0]


def test_training_that_starts_afresh_forgets_the_one_before():
    log = read_log_texts([log_text(3), log_text(1, losses=5.0, done=False)])
    assert log.logged["train_losses"] == [5.0]
    assert not log.done


def test_epoch_that_is_not_finished_does_not_count():
    log = read_log_texts([log_text(2, done=False) + "\n2026-01-02 04:00:00.1: Epoch 2 \n"])
    assert len(log.logged["train_losses"]) == 2


def test_counts_of_cases_are_read():
    text = log_text(1) + "\n2026-01-02 03:00:00.100000: Unlabelled scans: 16 ready (0 preprocessed now, 16 up to date)"
    assert read_log_texts([text]).cases == {"training": 4, "validation": 1, "unlabelled": 16}


def test_no_log_says_nothing():
    log = read_log_texts([])
    assert (log.logged, log.done, log.cases) == ({}, False, {})


def test_a_line_at_a_moment_that_no_clock_shows_is_passed_over():
    text = "2026-01-02 03:00:00: Epoch 0\n2026-01-02 03:00:71: train_loss 8\n2026-01-02 03:00:02: train_loss 1\n"
    log = read_log_texts([text + "2026-01-02 03:00:09: Epoch time: 9.0 s"])
    assert log.logged["train_losses"] == [1.0]


@pytest.mark.parametrize(
    "junk", ["", "-1", "nan", "1e999", "1.2.3", ".", "9" * 5000, "\u0661", "\x00", "[[", "0x10", "1_0"]
)
def test_whatever_stands_for_a_number_in_a_damaged_log_is_read_or_passed_over(junk: str):
    lines = [
        "Unlabelled scans: 5 ready",
        "This split has 4 training and 1 validation cases.",
        "Pretraining on 4 cases, validation loss on 1",
        *("Epoch 0", "Current learning rate: 0.01", "train_loss -0.1", "Pseudo dice [0.5, nan]", "Epoch time: 12.5 s"),
        *("Epoch 1", "train_loss -0.2", "Epoch time: 1 s", "Training done."),
    ]
    for at, line in enumerate(lines):
        for number in re.finditer(r"[\d.]+|nan", line):
            changed = [*lines[:at], line[: number.start()] + junk + line[number.end() :], *lines[at + 1 :]]
            log = read_log_texts(["\n".join(f"2026-01-02 03:04:05: {line}" for line in changed)])
            assert log.done
            assert len(log.logged["train_losses"]) in (1, 2)
