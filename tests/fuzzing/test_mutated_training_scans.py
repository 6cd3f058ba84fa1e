"""Whatever field of a scan's header is something else, a training leaves the scan out by name, or sees it as it is."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from mutated_nifti import FORMS, mutated_nifti, valid_nifti
from mutated_text_headers import mutated_headers
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunetv2_muduo.cases.scan_checks import BadScanError, read_scan
from nnunetv2_muduo.datasets.scan_io import read_intensities
from nnunetv2_muduo.errors import UserError

UNIT = "xyzt_units"  # of length, which nnU-Net's readers with nibabel take for mm, whatever it is


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of libraries, about numbers that are none
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize(("reader", "codes"), [(SimpleITKIO(), FORMS[0]), (NibabelIO(), FORMS[2])])
def test_whatever_a_nifti_header_says_both_readers_agree_or_the_scan_is_left_out(tmp_path: Path, reader, codes):
    trials = mutated_nifti(valid_nifti(codes=codes))
    wrong, read = misread_by_trainings(trials, tmp_path, reader=reader, file_ending=".nii")
    assert wrong == []
    assert read


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_whatever_a_text_header_says_both_readers_agree_or_the_scan_is_left_out(tmp_path: Path, ending: str):
    wrong, read = misread_by_trainings(mutated_headers(ending), tmp_path, reader=SimpleITKIO(), file_ending=ending)
    assert wrong == []
    assert read


def misread_by_trainings(
    trials: Iterable[tuple[str, bytes]], folder: Path, *, reader: BaseReaderWriter, file_ending: str
) -> tuple[list[str], int]:
    """What trainings see otherwise than our own reader, and how many scans they see; CT and PET are the same file."""
    files = [folder / f"a_000{channel}{file_ending}" for channel in (0, 1)]
    wrong, read = [], 0
    for how, content in trials:
        for file in files:
            file.write_bytes(content)
        try:
            image, properties = read_scan(files, reader=reader, channels=("CT", "PET"), file_ending=file_ending)
        except BadScanError as error:
            if not any(part in str(error) for part in ("a_000", "CT is", "channel")):
                wrong.append(f"{how}: names no file: {error}")
            continue
        try:
            expected = read_intensities(files[0])
        except UserError as error:
            if "is no 3d image" not in str(error):  # a slice, or one channel of several, which nnU-Net's readers know
                wrong.append(f"{how}: is read, though {error}")
            continue
        read += 1
        if not np.allclose(image[0], sitk.GetArrayViewFromImage(expected), rtol=1e-5):
            wrong.append(f"{how}: voxels {image[0].ravel()[:3]}")
        if UNIT not in how and not np.allclose(properties["spacing"], expected.GetSpacing()[::-1], rtol=1e-3):
            wrong.append(f"{how}: spacing {properties['spacing']} against {expected.GetSpacing()[::-1]}")
    return wrong, read
