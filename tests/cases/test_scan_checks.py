from pathlib import Path

import numpy as np
import pytest
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunetv2_muduo.cases.scan_checks import BadScanError, check_grids, find_scans, read_scan

CHANNELS = ("CT", "PET")


def noise(seed: int = 0, shape=(6, 7, 8)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def read(files, reader=None):
    file_ending = "".join(files[0].suffixes)
    return read_scan(files, reader=reader or SimpleITKIO(), channels=CHANNELS, file_ending=file_ending)


def found_files(dataset, case="case"):
    return find_scans(dataset.raw / "imagesUn", dataset.dataset_json["file_ending"])[0][case]


def reason(dataset) -> str:
    with pytest.raises(BadScanError) as caught:
        read(found_files(dataset))
    return str(caught.value)


def test_scans_are_found_by_nnunets_naming(tiny_dataset):
    for case in ("pat 1.v2", "b", "a_0001"):
        tiny_dataset.write_scan(case, channels=[noise(), noise()])
    (tiny_dataset.raw / "imagesUn" / "readme.txt").write_text("not a scan")
    scans, strays = find_scans(tiny_dataset.raw / "imagesUn", ".nii.gz")
    assert {case: [file.name for file in files] for case, files in scans.items()} == {
        "a_0001": ["a_0001_0000.nii.gz", "a_0001_0001.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
        "pat 1.v2": ["pat 1.v2_0000.nii.gz", "pat 1.v2_0001.nii.gz"],
    }
    assert strays == {}


def test_files_without_channel_number_are_told_by_name(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise()])
    tiny_dataset.write_channel(noise(), tiny_dataset.raw / "imagesUn" / "pat_CT.nii.gz")
    scans, strays = find_scans(tiny_dataset.raw / "imagesUn", ".nii.gz")
    assert list(scans) == ["case"]
    assert "_0000.nii.gz" in strays["pat_CT.nii.gz"]


def test_a_name_that_nnunet_takes_for_labels_is_refused(tiny_dataset):
    tiny_dataset.write_scan("pat_seg", channels=[noise(), noise()])
    scans, strays = find_scans(tiny_dataset.raw / "imagesUn", ".nii.gz")
    assert scans == {}
    assert "_seg" in strays["pat_seg"]


@pytest.mark.parametrize("channel", [0, 1])
def test_a_scan_with_a_link_to_nothing_is_told_by_name_and_target(tiny_dataset, channel):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case, channels=[noise(), noise()])
    file = tiny_dataset.raw / "imagesUn" / f"a_000{channel}.nii.gz"
    file.unlink()
    file.symlink_to("/mnt/pet/a.nii.gz")
    scans, strays = find_scans(tiny_dataset.raw / "imagesUn", ".nii.gz")
    assert list(scans) == ["b"]
    assert f"{file.name} is a link to /mnt/pet/a.nii.gz" in strays["a"]


@pytest.mark.parametrize("reader", [SimpleITKIO(), NibabelIO()])
def test_a_good_scan_is_read_as_nnunet_reads_it(tiny_dataset, reader):
    tiny_dataset.write_scan("case")
    files = found_files(tiny_dataset)
    image, properties = read(files, reader)
    expected_image, expected_properties = reader.read_images([str(file) for file in files])
    np.testing.assert_array_equal(image, expected_image)
    assert image.dtype == np.float32
    assert properties["spacing"] == expected_properties["spacing"]


def test_a_missing_channel_is_named(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise()])
    assert "1 (PET)" in reason(tiny_dataset)


def test_a_missing_first_channel_is_named(tiny_dataset):
    tiny_dataset.write_channel(noise(), tiny_dataset.raw / "imagesUn" / "case_0001.nii.gz")
    assert "0001 instead of 0000 (CT), 0001 (PET)" in reason(tiny_dataset)


def test_an_extra_channel_is_told(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise(), noise()])
    assert "0000, 0001, 0002 instead of 0000 (CT), 0001 (PET)" in reason(tiny_dataset)


