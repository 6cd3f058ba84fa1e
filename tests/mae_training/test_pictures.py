"""The picture of a held-out patch while a masked autoencoder trains."""

import numpy as np

from nnunetv2_muduo.mae_training import trainer as mae_trainer


def test_the_picture_shows_mirrored_scans_and_exchanged_axes_as_radiologists_see_them(dataset, monkeypatch):
    dataset.plans["transpose_forward"], dataset.plans["transpose_backward"] = [2, 0, 1], [1, 2, 0]
    dataset.plans["configurations"]["3d_fullres"]["spacing"] = [3.0, 1.0, 2.0]  # of x, z and y
    trainer = dataset.trainer()
    trainer.initialize()
    patch = np.random.default_rng(0).normal(size=(2, 6, 4, 5))
    trainer.pictured, trainer.pictured_case = (patch, patch, patch), trainer.cases.held_out[0].name
    stored = {"sitk_stuff": {"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)}}
    monkeypatch.setattr(mae_trainer, "read_properties", lambda folder, case: stored)
    drawn = {}
    monkeypatch.setattr(
        mae_trainer, "draw_reconstruction", lambda path, *volumes, **more: drawn.update(more, volumes=volumes)
    )
    trainer._draw(0)
    upright = patch.transpose(0, 2, 3, 1)[:, :, ::-1, ::-1]
    for found, wanted in zip(drawn["volumes"], (upright, upright > 0, upright), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert drawn["spacing_in_mm"] == (1.0, 2.0, 3.0)
    assert drawn["oriented"]
    stored.clear()
    trainer._draw(0)
    assert not drawn["oriented"]
