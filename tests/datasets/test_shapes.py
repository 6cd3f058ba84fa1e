import numpy as np

from nnunetv2_muduo.datasets.shapes import Blob, Frame, blob_level, tube_mask

AXIS = np.arange(-20, 21, dtype=np.float32)


def frame() -> Frame:
    return Frame(*np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"))


def full_mask(blob: Blob) -> np.ndarray:
    box, level = blob_level(frame(), blob)
    mask = np.zeros((41, 41, 41), bool)
    mask[box] = level <= 1
    return mask


def test_ellipsoid_has_its_volume_and_place():
    mask = full_mask(Blob((3, -2, 5), (12, 6, 8)))
    assert abs(mask.sum() / (4 / 3 * np.pi * 12 * 6 * 8) - 1) < 0.03
    np.testing.assert_allclose(np.argwhere(mask).mean(axis=0) - 20, (3, -2, 5), atol=0.05)


def test_higher_exponent_is_boxier():
    assert full_mask(Blob((0, 0, 0), (10, 10, 10), 4)).sum() > 1.2 * full_mask(Blob((0, 0, 0), (10, 10, 10))).sum()


def test_turned_blob_keeps_its_volume_and_swaps_its_axes():
    plain, turned = (full_mask(Blob((0, 0, 0), (15, 5, 8), angles=a)) for a in ((0, 0, 0), (0, 0, np.pi / 2)))
    assert abs(int(turned.sum()) - int(plain.sum())) <= 4
    assert np.ptp(np.argwhere(plain)[:, 0]) == np.ptp(np.argwhere(turned)[:, 1])


def test_blob_outside_the_frame_is_empty():
    assert full_mask(Blob((200, 0, 0), (5, 5, 5))).sum() == 0


def test_tube_follows_its_path():
    box, inside = tube_mask(frame(), np.array([(-10, 0, 0), (10, 0, 0), (10, 10, 0)]), 3.0)
    mask = np.zeros((41, 41, 41), bool)
    mask[box] = inside
    assert mask[20, 20, 20]
    assert mask[30, 28, 20]
    assert not mask[20, 28, 20]
    assert mask[10, :, :].sum() == np.sum(AXIS[:, None] ** 2 + AXIS[None] ** 2 <= 9)
