import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nnunetv2_muduo.teachers.intensity import normalise_for_teacher
from nnunetv2_muduo.teachers.protocol import TeacherSpec
from nnunetv2_muduo.teachers.view import TeacherView

SPEC = TeacherSpec(cube_size=16, mask_size=8, spacing_in_mm=1.5)
PATCH = (14, 20, 26)
SPACING = (3.0, 1.2, 2.0)  # 42 x 24 x 52 mm; a cube is 24 mm wide
HIGHER = TeacherSpec(cube_size=32, mask_size=8, spacing_in_mm=1.5)


def view(grid: str = "patch", *, spec: TeacherSpec = SPEC, patch_size=PATCH, spacing=SPACING, **rest) -> TeacherView:
    return TeacherView(spec, patch_size=patch_size, spacing_in_mm=spacing, grid=grid, **rest)


def ellipsoid(shape=PATCH, centre=(0.4, 0.6, 0.35), radii=(0.22, 0.27, 0.2)) -> Tensor:
    """An off-centre ellipsoid, [1, 1, Z, Y, X] in {0, 1}; centre and radii as shares of the patch."""
    grids = torch.meshgrid(*[(torch.arange(n) + 0.5) / n for n in shape], indexing="ij")
    distance = sum(((grid - c) / r) ** 2 for grid, c, r in zip(grids, centre, radii, strict=True))
    return (distance <= 1).float()[None, None]


def dice(a: Tensor, b: Tensor) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_a_patch_on_the_cubes_own_grid_is_only_transposed():
    same = view(patch_size=(16, 16, 16))
    raw = torch.rand(2, 1, 16, 16, 16) * 2000 - 1000
    xyz = raw.permute(0, 1, 4, 3, 2)
    assert torch.equal(same.images(raw), normalise_for_teacher(xyz.contiguous(), None))
    assert torch.equal(same.masks(raw), xyz)
    assert torch.equal(same.back(xyz), raw)


def test_the_teachers_own_spacing_is_kept_as_it_is():
    same = view("1.5mm", patch_size=(16, 16, 16), spacing=(1.5, 1.5, 1.5))
    raw = torch.rand(1, 1, 16, 16, 16)
    assert same.n_cubes == 1
    assert torch.equal(same.masks(raw), raw.permute(0, 1, 4, 3, 2))


def test_a_patch_is_resized_as_published():
    masks = torch.rand(2, 3, 14, 12, 10)
    resized = view(patch_size=(14, 12, 10)).masks(masks)
    assert torch.allclose(
        resized, interpolate(masks, size=(16,) * 3, mode="trilinear").permute(0, 1, 4, 3, 2), atol=1e-5
    )
    logits = torch.randn(2, 3, 8, 8, 8)
    back = view(patch_size=(14, 12, 10)).back(logits)
    expected = interpolate(logits.permute(0, 1, 4, 3, 2), size=(14, 12, 10), mode="trilinear")
    assert torch.allclose(back, expected, atol=1e-5)


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("spacing", [SPACING, (1.0, 4.0, 1.7), (6.0, 6.0, 9.0)])
def test_an_off_centre_ellipsoid_returns(grid, spacing):
    there = view(grid, spec=HIGHER, spacing=spacing)
    mask = ellipsoid()
    back = there.back((there.masks(mask) - 0.5) * 20)
    assert dice(back[0, 0] > 0, mask[0, 0] > 0) > 0.95


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_an_ellipsoid_returns_from_the_mask_grid(grid):
    there = view(grid, spec=TeacherSpec(cube_size=32, mask_size=16, spacing_in_mm=1.5))
    mask = ellipsoid()
    back = there.back((there.low_resolution_masks(mask) - 0.5) * 20)
    assert back.shape == mask.shape
    assert dice(back[0, 0] > 0, mask[0, 0] > 0) > 0.9


