"""NRRD files whose header ITK reads otherwise than it says, or is ended by, are told of."""

from pathlib import Path

import pytest
import SimpleITK as sitk
from mutated_text_headers import NRRD, whole

from nnunetv2_muduo.datasets.nrrd_header import nrrd_problem


def told(folder: Path, start: str, line: str, *, name: str = "a.nrrd") -> str | None:
    """Of a file in which another line is in place of the one with this beginning."""
    lines = [line if old.startswith(start) else old for old in NRRD]
    (folder / name).write_bytes(whole(lines))
    return nrrd_problem(folder / name)


def test_what_simpleitk_writes_is_whole(tmp_path: Path):
    for compressed in (False, True):
        sitk.WriteImage(sitk.Image([90, 80, 70], sitk.sitkInt16), str(tmp_path / "a.nrrd"), useCompression=compressed)
        assert nrrd_problem(tmp_path / "a.nrrd") is None
    assert told(tmp_path, "none", "") is None
    assert nrrd_problem(tmp_path / "none.nii.gz") is None


def test_long_comments_and_entries_of_other_programs_pass(tmp_path: Path):
    assert told(tmp_path, "kinds", f"# {'x' * 5000}\nkey:={'y' * 70000}") is None


@pytest.mark.parametrize(
    ("start", "line", "words"),
    [
        ("type", f"type: {'x' * 5000}", "line of its header has 5006 letters"),
        ("space:", "space: scanner-xyz", "nothing about how the patient lies"),
        ("space dir", "space directions: none none none", "no three vectors"),
        ("space dir", "space directions: (2,0,0) (0,0,nan) (0,4,0)", "no three vectors"),
        ("space origin", "space origin: (1,0,0) (0,1,0)", "origin is no place"),
        ("kinds", 'space units: "m" "m" "m"', "space units are m m m, not mm"),
        ("kinds", "byte skip: -100", "byte skip is -100"),
        ("kinds", "data file: other.raw", "in another file"),
        ("sizes", "sizes: 6000 5000 400", "bytes of voxels, which it cannot hold"),
    ],
)
def test_what_itk_passes_over_is_told(tmp_path: Path, start: str, line: str, words: str):
    assert words in str(told(tmp_path, start, line))


def test_voxels_outside_of_the_folder_are_not_read(tmp_path: Path):
    assert "not in its folder" in str(told(tmp_path, "kinds", "data file: ../a.raw", name="a.nhdr"))
    assert told(tmp_path, "kinds", "data file: a.raw", name="a.nhdr") is None
