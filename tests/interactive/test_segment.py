"""One scan, one teacher, points or rough masks."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bright_teacher import BrightTeacher

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.interactive.prompts import Point, Target
from nnunetv2_muduo.interactive.segment import LabelMap, segment_scan
from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig, windows
from nnunetv2_muduo.teachers.intensity import normalise_for_teacher

BOX = (slice(10, 16), slice(12, 20), slice(14, 24))
MIDDLE = (18.5, 15.5, 12.5)  # of the box, as voxel index (i, j, k)
ORIENTATIONS = ["LPS", "RAS", "SRA", "PIL", "ASR", "IAL"]


def a_scan(shape=(30, 32, 40), boxes=(BOX,), spacing=(4.0, 4.0, 4.0)) -> sitk.Image:
    array = np.ones(shape, dtype=np.float32)
    for box in boxes:
        array[box] = 100.0
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((-50.0, 20.0, 100.0))
    return image


def segment(image, targets, teacher=None, **options):
    return segment_scan(image, teacher or BrightTeacher(), modality="PET", targets=targets, **options)


class HalfwayTeacher(BrightTeacher):
    """Answers on its cube's own grid, and draws the border where the intensity is halfway, which no blur moves."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, mask_size=self.spec.cube_size)

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        return image - (image.amin() + image.amax()) / 2


def dice(first, second) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize(("modality", "expected"), [("CT", (-1000.0, 1000.0)), ("PET", None)])
def test_ct_is_clamped_and_pet_is_not(monkeypatch: pytest.MonkeyPatch, modality: str, expected):
    clamps = set()

    def note(raw: torch.Tensor, clamp: tuple[float, float] | None) -> torch.Tensor:
        clamps.add(clamp)
        return normalise_for_teacher(raw, clamp)

    monkeypatch.setattr(windows, "normalise_for_teacher", note)
    segment_scan(a_scan(), BrightTeacher(), modality=modality, targets=[Target("box", [Point(MIDDLE)])])
    assert clamps == {expected}


def test_a_point_gives_a_mask_on_exactly_the_scans_grid():
    image = a_scan()
    image.SetDirection(sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, 0.2, 0.3).GetMatrix())
    result = segment(image, [Target("box", [Point(MIDDLE)])])
    assert result.labels.GetPixelID() == sitk.sitkUInt8
    for what in ("Size", "Spacing", "Origin", "Direction"):
        assert getattr(result.labels, f"Get{what}")() == getattr(image, f"Get{what}")()
    mask = sitk.GetArrayFromImage(result.labels)
    assert dice(mask == 1, sitk.GetArrayFromImage(image) > 50) > 0.7
    (line,) = result.targets
    assert line.voxels == (mask == 1).sum()
    assert line.volume_in_ml == pytest.approx(line.voxels * 0.064)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_any_orientation_gives_the_same_mask_in_the_patient(orientation):
    image = sitk.AdditiveGaussianNoise(a_scan(), 10.0, 0.0, 1)
    torch.manual_seed(0)
    config = ClickUNetConfig(16, 4.0, 3, (4, 8), (2, 2), (1, 1), (1,), head_channels=4)
    teacher = ClickUNet(config).eval().requires_grad_(False)
    world = image.TransformContinuousIndexToPhysicalPoint(MIDDLE)
    target = [Target("box", [Point(world, space="lps")])]
    straight = segment(image, target, teacher, follow=False).labels
    turned = segment(sitk.DICOMOrient(image, orientation), target, teacher, follow=False).labels
    back = sitk.GetArrayFromImage(sitk.DICOMOrient(turned, "LPS"))
    assert 0 < back.sum() < back.size
    np.testing.assert_array_equal(back, sitk.GetArrayFromImage(straight))


def test_ras_lps_and_voxels_mean_the_same_place():
    image = a_scan()
    x, y, z = image.TransformContinuousIndexToPhysicalPoint(MIDDLE)
    masks = [
        sitk.GetArrayFromImage(segment(image, [Target("box", [point])]).labels)
        for point in (Point(MIDDLE), Point((x, y, z), space="lps"), Point((-x, -y, z), space="ras"))
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


def on_another_grid(image: sitk.Image, spacing, angles=(0.0, 0.0, 0.0)) -> sitk.Image:
    """The same body on a grid of another spacing (mm) that lies askew by some angles, around the same middle."""
    grid = sitk.Image(
        [round(n * s / t) for n, s, t in zip(image.GetSize(), image.GetSpacing(), spacing, strict=True)], 0
    )
    grid.SetSpacing(spacing)
    grid.SetDirection(sitk.Euler3DTransform((0.0, 0.0, 0.0), *angles).GetMatrix())
    middles = [
        np.array(scan.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in scan.GetSize()]))
        for scan in (image, grid)
    ]
    grid.SetOrigin(list(middles[0] - middles[1]))
    return sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, 1.0, sitk.sitkFloat32)