def test_axes_become_x_y_z():
    image = torch.zeros(1, 1, 16, 16, 16)
    image[0, 0, 2, 3, 4:13] = 1  # an L: the long arm along x, the short one along y, from one corner at z=2
    image[0, 0, 2, 3:8, 4] = 1
    cube = view(patch_size=(16, 16, 16)).masks(image)[0, 0]
    assert cube.nonzero().amin(0).tolist() == [4, 3, 2]
    assert cube.nonzero().amax(0).tolist() == [12, 7, 2]


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_axes_of_points_masks_images_and_logits_agree(grid):
    there = view(grid, spec=HIGHER)
    mask = torch.zeros(1, 1, *PATCH)
    mask[0, 0, 3:6, 5:12, 4:17] = 1
    middle = torch.tensor([4.0, 8.0, 10.0]).view(1, 1, 1, 3)
    coords, labels = there.points(middle, torch.ones(1, 1, 1, dtype=torch.int64))
    for cube in range(there.n_cubes):
        if labels[cube, 0, 0] == 1:
            voxel = tuple(coords[cube, 0, 0].round().long())
            assert there.masks(mask)[cube, 0][voxel] > 0.9
            assert there.images(mask * 50 - 20)[cube, 0][voxel] > there.images(mask * 50 - 20)[cube, 0].min()
            logits = torch.full((there.n_cubes, 1, 32, 32, 32), -5.0)
            logits[cube, 0] = there.masks(mask)[cube, 0] * 10 - 5
            assert there.back(logits)[0, 0].argmax() in mask[0, 0].flatten().nonzero()


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("voxel", [(0, 0, 0), (4, 7, 20), (13, 19, 25), (6, 18, 3)])
def test_a_point_names_the_same_place_in_the_cube_and_back(grid, voxel):
    there = view(grid)
    marked = torch.zeros(1, 1, *PATCH)
    marked[(0, 0, *voxel)] = 1
    coords, labels = there.points(torch.tensor(voxel).view(1, 1, 1, 3).float(), torch.ones(1, 1, 1).long())
    assert (labels == 1).any()
    for cube in (labels[:, 0, 0] == 1).nonzero().flatten().tolist():
        reflected = torch.zeros(there.n_cubes, 1, 16, 16, 16)
        reflected[(cube, 0, *coords[cube, 0, 0].round().clamp(0, 15).long())] = 1
        returned = there.back(reflected)[0, 0]
        index = torch.stack(torch.meshgrid(*[torch.arange(n).float() for n in PATCH], indexing="ij"))
        found = (index * returned).flatten(1).sum(1) / returned.sum()
        cube_edge = torch.tensor([n / 16 for n in PATCH] if grid == "patch" else [1.5 / mm for mm in SPACING])
        coarser = torch.maximum(cube_edge, torch.ones(3))
        assert ((found - torch.tensor(voxel)).abs() <= 0.5 * coarser + 0.3).all()  # 0.3: blending shifts the mean
        shown = there.masks(marked)[cube, 0]
        peak = torch.stack(torch.unravel_index(shown.argmax(), shown.shape))
        assert (
            (peak - coords[cube, 0, 0]).abs() <= 0.5 * torch.maximum(1 / cube_edge.flip(0), torch.ones(3)) + 1e-4
        ).all()


def test_points_use_the_half_voxel_convention():
    halving = view(patch_size=(32, 16, 8))
    coords, _ = halving.points(torch.tensor([0.5, 3.0, 0.0]).view(1, 1, 1, 3), torch.ones(1, 1, 1).long())
    assert coords.flatten().tolist() == [0.5, 3.0, 0.0]  # x: 8 -> 16, y as it is, z: 32 -> 16


def test_points_outside_a_cube_and_unused_slots_stay_unused():
    there = view("1.5mm")
    coords = torch.tensor([[2.0, 10.0, 1.0], [12.0, 10.0, 24.0], [5.0, 5.0, float("nan")]]).expand(2, 1, 3, 3)
    labels = torch.tensor([[[1, 0, -1]], [[-1, 1, -1]]])
    mapped, used = there.points(coords, labels)
    first, last = 0, there.n_cubes - 1
    assert mapped.shape == (2 * there.n_cubes, 1, 3, 3)
    assert used[first, 0].tolist() == [1, -1, -1]
    assert used[last, 0].tolist() == [-1, 0, -1]
    assert used[there.n_cubes + first, 0].tolist() == [-1, -1, -1]
    assert used[there.n_cubes + last, 0].tolist() == [-1, 1, -1]
    assert mapped[used == -1].abs().sum() == 0
    assert ((mapped >= -0.5) & (mapped <= 15.5)).all()


def test_cubes_cover_every_voxel():
    there = view("1.5mm")
    index = torch.stack(torch.meshgrid(*[torch.arange(n) for n in PATCH], indexing="ij"), dim=-1).view(1, 1, -1, 3)
    _, labels = there.points(index.float(), torch.ones(index.shape[:3], dtype=torch.int64))
    assert there.n_cubes == 2 * 1 * 3
    assert (labels == 1).any(0).all()


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("patch_size", [PATCH, (5, 40, 17)])
def test_constant_logits_stay_constant(grid, patch_size):
    there = view(grid, patch_size=patch_size)
    for size in (8, 16):
        back = there.back(torch.full((2 * there.n_cubes, 3, size, size, size), 3.25))
        assert torch.allclose(back, torch.full((2, 3, *patch_size), 3.25), atol=1e-5)


