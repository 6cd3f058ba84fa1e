"""Whatever line of an MHA or NRRD header is something else, the file is refused by name, or read as it says."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from mutated_text_headers import VOXELS, mutated_headers
from readings import misread

OUTSIDE = np.full(120, 7, "<i2")  # voxels of other files, which no header may get


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_whatever_a_line_says_a_file_is_refused_or_read_as_it_says(tmp_path: Path, ending: str):
    folder = tmp_path / "scans"
    folder.mkdir()
    for other in (tmp_path / "other.raw", folder / "other.raw"):
        other.write_bytes(OUTSIDE.tobytes())
    file = folder / f"a{ending}"
    trials = ((how, file) for how, content in mutated_headers(ending) if file.write_bytes(content))
    wrong, read = misread(trials, difference)
    assert wrong == []
    assert read


def difference(image: sitk.Image, file: Path) -> str:
    """What of an image is not in the file: voxels, or any number of its grid but defaults of what the header lacks."""
    header = file.read_bytes()[:1000].decode("latin-1")
    values = sitk.GetArrayFromImage(image)
    expected = VOXELS.byteswap() if re.search("MSB = (True|1)\n|endian: big", header) else VOXELS
    if values.shape != VOXELS.shape or not np.array_equal(values, expected):
        return f"{values.shape} voxels from {values.min()} to {values.max()}"
    lines = re.findall(r"^(?:Offset|space origin|ElementSpacing|space directions).*$", header, re.MULTILINE)
    said = {abs(float(number)) for line in lines for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", line)}
    numbers = {round(abs(number), 4) for number in (*image.GetSpacing(), *image.GetOrigin())}
    made_up = numbers - said - {0.0} - ({1.0} if "ElementSpacing" not in header and "NRRD" not in header else set())
    return f"{made_up} are not in {lines}" if made_up else ""
