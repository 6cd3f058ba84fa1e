import matplotlib.image
import numpy as np

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
        )
        sizes.append(matplotlib.image.imread(path).shape[0])
    assert sizes[0] == 2 * sizes[1]
    assert len(list(tmp_path.iterdir())) == 2