def test_neighbouring_cubes_are_blended_smoothly():
    there = view("1.5mm", patch_size=(8, 8, 60), spacing=(1.5, 1.5, 1.5))
    logits = torch.arange(there.n_cubes).float().view(-1, 1, 1, 1, 1).expand(-1, 1, 8, 8, 8)
    profile = there.back(logits)[0, 0, 4, 4]
    assert (profile.diff() >= -1e-5).all()
    assert profile.diff().max() < 0.5
    assert profile[0] == pytest.approx(0, abs=1e-5)
    assert profile[-1] == pytest.approx(there.n_cubes - 1, abs=1e-5)


def test_patches_of_a_batch_stay_apart():
    there = view("1.5mm")
    masks = torch.rand(3, 2, *PATCH)
    together = there.masks(masks)
    n = there.n_cubes
    for index in range(3):
        assert torch.allclose(together[index * n : (index + 1) * n], there.masks(masks[index : index + 1]), atol=1e-6)
        alone = there.back(together[index * n : (index + 1) * n])
        assert torch.allclose(there.back(together)[index], alone[0], atol=1e-6)


def test_an_organ_that_was_not_asked_for_counts_as_absent():
    logits = torch.full((2, 2, 8, 8, 8), 4.0)
    logits[0, 1] = float("nan")
    valid = torch.tensor([[True, False], [True, True]])
    back = view().back(logits, valid)
    assert torch.allclose(back[0, 1], torch.full(PATCH, -10.0))
    assert torch.allclose(back[0, 0], torch.full(PATCH, 4.0), atol=1e-5)


