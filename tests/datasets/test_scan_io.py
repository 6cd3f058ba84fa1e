"""Scans in and masks out, in any format."""

import errno
import locale
import re
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_io import (
    check_same_grid,
    grid_differences,
    image_like,
    read_image,
    read_label_map,
    write_image,
    write_whole,
)
from nnunetv2_muduo.errors import UserError


@pytest.fixture(autouse=True)
def _locale_of_the_process():
    """Writing DICOM files, which these tests do, sets it to "C"; tests that follow in this process must not notice."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


def an_image(orientation: str = "RPI", *, angle: float = 0.0) -> sitk.Image:
    array = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 2.0, 3.0))
    image.SetOrigin((-20.0, 30.0, 5.0))
    turned = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.0, 0.0, angle).GetMatrix()
    image.SetDirection(turned)
    return sitk.DICOMOrient(image, orientation)


def test_an_array_becomes_an_image_on_exactly_the_other_ones_grid():
    image = an_image("SAL", angle=0.2)
    array = sitk.GetArrayFromImage(image)
    made = image_like((array[::-1] > 0).astype(np.uint8), image)
    for what in ("Size", "Spacing", "Origin", "Direction"):
        assert getattr(made, f"Get{what}")() == getattr(image, f"Get{what}")()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made), array[::-1] > 0)


@pytest.mark.parametrize("name", ["a.nii.gz", "with space and.dots.nii", "a.mha", "a.nrrd"])
def test_formats_are_written_and_read(tmp_path, name):
    image = an_image("SAL")
    write_image(image, tmp_path / name)
    check_same_grid(read_image(tmp_path / name), image, names=("read", "written"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd"])
def test_a_label_map_may_be_stored_as_any_type(tmp_path, name, dtype):
    labels = np.random.default_rng(0).integers(0, 9, (3, 4, 5))
    sitk.WriteImage(sitk.GetImageFromArray(labels.astype(dtype)), str(tmp_path / name))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_label_map(tmp_path / name)), labels)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, 2 - 1e-6])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_a_label_map_of_anything_but_whole_numbers_is_refused_also_where_itk_reads_them_as_zero(tmp_path, name, value):
    labels = np.ones((3, 4, 5), np.float32)
    labels[1, 2, 3] = value
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / name))
    what = "holds values that are no whole numbers, such as" if np.isfinite(value) else "are NaN or infinite"
    with pytest.raises(UserError, match="label map ") as refused:
        read_label_map(tmp_path / name)
    assert name in str(refused.value)
    assert what in str(refused.value)


def test_a_label_map_whose_header_scales_whole_numbers_to_fractions_is_refused(tmp_path):
    scaled = nibabel.Nifti1Image(np.ones((5, 4, 3), np.int16), np.eye(4))
    scaled.header.set_slope_inter(0.5, 0)
    nibabel.save(scaled, tmp_path / "a.nii.gz")
    with pytest.raises(UserError, match=r"a\.nii\.gz holds values that are no whole numbers, such as 0\.5"):
        read_label_map(tmp_path / "a.nii.gz")


def test_a_dicom_folder_is_read_as_one_volume(tmp_path):
    write_dicom(tmp_path / "series", uid="1.2.3", value=7)
    image = read_image(tmp_path / "series")
    assert image.GetSize() == (8, 6, 4)
    assert set(sitk.GetArrayFromImage(image).ravel()) == {7}


def test_every_pet_slice_keeps_its_own_factor(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    write_dicom(tmp_path, uid="1.2.3", value=7, modality="PT")
    for number, slope in enumerate((1, 0.5, 0.25, 2.5)):  # a first factor of 1 must not make the others integers
        file = tmp_path / f"1.2.3_{number}.dcm"
        header = pydicom.dcmread(file)
        header.RescaleSlope, header.RescaleIntercept = slope, 0
        header.save_as(file)
    assert sitk.GetArrayFromImage(read_image(tmp_path))[:, 0, 0].tolist() == [7.0, 3.5, 1.75, 17.5]


@pytest.mark.parametrize("place", [".", "1.2.3_0.dcm"])
def test_frames_in_one_dicom_file_which_may_have_factors_of_their_own_are_refused(tmp_path, place):
    pydicom = pytest.importorskip("pydicom")
    write_dicom(tmp_path, uid="1.2.3", value=7, modality="PT")
    for number in (1, 2, 3):
        (tmp_path / f"1.2.3_{number}.dcm").unlink()
    header = pydicom.dcmread(tmp_path / "1.2.3_0.dcm")
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.130"  # enhanced PET
    header.NumberOfFrames, header.PixelData = 5, 5 * header.PixelData
    header.save_as(tmp_path / "1.2.3_0.dcm")
    assert sitk.ReadImage(str(tmp_path / "1.2.3_0.dcm")).GetSize() == (8, 6, 5)
    with pytest.raises(UserError, match=r"DICOM with 5 frames in a file, .* dcm2niix"):
        read_image(tmp_path / place)


def test_of_several_dicom_series_one_must_be_chosen(tmp_path):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    write_dicom(tmp_path, uid="1.2.4", value=9, modality="PT")
    with pytest.raises(UserError, match=r"2 DICOM series.*--series: 1\.2\.3 \(CT, 4 files\), 1\.2\.4 \(PT, 4 files\)"):
        read_image(tmp_path)
    assert sitk.GetArrayFromImage(read_image(tmp_path, series="1.2.4")).max() == 9
    with pytest.raises(UserError, match=r"no series 5"):
        read_image(tmp_path, series="5")


def test_a_dicom_series_that_lacks_a_slice_is_refused(tmp_path):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    (tmp_path / "1.2.3_1.dcm").unlink()
    with pytest.raises(
        UserError, match=r"3 DICOM slices .* not evenly spaced but 3 to 6 mm apart, .* some are missing"
    ):
        read_image(tmp_path)


def test_a_copy_of_a_slice_in_a_dicom_folder_is_refused(tmp_path):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    shutil.copy(tmp_path / "1.2.3_0.dcm", tmp_path / "copy of 1.2.3_0.dcm")  # ITK would say 1 mm for all
    with pytest.raises(UserError, match=r"1 of the 5 DICOM slices of .* lie where another one does"):
        read_image(tmp_path)


def test_a_localiser_in_a_dicom_series_is_refused(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    write_dicom(tmp_path, uid="1.2.3", value=7)
    header = pydicom.dcmread(tmp_path / "1.2.3_0.dcm")
    header.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    header.save_as(tmp_path / "localiser.dcm")
    with pytest.raises(UserError, match=r"1 of the 5 DICOM slices of .* localiser\.dcm, are not parallel"):
        read_image(tmp_path)


def test_a_series_is_not_taken_for_another_one_whose_uid_begins_alike(tmp_path):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    write_dicom(tmp_path, uid="1.2.34", value=9)
    assert read_image(tmp_path, series="1.2.3").GetSize() == (8, 6, 4)


def test_acquisitions_that_lie_between_each_other_are_refused(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    write_dicom(tmp_path, uid="1.2.3", value=7)
    for number in range(4):
        header = pydicom.dcmread(tmp_path / f"1.2.3_{number}.dcm")
        header.AcquisitionNumber = 1 + number % 2
        header.save_as(tmp_path / f"1.2.3_{number}.dcm")
    with pytest.raises(UserError, match="of several acquisitions"):
        read_image(tmp_path)


@pytest.mark.parametrize("ids", ["as in the other file", "of its own"])
def test_slices_in_a_sub_folder_are_missed_unless_they_are_copies(tmp_path, ids):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    (tmp_path / "more").mkdir()
    further = tmp_path / "more" / "1.2.3_3.dcm"
    if ids == "of its own":
        (tmp_path / further.name).rename(further)
        with pytest.raises(UserError, match=r"more/1\.2\.3_3\.dcm belongs to the DICOM series .* lies in a sub-folder"):
            read_image(tmp_path)
    else:
        shutil.copy(tmp_path / further.name, further)
        write_dicom(tmp_path / "other", uid="1.2.3.4", value=9)
        assert read_image(tmp_path).GetSize() == (8, 6, 4)


def test_a_list_of_dicom_files_is_neither_a_slice_nor_an_image(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    fileset = pytest.importorskip("pydicom.fileset")
    write_dicom(tmp_path / "series", uid="1.2.3", value=7)
    files = fileset.FileSet()
    for file in sorted((tmp_path / "series").iterdir()):
        header = pydicom.dcmread(file)
        header.PatientID = header.StudyInstanceUID = header.StudyID = "1"
        header.StudyDate, header.StudyTime, header.SeriesNumber = "20260102", "1030", 1
        files.add(header)
    files.write(tmp_path / "disc")
    shutil.copy(tmp_path / "disc" / "DICOMDIR", tmp_path / "series")
    assert read_image(tmp_path / "series").GetSize() == (8, 6, 4)
    with pytest.raises(UserError, match="DICOMDIR lists DICOM files and is no image; give the folder of one series"):
        read_image(tmp_path / "disc" / "DICOMDIR")
    with pytest.raises(UserError, match="no DICOM series, and its sub-folders are not searched"):
        read_image(tmp_path / "disc")


@pytest.mark.parametrize("name", ["1.2.3_0.dcm", "1.2.3_3.dcm"])
def test_a_dicom_series_with_a_truncated_slice_is_refused_also_at_its_ends(tmp_path, name):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-10])  # GDCM leaves it out, and what is left is evenly spaced
    with pytest.raises(UserError, match=rf"{name} belongs to the DICOM series but cannot be read; copy"):
        read_image(tmp_path)


def test_a_truncated_slice_of_another_series_is_none_of_this_one(tmp_path):
    write_dicom(tmp_path, uid="1.2.3", value=7)
    write_dicom(tmp_path, uid="1.2.4", value=9)
    (tmp_path / "1.2.4_0.dcm").write_bytes((tmp_path / "1.2.4_0.dcm").read_bytes()[:-10])
    assert read_image(tmp_path, series="1.2.3").GetSize() == (8, 6, 4)


def test_ct_slices_with_factors_of_their_own_are_not_rounded_to_the_first_ones_type(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    write_dicom(tmp_path, uid="1.2.3", value=7)
    for number, slope in enumerate((1, 0.5, 0.25, 2.5)):
        file = tmp_path / f"1.2.3_{number}.dcm"
        header = pydicom.dcmread(file)
        header.RescaleSlope, header.RescaleIntercept = slope, 0
        header.save_as(file)
    assert sitk.GetArrayFromImage(read_image(tmp_path))[:, 0, 0].tolist() == [7.0, 3.5, 1.75, 17.5]


def test_ct_slices_below_what_the_first_ones_type_holds_are_read_as_they_are(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    write_dicom(tmp_path, uid="1.2.3", value=7)
    for number, offset in enumerate((0, -1024, -1024, 0)):
        file = tmp_path / f"1.2.3_{number}.dcm"
        header = pydicom.dcmread(file)
        header.PixelRepresentation, header.RescaleSlope, header.RescaleIntercept = 0, 1, offset
        header.save_as(file)
    assert sitk.GetArrayFromImage(read_image(tmp_path))[:, 0, 0].tolist() == [7, -1017, -1017, 7]


def test_what_is_no_scan_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="no file or folder"):
        read_image(tmp_path / "missing.nii.gz")
    (tmp_path / "text.nii.gz").write_text("nothing")
    with pytest.raises(UserError, match=r"text\.nii\.gz cannot be read"):
        read_image(tmp_path / "text.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no DICOM series"):
        read_image(tmp_path / "empty")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkVectorFloat32, 3), str(tmp_path / "vector.nii.gz"))
    with pytest.raises(UserError, match="no 3d image of one channel"):
        read_image(tmp_path / "vector.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_skewed_header_is_told_and_its_remedy_works(tmp_path, name):
    processing = pytest.importorskip("nibabel.processing")
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[0, 2] = 0.3
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 6, 7), np.float32), affine), tmp_path / name)
    with pytest.raises(
        UserError, match=rf"{name} cannot be read .* skewed, .*; resample it .*resample_to_output"
    ) as told:
        read_image(tmp_path / name)
    assert "complete" not in str(told.value)
    skewed = nibabel.load(tmp_path / name)
    nibabel.save(processing.resample_to_output(skewed, skewed.header.get_zooms()), tmp_path / name)
    assert read_image(tmp_path / name).GetSize()[1:] == (6, 7)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.nii.gz"])
def test_a_file_that_is_cut_short_is_refused_without_reasons_that_are_none(tmp_path, name):
    write_image(an_image(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-30])
    with pytest.raises(UserError, match=re.escape(name)) as refusal:
        read_image(tmp_path / name)
    assert "No such file" not in str(refusal.value)  # what an earlier call of the system left in errno
    assert "0x" not in str(refusal.value)


@pytest.mark.parametrize("line", ["NDims = -1", "NDims = 0", "NDims = 99999999999", "NDims: 1000", " NDims = -1"])
def test_an_mha_file_of_impossible_axes_is_refused_before_it_ends_the_process(tmp_path, line):
    write_image(an_image(), tmp_path / "a.mha")
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"NDims = 3", line.encode()))
    with pytest.raises(UserError, match=rf"a\.mha cannot be read as an image: it claims {line.split()[-1]} axes"):
        read_image(tmp_path / "a.mha")


def test_a_name_must_say_the_format(tmp_path):
    with pytest.raises(UserError, match=r"\.nii\.gz"):
        write_image(an_image(), tmp_path / "mask")


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr", "a.hdr", "a.img"])
def test_a_format_of_two_files_is_refused_before_one_of_them_is_lost(tmp_path, name):
    with pytest.raises(UserError, match=f"{name} would be two files"):
        write_whole(an_image(), tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_other_grids_are_told_apart():
    image, shifted, cut = an_image(), an_image(), an_image()[:-1]
    shifted.SetOrigin((0.0, 0.0, 0.0))
    with pytest.raises(UserError, match="origin"):
        check_same_grid(image, shifted, names=("The mask", "the scan"))
    with pytest.raises(UserError, match=r"The mask and the scan lie on different grids .*size"):
        check_same_grid(cut, image, names=("The mask", "the scan"))
    assert grid_differences(ScanGrid.of(image), ScanGrid.of(image)) == []
    differences = grid_differences(ScanGrid.of(cut), ScanGrid.of(shifted))
    assert [difference.split()[0] for difference in differences] == ["size", "origin"]
    flat = ScanGrid.of(image[:, :, 1])
    assert [difference.split()[0] for difference in grid_differences(flat, ScanGrid.of(image))] == ["size"]


def write_dicom(folder, *, uid: str, value: int, modality: str = "CT") -> None:
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in range(4):
        image = sitk.Image([8, 6], sitk.sitkInt16) + value
        for tag, content in {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{number + 1}",
            "0008|0060": modality,
            "0020|000e": uid,
            "0020|0013": str(number),
            "0020|0032": f"0\\0\\{3 * number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(tag, content)
        writer.SetFileName(str(folder / f"{uid}_{number}.dcm"))
        writer.Execute(image)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can get longer than so many bytes in this process, as if the disk were full."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_a_full_disk_is_an_error_and_no_truncated_file_takes_the_place_of_a_whole_one(tmp_path, name):
    write_image(an_image(), tmp_path / name)
    before = (tmp_path / name).read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 64)).astype(np.uint8)
    for write in (write_image, write_whole):
        with room_for(20_000), pytest.raises(OSError, match="No space left") as raised:
            write(sitk.GetImageFromArray(noise), tmp_path / name)
        assert raised.value.errno == errno.ENOSPC
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd"])
def test_a_file_that_the_disk_takes_in_part_or_not_at_all_is_an_error_whatever_its_format(tmp_path, name, share):
    noise = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (40, 24, 24)).astype(np.uint8))
    write_image(noise, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    with room_for(int(share * len(whole))), pytest.raises(OSError, match=name):
        write_image(noise, tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == whole
