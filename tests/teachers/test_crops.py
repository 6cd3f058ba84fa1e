"""Cubes drawn for training show the case where, and at the scale, they claim to."""

import numpy as np
import pytest
import torch

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.crops import CropSampler, CropSettings, TrainingCase, resample_box

TARGETS = {"liver": (1,), "kidneys": (2, 3), "one kidney": (2,)}


def case(seed: int = 0) -> TrainingCase:
    """An asymmetric scan whose image value tells its position, with three boxes in it."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((20, 14, 17), np.uint8)
    labels[4:9, 3:8, 2:7] = 1
    labels[10:14, 3:6, 2:5] = 2
    labels[10:14, 3:6, 12:15] = 3
    image = rng.normal(50, 5, labels.shape).astype(np.float32)
    image[labels == 1] = 200
    image[0] = -1000
    return TrainingCase(image, labels, (8.0, 8.0, 8.0))


def sampler(**changes: object) -> CropSampler:
    settings = CropSettings(**{"size": 16, "min_voxels": 4, **changes})  # type: ignore[arg-type]
    return CropSampler([case()], targets=TARGETS, settings=settings)


def test_targets_are_masks_of_what_they_are_named_after() -> None:
    crops = sampler(spacing_range_in_mm=(8.0, 8.0)).draw(3, 4, generator=torch.Generator().manual_seed(0))
    assert crops.images.shape == (3, 1, 16, 16, 16)
    assert crops.targets.shape == crops.others.shape == (3, 4, 16, 16, 16)
    assert not (crops.targets & crops.others).any()
    for image, targets, names in zip(crops.images, crops.targets, crops.names, strict=True):
        for target, name in zip(targets, names, strict=True):
            assert target.sum() >= 4
            if name == "liver":  # the only thing at 200
                assert (image[0][target] > 2).float().mean() > 0.9


def test_axes_are_turned_to_xyz() -> None:
    columns = TrainingCase(
        np.broadcast_to(np.arange(1.0, 41.0, dtype=np.float32), (40, 40, 40)),
        np.ones((40, 40, 40), np.uint8),
        (8, 8, 8),
    )
    drawer = CropSampler([columns], targets={"all": (1,)}, settings=CropSettings(16, (4.0, 4.0), jitter=0))
    image = drawer.draw(1, 1, generator=torch.Generator().manual_seed(0)).images[0, 0]
    inner = image.diff(dim=0).abs()
    assert inner.amax() > 0.01  # x comes first and changes
    assert image[8].std() < image[:, 8].std() / 5  # y and z do not


def ramp_case() -> TrainingCase:
    """A scan, labelled in its middle, whose image rises along x, and a hundred times slower along y."""
    _, y, x = np.meshgrid(*[np.arange(40, dtype=np.float32)] * 3, indexing="ij")
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[15:25, 15:25, 15:25] = 1
    return TrainingCase(100 + x + 0.01 * y, labels, (8.0, 8.0, 8.0))


def slopes(count: int, **changes: object) -> torch.Tensor:
    """How fast the image rises along x and y in `count` cubes of `ramp_case`, [count, 2], in case voxels a voxel."""
    settings = CropSettings(**{"size": 8, "jitter": 0.0, **changes})  # type: ignore[arg-type]
    drawer = CropSampler([ramp_case()], targets={"all": (1,)}, settings=settings)
    generator = torch.Generator().manual_seed(0)
    images = torch.stack([drawer._draw_one(1, generator=generator)[0] for _ in range(count)])
    return torch.stack([images.diff(dim=axis).flatten(1).mean(1) / weight for axis, weight in ((1, 1), (2, 0.01))], 1)


def test_without_flips_every_axis_keeps_its_sense() -> None:
    assert (slopes(12, flips=False) > 0).all()
    flipped = slopes(24, flips=True) < 0
    assert flipped.any(0).all()
    assert not flipped.all(0).any()


def test_axes_are_stretched_within_the_largest_anisotropy() -> None:
    drawn = slopes(30, flips=False, spacing_range_in_mm=(8.0, 8.0), largest_anisotropy=1.5)
    assert drawn.min() > 1 / 1.55
    assert drawn.max() < 1.55
    assert (drawn[:, 0] / drawn[:, 1] - 1).abs().max() > 0.3
    same = slopes(5, flips=False, spacing_range_in_mm=(8.0, 8.0), largest_anisotropy=1.0)
    torch.testing.assert_close(same, torch.ones_like(same), atol=0.02, rtol=0)


def test_outside_the_case_there_is_fill_and_no_label() -> None:
    scan = case()
    positions = [np.arange(-3, length + 3) for length in scan.image.shape]
    image, labels = resample_box(scan, positions, fill=-1000)
    np.testing.assert_array_equal(image[3:-3, 3:-3, 3:-3], scan.image)
    np.testing.assert_array_equal(labels[3:-3, 3:-3, 3:-3], scan.labels)
    assert (image[:3] == -1000).all()
    assert (labels[..., -3:] == 0).all()


def test_between_voxels_the_image_is_linear() -> None:
    image, _ = resample_box(case(), [np.array([4.25]), np.array([5.0]), np.array([6.5])], fill=0)
    source = case().image
    expected = sum(wz * wx * source[z, 5, x] for z, wz in ((4, 0.75), (5, 0.25)) for x, wx in ((6, 0.5), (7, 0.5)))
    assert image.item() == pytest.approx(expected, rel=1e-5)


def test_cases_without_any_target_are_refused() -> None:
    with pytest.raises(UserError, match="spleen"):
        CropSampler([case()], targets={"spleen": (9,)}, settings=CropSettings(16))


def test_targets_too_small_for_any_cube_end_in_a_sentence_and_not_in_a_search_without_end() -> None:
    with pytest.raises(UserError, match=r"no target had 5000 voxels; lower --min-voxels"):
        sampler(min_voxels=5000).draw(1, 1, generator=torch.Generator().manual_seed(0))


def test_the_same_generator_draws_the_same_cubes() -> None:
    first, second = (sampler().draw(2, 3, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert first.names == second.names


class OnDisk:
    """An array that can only be sliced, as one in a file."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape = array, array.shape
        self.read: list[int] = []

    def __getitem__(self, box) -> np.ndarray:
        self.read.append(self.array[box].size)
        return self.array[box]


