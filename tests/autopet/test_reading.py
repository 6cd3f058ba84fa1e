"""One read of a file tells, and copies, what several would."""

import errno
import gzip
import struct
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.autopet import reading
from nnunetv2_muduo.autopet.reading import read_once
from nnunetv2_muduo.datasets.plausibility import intensity_warnings
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import sha256_of

RNG = np.random.default_rng(0)
SUV = RNG.gamma(2.0, 1.0, (30, 17, 21)).astype(np.float32)
HU = np.clip(RNG.normal(-300, 400, (30, 17, 21)), -1024, None).astype(np.int16)


def written(folder: Path, array: np.ndarray, name: str = "image") -> Path:
    path = folder / f"{name}.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


@pytest.mark.parametrize("every_voxel", [False, True])
def test_hash_and_copy_are_those_of_the_file(tmp_path, every_voxel):
    source = written(tmp_path, SUV)
    read = read_once(source, modality="PET", copy_to=tmp_path / "copy", every_voxel=every_voxel)
    assert (read.sha256, read.warnings) == (sha256_of(source), ())
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_a_copy_is_whole_where_writing_is_slower_than_reading(tmp_path, monkeypatch):
    written_in_time = reading._write_all

    def write_slowly(stream, block):
        time.sleep(0.002)
        written_in_time(stream, block)

    monkeypatch.setattr(reading, "_BLOCK_IN_BYTES", 512)
    monkeypatch.setattr(reading, "_write_all", write_slowly)
    source = written(tmp_path, SUV)
    assert source.stat().st_size > 3 * 512 * reading._BLOCKS
    read_once(source, modality="PET", copy_to=tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_a_copy_that_fails_at_its_end_is_told(tmp_path, monkeypatch):
    def fail(stream, block):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reading, "_write_all", fail)  # of the last blocks nobody has asked when the file is read
    with pytest.raises(OSError, match="No space left"):
        read_once(written(tmp_path, SUV), modality="PET", copy_to=tmp_path / "copy")


@pytest.mark.parametrize("modality", ["CT", "PET"])
@pytest.mark.parametrize(
    "array",
    [
        SUV,
        SUV * 5000,
        HU,
        np.abs(HU),
        (SUV - SUV.mean()) / SUV.std(),
        SUV / SUV.max(),
        np.rint(SUV / SUV.max() * 255).astype(np.uint8),
        (SUV > 2).astype(np.uint8),
    ],
    ids=["SUV", "Bq/ml", "HU", "MR", "z-scored", "0 to 1", "bytes", "mask"],
)
def test_warnings_are_those_of_looking_at_everything(tmp_path, modality, array):
    plain = [warning.partition(":")[0] for warning in intensity_warnings(array, modality=modality)]
    for every_voxel in (True, False):
        read = read_once(written(tmp_path, array), modality=modality, every_voxel=every_voxel)
        assert [warning.partition(":")[0] for warning in read.warnings] == plain


def test_what_a_scanner_filled_in_is_told_of_and_is_still_hu(tmp_path):
    filled = HU.copy()
    filled[:, :8] = -8000
    (told,) = read_once(written(tmp_path, filled), modality="CT").warnings
    assert told.startswith("The CT goes down to -8000 HU, far below air")
    assert "muduo harmonise" in told


def test_empty_slices_are_passed_until_the_patient_begins(tmp_path):
    array = SUV * 5000
    array[:25] = 0
    assert "convert Bq/ml" in read_once(written(tmp_path, array), modality="PET").warnings[0]


def test_noise_beyond_the_patient_does_not_make_activity_look_like_suv(tmp_path):
    array = SUV * 5000
    array[:25] *= 0.01  # noise of some 100 Bq/ml
    assert "convert Bq/ml" in read_once(written(tmp_path, array), modality="PET").warnings[0]


def test_slices_beyond_the_patient_do_not_make_an_image_useless(tmp_path):
    array = np.full_like(HU, -1000)
    array[20:] = HU[20:]
    assert read_once(written(tmp_path, array), modality="CT").warnings == ()