def assert_same_but_for_a_voxel_at_the_border(first: sitk.Image, second: sitk.Image) -> None:
    """Masks of the same body, of which the second lies on another grid."""
    second = sitk.Resample(second, first, sitk.Transform(), sitk.sitkNearestNeighbor)
    grown, shrunk = sitk.BinaryDilate(first, [1] * 3, sitk.sitkBox), sitk.BinaryErode(first, [1] * 3, sitk.sitkBox)
    found = sitk.GetArrayFromImage(second) == 1
    assert not (found & (sitk.GetArrayFromImage(grown) == 0)).any()
    assert sitk.GetArrayFromImage(shrunk).any()
    assert found[sitk.GetArrayFromImage(shrunk) == 1].all()


@pytest.mark.parametrize("spacing", [(2.0, 3.0, 5.0), (6.0, 4.0, 2.0)])
def test_another_spacing_moves_the_border_by_a_voxel_at_most(spacing):
    image, teacher = a_scan(), HalfwayTeacher()
    world = Point(image.TransformContinuousIndexToPhysicalPoint(MIDDLE), space="lps")
    first, second = (
        segment(scan, [Target("box", [world])], teacher).labels for scan in (image, on_another_grid(image, spacing))
    )
    assert_same_but_for_a_voxel_at_the_border(first, second)


@pytest.mark.parametrize("seed", range(12))
def test_a_scan_that_lies_anyhow_shows_the_same_body(seed: int):
    rng = np.random.default_rng(seed)
    orientation = "".join(rng.choice(list(pair)) for pair in rng.permutation(["LR", "AP", "SI"]))
    image, teacher = a_scan(), HalfwayTeacher()
    askew = on_another_grid(image, rng.uniform(2.0, 6.0, 3).tolist(), rng.uniform(-0.5, 0.5, 3).tolist())
    turned = sitk.DICOMOrient(askew, orientation)
    assert turned.GetDirection() != image.GetDirection()
    world = Point(image.TransformContinuousIndexToPhysicalPoint(MIDDLE), space="lps")
    first, second = (segment(scan, [Target("box", [world])], teacher).labels for scan in (image, turned))
    assert second.GetDirection() == turned.GetDirection()
    assert_same_but_for_a_voxel_at_the_border(first, second)


def test_targets_in_one_cube_share_an_encoder_pass_and_keep_their_labels():
    second = (slice(12, 15), slice(12, 20), slice(26, 28))
    image = a_scan(boxes=(BOX, second))
    teacher = BrightTeacher()
    targets = [Target("a", [Point(MIDDLE)]), Target("b", [Point((19.5, 15.5, 12.5))])]
    result = segment(image, targets, teacher, follow=False)
    assert result.encoded == len(teacher.images) == 1
    assert [line.label for line in result.targets] == [1, 2]


def test_the_bar_tells_of_windows_while_a_large_target_is_followed(capsys):
    image = a_scan(shape=(30, 32, 80), boxes=((slice(10, 16), slice(12, 20), slice(4, 76)),))
    target = Target("spine", [Point((10.0, 15.5, 12.5))])
    result = segment_scan(image, BrightTeacher(), modality="PET", targets=[target])
    (line,) = result.targets
    assert line.windows > 3
    assert f"spine, {line.windows} windows" in capsys.readouterr().err


def test_where_targets_overlap_the_surer_one_wins():
    labels = LabelMap((1, 1, 4), several=True)
    everywhere = (slice(0, 1), slice(0, 1), slice(0, 4))
    labels.add(torch.tensor([[[2.0, 2.0, 2.0, -1.0]]]), everywhere, label=1)
    labels.add(torch.tensor([[[-1.0, 1.0, 3.0, 1.0]]]), everywhere, label=2)
    assert labels.values.tolist() == [[[1, 1, 2, 2]]]


