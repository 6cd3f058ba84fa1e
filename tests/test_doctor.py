"""`muduo doctor`: every mistake it knows is found and comes with a remedy."""

import json
import os
import shutil
import warnings
from pathlib import Path

import pytest
from doctor_dataset import DATASET_JSON, PLANS, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo import cli
from nnunetv2_muduo.doctor import Mark, as_json, as_text, examine, exit_code, gpu, labelled_cases
from nnunetv2_muduo.doctor.check import Check, fail, ok, warn
from nnunetv2_muduo.doctor.disk import GIB, bytes_to_write, check_disk
from nnunetv2_muduo.doctor.examination import examine_dataset
from nnunetv2_muduo.doctor.folders import check_folder
from nnunetv2_muduo.doctor.gpu import GpuNeed, estimate_need, judge_memory, rule_of_thumb
from nnunetv2_muduo.doctor.teachers import check_teacher
from nnunetv2_muduo.doctor.trainer import check_look_up, check_trainer, check_variable
from nnunetv2_muduo.doctor.unlabelled import check_scans, count_fresh, judge_fresh
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.trainer_folder import trainer_folder

SIMULATED_NEED = gpu.simulated_need


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    for variable in FOLDER_VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("nnUNet_extTrainer", str(trainer_folder()))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    need = GpuNeed(student=1, teachers=1, source="a test of its own simulates")  # seconds each time
    monkeypatch.setattr(gpu, "simulated_need", lambda *arguments, **keywords: need)
    return Tiny(tmp_path)


# Folders and trainer


def test_folder_must_be_set_and_there(tmp_path: Path):
    assert mark_of(check_folder("nnUNet_results", None)) is Mark.FAIL
    assert mark_of(check_folder("nnUNet_results", str(tmp_path / "missing"))) is Mark.FAIL
    assert mark_of(check_folder("nnUNet_results", str(tmp_path))) is Mark.OK


def test_folder_that_is_read_only_fails_where_something_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert mark_of(check_folder("nnUNet_preprocessed", str(tmp_path))) is Mark.FAIL
    assert mark_of(check_folder("nnUNet_raw", str(tmp_path))) is Mark.OK


def test_trainer_folder_must_be_named_among_others(tmp_path: Path):
    assert mark_of(check_variable(None)) is Mark.FAIL
    assert mark_of(check_variable(str(tmp_path))) is Mark.FAIL
    assert mark_of(check_variable(f"{tmp_path}{os.pathsep}{trainer_folder()}")) is Mark.OK


def test_failing_look_up_is_reported_and_its_chatter_hidden(capsys: pytest.CaptureFixture):
    def look_up(name: str) -> type:
        print("Searching in external trainer paths")
        raise RuntimeError("Could not find requested nnunet trainer\nin many folders")

    check = check_look_up("nnUNetTrainerMuDuo", look_up)
    assert mark_of(check) is Mark.FAIL
    assert "\n" not in check.found
    assert capsys.readouterr().out == ""
    assert mark_of(check_look_up("dict", lambda name: dict)) is Mark.OK


def test_look_up_keeps_the_warnings_of_what_it_imports_to_itself(recwarn: pytest.WarningsRecorder):
    def look_up(name: str) -> type:
        warnings.warn("deprecated in torch", FutureWarning, stacklevel=1)
        return dict

    assert check_look_up("dict", look_up).mark is Mark.OK
    assert not recwarn.list


def test_look_up_is_spared_where_it_cannot_succeed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    assert [check.name for check in check_trainer()] == ["nnUNet_extTrainer"]


# Teachers


def test_missing_weights_come_with_the_command_that_fetches_them(tiny: Tiny):
    check = check_teacher("CT teacher", "sam_med3d_turbo")
    assert mark_of(check) is Mark.WARN
    assert check.remedy.startswith("muduo weights sam_med3d_turbo")


def test_unknown_teacher_fails(tiny: Tiny):
    assert mark_of(check_teacher("CT teacher", "no such teacher")) is Mark.FAIL


