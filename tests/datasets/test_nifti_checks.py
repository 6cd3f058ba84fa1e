import gzip

import numpy as np
import pytest
import SimpleITK

from nnunetv2_muduo.datasets import nifti_checks
from nnunetv2_muduo.datasets.nifti_checks import count_non_finite_in_nifti, is_truncated_nifti, is_whole_image


@pytest.fixture(params=[".nii", ".nii.gz"])
def whole(request, tmp_path):
    file = tmp_path / f"pat 1.v2{request.param}"
    noise = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise), str(file))
    return file


def cut(file, share: float):
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    return file


def test_a_whole_file_is_not_truncated(whole):
    assert not is_truncated_nifti(whole)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_file_is_told(whole, share):
    assert is_truncated_nifti(cut(whole, share))


def test_every_length_short_of_the_header_is_told(whole):
    content = whole.read_bytes()
    for length in range(348):
        whole.write_bytes(content[:length])
        assert is_truncated_nifti(whole) or not length, length
        assert not is_whole_image(whole), length


@pytest.mark.parametrize("whole", [".nii.gz"], indirect=True)
def test_a_compressed_file_that_ends_behind_its_header_is_told(whole):
    assert is_truncated_nifti(cut(whole, 0.06))


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_simpleitk_itself_does_not_tell(whole, share):
    """The reason for this check; when this fails, SimpleITK has learnt it and the check can go."""
    assert SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(cut(whole, share)))).shape == (8, 9, 10)


def test_a_file_compressed_in_parts_is_whole(tmp_path):
    file = tmp_path / "parts.nii.gz"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((8, 9, 10), np.float32)), str(tmp_path / "a.nii"))
    content = (tmp_path / "a.nii").read_bytes()
    file.write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    assert not is_truncated_nifti(file)


def test_what_is_no_nifti_is_left_to_its_reader(tmp_path):
    file = tmp_path / "text.nii.gz"
    file.write_text("no image")
    assert not is_truncated_nifti(file)
    assert not is_truncated_nifti(tmp_path / "scan.nrrd")
    assert count_non_finite_in_nifti(file) == 0
    assert count_non_finite_in_nifti(tmp_path / "scan.nrrd") == 0


def test_voxels_that_are_no_numbers_are_counted_where_simpleitk_reads_zeros(whole):
    image = SimpleITK.ReadImage(str(whole))
    assert count_non_finite_in_nifti(whole) == 0
    image[1, 2, 3], image[2, 2, 2], image[0, 0, 0] = np.nan, np.inf, -np.inf
    SimpleITK.WriteImage(image, str(whole))
    assert count_non_finite_in_nifti(whole) == 3
    assert SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(whole)))[3, 2, 1] == 0


def test_a_small_file_that_would_fill_the_disk_is_not_unpacked_to_its_end(tmp_path, monkeypatch):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((8, 9, 10), np.float32)), str(tmp_path / "a.nii"))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes() + bytes(64 << 20)))
    monkeypatch.setattr(nifti_checks, "_CHUNK_IN_BYTES", 1 << 12)
    read = []
    real = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: read.append(size) or real(self, size))
    assert not is_truncated_nifti(tmp_path / "bomb.nii.gz")
    assert len(read) < 10
