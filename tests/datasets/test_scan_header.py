"""Headers tell of a file's grid before any voxel is read."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_header import header_grid
from nnunetv2_muduo.datasets.scan_io import FORMATS


@pytest.mark.parametrize("ending", FORMATS)
def test_the_header_tells_what_the_image_tells(tmp_path: Path, ending: str):
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4), np.float32))
    image.SetSpacing((1.0, 2.0, 3.5))
    image.SetOrigin((-7.0, 8.0, 9.0))
    file = tmp_path / f"scan{ending}"
    sitk.WriteImage(sitk.DICOMOrient(image, "PSR"), str(file))
    assert header_grid(file) == ScanGrid.of(sitk.ReadImage(str(file)))


def test_of_what_is_no_image_nothing_is_told(tmp_path: Path):
    (tmp_path / "text.nii.gz").write_text("no image")
    assert header_grid(tmp_path / "text.nii.gz") is header_grid(tmp_path / "none.nii.gz") is None
