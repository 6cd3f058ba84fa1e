import json

import numpy as np
import pytest
import SimpleITK as sitk
from evaluated_folders import reference_labels
from trained_folders import DATASET, write_fold, write_scans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.reporting.case_files import load_case
from nnunetv2_muduo.reporting.training import read_training

DICE = {"a": {"liver": 0.9, "spleen": 0.5, "lesion": 0.1}}


@pytest.fixture
def training(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    write_scans(tmp_path / "raw", ("a",))
    return read_training(write_fold(tmp_path, dice=DICE), "mine")


def case_of(training):
    return training.validation.cases[0]


def test_case_is_read_from_nnunets_folders(training):
    case = load_case(training, case_of(training))
    np.testing.assert_array_equal(case.reference, reference_labels())
    np.testing.assert_array_equal(case.prediction, np.roll(reference_labels(), 1, axis=2))
    assert case.modalities == {"CT": "CT", "PET": "PET"}
    np.testing.assert_array_equal(case.images["PET"], reference_labels() * 2.0)
    assert case.spacing_in_mm == (3.0, 2.0, 2.0)
    assert case.oriented


def test_case_that_lies_upside_down_is_turned(training, tmp_path):
    files = [*(tmp_path / "raw" / DATASET).glob("*Tr/a*.nii.gz"), training.folder / "validation" / "a.nii.gz"]
    for file in files:
        image = sitk.ReadImage(str(file))
        image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, -1))
        sitk.WriteImage(image, str(file))
    case = load_case(training, case_of(training))
    np.testing.assert_array_equal(case.reference, reference_labels()[::-1, ::-1])


def test_arrays_outlive_the_images_they_were_read_from(training):
    case = load_case(training, case_of(training))
    assert case.reference.flags.owndata or case.reference.base.flags.owndata


@pytest.mark.parametrize("missing", ["imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz"])
def test_missing_file_is_named(training, tmp_path, missing):
    (tmp_path / "raw" / DATASET / missing).unlink()
    with pytest.raises(UserError, match=missing.split("/")[1]):
        load_case(training, case_of(training))


def test_variable_that_is_not_set_is_named(training, monkeypatch):
    monkeypatch.delenv("nnUNet_raw")
    with pytest.raises(UserError, match="nnUNet_raw is not set"):
        load_case(training, case_of(training))


def test_other_grid_is_refused(training):
    file = str(training.folder / "validation" / "a.nii.gz")
    image = sitk.ReadImage(file)
    image.SetSpacing((9.0, 9.0, 9.0))
    sitk.WriteImage(image, file)
    with pytest.raises(UserError, match="different grids"):
        load_case(training, case_of(training))


def test_files_listed_in_dataset_json_are_found_where_they_lie(training, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "raw" / DATASET / "imagesTr").rename(elsewhere)
    images = [str(elsewhere / f"a_{channel:04d}.nii.gz") for channel in range(2)]
    listed = json.loads(json.dumps(training.dataset_json))
    listed["dataset"] = {"a": {"images": images, "label": "labelsTr/a.nii.gz"}}
    training.dataset_json.update(listed)
    assert list(load_case(training, case_of(training)).images) == ["CT", "PET"]
