import pytest
import torch
from torch.nn.functional import interpolate

from nnunetv2_muduo.teachers.tiling import (
    SeparableMap,
    TiledAxis,
    lay_cubes,
    resampling_weights,
    weights_from_cubes,
    weights_to_cubes,
)

GEOMETRIES = [(20, 6.4), (7, 12.3), (31, 30.9), (24, 24.0), (40, 11.0), (3, 1.0)]  # (length, extent)


@pytest.mark.parametrize(("length", "extent"), GEOMETRIES)
def test_cubes_cover_the_axis_and_overlap_enough(length, extent):
    axis = lay_cubes(length, extent, least_overlap=0.25)
    assert axis.starts[0] == pytest.approx(min(0.0, (length - extent) / 2))
    assert axis.starts[-1] + extent == pytest.approx(max(length, (length + extent) / 2))
    gaps = torch.tensor(axis.starts).diff()
    assert (gaps <= 0.75 * extent + 1e-4).all()
    assert (gaps > 0).all()


def test_no_more_cubes_than_needed():
    assert len(lay_cubes(128, 128.0, least_overlap=0.25).starts) == 1
    assert len(lay_cubes(128, 127.99999, least_overlap=0.25).starts) == 1
    assert len(lay_cubes(175, 100.0, least_overlap=0.25).starts) == 2
    assert len(lay_cubes(176, 100.0, least_overlap=0.25).starts) == 3


@pytest.mark.parametrize(("length", "extent"), GEOMETRIES)
@pytest.mark.parametrize("size", [4, 9])
def test_blended_weights_of_every_patch_voxel_sum_to_one(length, extent, size):
    weights = weights_from_cubes(lay_cubes(length, extent, least_overlap=0.25), size)
    assert weights.shape[0] == length
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(1), torch.ones(length), atol=1e-6)


@pytest.mark.parametrize(("length", "extent"), GEOMETRIES)
def test_cube_voxels_hold_the_patch_or_nothing(length, extent):
    axis = lay_cubes(length, extent, least_overlap=0.25)
    sums = weights_to_cubes(axis, 8).sum(1)
    assert torch.allclose(sums, sums.round(), atol=1e-6)
    assert (sums.min() < 0.5) == axis.padded


def test_the_middle_of_a_cube_counts_more_than_its_border():
    axis = TiledAxis(length=30, starts=(0.0, 10.0), extent=20.0)
    weights = weights_from_cubes(axis, 5)
    first = weights[:, :5].sum(1)
    assert first[10] > 0.9  # the middle of the first cube, the border of the second
    assert (first[:10] == 1).all()
    assert float(first[14]) == pytest.approx(1 - float(first[15]), abs=1e-6)


@pytest.mark.parametrize("after", [(9, 12, 15), (18, 12, 31), (10, 13, 16)])
def test_growing_is_trilinear_interpolation(after):
    volume = torch.rand(2, 3, 9, 12, 15)
    axes = [TiledAxis(length, (0.0,), float(length)) for length in volume.shape[2:]]
    grown = SeparableMap([weights_to_cubes(axis, size) for axis, size in zip(axes, after, strict=True)])(volume)
    assert torch.allclose(grown, interpolate(volume, size=after, mode="trilinear", align_corners=False), atol=1e-5)


def test_shrinking_to_a_divisor_averages_blocks():
    volume = torch.rand(1, 2, 8, 12, 15)
    matrices = [weights_to_cubes(TiledAxis(n, (0.0,), float(n)), n // d) for n, d in ((8, 4), (12, 2), (15, 3))]
    shrunk = SeparableMap(matrices)(volume)
    assert torch.allclose(shrunk, torch.nn.functional.avg_pool3d(volume, (4, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("count", [5, 7, 11])
def test_shrinking_leaves_nothing_out(count):
    weights = resampling_weights((torch.arange(count) + 0.5) * 12 / count, 12 / count, count=12)
    assert torch.allclose(weights.sum(0), torch.full((12,), count / 12))


def test_averaging_and_interpolating_agree_where_they_meet():
    centres = torch.arange(6, dtype=torch.float64) + 0.8
    assert torch.allclose(
        resampling_weights(centres, 1.0, count=8), resampling_weights(centres, 1.0 + 1e-9, count=8), atol=1e-6
    )


def test_an_unchanged_axis_is_left_exactly_alone():
    volume = torch.rand(1, 1, 4, 5, 6) * 3000
    assert torch.equal(SeparableMap([torch.eye(n) for n in (4, 5, 6)])(volume), volume)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_a_map_used_under_inference_mode_serves_gradients_later(device):
    resize = SeparableMap([weights_to_cubes(TiledAxis(n, (0.0,), float(n)), 4) for n in (5, 6, 7)])
    with torch.inference_mode():
        resize(torch.rand(1, 1, 5, 6, 7, device=device))
    volume = torch.rand(1, 1, 5, 6, 7, device=device, requires_grad=True)
    resize(volume).sum().backward()
    assert volume.grad is not None