def test_a_small_organ_survives_on_the_mask_grid():
    there = view(patch_size=(64, 64, 64))
    mask = torch.zeros(1, 1, 64, 64, 64)
    for voxel in (0, 3, 31, 45, 63):
        mask.zero_()[0, 0, voxel, voxel // 2, 63 - voxel] = 1
        small = there.low_resolution_masks(mask)
        assert small.sum() * 8**3 == pytest.approx(1, abs=1e-4)
        assert there.masks(mask).sum() * 4**3 == pytest.approx(1, abs=1e-4)


def test_a_patch_smaller_than_a_cube_is_centred_and_padded_with_its_minimum():
    there = view("1.5mm", patch_size=(6, 8, 10), spacing=(1.5, 1.5, 1.5))
    raw = torch.rand(1, 1, 6, 8, 10) * 100 - 300
    raw[0, 0, 2:4, 2:6, 3:7] += 350
    cube = there.images(raw)[0, 0]
    padding = torch.ones(16, 16, 16, dtype=torch.bool)
    padding[3:13, 4:12, 5:11] = False
    inside = raw[raw > 0]
    expected = (raw - inside.mean()) / inside.std()
    assert torch.allclose(cube[~padding].view(10, 8, 6), expected[0, 0].permute(2, 1, 0), atol=1e-3)
    assert torch.allclose(cube[padding], expected.min(), atol=1e-3)


def test_padding_is_never_among_the_positive_voxels():
    there = view("1.5mm", patch_size=(6, 8, 10), spacing=(1.5, 1.5, 1.5))
    raw = torch.rand(1, 1, 6, 8, 10) + 3
    cube = there.images(raw)[0, 0, 3:13, 4:12, 5:11]
    assert torch.allclose(cube, normalise_for_teacher(raw, None)[0, 0].permute(2, 1, 0), atol=1e-3)


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_each_cube_is_clamped_and_normalised_by_itself(grid):
    there = view(grid, clamp=(-100.0, 400.0))
    raw = torch.linspace(-500, 900, 14 * 20 * 26).view(1, 1, *PATCH).repeat(2, 1, 1, 1, 1)
    cubes = there.images(raw)
    assert cubes.shape == (2 * there.n_cubes, 1, 16, 16, 16)
    plain = there.masks(raw)
    assert torch.allclose(cubes, normalise_for_teacher(plain, (-100.0, 400.0)), atol=1e-3)


def test_an_empty_crop_is_all_zeros():
    assert (view(clamp=(-1000.0, 1000.0)).images(torch.full((1, 1, *PATCH), -1000.0)) == 0).all()


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_dtype_is_kept_under_inference_mode_and_autocast(grid):
    there = view(grid)
    masks = torch.rand(1, 2, *PATCH)
    precise = there.masks(masks)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(there.masks(masks), precise)
        assert there.masks(masks.bfloat16()).dtype == torch.bfloat16
        assert there.images(masks[:, :1].bfloat16()).dtype == torch.bfloat16
        assert there.low_resolution_masks(masks > 0.5).dtype == torch.float32
        assert there.back(there.low_resolution_masks(masks.bfloat16())).dtype == torch.bfloat16


def test_gradients_pass_through():
    there = view("1.5mm")
    masks = torch.rand(1, 1, *PATCH, requires_grad=True)
    there.back(there.low_resolution_masks(masks)).sum().backward()
    assert masks.grad is not None


def test_the_callers_tensors_are_left_alone():
    there = view("1.5mm", patch_size=(6, 8, 10))
    raw = torch.rand(1, 1, 6, 8, 10) - 3
    before = raw.clone()
    there.images(raw)
    assert torch.equal(raw, before)


def test_misfits_are_refused():
    with pytest.raises(ValueError, match=r"1\.5mm, not '2mm'"):
        view("2mm")
    with pytest.raises(ValueError, match="patch_size"):
        view(patch_size=(16, 16))
    with pytest.raises(ValueError, match="expected raw"):
        view().images(torch.zeros(1, 1, 16, 16, 16))
    with pytest.raises(ValueError, match="expected logits"):
        view().back(torch.zeros(1, 1, 5, 5, 5))
    with pytest.raises(ValueError, match="not a multiple"):
        view("1.5mm").back(torch.zeros(4, 1, 8, 8, 8))
    with pytest.raises(ValueError, match="expected coords"):
        view().points(torch.zeros(1, 1, 3), torch.zeros(1, 1, 1))


@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (1, 2, 0)])
def test_a_transposed_patch_gives_the_same_cubes_and_gets_its_answer_transposed(grid: str, axes: tuple[int, ...]):
    """nnU-Net puts the axis of the largest spacing first; a teacher knows patients from one side."""

    def turned(volumes: Tensor) -> Tensor:
        return volumes.permute(0, 1, *(axis + 2 for axis in axes))

    straight = view(grid)
    sizes = {"patch_size": [PATCH[axis] for axis in axes], "spacing": [SPACING[axis] for axis in axes]}
    other = view(grid, axes=axes, **sizes)
    raw, masks = torch.rand(2, 1, *PATCH) * 2000 - 1000, torch.rand(2, 3, *PATCH)
    assert torch.equal(other.images(turned(raw)), straight.images(raw))
    assert torch.equal(other.masks(turned(masks)), straight.masks(masks))
    assert torch.equal(other.low_resolution_masks(turned(masks)), straight.low_resolution_masks(masks))
    logits = torch.randn(2 * straight.n_cubes, 3, 8, 8, 8)
    assert torch.equal(other.back(logits), turned(straight.back(logits)))
    coords, labels = torch.rand(2, 3, 5, 3) * torch.tensor(PATCH), torch.ones(2, 3, 5, dtype=torch.long)
    for expected, found in zip(
        straight.points(coords, labels), other.points(coords[..., list(axes)], labels), strict=True
    ):
        assert torch.equal(found, expected)


def test_axes_that_are_no_order_are_refused():
    with pytest.raises(ValueError, match="axes must be an order"):
        view(axes=(0, 1, 1))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("grid", ["patch", "1.5mm"])
def test_a_mirrored_scan_is_seen_voxel_for_voxel_as_if_it_lay_straight(grid: str, axes: tuple[int, ...]):
    in_patch = {"patch_size": [PATCH[axis] for axis in axes], "spacing": [SPACING[axis] for axis in axes], "axes": axes}
    straight, mirroring = view(grid, **in_patch), view(grid, **in_patch, mirrored=(0, 2))
    flipped = [2 + axes.index(axis) for axis in (0, 2)]
    lying = torch.rand(1, 1, *in_patch["patch_size"])
    for seen in ("images", "masks", "low_resolution_masks"):
        expected = getattr(straight, seen)(lying.flip(flipped))
        torch.testing.assert_close(getattr(mirroring, seen)(lying), expected, atol=1e-4, rtol=1e-5)
    voxel = (lying == lying.max()).nonzero()[None, :, 2:].float()[:, None]
    same = (lying.flip(flipped) == lying.max()).nonzero()[None, :, 2:].float()[:, None]
    label = torch.ones(1, 1, 1, dtype=torch.long)
    for found, expected in zip(mirroring.points(voxel, label), straight.points(same, label), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    logits = torch.randn(straight.n_cubes, 1, 8, 8, 8)
    torch.testing.assert_close(mirroring.back(logits).flip(flipped), straight.back(logits))
