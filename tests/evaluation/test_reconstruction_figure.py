import matplotlib.image
import numpy as np
from drawn_panels import SHAPE, SPACING_IN_MM, assert_coronal, catch_figures, numbered, on_screen, panel

from nnunetv2_muduo.evaluation import reconstruction_figure
from nnunetv2_muduo.evaluation.reconstruction_figure import draw_reconstruction


def test_one_row_a_channel_is_drawn_and_flat_patches_do_no_harm(tmp_path):
    image = np.random.default_rng(0).normal(size=(2, 8, 9, 10))
    mask = np.zeros(image.shape, dtype=bool)
    mask[:, :4] = True
    sizes = []
    for channels in (2, 1):
        path = tmp_path / f"{channels}.png"
        draw_reconstruction(
            path,
            image[:channels] * (channels - 1),
            mask[:channels],
            image[:channels],
            channels=("CT", "PET")[:channels],
            title="case",
            spacing_in_mm=(3, 2, 2),
            oriented=False,
        )
        sizes.append(matplotlib.image.imread(path).shape[0])
    assert sizes[0] == 2 * sizes[1]
    assert len(list(tmp_path.iterdir())) == 2


def test_patient_stands_upright_and_what_was_hidden_is_blank(tmp_path, monkeypatch):
    caught = catch_figures(monkeypatch, reconstruction_figure)
    volume, mask = numbered(), np.zeros(SHAPE, bool)
    mask[0] = True  # the feet
    draw_reconstruction(
        tmp_path / "a.png",
        volume[None],
        mask[None],
        -volume[None],
        channels=("CT",),
        title="case",
        spacing_in_mm=SPACING_IN_MM,
        oriented=True,
    )
    middle = SHAPE[1] // 2
    assert_coronal(panel(caught[0], "CT, input"), volume, middle)
    assert_coronal(panel(caught[0], "CT, reconstruction"), -volume, middle)
    np.testing.assert_array_equal(np.isnan(on_screen(panel(caught[0], "CT, masked"))), mask[::-1, middle])
