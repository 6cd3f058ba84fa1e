"""A dataset is examined from its channels to the GPU, and nothing is changed."""

import json

import pytest
from doctor_dataset import DATASET_JSON, PLANS, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo import cli
from nnunetv2_muduo.doctor import Mark, examine, gpu, labelled_cases
from nnunetv2_muduo.doctor.check import Check, ok
from nnunetv2_muduo.doctor.examination import Subject, examine_dataset

SIMULATED_NEED = gpu.simulated_need


def test_dataset_is_examined_from_its_channels_to_the_gpu(tiny: Tiny):
    tiny.preprocess(4)
    checks = {check.name: check for check in examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")}
    failed = {name for name, check in checks.items() if check.mark is Mark.FAIL}
    assert failed == {"CT teacher"}
    assert checks["PET teacher"].found == "switched off"
    assert checks["unlabelled preprocessed"].found == "0 of 2 up to date"
    assert {"nnUNet_raw", "-tr nnUNetTrainerMuDuo", "channels", "labels", "plans", "disk", "GPU"} <= set(checks)


def test_plans_of_another_name_are_named_in_every_remedy(tiny: Tiny):
    content = DATASET_JSON | {"labels": {"background": 0, "kidney_left": 1, "kidney_right": 2}}
    (tiny.preprocessed / "Ours.json").write_bytes((tiny.preprocessed / "nnUNetPlans.json").read_bytes())

    def remedies() -> dict[str, str]:
        checks = examine_dataset(Subject(tiny.raw, tiny.preprocessed, content, "3d_fullres", "Ours"))
        return {check.name: check.remedy for check in checks}

    told = remedies()
    assert told["left and right"] == "muduo plan -d 221 -p Ours --set mirroring=false"
    assert told["labelled preprocessed"] == "nnUNetv2_preprocess -d 221 -plans_name Ours -c 3d_fullres"
    assert told["unlabelled preprocessed"].startswith("muduo preprocess-unlabelled -d 221 -c 3d_fullres -p Ours (")
    (tiny.preprocessed / "Ours.json").write_text(json.dumps({**PLANS, "muduo": {"pints": 5}}))
    assert remedies()["plans"].endswith("muduo plan -d 221 -p Ours")


def test_labels_corrected_after_planning_are_told_to_reach_no_training(tiny: Tiny):
    def failed() -> set[str]:
        checks = examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")
        return {check.name for check in checks if check.mark is Mark.FAIL}

    (tiny.raw / "dataset.json").write_text(json.dumps(DATASET_JSON | {"labels": {"background": 0, "liver": 1}}))
    assert "dataset.json" in failed()
    (tiny.preprocessed / "nnUNetPlans.json").unlink()
    assert "dataset.json" not in failed()  # planning is to come, and copies it


def test_dataset_without_plans_is_examined_as_far_as_possible(tiny: Tiny):
    (tiny.preprocessed / "nnUNetPlans.json").unlink()
    checks = {check.name: check for check in examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")}
    assert checks["plans"].mark is Mark.FAIL
    assert checks["unlabelled scans"].mark is Mark.OK
    assert "sam_med3d_turbo" in checks["CT teacher"].found  # a training takes the defaults then


def test_plans_that_are_refused_tell_of_their_own_teachers_and_never_of_the_default_ones(tiny: Tiny):
    def examined(configuration: str = "3d_fullres") -> dict[str, Check]:
        checks = examine("221", configuration=configuration, plans_identifier="nnUNetPlans")
        return {check.name: check for check in checks}

    other_configuration = examined("3d_lowres")
    assert other_configuration["plans"].mark is Mark.FAIL
    assert other_configuration["PET teacher"].found == "switched off"
    tiny.write_plans(muduo={"pints": 5, "ct_teacher": None, "pet_teacher": None})
    unreadable = examined()
    assert unreadable["plans"].mark is Mark.FAIL
    assert not {"CT teacher", "PET teacher"} & set(unreadable)


def test_old_dataset_that_calls_its_channels_modality_is_examined_like_any_other(tiny: Tiny):
    tiny.write_plans(muduo={"ct_teacher": None, "pet_teacher": "standin_pet"})
    old = {key: value for key, value in DATASET_JSON.items() if key != "channel_names"}
    old["modality"] = DATASET_JSON["channel_names"]
    found, expected = (
        examine_dataset(Subject(tiny.raw, tiny.preprocessed, content, "3d_fullres", "nnUNetPlans"))
        for content in (old, DATASET_JSON)
    )
    assert {"disk", "host memory"} < {check.name for check in found}
    steady = [[check for check in checks if check.name != "disk"] for checks in (found, expected)]  # free space varies
    assert steady[0] == steady[1]


@pytest.mark.parametrize(
    ("name", "taught_by"),
    [
        ("nnUNetTrainerMeanTeacher", set()),
        ("nnUNetTrainerUAMT", set()),
        ("nnUNetTrainerCPS", set()),
        ("nnUNetTrainerSemiSAM", {"PET teacher"}),
        ("nnUNetTrainerMuDuo", {"CT teacher", "PET teacher"}),
    ],
)
def test_a_trainer_is_asked_for_what_it_uses(tiny: Tiny, name: str, taught_by: set[str]):
    tiny.write_plans(muduo={"ct_teacher": "standin_ct", "pet_teacher": "standin_pet", "generalist": "pet"})
    checks = examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans", trainer_name=name)
    found = {check.name: check for check in checks}
    assert mark_of(found[f"-tr {name}"]) is Mark.OK
    assert {"CT teacher", "PET teacher"} & set(found) == taught_by
    assert ("teacher cache" in found) == (name == "nnUNetTrainerMuDuo")
    assert "unlabelled preprocessed" in found


def test_unknown_dataset_is_a_failed_check_not_a_crash(tiny: Tiny, capsys: pytest.CaptureFixture):
    assert cli.main(["doctor", "-d", "7", "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)
    assert checks[-1]["name"] == "dataset"
    assert "Dataset221_Tiny" in checks[-1]["found"]


def test_examining_changes_nothing(tiny: Tiny):
    before = {path: path.stat().st_mtime_ns for path in tiny.raw.parents[1].rglob("*")}
    examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")
    assert {path: path.stat().st_mtime_ns for path in tiny.raw.parents[1].rglob("*")} == before


def test_plans_whose_network_cannot_be_built_are_a_failed_check_and_no_traceback(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gpu, "simulated_need", SIMULATED_NEED)
    plans = json.loads(json.dumps(PLANS))
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["strides"] = [[1, 1, 1], "ab"]
    tiny.write_plans(**plans)
    checks = examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")
    assert any(check.name == "plans" and check.mark is Mark.FAIL and "3d_fullres" in check.found for check in checks)


def test_labelled_cases_are_read_when_that_is_asked_for(tiny: Tiny, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(labelled_cases, "check_labelled_cases", lambda *_, channels: [ok("cases", str(channels))])
    subject = Subject(tiny.raw, tiny.preprocessed, DATASET_JSON, "3d_fullres", "nnUNetPlans")
    assert ok("cases", "(0, 1)") in examine_dataset(subject, read_cases=True)
    assert ok("cases", "(0, 1)") not in examine_dataset(subject)


@pytest.mark.parametrize("arguments", [[], ["-d", "221", "-tr", "nnUNetTrainerPETCTMAE"]])
def test_cases_without_labels_are_refused(arguments: list[str], capsys: pytest.CaptureFixture):
    assert cli.main(["doctor", "--cases", *arguments]) == 2
    assert "--cases looks at labelled cases" in capsys.readouterr().err