def test_a_scan_on_disk_gives_the_same_cubes_and_is_read_box_by_box() -> None:
    settings = CropSettings(size=8, spacing_range_in_mm=(5.0, 6.0), min_voxels=4, padding_other_than_air=0.5)
    in_memory = case()
    image = OnDisk(in_memory.image)
    on_disk = TrainingCase(image, OnDisk(in_memory.labels), in_memory.spacing_in_mm)  # type: ignore[arg-type]
    drawn = [
        CropSampler([scan], targets=TARGETS, settings=settings).draw(6, 2, generator=torch.Generator().manual_seed(3))
        for scan in (in_memory, on_disk)
    ]
    assert torch.equal(drawn[0].images, drawn[1].images)
    assert torch.equal(drawn[0].labels, drawn[1].labels)
    assert max(image.read) < in_memory.image.size


def test_cubes_know_whose_labels_are_of_low_quality_and_can_be_taken_apart() -> None:
    scans = [case(), case()._replace(low_quality=True)]
    crops = CropSampler(scans, targets=TARGETS, settings=CropSettings(size=8, min_voxels=4)).draw(
        8, 1, generator=torch.Generator().manual_seed(0)
    )
    assert crops.low_quality is not None
    assert set(crops.low_quality.tolist()) == {True, False}
    parts = crops.split(3)
    assert [len(part.images) for part in parts] == [3, 3, 2]
    assert torch.equal(torch.cat([part.targets for part in parts]), crops.targets)
    assert [names for part in parts for names in part.names] == crops.names
