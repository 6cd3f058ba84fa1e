import numpy as np
import pytest
from drawn_panels import SHAPE, SPACING_IN_MM, assert_axial, assert_coronal, numbered, panel
from matplotlib.colors import to_rgb

from nnunetv2_muduo.reporting import case_picture
from nnunetv2_muduo.reporting.case_files import LoadedCase
from nnunetv2_muduo.reporting.case_picture import REFERENCE_COLOUR, around_body, chosen_slices, draw_case

COLOUR = "#d6409f"


def volumes(shape=(12, 10, 8)):
    reference, prediction = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    reference[4:7, 3:6, 2:5] = 1
    prediction[5:9, 3:6, 2:5] = 1
    return reference, prediction


def has(image, colour):
    pixels = np.asarray(image, dtype=float) / 255
    return bool((np.abs(pixels - np.array(to_rgb(colour))).max(-1) < 0.15).any())


def draw(reference, prediction, modalities=("CT", "PET"), spacing=(3.0, 2.0, 2.0)):
    images = {name: np.linspace(-200, 300, reference.size).reshape(reference.shape) for name in modalities}
    known = {name: name if name in ("CT", "PET") else None for name in modalities}
    case = LoadedCase("a", images, known, reference, prediction, spacing, True)
    return draw_case(case, [(1,), (2,)], focus=(1,), colour=COLOUR)


def test_reference_and_prediction_are_outlined_in_their_colours():
    picture = draw(*volumes())
    assert has(picture, REFERENCE_COLOUR)
    assert has(picture, COLOUR)


def test_slices_are_those_with_most_wrong():
    reference, prediction = volumes()
    reference[10, 2:8, 1:7] = 1
    z, _ = chosen_slices(reference, prediction, (1,))
    assert z == 10


def test_slices_go_through_what_is_wrong_however_small_and_not_through_most_of_the_organ():
    reference, prediction = volumes()
    prediction[:] = reference
    prediction[10, 8, 6] = 1
    assert chosen_slices(reference, prediction, (1,)) == (10, 8)


def test_slice_shows_the_organ_where_nothing_is_wrong():
    reference, _ = volumes()
    z, y = chosen_slices(reference, reference, (1,))
    assert z in range(4, 7)
    assert y in range(3, 6)


def test_air_around_the_patient_is_left_out_and_no_label_with_it():
    reference, prediction = (np.pad(volume, 20) for volume in volumes())
    ct = np.full(reference.shape, -1000.0)
    ct[18:34, 18:32, 18:30] = 0.0
    prediction[25, 5, 24] = 1
    case = LoadedCase("a", {"CT": ct}, {"CT": "CT"}, reference, prediction, (3.0, 2.0, 2.0), True)
    axial = around_body(case, lambda volume: volume[25])
    np.testing.assert_array_equal(axial(ct), ct[25, 2:35, 15:33])
    nothing = LoadedCase("a", {"MR": ct}, {"MR": None}, reference, prediction, (3.0, 2.0, 2.0), True)
    assert around_body(nothing, lambda volume: volume[25])(ct).shape == ct[25].shape


def test_organ_that_is_nowhere_leaves_the_others_in_sight():
    reference, prediction = volumes()
    assert chosen_slices(reference, prediction, (9,))[0] in range(4, 9)
    assert chosen_slices(np.zeros((6, 8, 4)), np.zeros((6, 8, 4)), (1,)) == (3, 4)


def test_patient_stands_upright_in_true_proportions(monkeypatch):
    caught = []
    monkeypatch.setattr(case_picture, "_rendered", caught.append)
    labels, ct = np.zeros(SHAPE, np.uint8), numbered()
    labels[2, 5, 3] = 1
    case = LoadedCase("a", {"T1": ct, "T2": -ct}, {"T1": None, "T2": None}, labels, labels, SPACING_IN_MM, True)
    draw_case(case, [(1,)], focus=(1,), colour=COLOUR)
    for name, volume in case.images.items():
        assert_axial(panel(caught[0], f"{name}, axial"), volume, 2)
        assert_coronal(panel(caught[0], f"{name}, coronal"), volume, 5)


def test_spacing_gives_the_picture_its_proportions():
    flat, tall = (draw(*volumes(), spacing=(z, 2.0, 2.0)).height for z in (0.5, 2.0))
    assert tall > flat * 1.3


@pytest.mark.parametrize("modalities", [("CT",), ("T1", "T2")])
def test_other_channels_are_drawn_as_well(modalities):
    assert has(draw(*volumes(), modalities=modalities), COLOUR)
