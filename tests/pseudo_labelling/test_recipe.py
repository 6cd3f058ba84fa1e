"""`muduo pseudo-label` from the command line to its files, with tiny teachers and given predictions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pseudo_project import DATASET_JSON, PseudoProject, organs, write, write_teachers

from nnunetv2_muduo.cli import main
from nnunetv2_muduo.pseudo_labelling import case_figure

CASES = ("pat 0.v1", "pat 1.v1")


def quality(project: PseudoProject) -> list[dict]:
    return list(csv.DictReader((project.out / "quality.csv").open()))


def times(project: PseudoProject) -> dict[str, int]:
    return {case: (project.out / "labels" / f"{case}.nii.gz").stat().st_mtime_ns for case in CASES}


def test_labels_and_agreement_lie_on_the_scans_grid_and_every_organ_has_a_row(project: PseudoProject, capsys):
    assert main(project.command("--figures")) == 0
    for case in CASES:
        scan = sitk.ReadImage(str(project.raw / "imagesUn" / f"{case}_0000.nii.gz"))
        for part in ("labels", "agreement"):
            image = sitk.ReadImage(str(project.out / part / f"{case}.nii.gz"))
            assert image.GetSize() == scan.GetSize()
            for what in ("GetSpacing", "GetOrigin", "GetDirection"):  # NIfTI stores an askew direction in float32
                np.testing.assert_allclose(getattr(image, what)(), getattr(scan, what)(), atol=1e-6)
        assert image.GetPixelID() == sitk.sitkUInt8
        assert sitk.GetArrayFromImage(image).max() <= 100
        assert (project.out / "figures" / f"{case}.png").stat().st_size > 10_000
    rows = quality(project)
    assert [(row["case"], row["organ"]) for row in rows] == [
        (c, o) for c in CASES for o in ("liver", "spleen", "bladder")
    ]
    assert float(rows[0]["prompt_ml"]) == pytest.approx((organs() == 1).sum() * 5 * 6 * 7 / 1000, abs=0.05)
    assert rows[2]["suggestion"] == "absent"
    assert "| liver | 2 of 2 |" in " ".join(capsys.readouterr().out.split())


def test_finished_cases_are_skipped_until_what_they_were_made_from_changes(project: PseudoProject, capsys):
    main(project.command())
    before = times(project)
    capsys.readouterr()
    assert main(project.command()) == 0
    assert times(project) == before
    assert "no teacher has anything to do" in capsys.readouterr().out
    changed = organs()
    changed[8] = 0
    write(changed, project.predictions / f"{CASES[1]}.nii.gz")
    main(project.command())
    after = times(project)
    assert after[CASES[0]] == before[CASES[0]]
    assert after[CASES[1]] != before[CASES[1]]
    write_teachers(project.raw.parents[1] / "weights", seed=1)
    main(project.command())
    assert all(times(project)[case] != after[case] for case in CASES)


def test_finished_cases_are_done_again_where_other_channels_are_called_ct_and_pet(project: PseudoProject):
    main(project.command())
    before = times(project)
    names = {"0": "PET", "1": "CT"}
    (project.raw / "dataset.json").write_text(json.dumps(DATASET_JSON | {"channel_names": names}))
    assert main(project.command()) == 0
    assert all(times(project)[case] != before[case] for case in CASES)


def test_a_missing_picture_is_drawn_and_none_when_not_wanted(project: PseudoProject, monkeypatch):
    marked = []
    monkeypatch.setattr(case_figure, "mark_sides", lambda axis, plane: marked.append(plane))
    main(project.command())
    assert not (project.out / "figures").exists()
    main(project.command("--figures"))
    assert (project.out / "figures" / f"{CASES[0]}.png").is_file()
    assert marked == ["axial", "axial", "coronal", "coronal"] * len(CASES)


def test_a_picture_is_drawn_again_where_its_suggestions_changed_and_asks_no_teacher(project: PseudoProject):
    lenient, strict = (project.command("--figures", "--require-organs", organ) for organ in ("none", "bladder"))
    picture = project.out / "figures" / f"{CASES[0]}.png"
    main(lenient)
    before, drawn, labels = picture.read_bytes(), picture.stat().st_mtime_ns, times(project)
    main(lenient)
    assert picture.stat().st_mtime_ns == drawn
    main(strict)  # in which the bladder is missing, not absent
    assert picture.read_bytes() != before
    assert times(project) == labels
    main(lenient)
    assert picture.read_bytes() == before


def test_other_thresholds_change_the_suggestions_and_ask_no_teacher(project: PseudoProject):
    main(project.command("--min-iou", "0", "--min-prompt-iou", "0"))
    before = times(project)
    assert {row["suggestion"] for row in quality(project)} <= {"keep", "absent", "drop"}
    main(project.command("--min-iou", "1", "--min-prompt-iou", "1"))
    rows = [row for row in quality(project) if row["organ"] != "bladder"]
    assert {row["suggestion"] for row in rows} == {"drop"}
    assert all("teachers disagree" in row["reason"] for row in rows)
    assert times(project) == before


def test_parallel_reading_gives_the_same(project: PseudoProject, tmp_path: Path):
    main(project.command())
    other = PseudoProject(project.raw, project.predictions, tmp_path / "other")
    command = other.command()
    command[command.index("-np") + 1] = "2"
    assert main(command) == 0
    for case in CASES:
        first, second = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(p.out / "labels" / f"{case}.nii.gz"))) for p in (project, other)
        )
        np.testing.assert_array_equal(first, second)
    assert quality(project) == quality(other)


def spoil_scan(project: PseudoProject) -> None:
    file = project.raw / "imagesUn" / f"{CASES[0]}_0001.nii.gz"
    file.write_bytes(file.read_bytes()[:-500])


def spoil_grid(project: PseudoProject) -> None:
    write(organs(), project.predictions / f"{CASES[0]}.nii.gz", origin=(0.0, 0.0, 0.0))


def spoil_labels(project: PseudoProject) -> None:
    write(organs() * 9, project.predictions / f"{CASES[0]}.nii.gz")


def spoil_prediction(project: PseudoProject) -> None:
    (project.predictions / f"{CASES[0]}.nii.gz").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_scan, "truncated"),
        (spoil_grid, "different grids: origin"),
        (spoil_labels, "label(s) 9, 18 that dataset.json does not know"),
        (spoil_prediction, "there is no prediction"),
    ],
)
def test_a_bad_case_is_named_at_the_end_and_the_others_are_done(project: PseudoProject, spoil, reason: str, capsys):
    spoil(project)
    assert main(project.command()) == 0
    printed = capsys.readouterr().out
    assert reason in printed[printed.index("1 left out") :]
    assert {row["case"] for row in quality(project)} == {CASES[1]}


def test_channels_that_do_not_look_like_what_they_are_called_are_warned_of(project: PseudoProject, capsys):
    images = project.raw / "imagesUn"
    (images / f"{CASES[0]}_0000.nii.gz").replace(images / f"{CASES[0]}_0001.nii.gz")
    write(np.random.default_rng(0).random(organs().shape, np.float32) * 5, images / f"{CASES[0]}_0000.nii.gz")
    assert main(project.command()) == 0
    told = [line for line in "".join(capsys.readouterr()).splitlines() if line.startswith("WARNING")]
    assert [line.split(" like ")[1][:3] for line in told if line.startswith(f"WARNING: {CASES[0]}: ")] == ["CT ", "PET"]
    assert len(told) == 2


@pytest.mark.parametrize("switched_off", ["--ct-teacher", "--pet-teacher"])
def test_one_teacher_can_be_switched_off(project: PseudoProject, switched_off: str):
    assert main(project.command(switched_off, "none")) == 0
    column = "ct_ml" if switched_off == "--ct-teacher" else "pet_ml"
    assert quality(project)[0][column] == ""


def no_scans(project: PseudoProject) -> None:
    for file in (project.raw / "imagesUn").iterdir():
        file.unlink()


def no_folder(project: PseudoProject) -> None:
    no_scans(project)
    (project.raw / "imagesUn").rmdir()


def no_predictions(project: PseudoProject) -> None:
    project.predictions.rename(project.predictions.with_name("elsewhere"))


def no_weights(project: PseudoProject) -> None:
    (project.raw.parents[1] / "weights" / "pet.pth").unlink()


def regions(project: PseudoProject) -> None:
    labels = {"background": 0, "abdomen": [1, 2], "spleen": 2}
    (project.raw / "dataset.json").write_text(json.dumps(DATASET_JSON | {"labels": labels}))


def tiff(project: PseudoProject) -> None:
    (project.raw / "dataset.json").write_text(json.dumps(DATASET_JSON | {"file_ending": ".tif"}))


def two_files(project: PseudoProject) -> None:
    (project.raw / "dataset.json").write_text(json.dumps(DATASET_JSON | {"file_ending": ".mhd"}))


def all_bad(project: PseudoProject) -> None:
    for file in project.predictions.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (no_scans, "nothing to label"),
        (no_folder, "There is no folder"),
        (no_predictions, "--predictions wants what nnUNetv2_predict wrote"),
        (no_weights, "No teacher is called 'pet.pth'"),
        (regions, "are regions"),
        (tiff, "convert the dataset to .nii.gz"),
        (two_files, ".mhd would be two files"),
        (all_bad, "None of the 2 scans"),
    ],
)
def test_a_mistake_is_one_sentence(project: PseudoProject, mistake, sentence: str, capsys):
    mistake(project)
    assert main(project.command()) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--predictions", "--model"])
def test_prompts_that_are_not_there_are_told_before_teachers_are_fetched(project: PseudoProject, option: str, capsys):
    no_weights(project)
    command = [word for word in project.command() if word not in ("--predictions", str(project.predictions))]
    assert main([*command, option, "elsewhere"]) == 2
    assert f"{option} wants" in capsys.readouterr().err


def test_missing_prompt_generator_is_answered_with_how_to_train_it(project: PseudoProject, capsys):
    command = [word for word in project.command() if word not in ("--predictions", str(project.predictions))]
    assert main([*command, "--prompt-generator"]) == 2
    assert "-tr nnUNetTrainerMuDuoPrompt" in capsys.readouterr().err


def test_settings_come_from_the_plans_where_there_are_any(project: PseudoProject, tmp_path: Path):
    plans = tmp_path / "nnUNet_preprocessed" / project.raw.name / "nnUNetPlans.json"
    plans.parent.mkdir(parents=True)
    settings = {"ct_teacher": "ct.pth", "pet_teacher": None, "points": 7, "point_mask": "none"}
    plans.write_text(json.dumps({"configurations": {"3d_fullres": {}}, "muduo": settings}))
    command = [word for word in project.command() if not word.endswith(("-teacher", ".pth"))]
    assert main(command) == 0
    record = json.loads((project.out / "cases" / f"{CASES[0]}.json").read_text())
    assert record["stamp"]["settings"]["points"] == 7
    assert record["stamp"]["settings"]["point_mask"] == "none"
    assert quality(project)[0]["pet_ml"] == ""


def test_plans_of_another_name_are_told_where_the_defaults_are_taken(project: PseudoProject, tmp_path: Path, capsys):
    plans = tmp_path / "nnUNet_preprocessed" / project.raw.name / "nnUNetResEncUNetMPlans.json"
    plans.parent.mkdir(parents=True)
    plans.write_text(json.dumps({"configurations": {"3d_fullres": {}}, "muduo": {"points": 7}}))
    assert main(project.command()) == 0
    assert "-p names others: nnUNetResEncUNetMPlans" in capsys.readouterr().out
    assert main([*project.command(), "-p", "nnUNetResEncUNetMPlans"]) == 0
    assert "-p names others" not in capsys.readouterr().out
