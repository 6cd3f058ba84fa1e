"""Whatever field of a NIfTI header is something else, the file is refused by name, or read as nibabel reads it."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from mutated_nifti import FORMS, mutated_nifti, valid_nifti
from readings import misread

from nnunetv2_muduo.datasets.scan_grid import ScanGrid

UNITS = {1: 1000.0, 3: 0.001}  # of length, in mm
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("codes", "order", "kind"), [*((codes, "<", np.int16) for codes in FORMS[:-1]), (FORMS[0], ">", np.float32)]
)
def test_whatever_a_field_says_a_file_is_refused_or_read_as_it_is(tmp_path: Path, codes, order, kind):
    mutated = mutated_nifti(valid_nifti(codes=codes, order=order, kind=kind), order=order)
    wrong, read = misread(written(mutated, tmp_path), difference)
    assert wrong == []
    assert read


def written(mutated: Iterable[tuple[str, bytes]], folder: Path) -> Iterator[tuple[str, Path]]:
    """One after the other, every fourth compressed."""
    for number, (how, content) in enumerate(mutated):
        file = folder / ("a.nii" if number % 4 else "a.nii.gz")
        file.write_bytes(content if number % 4 else gzip.compress(content, compresslevel=1))
        yield how, file


def difference(image: sitk.Image, file: Path) -> str:
    """What nibabel reads otherwise; "" for nothing. Of sform and qform of two spaces, either will do."""
    told = nibabel.load(file)
    values = np.squeeze(np.asanyarray(told.dataobj))
    mine = sitk.GetArrayFromImage(image).T
    if mine.shape != values.shape or not np.allclose(mine, values, rtol=1e-5):
        return f"voxels {mine.ravel()[:3]} against {values.ravel()[:3]}"
    in_mm = UNITS.get(int(told.header["xyzt_units"]) & 7, 1.0)
    forms = [form for form in (told.get_sform(coded=True), told.get_qform(coded=True)) if form[0] is not None]
    codes = {int(code) for _, code in forms}
    grids = [LPS_FROM_RAS @ np.diag([in_mm, in_mm, in_mm, 1]) @ affine for affine, _ in forms]
    near = [np.allclose(ScanGrid.of(image).affine(), grid, rtol=1e-3, atol=1.01) for grid in grids]
    enough = any(near) if len(codes) > 1 or not forms else all(near)
    return "" if enough or not forms else f"affine {ScanGrid.of(image).affine().tolist()} against {grids}"
