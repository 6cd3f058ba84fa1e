"""Slices are chosen, and outlined where there is a contour."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import SimpleITK as sitk
from drawn_panels import on_screen, sides
from scipy.spatial.transform import Rotation

from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.evaluation.scan_slices import axial_and_coronal, fullest_slice, mark_sides, outline


def test_the_fullest_slice_holds_most_of_a_mask():
    mask = np.zeros((6, 9, 7), bool)
    mask[2, 3:8, 5] = mask[4, 3, 5] = True
    assert [fullest_slice(mask, axis) for axis in range(3)] == [2, 3, 5]


def test_without_a_mask_it_is_the_middle_one():
    assert [fullest_slice(np.zeros((6, 9, 7), bool), axis) for axis in range(3)] == [3, 4, 3]


@pytest.mark.parametrize("seed", range(20))
def test_letters_stand_on_the_sides_of_the_patient_however_the_scan_is_stored(seed: int):
    """Towards the edge with an L, voxels lie further to the patient's left, and so on."""
    generator = np.random.default_rng(seed)
    image = sitk.Image(5, 4, 3, sitk.sitkUInt8)
    mirrored = np.diag(generator.choice([-1.0, 1.0], 3))
    image.SetDirection((Rotation.random(random_state=seed).as_matrix() @ mirrored).ravel().tolist())
    turn = Turn.of(image.GetDirection(), "LPS")
    places = [image.TransformIndexToPhysicalPoint(index[::-1]) for index in np.ndindex(3, 4, 5)]
    to_the = {
        letter: turn.there(sign * np.array(places)[:, axis].reshape(3, 4, 5))
        for letters, sign in (("LPS", 1), ("RAI", -1))
        for axis, letter in enumerate(letters)
    }
    for plane, (cut, _) in axial_and_coronal(1, 1, (1, 1, 1)).items():
        for letter, further in to_the.items():
            figure, panel = plt.subplots()
            panel.imshow(cut(further))
            mark_sides(panel, plane)
            seen = on_screen(panel)
            ends = {"left": seen[:, 0], "right": seen[:, -1], "top": seen[0], "bottom": seen[-1]}
            opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
            for edge in [edge for edge, its in sides(panel).items() if its == letter]:
                assert ends[edge].mean() > ends[opposite[edge]].mean()
            plt.close(figure)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("part", "contours"), [(slice(0), 0), (slice(2, 4), 1), (slice(None), 0)])
def test_a_mask_without_a_border_has_no_outline(part: slice, contours: int):
    figure, axis = plt.subplots()
    mask = np.zeros((6, 7), bool)
    mask[part] = True
    outline(axis, mask, "red")
    assert len(axis.collections) == contours
    plt.close(figure)
