"""Turned and scaled views agree with the motion written out, lead back, and are drawn from their ranges."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from nnunetv2_muduo.distillation.spatial_view import MotionRanges, SpatialView, draw_view, spatial_view

SHAPE, SPACING = (10, 14, 12), (3.0, 2.0, 1.5)  # (z, y, x)
EXTENT = tuple(size * step for size, step in zip(SHAPE, SPACING, strict=True))
MOTIONS = {
    "turned": ([0.3, -0.2, 0.5], [1, 1, 1]),
    "scaled": ([0, 0, 0], [1.3] * 3),
    "both": ([-0.4, 0.1, 0.2], [0.8] * 3),
}


def plain_twin(image: np.ndarray, angles: list[float], scales: list[float]) -> np.ndarray:
    """Each voxel of the view by itself: its place in mm, scaled, turned about x, y and z, and read there linearly."""
    size, step = np.array(SHAPE), np.array(SPACING)
    turns = []
    for axis, angle in enumerate(angles):
        c, s = math.cos(angle), math.sin(angle)
        turns.append(
            np.array(
                [
                    [[1, 0, 0], [0, c, -s], [0, s, c]],
                    [[c, 0, s], [0, 1, 0], [-s, 0, c]],
                    [[c, -s, 0], [s, c, 0], [0, 0, 1]],
                ][axis]
            )
        )
    result = np.zeros(SHAPE)
    for voxel in np.ndindex(*SHAPE):
        place = ((np.array(voxel) + 0.5 - size / 2) * step)[::-1] * scales  # (x, y, z) in mm
        for turn in turns:
            place = turn @ place
        source = place[::-1] / step + size / 2 - 0.5
        result[voxel] = map_coordinates(image, source[:, None], order=1, mode="grid-constant")[0]
    return result


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_a_view_is_the_motion_written_out_voxel_by_voxel(motion: str):
    angles, scales = MOTIONS[motion]
    image = np.random.default_rng(0).normal(size=SHAPE)
    view = spatial_view([[0, 0, 0], angles], [[1, 1, 1], scales], extent_in_mm=EXTENT)
    seen = view.of(torch.from_numpy(np.stack([image, image]))[:, None])
    assert torch.equal(seen[0, 0], torch.from_numpy(image))  # not moved: exactly as it was
    expected = plain_twin(image, angles, scales)
    assert np.allclose(seen[1, 0], expected, atol=1e-9)
    masks = torch.from_numpy(np.stack([image, image]) > 0.3)[:, None]
    assert torch.equal(
        view.of_masks(masks)[1, 0], torch.from_numpy(plain_twin((image > 0.3) * 1.0, angles, scales) > 0.5)
    )


def test_undone_leads_back_where_the_view_reaches():
    image = gaussian_filter(np.random.default_rng(0).normal(size=(24, 24, 24)), 3)
    view = spatial_view([[0.3, -0.2, 0.4]], [[1.2] * 3], extent_in_mm=(48, 48, 48))
    patch = torch.from_numpy(image)[None, None]
    inside = (0, 0, *[slice(8, 16)] * 3)
    assert torch.allclose(view.undone(view.of(patch))[inside], patch[inside], atol=0.05 * np.abs(image).max())
    assert not torch.allclose(view.of(patch)[inside], patch[inside], atol=0.1 * np.abs(image).max())


def drawn(patches: int, *, in_plane: bool = False, seed: int = 0) -> SpatialView:
    ranges = MotionRanges(0.3, largest_angle=0.5, p_scaling=0.2, scales=(0.7, 1.4), in_plane=in_plane)
    return draw_view(patches, ranges=ranges, extent_in_mm=(1, 1, 1), generator=np.random.default_rng(seed))


def test_as_many_patches_as_wanted_move_within_the_ranges():
    view = drawn(4000)
    assert len(view.moved) / 4000 == pytest.approx(1 - 0.7 * 0.8, abs=0.03)
    scales = np.cbrt(np.linalg.det(view.matrices))
    assert 0.7 <= scales.min() < 0.72
    assert 1.38 < scales.max() <= 1.4
    scaled = np.abs(scales - 1) > 1e-9
    assert scaled.mean() == pytest.approx(0.2, abs=0.03)
    assert (scales > 1 + 1e-9).sum() / scaled.sum() == pytest.approx(0.5, abs=0.06)
    unmoved = sorted({*range(4000)} - {*view.moved})
    assert np.allclose(view.matrices[unmoved], np.eye(3), atol=1e-12)


def test_in_plane_leaves_z_alone():
    matrices = drawn(500, in_plane=True).matrices
    assert np.allclose(matrices[:, 2], [0, 0, 1], atol=1e-12)
    assert np.allclose(matrices[:, :2, 2], 0, atol=1e-12)
    assert np.abs(matrices[:, 0, 1]).max() > 0.3


def test_the_same_generator_draws_the_same():
    assert np.array_equal(drawn(20, seed=1).matrices, drawn(20, seed=1).matrices)
    assert not np.array_equal(drawn(20, seed=1).matrices, drawn(20, seed=2).matrices)