def test_a_file_with_several_volumes_is_told(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise()])
    tiny_dataset.write_channel(
        noise(shape=(3, 6, 7, 8)),
        tiny_dataset.raw / "imagesUn" / "case_0001.nii.gz",
        spacing=(1, 1, 1, 1),
        origin=[0] * 4,
    )
    assert "4 channel(s) instead of 2" in reason(tiny_dataset)


def test_an_unreadable_file_is_named_with_the_readers_words(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise()])
    (tiny_dataset.raw / "imagesUn" / "case_0001.nii.gz").write_text("no image")
    assert "case_0001.nii.gz cannot be read: " in reason(tiny_dataset)
    assert "Unable to determine ImageIO reader" in reason(tiny_dataset)


def test_a_truncated_file_is_named(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise()])
    file = tiny_dataset.raw / "imagesUn" / "case_0000.nii.gz"
    file.write_bytes(file.read_bytes()[:-40])
    assert "case_0000.nii.gz is truncated" in reason(tiny_dataset)


def test_different_shapes_are_shown_both(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise(shape=(6, 7, 9))])
    assert "shape (z, y, x) (6, 7, 8) against (6, 7, 9)" in reason(tiny_dataset)


@pytest.mark.parametrize(
    ("geometry", "told"),
    [
        ({"spacing": (2.5, 2.0, 4.0)}, "spacing (z, y, x) (3, 2, 2.5) against (4, 2, 2.5)"),
        ({"origin": (0.0, 1.0, 0.0)}, "origin (0, 0, 0) against (0, 1, 0)"),
    ],
)
@pytest.mark.parametrize("reader", [SimpleITKIO(), NibabelIO()])
def test_different_grids_are_shown_both(tiny_dataset, geometry, told, reader):
    tiny_dataset.write_scan("case", channels=[noise(), noise()])
    tiny_dataset.write_channel(noise(1), tiny_dataset.raw / "imagesUn" / "case_0001.nii.gz", **geometry)
    with pytest.raises(BadScanError, match="different grids") as caught:
        read(found_files(tiny_dataset), reader)
    assert told in str(caught.value).replace("-", "")  # nibabel's world points the other way


def test_grids_of_unlike_axes_are_different():
    plain = (noise()[None], {"spacing": (3.0, 2.0, 2.5)})
    in_colours = (noise()[None, 0], {"spacing": (2.0, 2.5)})
    with pytest.raises(BadScanError, match=r"different grids: .*spacing \(z, y, x\) \(3, 2, 2.5\) against \(2, 2.5\)"):
        check_grids([plain, in_colours], [Path("scan.nii.gz"), Path("prediction.nii.gz")])


def test_rounding_makes_no_different_grid(tiny_dataset):
    tiny_dataset.write_scan("case", channels=[noise(), noise()])
    tiny_dataset.write_channel(
        noise(1),
        tiny_dataset.raw / "imagesUn" / "case_0001.nii.gz",
        spacing=(2.50001, 2.00001, 3.00001),
        origin=(0.001, 0.0, 0.0),
    )
    assert read(found_files(tiny_dataset))[0].shape == (2, 6, 7, 8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("file_ending", [".nii.gz", ".nrrd"])
def test_voxels_that_are_no_numbers_are_counted(tiny_dataset, value, file_ending):
    pet = noise()
    pet[2, 3, 4] = pet[1, 1, 1] = value
    tiny_dataset.dataset_json["file_ending"] = file_ending
    tiny_dataset.write_scan("case", channels=[noise(), pet])
    assert reason(tiny_dataset) == f"2 voxel(s) of case_0001{file_ending} are NaN or infinite"


@pytest.mark.parametrize("value", [0, -1024])
def test_a_channel_that_is_the_same_everywhere_is_told(tiny_dataset, value):
    tiny_dataset.write_scan("case", channels=[np.full((6, 7, 8), value, np.float32), noise()])
    assert reason(tiny_dataset) == f"CT is {value} everywhere"