def test_teacher_that_is_switched_off_needs_no_weights():
    assert mark_of(check_teacher("CT teacher", None)) is Mark.OK


# Unlabelled scans


def test_good_scans_are_counted(tiny: Tiny):
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.OK
    assert check.found.startswith("2 in ")


def test_no_scans_fail_with_where_to_put_them(tiny: Tiny):
    for file in (tiny.raw / "imagesUn").iterdir():
        file.unlink()
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.FAIL
    assert "holds no scans" in check.found
    (tiny.raw / "imagesUn").rmdir()
    assert "does not exist" in check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO").found


def test_links_to_nothing_are_counted_among_the_bad_scans(tiny: Tiny):
    for case, mark in (("a", Mark.WARN), ("b", Mark.FAIL)):
        file = tiny.raw / "imagesUn" / f"{case}_0001.nii.gz"
        file.unlink()
        file.symlink_to("not mounted.nii.gz")
        check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
        assert mark_of(check) is mark
        assert "a (a_0001.nii.gz is a link to not mounted.nii.gz" in check.found
    assert "none of 2" in check.found


def test_bad_scans_are_named_with_their_reason_and_do_not_stop_the_good_ones(tiny: Tiny):
    tiny.write("lonely", 0)
    tiny.write("shifted", 0)
    tiny.write("shifted", 1, spacing=(1.0, 2.0, 3.5))
    tiny.write("smaller", 0)
    tiny.write("smaller", 1, shape=(4, 5, 5))
    for channel in (0, 1):
        (tiny.raw / "imagesUn" / f"text_000{channel}.nii.gz").write_text("not an image")
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.WARN
    assert "2 in order, 4 not" in check.found
    assert "lonely (1 channel(s) instead of 2)" in check.found
    assert "shifted (imagesUn/shifted_0001.nii.gz and shifted_0000.nii.gz differ in spacing" in check.found
    assert "smaller (imagesUn/smaller_0001.nii.gz and smaller_0000.nii.gz differ in size" in check.found
    assert "text (imagesUn/text_0000.nii.gz cannot be read)" in check.found


def test_channels_that_the_reader_turns_alike_lie_on_one_grid(tiny: Tiny):
    tiny.write("b", 1, orientation="RAS")
    reader = "SimpleITKIOWithReorient"
    assert mark_of(check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")) is Mark.WARN
    assert mark_of(check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader=reader)) is Mark.OK
    for number, examined in ((1, DATASET_JSON), (2, DATASET_JSON | {"overwrite_image_reader_writer": reader})):
        checks = examine_dataset(tiny.raw, tiny.preprocessed, examined, "3d_fullres", "PlansThatAreNotThere")
        (check,) = (check for check in checks if check.name == "unlabelled scans")
        assert check.found.startswith(f"{number} in ")


