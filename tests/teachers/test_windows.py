"""A teacher's cubes laid over a whole scan."""

import numpy as np
import pytest
import torch
from bright_teacher import BrightTeacher

from nnunetv2_muduo.teachers.intensity import normalise_for_teacher
from nnunetv2_muduo.teachers.windows import ScanWindows

SPACING = (8.0, 4.0, 2.0)  # (z, y, x) in mm; a window is 64 mm wide: 8, 16 and 32 voxels


def scan(shape=(20, 40, 70), *, centre=(10.0, 20.0, 35.0), volume=None, **options) -> ScanWindows:
    volume = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 50 + 100 if volume is None else volume
    return ScanWindows(BrightTeacher(), volume, SPACING, centre=centre, **options)


def test_the_first_window_is_centred_where_it_was_told_to():
    windows = scan(centre=(9.5, 21.0, 33.0))
    voxels, inside = windows.points((0, 0, 0), torch.tensor([[9.5, 21.0, 33.0]]))
    torch.testing.assert_close(voxels, torch.full((1, 3), 7.5))  # the middle of 16 voxels
    assert inside.all()


def test_points_come_out_as_x_y_z():
    voxels, _ = scan().points((0, 0, 0), torch.tensor([[10.0 + 1, 20.0, 35.0]]))  # 8 mm further along z
    torch.testing.assert_close(voxels, torch.tensor([[7.5, 7.5, 9.5]]))


def test_every_position_lies_in_the_inner_half_of_its_nearest_window():
    windows = scan()
    for position in torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([20.0, 40.0, 70.0]):
        window = windows.nearest(position.tolist())
        voxels, _ = windows.points(window, position[None])
        assert (voxels >= 3.4999).all()
        assert (voxels <= 11.5001).all()


@pytest.mark.parametrize("box", [np.s_[2:18, 4:35, 5:61], np.s_[7:8, 20, 20], np.s_[:0, 0, 0]])
def test_a_mask_is_covered_by_the_windows_nearest_to_each_of_its_voxels(box):
    one = scan()
    mask = torch.zeros(one.volume.shape, dtype=torch.bool)
    mask[box] = True
    found = one.covering(mask)
    assert set(found) == {one.nearest(position) for position in (mask.nonzero() + 0.5).tolist()}
    assert len(found) == len(set(found))


def test_a_window_shows_the_place_it_stands_for():
    volume = torch.zeros(20, 40, 70)
    volume[12, 18, 40] = 1000.0
    image = scan(volume=volume).image((0, 0, 0))
    x, y, z = torch.unravel_index(image[0, 0].argmax(), image.shape[2:])
    voxels, _ = scan(volume=volume).points((0, 0, 0), torch.tensor([[12.5, 18.5, 40.5]]))
    assert ((torch.stack([x, y, z]) - voxels[0]).abs() <= 0.5).all()


def test_beyond_the_scan_lies_its_minimum_and_never_counts_as_tissue():
    volume = torch.full((8, 16, 32), 60.0)
    volume[0, 0, 0], volume[4:] = -900.0, 80.0
    windows = scan(volume=volume, centre=(0.0, 8.0, 16.0), clamp=(-1000.0, 1000.0))
    image = windows.image((0, 0, 0))[0, 0]
    assert (image[..., :8] == image[..., 0].min()).all()  # half of the window lies before the first slice
    inside = windows._cut((0, 0, 0), volume, 16, fill=-900.0)
    torch.testing.assert_close(image, normalise_for_teacher(inside[None, None], (-1000.0, 1000.0))[0, 0])


def test_masks_come_back_where_they_were():
    windows = scan()
    mask = torch.zeros(20, 40, 70)
    mask[8:12, 14:22, 30:42] = 1.0
    chosen = [(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    logits, part = windows.to_scan({window: 8 * windows.mask(window, mask) - 4 for window in chosen})
    found = torch.zeros(20, 40, 70)
    found[part] = (logits > 0).float()
    assert float(2 * (found * mask).sum() / (found.sum() + mask.sum())) > 0.95


def test_an_embedding_is_computed_once_and_forgotten_when_there_are_too_many():
    windows = scan(remembered=2)
    for window in [(0, 0, 0), (0, 0, 0), (1, 0, 0), (0, 0, 0)]:
        windows.embedding(window)
    assert windows.encoded == 2
    windows.embedding((0, 1, 0))  # the third pushes (1, 0, 0) out, which was not asked for longest
    windows.embedding((0, 0, 0))
    assert windows.encoded == 3
    windows.embedding((1, 0, 0))
    assert windows.encoded == 4


@pytest.mark.parametrize("dtype", [torch.int16, torch.float16, torch.float32])
def test_scans_of_any_type_are_read(dtype):
    volume = (torch.rand(20, 40, 70, generator=torch.Generator().manual_seed(3)) * 100).to(dtype)
    torch.testing.assert_close(scan(volume=volume).image((0, 0, 0)), scan(volume=volume.float()).image((0, 0, 0)))


def test_decoded_masks_have_the_axes_of_the_scan():
    volume = torch.zeros(20, 40, 70)
    volume[8:12, 14:18, 31:43] = 100.0
    volume += 1.0
    windows = scan(volume=volume)
    logits = windows.decode((0, 0, 0), None, None, torch.zeros(2, 8, 8, 8))
    assert logits.shape == (2, 8, 8, 8)
    bright = windows.mask((0, 0, 0), (volume > 50).float()) > 0.5
    middle, expected = (mask.nonzero().float().mean(0) for mask in (logits[1] > 0, bright))
    assert expected.diff().abs().min() > 0.4  # so that no two axes can be taken for each other
    torch.testing.assert_close(middle, expected, atol=0.3, rtol=0)
