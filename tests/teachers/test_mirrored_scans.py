"""Patches of scans that are stored mirrored look to a teacher as those that are not."""

import pytest
import torch
from torch import Tensor

from nnunetv2_muduo.teachers.mixed_views import MixedViews
from nnunetv2_muduo.teachers.protocol import TeacherSpec
from nnunetv2_muduo.teachers.view import TeacherView

SPEC = TeacherSpec(cube_size=16, mask_size=8, spacing_in_mm=1.5, orientation="LPS")
PATCH = (14, 20, 26)
SPACING = (3.0, 1.2, 2.0)
MIRRORED = {"RPS": (2,), "LAS": (1,), "LPI": (0,), "RAS": (1, 2), "RAI": (0, 1, 2)}  # axes of (z, y, x)


def view(grid: str, axes: tuple[int, ...] = (0, 1, 2)) -> TeacherView:
    sizes, spacing = [PATCH[axis] for axis in axes], [SPACING[axis] for axis in axes]
    return TeacherView(SPEC, patch_size=sizes, spacing_in_mm=spacing, grid=grid, axes=axes)


def flipped(volumes: Tensor, axes: tuple[int, ...]) -> Tensor:
    return volumes.flip([axis + 2 for axis in axes])


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("orientation", MIRRORED)
def test_a_teacher_sees_a_mirrored_patch_straight_and_answers_on_it_as_it_lies(grid: str, orientation: str):
    straight, axes = view(grid), MIRRORED[orientation]
    other = straight.of_scans([orientation] * 2)
    volumes = torch.rand(2, 1, *PATCH)
    mine = flipped(volumes, axes)
    torch.testing.assert_close(other.images(mine), straight.images(volumes), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other.masks(mine), straight.masks(volumes))
    torch.testing.assert_close(other.low_resolution_masks(mine), straight.low_resolution_masks(volumes))
    logits, valid = torch.randn(2 * straight.n_cubes, 3, 8, 8, 8), torch.rand(2 * straight.n_cubes, 3) > 0.3
    torch.testing.assert_close(other.back(logits, valid), flipped(straight.back(logits, valid), axes))
    assert other.n_cubes == straight.n_cubes


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("orientation", MIRRORED)
def test_points_move_with_the_patch(grid: str, orientation: str):
    straight = view(grid)
    coords = torch.stack([torch.randint(size, (2, 3, 4)) for size in PATCH], dim=-1)
    labels = torch.tensor([1, 0, -1, 1]).expand(2, 3, 4)
    mirrored = coords.clone()
    for axis in MIRRORED[orientation]:
        mirrored[..., axis] = PATCH[axis] - 1 - coords[..., axis]
    expected, found = straight.points(coords, labels), straight.of_scans([orientation] * 2).points(mirrored, labels)
    torch.testing.assert_close(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1)])
def test_axes_are_those_of_the_scan_where_plans_exchange_them(order: tuple[int, ...]):
    straight, patch = view("1.5mm"), torch.rand(1, 1, *PATCH)
    of_network = flipped(patch, (1,)).permute(0, 1, *(axis + 2 for axis in order))
    seen = view("1.5mm", order).of_scans(["LAS"]).images(of_network)
    torch.testing.assert_close(seen, straight.images(patch), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_each_patch_of_a_batch_is_seen_as_its_own_scan_is_stored(grid: str):
    straight, stored = view(grid), ["LPS", "RAS", None]
    mixed = straight.of_scans(stored)
    one_by_one = [straight.of_scans([orientation]) for orientation in stored]
    assert isinstance(mixed, MixedViews)
    volumes = torch.rand(3, 2, *PATCH)
    for method in ("masks", "low_resolution_masks"):
        expected = torch.cat([getattr(own, method)(one) for own, one in zip(one_by_one, volumes.split(1), strict=True)])
        assert torch.equal(getattr(mixed, method)(volumes), expected)
    raw = volumes[:, :1] * 100
    expected = torch.cat([own.images(one) for own, one in zip(one_by_one, raw.split(1), strict=True)])
    assert torch.equal(mixed.images(raw), expected)
    logits, valid = torch.randn(3 * mixed.n_cubes, 4, 8, 8, 8), torch.rand(3 * mixed.n_cubes, 4) > 0.3
    cubes = list(zip(one_by_one, logits.split(mixed.n_cubes), valid.split(mixed.n_cubes), strict=True))
    assert torch.equal(mixed.back(logits, valid), torch.cat([own.back(said, asked) for own, said, asked in cubes]))
    assert torch.equal(mixed.back(logits), torch.cat([own.back(said) for own, said, _ in cubes]))
    coords, labels = torch.randint(14, (3, 4, 2, 3)), torch.ones(3, 4, 2, dtype=torch.long)
    points = [own.points(c, p) for own, c, p in zip(one_by_one, coords.split(1), labels.split(1), strict=True)]
    for found, expected in zip(mixed.points(coords, labels), zip(*points, strict=True), strict=True):
        assert torch.equal(found, torch.cat(expected))


@pytest.mark.parametrize("orientations", [None, ["LPS", "LPS"], [None, "LPS"], ["SPL", "PLS"]])
def test_a_view_stays_itself_where_nothing_is_mirrored_or_axes_are_in_another_order(orientations):
    straight = view("patch")
    assert straight.of_scans(orientations) is straight


def test_views_of_mirrored_scans_are_made_once_and_serve_with_gradients_and_without():
    straight, volumes = view("patch"), torch.rand(1, 1, *PATCH, requires_grad=True)
    with torch.inference_mode():
        made = straight.of_scans(["RAS"])
    assert straight.of_scans(["RAS", "RAS"]) is made
    made.masks(volumes).sum().backward()
    assert (volumes.grad > 0).all()


def test_a_batch_of_another_size_is_refused():
    with pytest.raises(ValueError, match="longer"):
        view("patch").of_scans(["RAS", "LPS"]).masks(torch.zeros(3, 1, *PATCH))
