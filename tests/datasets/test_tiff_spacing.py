"""TIFF files have the size of their voxels beside them, where nnU-Net puts it."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.tif_reader_writer import Tiff3DIO

from nnunetv2_muduo.datasets.scan_io import read_image
from nnunetv2_muduo.errors import UserError


def a_tiff(file: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(24, dtype=np.uint8).reshape(4, 3, 2)), str(file))
    return file


def test_what_nnunet_writes_is_read_as_it_was(tmp_path: Path):
    labels = np.arange(210, dtype=np.uint8).reshape(6, 5, 7)
    Tiff3DIO().write_seg(labels, str(tmp_path / "a.b.tif"), {"spacing": (5.0, 3.0, 2.0)})
    image = read_image(tmp_path / "a.b.tif")
    assert image.GetSpacing() == (2.0, 3.0, 5.0)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)


def test_the_channels_of_a_scan_share_one_file(tmp_path: Path):
    scan = a_tiff(tmp_path / "case_0001.tiff")
    (tmp_path / "case.json").write_text(json.dumps({"spacing": [5, 3, 2]}))
    assert read_image(scan).GetSpacing() == (2.0, 3.0, 5.0)


def test_without_one_a_voxel_is_one_millimetre_as_nnunet_has_it(tmp_path: Path):
    assert read_image(a_tiff(tmp_path / "a.tif")).GetSpacing() == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "content", [{}, {"spacing": [1, 2]}, {"spacing": [1, 2, 0]}, {"spacing": "abc"}, {"spacing": 3}]
)
def test_a_file_that_holds_no_spacing_is_refused_by_name(tmp_path: Path, content: dict):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"a\.json must hold the size of a voxel"):
        read_image(a_tiff(tmp_path / "a.tif"))
