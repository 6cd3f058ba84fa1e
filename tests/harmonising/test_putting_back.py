"""Masks back on the scans' own grids."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_grid import ScanGrid, snapped
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.images import Options, harmonise_images
from nnunetv2_muduo.harmonising.putting_back import put_all_back, put_back
from nnunetv2_muduo.harmonising.record import CaseRecord

ORIENTATIONS = ("LPS", "RAS", "SAL", "PIR", "AIL", "IRP")


def a_scan(seed: int) -> tuple[sitk.Image, sitk.Image, sitk.Image]:
    """CT, PET and a mask within the body; size, spacing, place, turn and orientation at random."""
    rng = np.random.default_rng(seed)
    size = rng.integers(14, 22, 3)
    body = np.full(size, -1000, np.int16)
    body[4:-4, 4:-5, 5:-4] = 0
    mask = rng.integers(0, 3, size).astype(np.uint8) * (body == 0)
    images = []
    angle, origin, spacing = rng.uniform(-0.3, 0.3), rng.uniform(-300, 300, 3), rng.uniform(1, 5, 3)
    for array in (body, rng.uniform(0, 5, size).astype(np.float32), mask.astype(np.uint8)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(origin.tolist())
        image.SetDirection(sitk.Euler3DTransform((0.0, 0.0, 0.0), angle, 0.0, angle / 2).GetMatrix())
        images.append(sitk.DICOMOrient(image, ORIENTATIONS[seed % len(ORIENTATIONS)]))
    return images[0], images[1], images[2]


def a_record(made) -> CaseRecord:
    record = CaseRecord("p", {}, (), made.own_grid, made.full_grid, made.box, None, made.notes)
    return CaseRecord.from_dict(json.loads(json.dumps(record.to_dict())))


def through_a_file(image: sitk.Image, path: Path) -> sitk.Image:
    """As nnU-Net would write and a user would read it."""
    sitk.WriteImage(image, str(path))
    return sitk.ReadImage(str(path))


@pytest.mark.parametrize("seed", range(12))
def test_every_voxel_comes_back_in_any_orientation(tmp_path, seed):
    ct, pet, mask = a_scan(seed)
    made = harmonise_images(ct, pet, mask, Options(body_crop=True))
    assert np.prod(made.ct.GetSize()) < np.prod(ct.GetSize())
    back = put_back(through_a_file(made.label, tmp_path / "mask.nii.gz"), a_record(made))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(mask))
    assert ScanGrid.of(back) == ScanGrid.of(mask)


@pytest.mark.parametrize("seed", range(6))
def test_a_finer_spacing_comes_back_to_the_scans_own(tmp_path, seed):
    ct, pet, mask = a_scan(seed)
    own = reversed(sitk.DICOMOrient(pet, "LPS").GetSpacing())  # along the patient's z, y and x
    finer = tuple(spacing / 3 for spacing in own)  # centres coincide, nothing is ambiguous
    made = harmonise_images(ct, pet, mask, Options(body_crop=True, spacing_in_mm=finer))
    back = put_back(through_a_file(made.label, tmp_path / "mask.nii.gz"), a_record(made))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(mask))
    assert ScanGrid.of(back) == ScanGrid.of(mask)


@pytest.mark.parametrize("body_crop", [False, True])
def test_a_coarser_spacing_loses_no_slice_at_the_scans_end(body_crop):
    ct = sitk.GetImageFromArray(np.full((21, 22, 23), 40, np.int16))  # the body reaches all ends, as thighs do
    pet = sitk.Cast(ct, sitk.sitkFloat32)
    made = harmonise_images(ct, pet, None, Options(body_crop=body_crop, spacing_in_mm=(4.0, 5.0, 9.0)))
    assert made.ct.GetSize() == (3, 4, 5)  # 27, 20 and 20 mm
    everything = sitk.Cast(made.ct > 0, sitk.sitkUInt8)
    assert sitk.GetArrayFromImage(put_back(everything, a_record(made))).all()


def test_a_mask_on_another_grid_is_refused():
    ct, pet, mask = a_scan(0)
    made = harmonise_images(ct, pet, mask, Options(body_crop=True))
    with pytest.raises(UserError, match="does not lie on the harmonised scan's grid"):
        put_back(mask, a_record(made))


@pytest.fixture
def predicted(tmp_path) -> Path:
    """Predictions of one case, one on a wrong grid, and what nnU-Net writes beside them."""
    ct, pet, mask = a_scan(1)
    made = harmonise_images(ct, pet, mask, Options(body_crop=True))
    (tmp_path / "masks").mkdir()
    sitk.WriteImage(made.label, str(tmp_path / "masks" / "case v1.2.nii.gz"))
    for name in ("wrong", "stranger"):
        sitk.WriteImage(mask, str(tmp_path / "masks" / f"{name}.nii.gz"))
    (tmp_path / "masks" / "dataset.json").write_text("{}")
    record = a_record(made).to_dict()
    (tmp_path / "harmonised.json").write_text(json.dumps({"cases": {"case v1.2": record, "wrong": record}}))
    return tmp_path


def test_a_folder_of_predictions_is_put_back_by_name(predicted):
    told: list[str] = []
    written = put_all_back(predicted / "masks", predicted / "harmonised.json", predicted / "out", log=told.append)
    assert written == (predicted / "out" / "case v1.2.nii.gz",)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(written[0]))), sitk.GetArrayFromImage(a_scan(1)[2])
    )
    strange, wrong = told
    assert strange == "1 file(s) are called like no case of harmonised.json: stranger.nii.gz."
    assert wrong.startswith("wrong.nii.gz: SKIPPED")


def test_a_mask_with_nan_is_not_put_back_as_background(predicted):
    mask = sitk.ReadImage(str(predicted / "masks" / "case v1.2.nii.gz"), sitk.sitkFloat32)
    sitk.WriteImage(mask * float("nan"), str(predicted / "masks" / "case v1.2.nii.gz"))
    told: list[str] = []
    with pytest.raises(UserError, match="None of the 2 masks"):
        put_all_back(predicted / "masks", predicted / "harmonised.json", predicted / "out", log=told.append)
    assert "are NaN or infinite" in told[1]


def test_what_a_killed_run_left_is_cleared_away_after_a_day(predicted):
    old, young = (predicted / "out" / f".partial-1-{age}" for age in ("old", "young"))
    for left in (old, young):
        left.mkdir(parents=True)
    os.utime(old, (0, 0))
    put_all_back(predicted / "masks", predicted / "harmonised.json", predicted / "out", log=str)
    assert [left.exists() for left in (old, young)] == [False, True]


def test_one_file_will_do(predicted):
    file = predicted / "masks" / "case v1.2.nii.gz"
    assert put_all_back(file, predicted / "harmonised.json", predicted / "out")


@pytest.mark.parametrize(
    ("masks", "record", "output", "words"),
    [
        ("masks", "missing.json", "out", "missing.json is missing"),
        ("masks", "masks/dataset.json", "out", "no harmonised.json"),
        ("masks", "harmonised.json", "masks", "holds the masks themselves"),
        ("nowhere", "harmonised.json", "out", "no file or folder"),
        ("masks/dataset.json", "harmonised.json", "out", "called like one of the 2 cases"),
        ("masks/wrong.nii.gz", "harmonised.json", "out", "None of the 1 masks"),
    ],
)
def test_mistakes_are_told(predicted, masks, record, output, words):
    with pytest.raises(UserError, match=words):
        put_all_back(predicted / masks, predicted / record, predicted / output, log=lambda _: None)


def test_a_mask_without_changes_keeps_its_values():
    ct, pet, mask = a_scan(2)
    made = harmonise_images(ct, pet, mask, Options())
    back = put_back(snapped(mask, made.own_grid), a_record(made))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(mask))
