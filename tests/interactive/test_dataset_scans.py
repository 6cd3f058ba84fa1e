"""Cases of a dataset as a teacher looks at them."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from clickable_dataset import label_map, write_clickable_dataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.interactive.dataset_scans import choose, find_cases, organ_values, read_channel, read_labels


def cases_of(folder: Path, split: str = "Tr"):
    return find_cases(folder, json.loads((folder / "dataset.json").read_text()), split=split)


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SAL", "PIR"])
def test_any_orientation_of_the_files_gives_the_same_voxels(tmp_path: Path, orientation: str):
    case = cases_of(write_clickable_dataset(tmp_path, cases=1, orientation=orientation))["box_0"]
    labels = read_labels(case)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(labels, "LPS")), label_map())
    ct, spacing = read_channel(case, 0, "LPS", labels=labels)
    np.testing.assert_array_equal(ct > 50, label_map() > 0)
    assert spacing == pytest.approx((4.0, 4.0, 4.0))
    turned, _ = read_channel(case, 0, "RAS", labels=labels)
    np.testing.assert_array_equal(turned > 50, label_map()[:, ::-1, ::-1] > 0)


def test_spacing_goes_with_the_axes(tmp_path: Path):
    case = cases_of(write_clickable_dataset(tmp_path, cases=1))["box_0"]
    for file in (*case.images, case.label):
        image = sitk.ReadImage(str(file))
        image.SetSpacing((2.0, 3.0, 5.0))
        sitk.WriteImage(sitk.DICOMOrient(image, "SRA"), str(file))
    assert read_channel(case, 1, "LPS", labels=read_labels(case))[1] == pytest.approx((5.0, 3.0, 2.0))


def test_scans_without_a_label_map_are_no_cases(tmp_path: Path):
    folder = write_clickable_dataset(tmp_path, cases=2)
    (folder / "labelsTr" / "box_0.nii.gz").unlink()
    assert list(cases_of(folder)) == ["box_1"]


def test_a_split_without_labels_is_answered_with_the_other_one(tmp_path: Path):
    with pytest.raises(UserError, match=r"imagesTs and labelsTs.*--split Tr"):
        cases_of(write_clickable_dataset(tmp_path), split="Ts")


def test_a_list_of_files_stands_for_the_folders(tmp_path: Path):
    folder = write_clickable_dataset(tmp_path, cases=1)
    content = json.loads((folder / "dataset.json").read_text())
    images = [f"imagesTr/box_0_000{channel}.nii.gz" for channel in (0, 1)]
    content["dataset"] = {"one": {"images": images, "label": "labelsTr/box_0.nii.gz"}}
    case = find_cases(folder, content, split="Tr")["one"]
    assert read_channel(case, 1, "LPS", labels=read_labels(case))[0].max() == 9
    assert content["dataset"]["one"]["label"] == "labelsTr/box_0.nii.gz"


def test_another_grid_is_one_sentence_with_both_files(tmp_path: Path):
    case = cases_of(write_clickable_dataset(tmp_path, cases=1))["box_0"]
    image = sitk.ReadImage(str(case.images[0]))
    image.SetOrigin((0.0, 0.0, 3.0))
    sitk.WriteImage(image, str(case.images[0]))
    with pytest.raises(UserError, match=r"box_0_0000.*box_0\.nii\.gz lie on different grids"):
        read_channel(case, 0, "LPS", labels=read_labels(case))


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    case = cases_of(write_clickable_dataset(tmp_path, cases=1))["box_0"]
    with pytest.raises(UserError, match="no file of channel 0002"):
        read_channel(case, 2, "LPS", labels=read_labels(case))
    case.images[0].write_bytes(case.images[0].read_bytes()[:200])
    with pytest.raises(UserError, match=r"box_0_0000.nii.gz is truncated"):
        read_channel(case, 0, "LPS", labels=read_labels(case))
    case.images[0].write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"box_0_0000.nii.gz cannot be read"):
        read_channel(case, 0, "LPS", labels=read_labels(case))


def test_a_label_map_with_nan_is_no_label_map_with_background_there(tmp_path: Path):
    case = cases_of(write_clickable_dataset(tmp_path, cases=1))["box_0"]
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label))).astype(np.float32)
    labels[labels == 1] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(case.label))
    with pytest.raises(UserError, match=r"label map .*box_0\.nii\.gz are NaN or infinite"):
        read_labels(case)


def test_background_and_ignore_are_no_organs():
    labels = {"background": 0, "liver": 1, "spleen": [2], "ignore": 3}
    assert organ_values({"labels": labels}) == ({"liver": 1, "spleen": 2}, 3)


def test_regions_are_refused_by_name():
    with pytest.raises(UserError, match="Label 'whole' is a region made of the labels 1, 2"):
        organ_values({"labels": {"background": 0, "whole": [1, 2], "core": 2}})


def test_unknown_names_are_answered_with_the_known_ones():
    assert choose(None, {"a": 1, "b": 2}, what="label") == ["a", "b"]
    assert choose(["b", "a", "b"], {"a": 1, "b": 2}, what="label") == ["a", "b"]
    with pytest.raises(UserError, match="There is no label c, d; there are: a, b"):
        choose(["d", "a", "c"], {"a": 1, "b": 2}, what="label")
    with pytest.raises(UserError, match="and 5 more"):
        choose(["x"], {str(number): number for number in range(15)}, what="labelled case")
