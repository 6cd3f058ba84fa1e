"""An image has changed when any file that it is read from has."""

import json
from pathlib import Path

import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.image_stamp import image_stamp
from nnunetv2_muduo.datasets.scan_io import read_image
from nnunetv2_muduo.files import file_stamp
from nnunetv2_muduo.finetuning.case_store import store_case
from nnunetv2_muduo.finetuning.sources import CaseSource

SCAN = sitk.Image([5, 6, 7], sitk.sitkInt16) - 900


@pytest.mark.parametrize("name", ["CT.mhd", "CT.nhdr", "CT [1].hdr"])
def test_voxels_that_changed_behind_their_header_are_told(tmp_path: Path, name: str):
    sitk.WriteImage(SCAN, str(tmp_path / name))
    (tmp_path / "CT [12].raw").touch()
    (tmp_path / "PET.raw").touch()
    before = image_stamp(tmp_path / name)
    (voxels,) = (file for file in tmp_path.iterdir() if file.name not in (name, "CT [12].raw", "PET.raw"))
    content = bytearray(voxels.read_bytes())
    content[0] ^= 1
    voxels.write_bytes(content)
    assert image_stamp(tmp_path / name) != before
    assert image_stamp(tmp_path / name)[:3] == before[:3] == file_stamp(tmp_path / name)
    assert len(before) == 4


@pytest.mark.parametrize("name", ["CT.nii.gz", "CT.nii", "CT.mha", "CT.nrrd"])
def test_an_image_of_one_file_is_that_file(tmp_path: Path, name: str):
    sitk.WriteImage(SCAN, str(tmp_path / name))
    (tmp_path / "CT.json").touch()
    assert image_stamp(tmp_path / name) == file_stamp(tmp_path / name)


def test_a_case_is_stored_anew_when_the_size_of_its_tiffs_voxels_was_corrected(tmp_path: Path):
    for name in ("a_0000.tif", "a.tif"):
        sitk.WriteImage(sitk.Cast(SCAN + 900, sitk.sitkUInt8), str(tmp_path / name))
    source = CaseSource("Dataset1_X", "a", tmp_path / "a_0000.tif", tmp_path / "a.tif")
    for spacing in ([5.0, 3.0, 2.0], [4.0, 3.0, 2.0]):
        (tmp_path / "a.json").write_text(json.dumps({"spacing": spacing}))
        store_case(source, tmp_path / "s", table={0: 0}, modality="CT", orientation="LPS", spacing_in_mm=1.0)
        assert json.loads((tmp_path / "s" / "Dataset1_X__a.json").read_text())["spacing_in_mm"] == spacing
        assert read_image(source.image).GetSpacing()[::-1] == tuple(spacing)
