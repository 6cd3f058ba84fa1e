"""`muduo clicks` and its public function on tiny datasets."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bright_teacher import BrightTeacher
from clickable_dataset import DATASET, LABELS, label_map, write_clickable_dataset

from nnunetv2_muduo import cli
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.interactive.click_settings import ClickSettings
from nnunetv2_muduo.interactive.clicks_benchmark import run_clicks
from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.weights import save_teacher

TINY = ClickUNetConfig(
    cube_size=8, spacing_in_mm=8.0, embedding_channels=3, features_per_stage=(4, 8), strides=(2, 2),
    convs_per_stage=(1, 1), convs_per_decoder_stage=(1,), head_channels=4,
)  # fmt: skip


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nnUNet_raw, and a weights folder with an untrained teacher."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    for variable in ("nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.delenv(variable, raising=False)
    torch.manual_seed(0)
    save_teacher(ClickUNet(TINY), tmp_path / "weights" / "tiny.pth")
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def bench(folder: Path, out: Path, teacher=None, *, modality: str = "CT", settings=None, **options):
    settings = settings or ClickSettings(clicks=(1, 3))
    return run_clicks(
        folder,
        teacher or BrightTeacher(),
        teacher_name="bright",
        modality=modality,
        output=out,
        settings=settings,
        **options,
    )


def outcome(summary) -> set:
    return {(row.case, row.organ, row.voxels, row.clicks, row.dice, row.windows) for row in summary.rows}


def test_command_writes_rows_table_and_curve_and_goes_on_where_it_stopped(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    write_clickable_dataset(raw)
    monkeypatch.chdir(tmp_path)
    command = [
        "clicks",
        "-d",
        "31",
        "--teacher",
        "tiny.pth",
        "--modality",
        "CT",
        "--clicks",
        "1",
        "2",
        "-device",
        "cpu",
    ]
    assert cli.main([*command, "--cases", "box_1"]) == 0
    first = (tmp_path / "clicks_tiny" / "clicks.csv").read_text()
    assert "box_0" not in first
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    text = (tmp_path / "clicks_tiny" / "clicks.csv").read_text()
    assert text.startswith(first)
    rows = list(csv.DictReader(text.splitlines()))
    assert {(row["case"], row["organ"], row["clicks"]) for row in rows} == {
        (case, organ, clicks) for case in ("box_0", "box_1") for organ in ("liver", "spleen") for clicks in "12"
    }
    assert {(row["organ"], row["voxels"]) for row in rows} == {("liver", "448"), ("spleen", "120")}
    assert "| liver | 2 |" in " ".join(printed.split())
    assert (
        printed[printed.rindex("| Dice") : printed.rindex("|") + 1]
        in (tmp_path / "clicks_tiny" / "clicks.md").read_text()
    )
    assert (tmp_path / "clicks_tiny" / "clicks.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--teacher", "tiny.pth"], "add --modality CT or --modality PET"),
        (
            ["--teacher", "tiny.pth", "--modality", "CT", "--labels", "lver"],
            "no label lver; there are: liver, spleen, bl",
        ),
        (["--teacher", "tiny.pth", "--modality", "CT", "--cases", "x"], "no labelled case x; there are: box_0, box_1."),
        (["--teacher", "tiny.pth", "--modality", "CT", "--labels", "bladder"], "None of the labels bladder is in any"),
        (["--teacher", "tiny.pth", "--modality", "CT", "--split", "Ts"], "no labelled case in imagesTs and labelsTs"),
        (["--teacher", "tiny.pth", "--modality", "CT", "--clicks", "0", "3"], "must be at least 1, not 0, 3"),
        (["--teacher", "standin_ct", "--protocol", "crop", "--share-windows"], "cannot share windows"),
        (["--teacher", "standin_pt"], "did you mean standin_pet?"),
    ],
)
def test_mistakes_are_one_sentence(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], sentence: str
):
    write_clickable_dataset(raw)
    assert cli.main(["clicks", "-d", "31", *arguments, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("ERROR: ")
    assert sentence in error


def test_channel_that_no_name_tells_is_named_by_number(raw: Path, tmp_path: Path):
    folder = write_clickable_dataset(raw, cases=1, channel_names={"0": "CT", "1": "tracer"})
    with pytest.raises(UserError, match=r"No channel is called PET.*channel 1 \('tracer'\); name it with --channel N"):
        bench(folder, tmp_path / "out", modality="PET")
    assert bench(folder, tmp_path / "out", modality="PET", channel=1).rows


def test_teacher_sees_the_channel_of_its_modality(raw: Path, tmp_path: Path):
    folder = write_clickable_dataset(raw, cases=1)
    ct = bench(folder, tmp_path / "ct", modality="CT")
    pet = bench(folder, tmp_path / "pet", modality="PET")
    assert ct.organs == pet.organs == ("liver", "spleen")
    assert ct.dice[0, 0] > 0.7
    assert pet.dice[0, 0] < 0.2  # PET shows no liver
    assert pet.dice[1, 0] > 0.6


def test_results_do_not_depend_on_what_else_is_measured_or_in_which_order(raw: Path, tmp_path: Path):
    folder = write_clickable_dataset(raw, cases=3)
    whole = bench(folder, tmp_path / "whole")
    for case in ("box_2", "box_0"):
        for organ in ("spleen", "liver"):
            parts = bench(folder, tmp_path / "parts", cases=[case], labels=[organ])
    assert outcome(bench(folder, tmp_path / "parts")) == outcome(whole)
    assert len(parts.rows) == 8
    other = bench(folder, tmp_path / "other", settings=ClickSettings(clicks=(1, 3), seed=1))
    assert outcome(other) != outcome(whole)


def test_what_is_finished_is_not_asked_again(raw: Path, tmp_path: Path):
    folder = write_clickable_dataset(raw)
    first = bench(folder, tmp_path / "out")
    teacher = BrightTeacher()
    again = bench(folder, tmp_path / "out", teacher)
    assert not teacher.images
    assert again == first


def correct_a_label_map(folder: Path) -> None:
    file = folder / "labelsTr" / "box_1.nii.gz"
    image = sitk.ReadImage(str(file))
    image[3:5, 5:13, 4:12] = 0
    sitk.WriteImage(image, str(file))


def exchange_two_labels(folder: Path) -> None:
    text = (folder / "dataset.json").read_text()
    (folder / "dataset.json").write_text(json.dumps(json.loads(text) | {"labels": LABELS | {"liver": 2, "spleen": 1}}))


@pytest.mark.parametrize(("change", "changed"), [(correct_a_label_map, "box_1"), (exchange_two_labels, "box_0, box_1")])
def test_cases_whose_labels_are_others_now_are_measured_anew(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change, changed: str
):
    folder = write_clickable_dataset(raw)
    before = bench(folder, tmp_path / "out")
    change(folder)
    again = bench(folder, tmp_path / "out")
    assert f"measured anew: {changed}\n" in "".join(capsys.readouterr())
    assert outcome(again) == outcome(bench(folder, tmp_path / "fresh")) != outcome(before)


def test_other_weights_of_the_same_name_are_refused(raw: Path, tmp_path: Path):
    folder = write_clickable_dataset(raw, cases=1)
    torch.manual_seed(0)
    bench(folder, tmp_path / "out", ClickUNet(TINY))
    with pytest.raises(UserError, match=r"weights .* instead of"):
        bench(folder, tmp_path / "out", ClickUNet(TINY))


def long_bar() -> np.ndarray:
    """A liver that is longer than a window of 16 voxels."""
    labels = np.zeros((20, 24, 28), np.uint8)
    labels[6:14, 8:16, 2:26] = LABELS["liver"]
    return labels


def test_scan_follows_a_target_that_crop_cuts(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import clickable_dataset

    monkeypatch.setattr(clickable_dataset, "label_map", long_bar)
    folder = write_clickable_dataset(raw, cases=1)
    scan = bench(folder, tmp_path / "scan")
    crop = bench(folder, tmp_path / "crop", settings=ClickSettings(clicks=(1, 3), protocol="crop"))
    assert {row.voxels for row in scan.rows} == {24 * 64}
    assert {row.voxels for row in crop.rows} == {16 * 64}
    assert scan.windows > 1
    assert crop.windows == 1
    assert scan.mean[0] > 0.9
    assert crop.mean[0] > 0.9  # all of it within the window


def test_organs_share_encoder_passes_where_they_share_windows(raw: Path, tmp_path: Path):
    folder = write_clickable_dataset(raw, cases=1)
    own, shared = (BrightTeacher(size=48) for _ in range(2))
    centred = bench(folder, tmp_path / "own", own)
    together = bench(folder, tmp_path / "shared", shared, settings=ClickSettings(clicks=(1, 3), share_windows=True))
    assert len(own.images) == 2
    assert len(shared.images) == 1
    np.testing.assert_allclose(together.dice, centred.dice, atol=0.1)


def test_ignored_voxels_are_not_compared(raw: Path, tmp_path: Path):
    labels = label_map()
    labels[10:14, 12:18, 15:22] = 4  # a part of the spleen, which the teacher finds, and voxels beside it
    found = {}
    for name in ("ignore", "stomach"):
        folder = write_clickable_dataset(raw, cases=1, labels={**LABELS, name: 4}, label_maps={"box_0": labels})
        found[name] = bench(folder, tmp_path / name, labels=["spleen"])
        assert {row.voxels for row in found[name].rows} == {4 * 6 * 3}
    assert found["ignore"].mean[0] > found["stomach"].mean[0] + 0.05


def test_orientation_of_the_files_does_not_matter(raw: Path, tmp_path: Path):
    first = bench(write_clickable_dataset(raw, cases=1), tmp_path / "first")
    second = bench(write_clickable_dataset(tmp_path / "turned", cases=1, orientation="SAR"), tmp_path / "second")
    assert outcome(first) == outcome(second)


def test_files_that_do_not_say_how_the_patient_lies_are_told_of(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    folder = write_clickable_dataset(raw, cases=1)
    plain = bench(folder, tmp_path / "plain")
    assert "how the patient lies" not in capsys.readouterr().out
    for file in folder.rglob("*.nii.gz"):
        image = sitk.ReadImage(str(file))
        sitk.WriteImage(image, str(file).replace(".nii.gz", ".tif"))
        beside = file.with_name(file.name.replace(".nii.gz", ".json"))
        beside.write_text(json.dumps({"spacing": image.GetSpacing()[::-1]}))
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(content | {"file_ending": ".tif"}))
    assert outcome(bench(folder, tmp_path / "tiff")) == outcome(plain)
    assert "WARNING: .tif files do not say how the patient lies" in capsys.readouterr().out


def test_settings_are_kept_beside_the_rows(raw: Path, tmp_path: Path):
    bench(write_clickable_dataset(raw, cases=1), tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "clicks.json").read_text())
    assert kept["dataset"] == DATASET
    assert kept["clicks"] == [1, 3]
    assert kept["protocol"] == "scan"
