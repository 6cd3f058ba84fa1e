import numpy as np
import pytest

from nnunetv2_muduo.semisupervised.loading import crop_and_place
from nnunetv2_muduo.teacher_cache.tiles import lay_tiles

PATCH = (8, 10, 12)


def voxels(shape: tuple[int, ...]) -> np.ndarray:
    return np.argwhere(np.ones(shape, dtype=bool))


def regions(centres: np.ndarray, shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    return [crop_and_place(centre, shape, PATCH)[0][1:] for centre in centres]


@pytest.mark.parametrize("shape", [(8, 10, 12), (9, 31, 40), (33, 20, 13), (5, 25, 60)])
def test_every_voxel_lies_well_inside_a_tile_unless_the_scan_ends_there(shape):
    centres = lay_tiles(shape, PATCH, voxels(shape), most=1000)
    depth = np.zeros(shape)  # how far a voxel is from the border of the tile it is deepest in, as a share of its edge
    for region in regions(centres, shape):
        into = []
        for axis, (part, length, patch) in enumerate(zip(region, shape, PATCH, strict=True)):
            place = np.arange(part.start, part.stop)
            near = np.where(part.start == 0, np.inf, place - part.start + 0.5)
            far = np.where(part.stop == length, np.inf, part.stop - place - 0.5)
            into.append((np.minimum(near, far) / patch).reshape([-1 if i == axis else 1 for i in range(3)]))
        deepest = np.minimum(np.minimum(into[0], into[1]), into[2])
        depth[region] = np.maximum(depth[region], np.broadcast_to(deepest, depth[region].shape))
    assert depth.min() >= 0.2


def test_tiles_are_where_the_body_is():
    body = voxels((40, 40, 48))
    body = body[(body[:, 1] < 12) & (body[:, 0] > 20)]
    centres = lay_tiles((40, 40, 48), PATCH, body, most=1000)
    everything = lay_tiles((40, 40, 48), PATCH, voxels((40, 40, 48)), most=1000)
    assert 0 < len(centres) < len(everything) / 3
    for region in regions(centres, (40, 40, 48)):
        lowest, highest = ([getattr(part, end) for part in region] for end in ("start", "stop"))
        assert ((body >= lowest) & (body < highest)).all(1).any()


def test_the_bound_is_kept_and_the_tiles_stay_spread():
    shape, body = (80, 80, 96), 4 * voxels((20, 20, 24))  # as many as a case has; of all, 4,275 tiles would take 8 GB
    everything, some = (lay_tiles(shape, PATCH, body, most=most) for most in (10_000, 27))
    assert len(some) == 27 < len(everything)
    chosen = {tuple(centre) for centre in some}
    assert chosen < {tuple(centre) for centre in everything}
    for axis, length in enumerate(shape):
        assert some[:, axis].min() < length / 4
        assert some[:, axis].max() > length * 3 / 4
    distances = np.linalg.norm((some[:, None] - some) / np.array(PATCH), axis=-1)
    assert distances[~np.eye(27, dtype=bool)].min() > 1.5


def test_one_tile_is_the_middle_one():
    centre = lay_tiles((40, 41, 48), PATCH, voxels((40, 41, 48)), most=1)
    assert np.abs(centre - np.array([20, 20, 24])).max() <= 3


def test_a_scan_smaller_than_the_patch_has_one_tile():
    assert len(lay_tiles((5, 10, 7), PATCH, voxels((5, 10, 7)), most=64)) == 1
    assert len(lay_tiles((5, 10, 7), PATCH, np.array([[4, 9, 6]]), most=64)) == 1


def test_the_same_scan_has_the_same_tiles():
    body = np.random.default_rng(0).integers(0, 60, (500, 3))
    first, second = (lay_tiles((60, 60, 60), PATCH, body, most=12) for _ in range(2))
    assert np.array_equal(first, second)
