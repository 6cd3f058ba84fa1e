"""A scan with its masks."""

import matplotlib.image
import numpy as np
from drawn_panels import (
    SHAPE,
    SPACING_IN_MM,
    assert_axial,
    assert_coronal,
    catch_figures,
    numbered,
    on_screen,
    panel,
    sides,
)

from nnunetv2_muduo.evaluation import mask_figure
from nnunetv2_muduo.evaluation.mask_figure import draw_masks

SCAN = np.random.default_rng(0).normal(40, 60, (20, 30, 40)).astype(np.float32)


def draw(path, labels, names, points=None):
    draw_masks(
        path,
        SCAN,
        labels,
        names=names,
        points=points or {},
        spacing_in_mm=(5.0, 3.0, 3.0),
        modality="CT",
        oriented=True,
    )
    return matplotlib.image.imread(path)[..., :3]


def is_red(picture):
    return (picture[..., 0] > 0.75) & (picture[..., 1] < 0.3) & (picture[..., 2] < 0.3)


def test_each_target_has_a_row_and_a_red_contour(tmp_path):
    labels = np.zeros(SCAN.shape, np.uint8)
    labels[5:9, 6:14, 10:20], labels[12:15, 20:25, 25:33] = 1, 2
    picture = draw(tmp_path / "two.png", labels, {1: "liver", 2: "spleen"})
    one = draw(tmp_path / "one.png", labels, {1: "liver"})
    assert picture.shape[0] == 2 * one.shape[0]
    middle = picture.shape[0] // 2
    assert is_red(picture[:middle]).sum() > 50
    assert is_red(picture[middle:]).sum() > 50


def test_an_empty_mask_shows_where_its_points_are(tmp_path):
    labels = np.zeros(SCAN.shape, np.uint8)
    picture = draw(tmp_path / "empty.png", labels, {1: "liver"}, {1: [(10.0, 12.0, 14.0, True)]})
    lime = (picture[..., 1] > 0.95) & (picture[..., 0] < 0.1) & (picture[..., 2] < 0.1)
    assert not is_red(picture).any()
    assert lime.sum() > 20


def test_patient_stands_upright_in_true_proportions_and_points_lie_where_they_are(tmp_path, monkeypatch):
    caught = catch_figures(monkeypatch, mask_figure)
    labels, volume = np.zeros(SHAPE, np.uint8), numbered()
    labels[2, 5, 3] = 1
    draw_masks(
        tmp_path / "a.png",
        volume,
        labels,
        names={1: "liver"},
        points={1: [(2.0, 5.0, 3.0, True)]},
        spacing_in_mm=SPACING_IN_MM,
        modality="CT",
        oriented=True,
    )
    axial, coronal, sagittal = (panel(caught[0], f"liver, {plane}") for plane in ("axial", "coronal", "sagittal"))
    assert_axial(axial, volume, 2)
    assert_coronal(coronal, volume, 5)
    np.testing.assert_array_equal(on_screen(sagittal), volume[::-1, :, 3])
    assert sagittal.get_aspect() == SPACING_IN_MM[0] / SPACING_IN_MM[1]
    assert sides(sagittal) == {"left": "A", "right": "P", "top": "S", "bottom": "I"}
    points = [[float(*line.get_xdata()), float(*line.get_ydata())] for axis in caught[0].axes for line in axis.lines]
    assert points == [[3.0, 5.0], [3.0, 2.0], [5.0, 2.0]]