def test_labelled_cases_among_the_unlabelled_scans_are_named_and_not_waited_for(tiny: Tiny):
    (tiny.raw / "imagesTr").mkdir()
    for channel in (0, 1):
        file = f"a_000{channel}.nii.gz"
        shutil.copy(tiny.raw / "imagesUn" / file, tiny.raw / "imagesTr" / file)
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.WARN
    assert "1 in order, 1 not: a (already labelled" in check.found
    context = {"plans": PLANS, "configuration": "3d_fullres", "dataset_json": DATASET_JSON}
    assert count_fresh(tiny.raw, tiny.preprocessed, **context) == (0, 1)
    (tiny.preprocessed / "splits_final.json").write_text(json.dumps([{"train": ["c"], "val": ["d"]}]))
    assert mark_of(check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")) is Mark.OK
    (tiny.preprocessed / "splits_final.json").write_text("{}")
    assert (
        "splits_final.json must look like"
        in check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO").found
    )


def test_nothing_but_bad_scans_fails_and_long_lists_are_cut(tiny: Tiny):
    for channel in (0, 1):
        for case in ("a", "b"):
            (tiny.raw / "imagesUn" / f"{case}_000{channel}.nii.gz").unlink()
    for number in range(7):
        tiny.write(f"case{number}", 0)
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.FAIL
    assert "none of 7 can be used" in check.found
    assert check.found.endswith("and 2 more")


def test_stale_scans_come_with_the_command_that_does_them():
    of = {"dataset": "Dataset021_Tiny", "configuration": "3d_fullres", "plans_identifier": "nnUNetPlans"}
    check = judge_fresh(1, 2, **of)
    assert mark_of(check) is Mark.WARN
    assert check.remedy.startswith("muduo preprocess-unlabelled -d 21 -c 3d_fullres (")
    assert mark_of(judge_fresh(2, 2, **of)) is Mark.OK


# Disk and GPU


def test_size_of_what_is_to_be_written_grows_with_cases_and_channels():
    size = bytes_to_write(PLANS, configuration="3d_fullres", cases=3, channels=2)
    assert size == 3 * 6000 * (2 * 4 + 2)


@pytest.mark.parametrize(("free_in_gib", "mark"), [(9, Mark.FAIL), (12, Mark.WARN), (100, Mark.OK)])
def test_little_disk_is_told(free_in_gib: int, mark: Mark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = type("Usage", (), {"free": free_in_gib * GIB})
    monkeypatch.setattr("nnunetv2_muduo.doctor.disk.shutil.disk_usage", lambda folder: usage)
    assert mark_of(check_disk(tmp_path, needed_in_bytes=10 * GIB)) is mark


def test_gpu_memory_is_held_against_the_need():
    need = GpuNeed(student=16, teachers=2, source="guessed")
    assert mark_of(judge_memory("A card", 24, need)) is Mark.OK
    assert mark_of(judge_memory("A card", 11, need)) is Mark.WARN
    assert mark_of(judge_memory("A card", 20, need)) is Mark.WARN  # nobody knows what a GPU takes beside
    assert mark_of(judge_memory("A card", 11, None)) is Mark.OK
    assert "18.0 GiB (student 16.0, teachers 2.0; guessed)" in judge_memory("A card", 11, need).found


def test_need_is_simulated_and_says_what_it_was_never_compared_with():
    plans = {**PLANS, "muduo": {"ct_teacher": "standin_ct", "pet_teacher": None}}
    need = estimate_need(
        plans, configuration="3d_fullres", dataset_json=DATASET_JSON, unlabelled_batch_size=None, released_teachers=0
    )
    assert "simulated step" in need.source
    assert "not compared with a GPU" in need.source
    assert 0.001 < need.teachers < need.total < 2


def test_rule_of_thumb_steps_in_where_the_simulation_fails_and_says_so(monkeypatch: pytest.MonkeyPatch):
    def fail_to_simulate(*arguments: object, **keywords: object) -> GpuNeed:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(gpu, "simulated_need", fail_to_simulate)
    need = estimate_need(
        PLANS, configuration="3d_fullres", dataset_json=DATASET_JSON, unlabelled_batch_size=2, released_teachers=2
    )
    assert need.source == "nnU-Net's rule of thumb; NotImplementedError in the simulation"


def test_rule_of_thumb_grows_with_patches_and_released_teachers():
    def estimate(unlabelled: int | None, teachers: int) -> GpuNeed:
        return rule_of_thumb(
            PLANS,
            why="asked for",
            configuration="3d_fullres",
            dataset_json=DATASET_JSON,
            unlabelled_batch_size=unlabelled,
            released_teachers=teachers,
        )

    assert estimate(6, 0).student == pytest.approx(2 * estimate(2, 0).student)
    assert estimate(None, 0) == estimate(2, 0)
    assert estimate(2, 2).teachers - estimate(2, 0).teachers == pytest.approx(2 * 100.5e6 * 4 / GIB)


# The whole


def test_marks_decide_the_exit_code():
    assert exit_code([ok("a", "fine"), warn("b", "hm", "look")]) == 0
    assert exit_code([ok("a", "fine"), fail("b", "no", "do")]) == 1


def test_text_shows_remedies_and_json_everything():
    checks = [ok("a", "fine"), fail("long name", "no", "do this")]
    text = as_text(checks)
    assert "-> do this" in text
    assert text.endswith("1 ok, 0 to look at, 1 failed")
    assert json.loads(as_json(checks))[1] == {"name": "long name", "mark": "fail", "found": "no", "remedy": "do this"}


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
        checks = examine_dataset(tiny.raw, tiny.preprocessed, content, "3d_fullres", "Ours")
        return {check.name: check.remedy for check in checks}

    told = remedies()
    assert told["left and right"] == "muduo plan -d 221 -p Ours --set mirroring=false"
    assert told["labelled preprocessed"] == "nnUNetv2_preprocess -d 221 -plans_name Ours -c 3d_fullres"
    assert told["unlabelled preprocessed"].startswith("muduo preprocess-unlabelled -d 221 -c 3d_fullres -p Ours (")
    (tiny.preprocessed / "Ours.json").write_text(json.dumps({**PLANS, "muduo": {"pints": 5}}))
    assert remedies()["plans"].endswith("muduo plan -d 221 -p Ours")


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
        examine_dataset(tiny.raw, tiny.preprocessed, content, "3d_fullres", "nnUNetPlans")
        for content in (old, DATASET_JSON)
    )
    assert {"disk", "host memory"} < {check.name for check in found}
    steady = [[check for check in checks if check.name != "disk"] for checks in (found, expected)]  # free space varies
    assert steady[0] == steady[1]


# Teacher cache


def caches(tiny: Tiny) -> list[Check]:
    checks = examine("221", configuration="3d_fullres", plans_identifier="nnUNetPlans")
    return [check for check in checks if check.name == "teacher cache"]


def test_teacher_cache_is_shown_training_by_training(tiny: Tiny):
    (check,) = caches(tiny)
    assert mark_of(check) is Mark.OK
    assert "switched off" in check.found
    tiny.write_plans(muduo={"pet_teacher": None, "teacher_cache": True})
    (check,) = caches(tiny)
    assert mark_of(check) is Mark.OK
    assert "nothing computed yet" in check.found
    training = "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres"
    folder = tiny.preprocessed / "nnUNetPlans_3d_fullres_unlabelled_teacher_cache"
    for fold in ("0", "all"):
        (folder / training / f"fold_{fold}" / "a").mkdir(parents=True)
        (folder / training / f"fold_{fold}" / "a" / "cache.json").write_bytes(b"x" * 30_000_000)
    (folder / "nnUNetTrainerMuDuo__otherPlans__3d_fullres" / "fold_0").mkdir(parents=True)
    checks = caches(tiny)
    assert [mark_of(check) for check in checks] == [Mark.WARN, Mark.WARN]
    assert f"{training}/fold_0: 0 of 2 scans up to date, 0.03 GiB in {folder / training / 'fold_0'}" in checks[0].found


def test_caches_that_nobody_reads_are_told_with_their_size(tiny: Tiny):
    folder = tiny.preprocessed / "nnUNetPlans_3d_fullres_unlabelled_teacher_cache"
    case = folder / "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres" / "fold_0" / "a"
    case.mkdir(parents=True)
    (case / "cache.json").write_bytes(b"x" * 30_000_000)
    (check,) = caches(tiny)
    assert mark_of(check) is Mark.WARN
    assert f"0.03 GiB of earlier trainings lie in {folder}" in check.found


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
    given = (tiny.raw, tiny.preprocessed, DATASET_JSON, "3d_fullres", "nnUNetPlans")
    assert ok("cases", "(0, 1)") in examine_dataset(*given, read_cases=True)
    assert ok("cases", "(0, 1)") not in examine_dataset(*given)


@pytest.mark.parametrize("arguments", [[], ["-d", "221", "-tr", "nnUNetTrainerPETCTMAE"]])
def test_cases_without_labels_are_refused(arguments: list[str], capsys: pytest.CaptureFixture):
    assert cli.main(["doctor", "--cases", *arguments]) == 2
    assert "--cases looks at the labelled cases of a dataset" in capsys.readouterr().err
