"""Whatever tag of a DICOM series is something else, it is refused in a sentence, or read as pydicom reads it."""

import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_pet_series
from mutated_dicom import mutated_series
from readings import misread

from nnunetv2_muduo.datasets.dicom_suv import suv_factor_of_series
from nnunetv2_muduo.errors import UserError

pydicom = pytest.importorskip("pydicom")


@pytest.fixture
def valid(tmp_path: Path) -> list[Path]:
    image = sitk.GetImageFromArray(np.random.default_rng(0).uniform(0, 5, (3, 4, 5)).astype(np.float32))
    image.SetSpacing((2.0, 3.0, 4.0))
    image.SetOrigin((-10.0, 20.0, -30.0))
    return sorted(write_pet_series(tmp_path / "valid", image).iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "changed").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, about values of the wrong kind
        yield tmp_path / "changed"


def read_by_pydicom(folder: Path) -> tuple:
    """(voxels [Z, Y, X], spacing, origin and direction as SimpleITK has them) of a series in axial or other slices."""
    headers = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    rows, columns = np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(rows, columns)
    headers.sort(key=lambda header: float(normal @ np.array(header.ImagePositionPatient, float)))
    voxels = np.stack([h.pixel_array * float(h.RescaleSlope) + float(h.RescaleIntercept) for h in headers])
    first, last = (np.array(headers[at].ImagePositionPatient, float) for at in (0, -1))
    down, across = (float(step) for step in headers[0].PixelSpacing)
    assert all(header.PixelSpacing == headers[0].PixelSpacing for header in headers)
    spacing = (across, down, normal @ (last - first) / (len(headers) - 1))
    return voxels, spacing, tuple(first), tuple(np.stack([rows, columns, normal], axis=1).ravel())


def test_whatever_a_tag_says_a_series_is_refused_or_read_as_it_is(valid: list[Path], folder: Path):
    wrong, read = misread(((how, folder) for how in mutated_series(valid, folder, inner=False)), difference)
    assert wrong == []
    assert read


def difference(image: sitk.Image, folder: Path) -> str:
    """What was read, where pydicom reads it otherwise; else ""."""
    told = (sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    if all(np.allclose(*pair, rtol=1e-4) for pair in zip(told, read_by_pydicom(folder), strict=True)):
        return ""
    return f"{told[1:]} and voxels from {told[0].min():g} to {told[0].max():g}"


def factor_by_pydicom(folder: Path) -> float:
    """Of Bq/ml in a series whose slices agree."""
    header, *others = (pydicom.dcmread(file) for file in sorted(folder.iterdir()))
    if header.Units == "GML":
        return 1.0
    (nuclide,) = header.RadiopharmaceuticalInformationSequence
    for other in others:
        assert other.RadiopharmaceuticalInformationSequence[0] == nuclide
        assert (other.SeriesTime, other.SeriesDate, other.PatientWeight) == (
            header.SeriesTime,
            header.SeriesDate,
            header.PatientWeight,
        )
    started, injected = (
        datetime.combine(pydicom.valuerep.DA(header.SeriesDate), pydicom.valuerep.TM(time))
        for time in (header.SeriesTime, nuclide.RadiopharmaceuticalStartTime)
    )
    waited = 0 if header.DecayCorrection == "ADMIN" else (started - injected).total_seconds() % 86400
    left = float(nuclide.RadionuclideTotalDose) * 0.5 ** (waited / float(nuclide.RadionuclideHalfLife))
    return 1000 * float(header.PatientWeight) / left


def test_whatever_a_tag_says_no_series_gets_a_factor_that_its_tags_do_not_give(valid: list[Path], folder: Path):
    wrong, told = [], 0
    for how in mutated_series(valid, folder):
        try:
            factor = suv_factor_of_series(sorted(folder.iterdir()))
        except UserError:  # its user names the case
            continue
        told += 1
        if not np.isclose(factor, factor_by_pydicom(folder), rtol=1e-6):
            wrong.append(f"{how}: {factor:g}")
    assert wrong == []
    assert told