def test_a_rough_mask_is_mended_and_keeps_its_label():
    image = a_scan()
    rough = np.zeros((30, 32, 40), dtype=np.uint8)
    rough[11:15, 13:18, 15:20] = 7
    masks = sitk.GetImageFromArray(rough)
    masks.CopyInformation(image)
    result = segment(image, [], rough_masks=masks)
    found = sitk.GetArrayFromImage(result.labels)
    assert set(np.unique(found)) == {0, 7}
    assert dice(found == 7, sitk.GetArrayFromImage(image) > 50) > 0.7


def rough_map(image: sitk.Image, *labels: int) -> sitk.Image:
    """A part of the box for the first label, pieces beside the box for the others."""
    rough = np.zeros((30, 32, 40), dtype=np.uint8)
    rough[11:15, 13:18, 15:20] = labels[0]
    for number, label in enumerate(labels[1:]):
        rough[16:18, 12 + 5 * number : 15 + 5 * number, 14:18] = label
    masks = sitk.GetImageFromArray(rough)
    masks.CopyInformation(image)
    return masks


@pytest.mark.parametrize("orientation", ["LPS", "SRA"])
def test_points_beside_a_rough_mask_correct_what_the_teacher_made_of_it(orientation: str):
    image = sitk.DICOMOrient(a_scan(), orientation)
    masks = sitk.DICOMOrient(rough_map(a_scan(), 7), orientation)
    outside = a_scan().TransformContinuousIndexToPhysicalPoint((14.0, 12.0, 11.0))
    teacher = BrightTeacher()
    target = Target("box", [Point(outside, foreground=False, space="lps")])
    result = segment(image, [target], teacher, rough_masks=masks, follow=False)
    first, second = teacher.prompts
    assert first["coords"] is None
    assert float(first["masks"].max()) > 9
    assert second["labels"].tolist() == [[[0, 1]]]  # never background alone: the middle of the answer goes with it
    assert float(second["masks"].abs().max()) == 4  # the teacher's own logits
    (line,) = result.targets
    assert (line.name, line.label, line.points) == ("box", 7, tuple(target.points))
    assert dice(sitk.GetArrayFromImage(result.labels) == 7, sitk.GetArrayFromImage(image) > 50) > 0.7


def test_of_several_labels_each_gets_the_points_of_the_target_called_like_it():
    image = a_scan()
    teacher = BrightTeacher(size=48)  # one cube holds everything
    result = segment(image, [Target("7", [Point(MIDDLE)])], teacher, rough_masks=rough_map(image, 7, 3), follow=False)
    assert [(line.name, line.label, len(line.points)) for line in result.targets] == [("label 3", 3, 0), ("7", 7, 1)]
    assert [prompt["coords"] is None for prompt in teacher.prompts] == [True, True, False]


@pytest.mark.parametrize("names", [["box"], ["1"], ["7", "7"]])
def test_points_that_mean_no_label_of_the_mask_are_refused(names: list[str]):
    image = a_scan()
    targets = [Target(name, [Point(MIDDLE)]) for name in names]
    with pytest.raises(UserError, match=r"does not say which label.*\(3, 7\), for example --target 3"):
        segment(image, targets, rough_masks=rough_map(image, 7, 3))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([Point((400.0, 1.0, 1.0))], r"lies outside the scan.*40 x 32 x 30"),
        ([Point((9999.0, 0.0, 0.0), space="ras")], r"mm, RAS.*--space"),
        ([Point(MIDDLE, foreground=False)], "no point in the foreground"),
        ([], "no point in the foreground"),
    ],
)
def test_points_that_mean_nothing_are_refused(points, words):
    with pytest.raises(UserError, match=words):
        segment(a_scan(), [Target("box", points)])


def test_prompts_in_the_empty_part_of_a_scan_are_refused():
    image = a_scan() * 0
    with pytest.raises(UserError, match="teacher sees nothing"):
        segment(image, [Target("box", [Point(MIDDLE)])])


def test_masks_must_lie_on_the_scans_grid_and_hold_labels():
    image = a_scan()
    with pytest.raises(UserError, match="different grids"):
        segment(image, [], rough_masks=sitk.Image([4, 4, 4], sitk.sitkUInt8))
    with pytest.raises(UserError, match="empty"):
        segment(image, [], rough_masks=image * 0)
    with pytest.raises(UserError, match=r"holds 0\.5"):
        segment(image, [], rough_masks=image * 0 + 0.5)
    with pytest.raises(UserError, match="points, a rough mask, or both"):
        segment(image, [])
