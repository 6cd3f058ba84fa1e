"""MetaImage files whose header ITK reads otherwise than it says are told of."""

import zlib
from pathlib import Path

import pytest
import SimpleITK as sitk
from mutated_text_headers import MHA, VOXELS, whole

from nnunetv2_muduo.datasets.metaimage_header import metaimage_problem


def told(folder: Path, *changes: tuple[str, str], voxels: bytes = VOXELS.tobytes(), name: str = "a.mha") -> str | None:
    """Of a file some of whose lines, by their beginnings, are others."""
    lines = [next((line for start, line in changes if old.startswith(start)), old) for old in MHA]
    (folder / name).write_bytes(whole(lines, voxels))
    return metaimage_problem(folder / name)


def test_what_simpleitk_writes_is_whole(tmp_path: Path):
    for kind in (sitk.sitkUInt8, sitk.sitkInt16, sitk.sitkFloat32, sitk.sitkFloat64, sitk.sitkInt64):
        for compressed in (False, True):
            for name in ("a.mha", "a.mhd"):
                sitk.WriteImage(sitk.Image([9, 8, 7], kind), str(tmp_path / name), useCompression=compressed)
                assert metaimage_problem(tmp_path / name) is None
    assert told(tmp_path) is None
    assert metaimage_problem(tmp_path / "none.nii.gz") is None


@pytest.mark.parametrize(
    ("start", "line", "words"),
    [
        ("NDims", "NDims = 3\nNDims = -1", "says twice what NDims is"),
        ("Offset", "Offset = -10 20", "Offset does not hold 3 numbers"),
        ("Offset", "Offset = -10 20 nan", "Offset does not hold 3 numbers"),
        ("Offset", "Offset = -10 20 -30\nOrigin = 1 2 3", "says twice what Offset is"),
        ("Transform", "TransformMatrix = 1 0 0 0 1 0 0 0", "TransformMatrix does not hold 9 numbers"),
        ("ElementSpacing", "ElementSpacing = 2 3 -4", "voxels measure 2 3 -4"),
        ("BinaryDataByte", "BinaryDataByteOrderMSB = text", "neither True nor False"),
        ("ObjectType", "DistanceUnits = um", "DistanceUnits is um"),
        ("ObjectType", "HeaderSize = 100", "HeaderSize is 100"),
        ("ElementType", "ElementType = MET_UCHAR", "holds 240 bytes of voxels, and 120 were promised"),
        ("ElementDataFile", "ElementDataFile = a.raw", "in another file"),
        ("ElementDataFile", "", "does not say where its voxels are"),
    ],
)
def test_what_itk_passes_over_is_told(tmp_path: Path, start: str, line: str, words: str):
    assert words in str(told(tmp_path, (start, line)))


def test_a_number_may_be_written_in_any_way(tmp_path: Path):
    slope, offset = "ElementToIntensityFunctionSlope = 1.000", "ElementToIntensityFunctionOffset = 0.0"
    assert told(tmp_path, ("ObjectType", f"{slope}\n{offset}")) is None
    assert "Slope is 2" in str(told(tmp_path, ("ObjectType", "ElementToIntensityFunctionSlope = 2")))


@pytest.mark.parametrize("place", ["/etc/passwd", "../a.raw", "sub/../../a.raw"])
def test_voxels_outside_of_the_folder_are_not_read(tmp_path: Path, place: str):
    assert "not in its folder" in str(told(tmp_path, ("ElementDataFile", f"ElementDataFile = {place}"), name="a.mhd"))


@pytest.mark.parametrize("damage", ["cut", "changed", "other", "endless", "without its size"])
def test_compressed_voxels_that_are_damaged_are_told_of(tmp_path: Path, damage: str):
    packed = zlib.compress(VOXELS.tobytes())
    voxels = {"cut": packed[:-9], "changed": packed[:50] + b"\xff" * 9 + packed[59:], "other": VOXELS.tobytes()}
    voxels |= {"endless": zlib.compress(bytes(1 << 24))}
    content = voxels.get(damage, packed)
    size = "" if damage == "without its size" else f"\nCompressedDataSize = {len(content)}"
    assert "compressed" in str(told(tmp_path, ("Compressed", f"CompressedData = True{size}"), voxels=content))


def test_compressed_voxels_are_looked_at_only_where_they_are_read(tmp_path: Path):
    line = "CompressedData = True\nCompressedDataSize = 9"
    assert told(tmp_path, ("Compressed", line), voxels=b"no zlib..") == "its compressed voxels are damaged"
    assert metaimage_problem(tmp_path / "a.mha", unpack=False) is None
