"""A scan with its masks."""

import matplotlib.image
import numpy as np

from nnunetv2_muduo.evaluation.mask_figure import draw_masks

SCAN = np.random.default_rng(0).normal(40, 60, (20, 30, 40)).astype(np.float32)


def draw(path, labels, names, points=None):
    draw_masks(path, SCAN, labels, names=names, points=points or {}, spacing_in_mm=(5.0, 3.0, 3.0), modality="CT")
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
