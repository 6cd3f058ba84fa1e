import numpy as np

from nnunetv2_muduo.datasets.fields import Grid, gaussian_blur, smooth_field


def test_grid_covers_its_extent():
    grid = Grid((40.0, 41.0, 20.0), (4.0, 4.0, 8.0))
    assert grid.shape == (10, 11, 3)
    z, _, x = grid.axes_in_mm()
    assert z[0] == 2.0
    assert x[1] == 12.0


def test_field_is_the_same_at_every_spacing():
    coarse = smooth_field(Grid((96, 96, 96), (4, 4, 4)), np.random.default_rng(3), wavelength_in_mm=40)
    fine = smooth_field(Grid((96, 96, 96), (2, 4, 1)), np.random.default_rng(3), wavelength_in_mm=40)
    averaged = fine.reshape(24, 2, 24, 24, 4).mean(axis=(1, 4))
    np.testing.assert_allclose(coarse, averaged, atol=0.02)


def test_field_has_unit_spread_and_changes_slowly():
    grid = Grid((400, 400, 400), (10, 10, 10))
    field = smooth_field(grid, np.random.default_rng(0), wavelength_in_mm=40)
    assert 0.8 < field.std() < 1.2
    assert abs(field.mean()) < 0.2
    assert np.abs(np.diff(field, axis=1)).mean() < 0.5 * field.std()


def test_blur_has_the_asked_width_in_mm_on_anisotropic_voxels():
    point = np.zeros((21, 41, 21), np.float32)
    point[10, 20, 10] = 1
    blurred = gaussian_blur(point, 16.0, (4.0, 2.0, 8.0))
    at_half = (
        blurred[10, 20 + 4, 10] / blurred.max(),
        blurred[12, 20, 10] / blurred.max(),
        blurred[10, 20, 11] / blurred.max(),
    )
    np.testing.assert_allclose(at_half, 0.5, atol=0.03)
