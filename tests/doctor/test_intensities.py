"""`muduo doctor` on intensities: what nnU-Net's fingerprint says of a foreground that is not HU or not SUV is told."""

import json
from pathlib import Path

import numpy as np
import pytest
from doctor_dataset import DATASET_JSON, Tiny

from nnunetv2_muduo.doctor import examine
from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.intensities import (
    FINGERPRINT,
    check_intensities,
    foreground_problem_of_ct,
    foreground_problem_of_pet,
)
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.trainer_folder import trainer_folder

RNG = np.random.default_rng(0)
LIVER = RNG.normal(55, 15, 4000)
LUNG = RNG.normal(-820, 60, 4000)
LESIONS = RNG.gamma(4, 2, 4000)
WARM_LIVER = RNG.normal(2.2, 0.3, 4000)


def numbers(values: np.ndarray) -> dict[str, float]:
    """As nnU-Net writes them."""
    return {
        "max": float(values.max()),
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "min": float(values.min()),
        "percentile_00_5": float(np.percentile(values, 0.5)),
        "percentile_99_5": float(np.percentile(values, 99.5)),
        "std": float(values.std()),
    }


def write_fingerprint(folder: Path, ct: np.ndarray, pet: np.ndarray) -> None:
    properties = {"0": numbers(ct), "1": numbers(pet)}
    content = {"foreground_intensity_properties_per_channel": properties, "spacings": []}
    (folder / FINGERPRINT).write_text(json.dumps(content))


@pytest.fixture
def preprocessed(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset221_Tiny"
    folder.mkdir()
    return folder


def checked(preprocessed: Path) -> Check:
    (check,) = check_intensities(preprocessed, DATASET_JSON, Settings(), plans_identifier="nnUNetResEncUNetMPlans")
    assert bool(check.remedy) == (check.mark is not Mark.OK)
    return check


@pytest.mark.parametrize("values", [LIVER, LUNG, LIVER + 80, LIVER - 50, LIVER - 155, RNG.normal(700, 200, 4000)])
def test_foreground_of_any_organ_is_hu(values):
    assert foreground_problem_of_ct(numbers(np.rint(values))) is None


@pytest.mark.parametrize("values", [LESIONS, WARM_LIVER, WARM_LIVER / 4 + (RNG.random(4000) > 0.99), LESIONS * 20])
def test_foreground_of_any_uptake_is_suv(values):
    assert foreground_problem_of_pet(numbers(values)) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((LIVER - 55) / 15, "normalised"),
        (np.clip(LIVER / 400 + 0.4, 0, 1), "normalised"),
        (LESIONS * 2, "is it PET"),
        (np.clip(np.rint(LIVER * 3), 0, 255), "bytes"),
        (np.concatenate([LIVER, LUNG, LIVER]) + 1024, "1024 above HU"),
    ],
    ids=["z-scored", "0 to 1", "SUV", "bytes", "offset"],
)
def test_other_numbers_are_no_hu(values, words):
    assert words in str(foreground_problem_of_ct(numbers(values)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (LIVER - 150, "is it CT"),
        (WARM_LIVER * 4000, "Bq/ml"),
        ((WARM_LIVER - 3) / 1.5, "z-scored"),
        (LESIONS / LESIONS.max(), "ends at 1 "),
        (np.rint(LESIONS / LESIONS.max() * 255), "bytes"),
    ],
    ids=["HU", "Bq/ml", "z-scored", "0 to 1", "bytes"],
)
def test_other_numbers_are_no_suv(values, words):
    assert words in str(foreground_problem_of_pet(numbers(values)))


def test_good_numbers_are_a_good_check(preprocessed):
    write_fingerprint(preprocessed, LIVER, LESIONS)
    assert checked(preprocessed).mark is Mark.OK


def test_all_that_is_wrong_is_told_with_one_remedy(preprocessed):
    write_fingerprint(preprocessed, LIVER / 400, LESIONS * 4000)
    check = checked(preprocessed)
    assert check.mark is Mark.WARN
    assert "no CT in HU" in check.found
    assert "no PET in SUV" in check.found
    assert "nnUNetv2_plan_and_preprocess -d 221 -pl nnUNetPlannerResEncM" in check.remedy  # which made these plans


@pytest.mark.parametrize(
    "content",
    [None, "{", "[]", "{}", '{"foreground_intensity_properties_per_channel": {"0": 3, "1": {"max": "a"}}}'],
)
def test_without_a_whole_fingerprint_nothing_is_said(preprocessed, content):
    if content is not None:
        (preprocessed / FINGERPRINT).write_text(content)
    assert check_intensities(preprocessed, DATASET_JSON, Settings(), plans_identifier="nnUNetResEncUNetMPlans") == []


def test_a_planned_dataset_is_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for variable in FOLDER_VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("nnUNet_extTrainer", str(trainer_folder()))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("nnunetv2_muduo.doctor.gpu.simulated_need", lambda *_, **__: None)
    tiny = Tiny(tmp_path)
    write_fingerprint(tiny.preprocessed, LIVER, LESIONS * 4000)
    checks = examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")
    assert [check.mark for check in checks if check.name == "intensities"] == [Mark.WARN]
