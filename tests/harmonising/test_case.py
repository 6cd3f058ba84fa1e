"""One case from its sources to its place in the dataset."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from centre_folders import CT_GRID, PET_GRID, a_ct, a_label, a_pet, write_case
from dicom_series import BECQUEREL_PER_SUV, write_pet_series

from nnunetv2_muduo.case_installing import Outcome, announced_files
from nnunetv2_muduo.datasets.scan_grid import ScanGrid, snapped
from nnunetv2_muduo.datasets.suv import Injection, suv_factor
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising import case as case_module
from nnunetv2_muduo.harmonising.case import CaseJob, harmonise_case
from nnunetv2_muduo.harmonising.case_finding import find_cases
from nnunetv2_muduo.harmonising.images import Options
from nnunetv2_muduo.harmonising.layouts import PRESETS, Layout
from nnunetv2_muduo.harmonising.record import made_from, read_record, record_file

INJECTION = Injection(350e6, 70.0, 3600.0)


def a_job(tmp_path: Path, *, layout: Layout = PRESETS["autopet"], **changed) -> CaseJob:
    """The only case of the folder `centre`."""
    (found,), _ = find_cases(tmp_path / "centre", layout)
    job = CaseJob(
        "c", "c", found, tmp_path / "out", ".nii.gz", frozenset({0, 1}), Options(), made_from(found, options={})
    )
    return replace(job, **changed)


def contents(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def values(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_what_needs_no_change_is_linked_and_recorded(tmp_path):
    folder = write_case(tmp_path / "centre", label=True)
    assert harmonise_case(a_job(tmp_path)) == Outcome("c")
    out = tmp_path / "out"
    assert contents(out) == [
        "harmonised/c.json",
        "imagesTr/c_0000.nii.gz",
        "imagesTr/c_0001.nii.gz",
        "labelsTr/c.nii.gz",
    ]
    for name, source in (("imagesTr/c_0000", "CTres"), ("imagesTr/c_0001", "SUV"), ("labelsTr/c", "SEG")):
        assert (out / f"{name}.nii.gz").resolve() == folder / f"{source}.nii.gz"
    record = read_record(out, "c")
    assert record is not None
    assert (record.own_grid, record.full_grid, record.box, record.suv_factor) == (PET_GRID, PET_GRID, None, None)


def test_a_copy_is_made_where_asked(tmp_path):
    write_case(tmp_path / "centre")
    harmonise_case(a_job(tmp_path, options=Options(copy=True)))
    assert not (tmp_path / "out" / "imagesUn" / "c_0001.nii.gz").is_symlink()


def test_only_what_changes_is_written(tmp_path):
    write_case(tmp_path / "centre", CTres=a_ct(CT_GRID))
    outcome = harmonise_case(a_job(tmp_path))
    assert outcome.reason is None
    assert "CT was resampled" in outcome.notes[0]
    ct, pet = (tmp_path / "out" / "imagesUn" / f"c_000{channel}.nii.gz" for channel in (0, 1))
    assert (ct.is_symlink(), pet.is_symlink()) == (False, True)
    assert ScanGrid.of(sitk.ReadImage(str(ct))).is_exactly(PET_GRID)


def test_filling_far_below_air_is_raised_before_anything_is_interpolated_and_told(tmp_path):
    filled = a_ct(CT_GRID)
    filled[:6] = -3024
    write_case(tmp_path / "centre", CTres=filled)
    outcome = harmonise_case(a_job(tmp_path))
    assert values(tmp_path / "out" / "imagesUn" / "c_0000.nii.gz").min() == -1024
    assert "far below air, down to -3024 HU" in outcome.notes[0]
    record = read_record(tmp_path / "out", "c")
    assert record is not None
    assert record.notes == outcome.notes


def test_another_format_is_written_anew(tmp_path):
    write_case(tmp_path / "centre")
    harmonise_case(a_job(tmp_path, ending=".mha"))
    assert not (tmp_path / "out" / "imagesUn" / "c_0000.mha").is_symlink()
    np.testing.assert_array_equal(
        values(tmp_path / "out" / "imagesUn" / "c_0000.mha"), values(tmp_path / "centre" / "CTres.nii.gz")
    )


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path):
    (tmp_path / "centre").mkdir()
    sitk.WriteImage(a_ct(PET_GRID), str(tmp_path / "centre" / "CT.mha"))
    sitk.WriteImage(sitk.JoinSeries([a_pet()]), str(tmp_path / "centre" / "PET.mha"))
    harmonise_case(a_job(tmp_path, layout=Layout(ct=("CT.mha",), pet=("PET.mha",)), ending=".mha"))
    ct, pet = (tmp_path / "out" / "imagesUn" / f"c_000{channel}.mha" for channel in (0, 1))
    assert (ct.is_symlink(), pet.is_symlink()) == (True, False)
    assert sitk.ReadImage(str(pet)).GetDimension() == 3


def test_activity_becomes_suv(tmp_path):
    factor = suv_factor(INJECTION)
    write_case(tmp_path / "centre", SUV=a_pet(factor=1 / factor))
    assert harmonise_case(a_job(tmp_path, injection=INJECTION, with_table=True)) == Outcome("c")
    np.testing.assert_allclose(
        values(tmp_path / "out" / "imagesUn" / "c_0001.nii.gz"), sitk.GetArrayFromImage(a_pet()), rtol=1e-5
    )
    record = read_record(tmp_path / "out", "c")
    assert record is not None
    assert record.suv_factor == pytest.approx(factor)


def test_suv_is_not_converted_once_more(tmp_path):
    write_case(tmp_path / "centre")
    assert "is it SUV?" in str(harmonise_case(a_job(tmp_path, injection=INJECTION, with_table=True)).reason)


def test_activity_without_values_is_warned_of_or_refused_where_others_have_values(tmp_path):
    write_case(tmp_path / "centre", SUV=a_pet(factor=5000.0))
    assert "does not name the case" in str(harmonise_case(a_job(tmp_path, with_table=True)).reason)
    (note,) = harmonise_case(a_job(tmp_path)).notes
    assert "convert Bq/ml to SUV first (`muduo harmonise --suv-from` does)" in note


def test_label_values_as_floating_point_are_written_as_whole_numbers(tmp_path):
    write_case(tmp_path / "centre", label=True, SEG=sitk.Cast(a_label(), sitk.sitkFloat64))
    harmonise_case(a_job(tmp_path))
    label = sitk.ReadImage(str(tmp_path / "out" / "labelsTr" / "c.nii.gz"))
    assert label.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(label), sitk.GetArrayFromImage(a_label()))


def with_nan(image: sitk.Image) -> sitk.Image:
    image[0, 0, 0] = float("nan")
    return image


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"SEG": a_label(value=7)}, "the label holds 7, which the dataset's labels do not name"),
        ({"SEG": sitk.Cast(a_label(), sitk.sitkFloat32) * 0.5}, "holds 0.5"),
        ({"SUV": with_nan(a_pet())}, "1 voxel(s) of the PET SUV.nii.gz are NaN"),
        ({"CTres": a_ct(PET_GRID) * 0}, "the CT CTres.nii.gz is 0 everywhere"),
        ({"CTres": snapped(a_ct(PET_GRID), replace(PET_GRID, origin=(900.0, 0.0, 0.0)))}, "do not overlap"),
    ],
)
def test_a_bad_case_is_told_with_its_reason_and_leaves_nothing(tmp_path, images, words):
    write_case(tmp_path / "centre", label=True, **images)
    outcome = harmonise_case(a_job(tmp_path))
    assert words in str(outcome.reason)
    assert contents(tmp_path / "out") == []


def test_a_folder_of_several_dicom_series_is_told(tmp_path, monkeypatch):
    write_case(tmp_path / "centre")
    (tmp_path / "centre" / "PET").mkdir()
    (tmp_path / "centre" / "PET" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    monkeypatch.setattr(sitk.ImageSeriesReader, "GetGDCMSeriesIDs", lambda folder: ("1.2", "1.3"))
    outcome = harmonise_case(a_job(tmp_path, layout=Layout(ct=("CTres.nii.gz",), pet=("PET",))))
    assert "the folder PET of the PET holds 2 DICOM series; keep one" in str(outcome.reason)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_truncated_file_is_told(tmp_path, share):
    noise = np.random.default_rng(0).random((10, 12, 14)).astype(np.float32)
    pet = snapped(sitk.GetImageFromArray(noise), PET_GRID)
    file = write_case(tmp_path / "centre", SUV=pet) / "SUV.nii.gz"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert "truncated" in str(harmonise_case(a_job(tmp_path)).reason)


def test_a_damaged_file_is_told(tmp_path):
    noise = np.random.default_rng(0).random((10, 12, 14)).astype(np.float32)
    pet = snapped(sitk.GetImageFromArray(noise), PET_GRID)
    file = write_case(tmp_path / "centre", SUV=pet) / "SUV.nii.gz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    assert harmonise_case(a_job(tmp_path)).reason is not None


def test_a_case_that_was_not_made_here_is_never_replaced(tmp_path):
    write_case(tmp_path / "centre")
    (tmp_path / "out" / "imagesTr").mkdir(parents=True)
    foreign = tmp_path / "out" / "imagesTr" / "c_0001.nii.gz"
    foreign.write_text("somebody's")
    assert "was not made here" in str(harmonise_case(a_job(tmp_path)).reason)
    assert contents(tmp_path / "out") == ["imagesTr/c_0001.nii.gz"]
    assert foreign.read_text() == "somebody's"


def test_a_case_that_got_a_label_moves(tmp_path):
    write_case(tmp_path / "centre")
    harmonise_case(a_job(tmp_path))
    write_case(tmp_path / "centre", label=True)
    assert harmonise_case(a_job(tmp_path)).reason is None
    assert list((tmp_path / "out" / "imagesUn").iterdir()) == []


def test_sources_are_never_written_to(tmp_path):
    folder = write_case(tmp_path / "centre")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    harmonise_case(a_job(tmp_path))
    harmonise_case(a_job(tmp_path, options=Options(body_crop=True)))  # replaces links, not what they point to
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (tmp_path / "out" / "imagesUn" / "c_0000.nii.gz").is_symlink()


def test_a_full_disk_is_not_the_fault_of_each_case_and_leaves_no_half_a_case(tmp_path, monkeypatch):
    write_case(tmp_path / "centre", CTres=a_ct(CT_GRID))

    def fail(image: sitk.Image, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(case_module, "write_image", fail)
    with pytest.raises(UserError, match=r"out cannot be written to \(No space left on device\); make room and run"):
        harmonise_case(a_job(tmp_path, options=Options(grid="ct")))
    assert contents(tmp_path / "out") == []
    assert announced_files(record_file(tmp_path / "out", "c")) == ()


def test_a_case_that_fails_keeps_what_an_earlier_run_made(tmp_path, monkeypatch):
    write_case(tmp_path / "centre", CTres=a_ct(CT_GRID))
    harmonise_case(a_job(tmp_path))
    before = contents(tmp_path / "out")

    def fail(image: sitk.Image, path: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(case_module, "write_image", fail)
    assert harmonise_case(a_job(tmp_path, options=Options(grid="ct"))).reason is not None
    assert contents(tmp_path / "out") == before
    assert read_record(tmp_path / "out", "c") is not None


def test_a_move_that_fails_leaves_no_half_a_case(tmp_path, monkeypatch):
    write_case(tmp_path / "centre")
    replace_file = os.replace

    def fail_at_the_pet(source: Path, target: Path) -> None:
        if Path(target).name == "c_0001.nii.gz":
            raise OSError("no")
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_pet)
    assert harmonise_case(a_job(tmp_path)).reason == "no"
    assert contents(tmp_path / "out") == []


def test_nothing_in_the_making_lies_where_nnunet_looks(tmp_path, monkeypatch):
    write_case(tmp_path / "centre", CTres=a_ct(CT_GRID))
    seen: list[str] = []
    write = case_module.write_image

    def watch(image: sitk.Image, path: Path) -> None:
        write(image, path)
        seen.extend(contents(tmp_path / "out"))

    monkeypatch.setattr(case_module, "write_image", watch)
    harmonise_case(a_job(tmp_path))
    assert seen
    assert all(name.startswith(".partial-") for name in seen)


def test_a_case_that_was_killed_halfway_is_made_anew(tmp_path, monkeypatch):
    write_case(tmp_path / "centre")
    harmonise_case(a_job(tmp_path))
    (tmp_path / "out" / "harmonised" / "c.json").write_text(
        '{"unfinished": ["imagesUn/c_0000.nii.gz", "imagesUn/c_0001.nii.gz"]}'
    )
    (tmp_path / "out" / "imagesUn" / "c_0001.nii.gz").unlink()
    assert read_record(tmp_path / "out", "c") is None
    assert harmonise_case(a_job(tmp_path)).reason is None
    assert read_record(tmp_path / "out", "c") is not None


def test_a_dicom_pet_is_converted_by_its_tags(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    write_pet_series(tmp_path / "centre" / "PET", a_pet())
    sitk.WriteImage(a_ct(PET_GRID), str(tmp_path / "centre" / "CT.nii.gz"))
    job = a_job(tmp_path, layout=Layout(ct=("CT.nii.gz",), pet=("PET",)))
    assert harmonise_case(job) == Outcome("c")
    made = values(tmp_path / "out" / "imagesUn" / "c_0001.nii.gz")
    factor = BECQUEREL_PER_SUV * suv_factor(INJECTION)
    rounding = 0.6 * 500 * 10 * suv_factor(INJECTION)  # of the slice with the largest slope
    np.testing.assert_allclose(made, sitk.GetArrayFromImage(a_pet()) * factor, atol=rounding)
    assert made.max() == pytest.approx(8 * factor, rel=0.05)

    for file in (tmp_path / "centre" / "PET").iterdir():
        header = pydicom.dcmread(file)
        header.Units = "CNTS"
        header.save_as(file)
    given = replace(job, injection=INJECTION, with_table=True)
    assert "units are CNTS" in str(harmonise_case(given).reason)
