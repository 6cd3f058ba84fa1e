"""CT, PET and labels of a case brought onto one grid."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from centre_folders import CT_GRID, PET_GRID, a_ct, a_label, a_pet
from scipy.ndimage import map_coordinates

from nnunetv2_muduo.datasets.body_box import body_box
from nnunetv2_muduo.datasets.scan_grid import ScanGrid, onto_grid, snapped
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.images import Options, harmonise_images


def arrays(made) -> list[np.ndarray]:
    return [sitk.GetArrayFromImage(image) for image in (made.ct, made.pet, made.label) if image is not None]


def test_images_on_one_grid_are_handed_back_as_they_are():
    ct, pet, label = a_ct(PET_GRID), a_pet(), a_label()
    made = harmonise_images(ct, pet, label, Options())
    assert made.ct is ct
    assert made.pet is pet
    assert made.label is label
    assert made.notes == ()


def test_ct_comes_onto_the_grid_of_the_pet_and_what_mismatches_is_told():
    made = harmonise_images(a_ct(CT_GRID), a_pet(), None, Options())
    assert ScanGrid.of(made.ct) == ScanGrid.of(made.pet) == made.own_grid == PET_GRID
    (note,) = made.notes
    assert "size (28, 24, 17) against (14, 12, 10)" in note
    assert "spacing (2, 2, 3) against (4, 4, 5)" in note
    assert "origin (-29, -25, 9) against (-28, -24, 10)" in note
    assert "CT was resampled" in note
    along = [  # of the PET's voxels, in the CT's
        (np.arange(n) * spacing + origin - ct_origin) / ct_spacing
        for n, spacing, origin, ct_spacing, ct_origin in zip(
            PET_GRID.size, PET_GRID.spacing, PET_GRID.origin, CT_GRID.spacing, CT_GRID.origin, strict=True
        )
    ]
    plain = map_coordinates(
        sitk.GetArrayFromImage(a_ct(CT_GRID)).astype(float), np.meshgrid(*along[::-1], indexing="ij"), order=1
    )
    np.testing.assert_allclose(sitk.GetArrayFromImage(made.ct), plain, atol=0.51)  # whole HU


def test_pet_comes_onto_the_grid_of_the_ct_where_asked():
    made = harmonise_images(a_ct(CT_GRID), a_pet(), a_label(), Options(grid="ct"))
    assert {ScanGrid.of(image) for image in (made.ct, made.pet, made.label)} == {CT_GRID}
    _, pet, label = arrays(made)
    assert pet.max() == 8.0
    assert set(np.unique(label)) == {0, 1}
    volumes = [sitk.GetArrayFromImage(a_label(grid)).sum() * np.prod(grid.spacing) for grid in (CT_GRID, PET_GRID)]
    assert label.sum() * np.prod(CT_GRID.spacing) == pytest.approx(volumes[1], rel=0.1)


def test_outside_of_the_ct_is_air_even_for_unsigned_numbers():
    small = CT_GRID.part((4, 4, 4), (20, 16, 10))
    ct = sitk.Cast(a_ct(small) + 1000, sitk.sitkUInt16)
    made = harmonise_images(ct, a_pet(), None, Options())
    assert sitk.GetArrayFromImage(made.ct)[0, 0, 0] == -1000
    assert made.ct.GetPixelID() == sitk.sitkInt16


def test_rounding_of_headers_moves_no_voxel():
    shifted = replace(PET_GRID, origin=tuple(np.add(PET_GRID.origin, 0.1).tolist()))
    made = harmonise_images(a_ct(shifted), a_pet(), None, Options())
    assert made.notes == ()
    assert ScanGrid.of(made.ct) == PET_GRID
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made.ct), sitk.GetArrayFromImage(a_ct(shifted)))


def test_scans_that_do_not_overlap_are_refused():
    far = replace(PET_GRID, origin=(500.0, 0.0, 0.0))
    with pytest.raises(UserError, match=r"origin .*do not overlap in space"):
        harmonise_images(a_ct(far), a_pet(), None, Options())


def test_little_overlap_is_told():
    aside = replace(PET_GRID, origin=(PET_GRID.origin[0] + 40.0, *PET_GRID.origin[1:]))
    made = harmonise_images(a_ct(aside), a_pet(), None, Options())
    assert any("of the smaller of CT and PET lies within the other" in note for note in made.notes)


def test_a_label_that_is_lost_on_the_way_is_told():
    fine = sitk.Image(CT_GRID.size, sitk.sitkUInt8)
    fine[3, 3, 3] = 2  # one voxel between those of the PET
    made = harmonise_images(a_ct(PET_GRID), a_pet(), snapped(fine, CT_GRID), Options())
    assert "Nothing is left of the label value(s) 2 on the grid of the PET." in made.notes


def test_spacing_is_given_in_z_y_x():
    made = harmonise_images(a_ct(PET_GRID), a_pet(), a_label(), Options(spacing_in_mm=(2.5, 2.0, 4.0)))
    for image in (made.ct, made.pet, made.label):
        assert image.GetSpacing() == (4.0, 2.0, 2.5)
        assert image.GetSize() == (14, 24, 20)
    assert (made.own_grid, made.full_grid) == (PET_GRID, ScanGrid.of(made.ct))
    assert made.label.GetPixelID() == sitk.sitkUInt8


def test_a_fine_ct_is_not_blurred_by_the_coarse_grid_on_its_way_to_the_spacing():
    fine = ScanGrid((40, 40, 24), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), PET_GRID.direction)
    coarse = fine.respaced((4.0, 4.0, 4.0))
    x, y = np.arange(40), np.arange(40)[:, None]
    pattern = 100 * np.sin(2 * np.pi * (x / 8 + y / 40))  # a period of 8 mm, at every phase
    ct = snapped(sitk.GetImageFromArray(np.broadcast_to(pattern, (24, 40, 40)).astype(np.float32)), fine)
    pet = snapped(sitk.Image(coarse.size, sitk.sitkFloat32), coarse)
    made = harmonise_images(ct, pet, None, Options(spacing_in_mm=(2.0, 2.0, 2.0)))
    twice = onto_grid(onto_grid(ct, coarse, outside=-1000), made.full_grid, extend=True)
    kept, kept_of_two = (sitk.GetArrayFromImage(image).std() / pattern.std() for image in (made.ct, twice))
    assert kept > 0.9
    assert kept_of_two < 0.75
    once = onto_grid(ct, made.full_grid, outside=-1000)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made.ct), sitk.GetArrayFromImage(once))


def test_a_fine_label_takes_the_nearest_voxel_once():
    fine = snapped(sitk.Image(CT_GRID.size, sitk.sitkUInt8), CT_GRID)
    fine[3, 3, 3] = 2  # between the PET's voxels
    made = harmonise_images(a_ct(), a_pet(), fine, Options(spacing_in_mm=(1.5, 1.0, 1.0)))
    assert set(np.unique(sitk.GetArrayFromImage(made.label))) == {0, 2}
    assert not any("Nothing is left" in note for note in made.notes)


def test_what_a_spacing_reaches_beyond_the_ct_is_air():
    short = CT_GRID.part((4, 4, 4), (20, 16, 10))
    made = harmonise_images(a_ct(short), a_pet(), None, Options(spacing_in_mm=(2.5, 2.0, 2.0)))
    ct, pet = arrays(made)
    assert ct.shape == pet.shape == (20, 24, 28)
    assert ct[0, 0, 0] == ct[-1, -1, -1] == -1000
    body = pet > 0.99
    assert ct[body].mean() > -100  # whose border has moved by parts of a voxel


def stored_as(orientation: str) -> list[sitk.Image]:
    return [sitk.DICOMOrient(image, orientation) for image in (a_ct(PET_GRID), a_pet(), a_label())]


@pytest.mark.parametrize("orientation", ["PIR", "SAL", "AIL"])
@pytest.mark.parametrize("options", [Options(spacing_in_mm=(2.5, 2.0, 4.0)), Options(body_crop=True)])
def test_a_spacing_and_the_crop_bring_axes_into_the_order_of_the_patient(orientation, options):
    made = harmonise_images(*stored_as(orientation), options)
    plain = harmonise_images(a_ct(PET_GRID), a_pet(), a_label(), options)
    for image, expected in zip((made.ct, made.pet, made.label), (plain.ct, plain.pet, plain.label), strict=True):
        assert image.GetSpacing() == expected.GetSpacing()
        there = sitk.DICOMOrient(image, "LPS")  # undoes what is left, flips
        assert ScanGrid.of(there).is_exactly(ScanGrid.of(expected))
        np.testing.assert_allclose(sitk.GetArrayFromImage(there), sitk.GetArrayFromImage(expected), atol=1.01)
    assert "of the PET are stored in the order" in made.notes[0]


def test_the_order_of_axes_is_told_as_it_was():
    made = harmonise_images(*stored_as("PIR"), Options(body_crop=True))
    assert made.notes == ("The axes of the PET are stored in the order y, z, x: they were brought into x, y, z.",)


def test_axes_stay_as_they_are_stored_where_nothing_depends_on_them():
    ct, pet, label = stored_as("PIR")
    made = harmonise_images(ct, pet, label, Options())
    assert (made.ct, made.pet, made.label, made.notes) == (ct, pet, label, ())


def test_a_ct_stored_in_another_order_than_the_pet_is_resampled_onto_it():
    made = harmonise_images(sitk.DICOMOrient(a_ct(), "PIR"), a_pet(), None, Options(spacing_in_mm=(2.5, 2.0, 2.0)))
    plain = harmonise_images(a_ct(), a_pet(), None, Options(spacing_in_mm=(2.5, 2.0, 2.0)))
    np.testing.assert_allclose(*(sitk.GetArrayFromImage(each.ct) for each in (made, plain)), atol=1.01)
    assert not any("stored in the order" in note for note in made.notes)


def test_body_crop_cuts_all_images_alike_and_keeps_their_place():
    wide = PET_GRID.part((-2, -5, -7), (20, 22, 24))
    wholes = a_ct(wide), a_pet(wide), a_label(wide)
    made = harmonise_images(*wholes, Options(body_crop=True))
    place = body_box(sitk.GetArrayFromImage(wholes[0]))
    assert len({along.start for along in place}) == 3  # so that no axis can be taken for another
    for image, whole in zip((made.ct, made.pet, made.label), wholes, strict=True):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(whole)[place])
        assert ScanGrid.of(image).is_exactly(wide.part(made.box.start, made.box.size))
    assert made.full_grid == wide
    assert made.notes == ()


def test_labels_outside_of_the_body_are_counted():
    wide = PET_GRID.part((-6, -6, -6), (26, 24, 22))
    corner = snapped(sitk.Image(wide.size, sitk.sitkUInt8), wide)
    corner[0, 0, 0] = 1
    made = harmonise_images(a_ct(wide), a_pet(wide), corner, Options(body_crop=True))
    assert made.notes == ("1 of 1 labelled voxels lie outside the body's box and are cut off.",)


@pytest.mark.parametrize("spacing", [(2.5, 3.0, 3.0), (0.8, 0.9, 1.1), (2.0, 2.0, 2.0)])
def test_another_spacing_invents_nothing_at_the_scans_borders(spacing):
    ct = sitk.Image([11, 12, 13], sitk.sitkInt16) + 55  # at 2 mm the last centres lie on the border, at x = 11 mm
    pet, label = sitk.Cast(ct, sitk.sitkFloat32), sitk.Cast(ct, sitk.sitkUInt8)
    made = harmonise_images(ct, pet, label, Options(spacing_in_mm=spacing))
    assert made.ct.GetSize() != ct.GetSize()
    for image in (made.ct, made.pet, made.label):
        assert set(sitk.GetArrayFromImage(image).ravel()) == {55}
