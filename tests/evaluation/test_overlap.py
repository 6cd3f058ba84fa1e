import numpy as np
import pytest

from nnunetv2_muduo.evaluation.overlap import Overlap, dice_score


def masks(predicted: slice, referenced: slice) -> tuple[np.ndarray, np.ndarray]:
    prediction, reference = np.zeros(10, bool), np.zeros(10, bool)
    prediction[predicted], reference[referenced] = True, True
    return prediction, reference


def test_dice_counts_overlap_twice_over_both_sizes():
    assert dice_score(*masks(slice(0, 4), slice(2, 8))) == pytest.approx(2 * 2 / 10)


def test_iou_is_overlap_over_union():
    assert Overlap.of(*masks(slice(0, 4), slice(2, 8))).iou == pytest.approx(2 / 8)


def test_volume_difference_is_relative_to_the_reference_and_without_sign():
    too_small, too_large = masks(slice(0, 2), slice(2, 7)), masks(slice(0, 8), slice(0, 5))
    assert Overlap.of(*too_small).relative_volume_difference == pytest.approx(3 / 5)
    assert Overlap.of(*too_large).relative_volume_difference == pytest.approx(3 / 5)


def test_two_empty_masks_have_no_dice_iou_or_volume_difference():
    overlap = Overlap.of(*masks(slice(0, 0), slice(0, 0)))
    assert np.isnan([overlap.dice, overlap.iou, overlap.relative_volume_difference]).all()


def test_missed_organ_has_dice_zero_and_a_volume_difference_of_one():
    overlap = Overlap.of(*masks(slice(0, 0), slice(0, 3)))
    assert (overlap.dice, overlap.iou, overlap.relative_volume_difference) == (0, 0, 1)


def test_hallucinated_organ_has_dice_zero_and_no_volume_difference():
    overlap = Overlap.of(*masks(slice(0, 3), slice(0, 0)))
    assert (overlap.dice, overlap.iou) == (0, 0)
    assert np.isnan(overlap.relative_volume_difference)