def test_the_first_slices_do_not_make_a_whole_scan_look_scaled(tmp_path):
    array = SUV.copy()
    array[:25] = np.clip(array[:25], 0, 0.8)  # thighs
    assert read_once(written(tmp_path, array), modality="PET").warnings == ()


def test_stored_factors_count(tmp_path):
    image = nibabel.Nifti1Image(np.swapaxes(SUV, 0, 2), np.eye(4))
    image.set_data_dtype(np.int16)  # nibabel chooses a factor that keeps the values
    nibabel.save(image, tmp_path / "scaled.nii.gz")
    assert nibabel.load(tmp_path / "scaled.nii.gz").dataobj.slope < 0.01
    assert read_once(tmp_path / "scaled.nii.gz", modality="PET").warnings == ()


def test_the_peak_of_numbers_stored_upside_down_is_the_lowest_of_them(tmp_path):
    few = np.where(np.arange(SUV.size).reshape(SUV.shape) % 37 == 1, SUV, 0.1)  # the peaks are in no sample
    content = bytearray(gzip.decompress(written(tmp_path, (-100 * few).astype(np.int16)).read_bytes()))
    struct.pack_into("<f", content, 112, -0.01)  # scl_slope
    (tmp_path / "scaled.nii.gz").write_bytes(gzip.compress(content))
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "scaled.nii.gz"))).max() > 5
    assert read_once(tmp_path / "scaled.nii.gz", modality="PET").warnings == ()


def test_several_parts_are_read_as_one(tmp_path):
    content = gzip.decompress(written(tmp_path, HU).read_bytes())
    parts = tmp_path / "parts.nii.gz"
    parts.write_bytes(b"".join(gzip.compress(content[start : start + 1000]) for start in range(0, len(content), 1000)))
    assert read_once(parts, modality="CT", every_voxel=True).warnings == ()


@pytest.mark.parametrize("block", [100, 1 << 21], ids=["many blocks", "one block"])
def test_zeros_behind_the_parts_do_no_harm(tmp_path, monkeypatch, block):
    monkeypatch.setattr(reading, "_BLOCK_IN_BYTES", block)  # of 100 bytes, many end within the padding
    content, padding = gzip.decompress(written(tmp_path, HU).read_bytes()), b"\0" * 512
    padded = tmp_path / "padded.nii.gz"
    padded.write_bytes(gzip.compress(content[:1000]) + padding + gzip.compress(content[1000:]) + padding)
    assert gzip.decompress(padded.read_bytes()) == content
    assert read_once(padded, modality="CT", every_voxel=True).sha256 == sha256_of(padded)


def test_other_bytes_behind_the_parts_are_damage(tmp_path):
    source = written(tmp_path, HU)
    source.write_bytes(source.read_bytes() + b"\0\0more")
    with pytest.raises(UserError, match="is damaged"):
        read_once(source, modality="CT", every_voxel=True)


def test_damage_anywhere_is_found_where_every_voxel_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_BLOCK_IN_BYTES", 4096)  # of a small file one block would be all
    source = written(tmp_path, np.repeat(SUV, 4, axis=0))
    content = bytearray(source.read_bytes())
    content[-20] ^= 255
    source.write_bytes(content)
    read_once(source, modality="PET")
    with pytest.raises(UserError, match=r"image.nii.gz is damaged .*copy it again"):
        read_once(source, modality="PET", every_voxel=True)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros_like(SUV), "is 0 everywhere"),
        (np.where(np.arange(21) == 3, np.nan, SUV).astype(np.float32), "NaN or infinite"),
    ],
)
def test_useless_images_are_refused(tmp_path, array, words):
    with pytest.raises(UserError, match=words):
        read_once(written(tmp_path, array), modality="PET")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_text("no image")
    with pytest.raises(UserError, match="is no NIfTI image"):
        read_once(tmp_path / "a.nii.gz", modality="PET")
