"""Grids of scans, and moving images between them."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_grid import ScanGrid, onto_grid, snapped


def a_grid(*, size=(8, 7, 6), spacing=(2.0, 3.0, 4.0), origin=(-20.0, 30.0, 5.0), angle=0.3) -> ScanGrid:
    matrix = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, 0.0, angle).GetMatrix()
    return ScanGrid(size, spacing, origin, tuple(matrix))


def a_ramp(grid: ScanGrid) -> sitk.Image:
    """An image that holds x + 2 y - z of each voxel's place in mm, which linear interpolation keeps."""
    image = sitk.Image(grid.size, sitk.sitkFloat64)
    image = snapped(image, grid)
    for index in np.ndindex(*grid.size):
        x, y, z = image.TransformIndexToPhysicalPoint(tuple(int(i) for i in index))
        image[tuple(int(i) for i in index)] = x + 2 * y - z
    return image


def test_a_part_lies_where_simpleitk_has_it():
    image = sitk.Image(a_grid().size, sitk.sitkUInt8)
    image = snapped(image, a_grid())
    assert ScanGrid.of(image).part((2, 1, 3), (4, 5, 2)).is_exactly(ScanGrid.of(image[2:6, 1:6, 3:5]))


def test_another_spacing_keeps_the_extent():
    grid = a_grid(size=(10, 12, 8), spacing=(2.0, 3.0, 4.0))
    coarse = grid.respaced((4.0, 6.0, 2.0))
    assert coarse.size == (5, 6, 16)
    assert grid.overlap(coarse) == coarse.overlap(grid) == 1.0
    assert coarse.respaced((2.0, 3.0, 4.0)).is_exactly(grid)


@pytest.mark.parametrize("spacing", [(1e30, 3.0, 4.0), (2e6, 3e6, 4.0)])
def test_a_spacing_that_comes_to_more_voxels_than_any_scan_has_is_refused(spacing):
    grid = ScanGrid((10, 12, 8), spacing, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match=r"mm at 2 x 2 x 3 mm are more voxels than any scan has"):
        grid.respaced((2.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("orientation", "order"), [("LPS", (0, 1, 2)), ("RAI", (0, 1, 2)), ("SAL", (2, 1, 0)), ("PIR", (2, 0, 1))]
)
def test_the_order_of_axes_is_that_of_the_patient_whichever_way_they_run(orientation, order):
    image = sitk.DICOMOrient(a_ramp(a_grid()), orientation)  # of a scan that lies a little askew
    assert ScanGrid.of(image).axial_order() == order
    assert ScanGrid.of(image).permuted(order).axial_order() == (0, 1, 2)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2), (2, 1, 0)])
def test_voxels_stay_where_they_are_when_axes_change_places(order):
    turned = snapped(sitk.PermuteAxes(a_ramp(a_grid()), order), a_grid().permuted(order))
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(turned), sitk.GetArrayFromImage(a_ramp(a_grid().permuted(order))), atol=1e-6
    )


def test_linear_resampling_puts_values_where_they_belong():
    fine = a_grid(size=(12, 12, 12), spacing=(2.0, 2.0, 2.0))
    inner = fine.part((3, 3, 3), (6, 6, 6)).respaced((1.5, 3.0, 2.5))
    moved = onto_grid(a_ramp(fine), inner)
    np.testing.assert_allclose(sitk.GetArrayFromImage(moved), sitk.GetArrayFromImage(a_ramp(inner)), atol=1e-6)


def test_whole_numbers_are_rounded_not_cut_off():
    values = np.random.default_rng(0).integers(-1000, 1000, (12, 12, 12)).astype(np.int16)
    image = snapped(sitk.GetImageFromArray(values), a_grid(size=(12, 12, 12)))
    inner = a_grid(size=(12, 12, 12)).respaced((3.3, 4.1, 5.7))
    whole = onto_grid(image, inner, outside=-1000)
    exact = sitk.GetArrayFromImage(onto_grid(sitk.Cast(image, sitk.sitkFloat32), inner, outside=-1000))
    assert whole.GetPixelID() == sitk.sitkInt16
    assert np.abs(sitk.GetArrayFromImage(whole) - exact).max() <= 0.501


def test_nearest_keeps_labels_whole():
    label = snapped(
        sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 9, (6, 7, 8)).astype(np.uint8)), a_grid()
    )
    moved = onto_grid(label, a_grid().respaced((1.0, 1.5, 2.0)), nearest=True)
    back = onto_grid(moved, a_grid(), nearest=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(label))


def test_what_lies_outside_gets_the_given_value_or_the_border():
    image = snapped(sitk.Image(8, 7, 6, sitk.sitkInt16) + 5, a_grid())
    wider = a_grid().part((-1, 0, 0), (10, 7, 6))
    assert set(np.unique(sitk.GetArrayFromImage(onto_grid(image, wider, outside=-1000)))) == {-1000, 5}
    assert set(np.unique(sitk.GetArrayFromImage(onto_grid(image, wider, outside=-1000, extend=True)))) == {5}


def test_overlap_is_the_share_of_the_smaller_volume():
    whole = a_grid(size=(16, 16, 16), spacing=(2.0, 2.0, 2.0))
    assert whole.overlap(whole.part((4, 4, 4), (4, 4, 4))) == 1.0
    assert whole.overlap(whole.part((8, 0, 0), (16, 16, 16))) == pytest.approx(0.5)
    assert whole.overlap(whole.part((100, 0, 0), (16, 16, 16))) == 0.0


def test_rounding_of_formats_is_no_other_grid_but_half_a_voxel_is():
    grid = a_grid()
    rounded = ScanGrid(grid.size, tuple(np.float32(grid.spacing).tolist()), grid.origin, grid.direction)
    assert rounded.is_exactly(grid)
    assert not grid.part((0, 0, 0.5), grid.size).is_exactly(grid)  # type: ignore[arg-type]
    assert not grid.part((0, 0, 0), (8, 7, 5)).is_exactly(grid)


def test_json_keeps_a_grid():
    assert ScanGrid.from_dict(json.loads(json.dumps(a_grid().to_dict()))) == a_grid()


@pytest.mark.parametrize(
    "change",
    [
        {"size": [8, 7]},
        {"size": [8, 7, 0]},
        {"size": [8, 7, 6.0]},
        {"size": [50_000, 50_000, 50_000]},
        {"size": "876"},
        {"spacing": [1.0, 1.0, float("nan")]},
        {"spacing": [1.0, 1.0, -1.0]},
        {"origin": [0.0, 0.0, float("inf")]},
        {"origin": ["a", 0, 0]},
        {"direction": [0.0] * 9},
        {"direction": [1.0] * 8},
        {"direction": [[1, 0, 0]] * 3},
    ],
)
def test_a_table_that_is_no_grid_is_refused(change):
    table = json.loads(json.dumps(a_grid().to_dict()))
    assert ScanGrid.from_dict(table) == a_grid()
    with pytest.raises((TypeError, ValueError)):
        ScanGrid.from_dict(table | change)
