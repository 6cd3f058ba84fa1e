"""`muduo finetune-teacher` trains, stops, continues and leaves a teacher that loads by its name."""

import csv
import json
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from phantom_datasets import LABELS, write_dataset
from tiny_teachers import CLICK_UNET, SAM3D

from nnunetv2_muduo import cli
from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.teachers import training
from nnunetv2_muduo.teachers.checkpoint import save_teacher
from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.sam3d import Sam3D
from nnunetv2_muduo.teachers.weights import load_teacher

CONFIGURATIONS = {"ClickUNet": CLICK_UNET, "Sam3D": SAM3D}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def place(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with dataset 301 (good labels), 302 (doubtful ones) and a configuration of each architecture."""
    monkeypatch.setenv("MUDUO_WEIGHTS", str(nnunet_folders / "weights"))
    write_dataset(nnunet_folders / "nnUNet_raw", "Dataset301_Good")
    write_dataset(nnunet_folders / "nnUNet_raw", "Dataset302_Doubtful", cases=2, seed=5)
    for architecture, config in CONFIGURATIONS.items():
        content = {"architecture": architecture, "config": config.to_dict()}
        (nnunet_folders / f"{architecture}.json").write_text(json.dumps(content))
    return nnunet_folders


def finetune(place: Path, *more: str, out: str = "tiny", data: tuple[str, ...] = ("-d", "301"), **changes: str) -> int:
    """Run the command on the CPU with few clicks; `changes` replace options of that name."""
    options = {
        "modality": "CT",
        "config": str(place / "ClickUNet.json"),
        "steps": "2",
        "clicks-per-round": "3",
        "min-voxels": "8",
        "val-crops": "2",
        "device": "cpu",
        **{key.replace("_", "-"): value for key, value in changes.items()},
    }
    words = [word for key, value in options.items() if value for word in (f"--{key}", value)]
    return cli.main(["finetune-teacher", *data, *words, "-o", str(place / out), *more])


def log_of(place: Path) -> str:
    return (place / "tiny" / "finetuning.log").read_text()


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def scripted(monkeypatch: pytest.MonkeyPatch, dice: dict[int, float], *, killed_after: int | None = None) -> None:
    """Validations say `dice` of their step; a kill follows the one of `killed_after`, before anything is saved."""
    original = training._validate_now

    def validate_now(run, *rest, **options) -> None:
        row = {"target": "liver", "prompt": "1 click", "dice": dice[run.state.step], "count": 1}
        monkeypatch.setattr(training, "validate", lambda *of, **how: [row])
        original(run, *rest, **options)
        if run.state.step == killed_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_validate_now", validate_now)


@pytest.mark.parametrize("architecture", sorted(CONFIGURATIONS))
def test_command_trains_stops_continues_and_leaves_a_teacher_known_by_name(place: Path, architecture: str):
    options = {"config": str(place / f"{architecture}.json"), "schedule": "steps", "export": "last"}
    data = ("-d", "301", "--lq", "302")
    assert finetune(place, data=data, **options) == 0
    first = load_teacher("tiny", log=lambda line: None)
    assert finetune(place, data=data, **{**options, "steps": "3"}) == 0
    continued = load_teacher("tiny", log=lambda line: None)
    assert type(continued).__name__ == architecture
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), continued.parameters(), strict=True))
    out = place / "tiny"
    with (out / "losses.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3
    with (out / "validation.csv").open() as file:
        assert {"1 click", "3 clicks", "5 clicks", "10 clicks"} <= {row["prompt"] for row in csv.DictReader(file)}
    assert (out / "progress.png").stat().st_size > 1000
    assert "held out" in (out / "finetuning.log").read_text()
    info = read_checkpoint(place / "weights" / "tiny.pth")["info"]
    assert info["modality"] == "CT"
    assert info["settings"]["cpcl"] == "ensemble"
    assert "Dataset302_Doubtful" in info["what"]
    for name, tensor in read_checkpoint(out / "teacher.pth")["model_state_dict"].items():
        assert torch.equal(tensor, continued.state_dict()[name])


def test_a_stopped_command_ends_where_an_unbroken_one_does(place: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[Path] = []

    def interrupted(path: Path, **rest) -> None:
        """What happens at every save, instead of a picture; Ctrl-C at the second one of the folder "parts"."""
        drawn.append(path)
        if [path.parent.name for path in drawn].count("parts") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("nnunetv2_muduo.finetuning.finetune.draw_teacher_progress", interrupted)
    often = ("--save-every", "1", "--accumulate", "2", "--crops-per-step", "1")
    assert finetune(place, *often, out="whole", steps="4") == 0
    assert finetune(place, *often, out="parts", steps="4") == cli.INTERRUPTED
    assert not (place / "weights" / "parts.pth").exists()
    assert finetune(place, *often, out="parts", steps="4") == 0
    whole, parts = (read_checkpoint(place / "weights" / f"{name}.pth") for name in ("whole", "parts"))
    for name, tensor in whole["model_state_dict"].items():
        assert torch.equal(tensor, parts["model_state_dict"][name]), name


def test_the_best_on_cases_held_out_becomes_the_teacher_and_the_last_on_demand(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    scripted(monkeypatch, {0: 0.2, 1: 0.6, 2: 0.4})
    often = ("--validate-every", "1", "--save-every", "1")
    assert finetune(place, *often) == 0
    best = read_checkpoint(place / "weights" / "tiny.pth")
    kept, last = (read_checkpoint(place / "tiny" / name)["model_state_dict"] for name in ("best.pth", "training.pth"))
    assert best["info"]["weights_of_step"] == 1
    assert "after 1 of 2 steps (Dice 0.600 on the cases held out, 0.400 at the end" in log_of(place)
    assert same(best["model_state_dict"], kept)
    assert not same(kept, last)
    assert finetune(place, *often, "--export", "last") == 0
    exported = read_checkpoint(place / "weights" / "tiny.pth")
    assert exported["info"]["weights_of_step"] == 2
    assert same(exported["model_state_dict"], last)


def test_a_kill_behind_the_best_validation_loses_neither_it_nor_its_weights(place: Path):
    """Even if the restart validates at other steps and would never see it again."""
    with pytest.MonkeyPatch.context() as patch:
        scripted(patch, {0: 0.1, 1: 0.2, 2: 0.9}, killed_after=2)
        assert finetune(place, "--validate-every", "1", "--save-every", "3", steps="4") == cli.INTERRUPTED
    kept = read_checkpoint(place / "tiny" / "best.pth")
    assert kept["step"] == 2
    with pytest.MonkeyPatch.context() as patch:
        scripted(patch, {4: 0.3})
        assert finetune(place, "--validate-every", "4", "--save-every", "3", steps="4") == 0
    exported = read_checkpoint(place / "weights" / "tiny.pth")
    assert exported["info"]["weights_of_step"] == 2
    assert same(exported["model_state_dict"], kept["model_state_dict"])


def test_weights_lost_between_checkpoint_and_best_are_written_by_the_restart(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    scripted(monkeypatch, {0: 0.1, 1: 0.9, 2: 0.3})

    def killed(*of, step: int, **how) -> None:
        if step == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "keep_weights", killed)
        assert finetune(place, "--validate-every", "1") == cli.INTERRUPTED
    assert not (place / "tiny" / "best.pth").exists()
    assert finetune(place, "--validate-every", "1") == 0
    assert read_checkpoint(place / "weights" / "tiny.pth")["info"]["weights_of_step"] == 1


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_best_weights_that_are_gone_are_told_of(place: Path, monkeypatch: pytest.MonkeyPatch, damage: str):
    scripted(monkeypatch, {0: 0.1, 1: 0.9, 2: 0.3})
    assert finetune(place, "--validate-every", "1") == 0
    best = place / "tiny" / "best.pth"
    content = best.read_bytes()
    best.unlink()
    if damage == "cut short":
        best.write_bytes(content[:100])
    assert finetune(place, "--validate-every", "1") == 0
    assert "WARNING: step 1 was the best on the cases held out (Dice 0.900; at the end 0.300)" in log_of(place)
    assert read_checkpoint(place / "weights" / "tiny.pth")["info"]["weights_of_step"] == 2


def test_other_cases_than_before_are_refused(place: Path, capsys: pytest.CaptureFixture):
    assert finetune(place, steps="1") == 0
    raw = place / "nnUNet_raw" / "Dataset301_Good"
    for part in ("imagesTr", "labelsTr"):
        for path in list((raw / part).glob("case0*")):
            path.rename(path.with_name(path.name.replace("case0", "case9")))
    assert "whose cases to learn from were others" in refused(place, capsys)


def test_a_record_whose_cases_are_none_is_refused_by_name(place: Path, capsys: pytest.CaptureFixture):
    assert finetune(place, steps="1") == 0
    record = place / "tiny" / "finetuning.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "cases": None}))
    assert "finetuning.json: 'cases' does not tell" in refused(place, capsys)


def test_what_was_begun_in_bfloat16_may_end_in_float32(place: Path):
    assert finetune(place, "--bfloat16", steps="1") == 0
    assert finetune(place, "--export", "last", steps="1") == 0


def test_with_a_fold_only_its_training_cases_are_learnt_from(place: Path):
    folder = place / "nnUNet_preprocessed" / "Dataset301_Good"
    folder.mkdir()
    splits = [{"train": ["case0"], "val": ["case1"]}]  # and case2 in neither: it counts as unlabelled
    (folder / "splits_final.json").write_text(json.dumps(splits))
    assert finetune(place, "-f", "0", steps="1") == 0
    assert "1 cases to learn from, 1 held out" in log_of(place)
    assert "WARNING" not in log_of(place)
    assert finetune(place, out="without", steps="1") == 0
    log = (place / "without" / "finetuning.log").read_text()
    assert "train on none of 1 of the cases to learn from (case1)" in log


def test_files_that_do_not_say_how_the_patient_lies_are_told_of(place: Path):
    raw = place / "nnUNet_raw" / "Dataset301_Good"
    for file in raw.rglob("*.nii.gz"):
        sitk.WriteImage(sitk.ReadImage(str(file)), str(file).replace(".nii.gz", ".tif"))
    content = json.loads((raw / "dataset.json").read_text())
    (raw / "dataset.json").write_text(json.dumps(content | {"file_ending": ".tif"}))
    assert finetune(place, "--val", "302", steps="1") == 0
    told = [line for line in log_of(place).splitlines() if "how the patient lies" in line]
    assert len(told) == 1
    assert "WARNING: Dataset301_Good: .tif files do not say" in told[0]


def test_held_out_cases_without_the_labels_are_told_of_as_such(place: Path, capsys: pytest.CaptureFixture):
    raw = place / "nnUNet_raw" / "Dataset301_Good" / "labelsTr"
    last = sorted(raw.iterdir())[-1]
    empty = sitk.ReadImage(str(last)) * 0
    sitk.WriteImage(empty, str(last))
    assert "None of the 1 cases held out shows any of: liver, spleen" in refused(place, capsys)


def test_a_training_that_only_harms_leaves_the_teacher_it_began_with(place: Path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    start = ClickUNet(CLICK_UNET)
    save_teacher(start, place / "weights" / "mine.pth", extra={"modality": "PET"})
    scripted(monkeypatch, {0: 0.6, 1: 0.4, 2: 0.2})
    assert finetune(place, "--validate-every", "1", config="", teacher="mine") == 0
    assert same(read_checkpoint(place / "weights" / "tiny.pth")["model_state_dict"], start.state_dict())
    assert "no validation was better than that of the start" in log_of(place)
    info = read_checkpoint(place / "weights" / "tiny.pth")["info"]
    assert info["what"] == "mine as it was: training on the CT of Dataset301_Good made it no better"
    assert info["modality"] == "PET"


def test_a_teacher_by_name_is_the_start_and_is_kept_in_the_info(place: Path):
    torch.manual_seed(0)
    save_teacher(ClickUNet(CLICK_UNET), place / "weights" / "mine.pth", extra={"what": "a start"})
    assert finetune(place, config="", teacher="mine", modality="PET", labels="spleen", out="next") == 0
    info = read_checkpoint(place / "weights" / "next.pth")["info"]
    assert info["from"] == {"start": "mine", "info": {"what": "a start"}}
    with (place / "next" / "validation.csv").open() as file:
        assert {row["target"] for row in csv.DictReader(file)} == {"spleen"}


def test_a_dataset_can_be_held_out_as_a_whole(place: Path):
    assert finetune(place, "--val", "302") == 0
    assert "3 cases to learn from, 2 held out" in (place / "tiny" / "finetuning.log").read_text()
    with (place / "tiny" / "validation.csv").open() as file:
        assert next(csv.DictReader(file))["step"] == "0"  # what it started from


def refused(place: Path, capsys: pytest.CaptureFixture, **arguments) -> str:
    """What is said when the command is refused."""
    capsys.readouterr()
    assert finetune(place, *arguments.pop("more", ()), **arguments) == 2
    lines = capsys.readouterr().err.splitlines()  # a progress bar may come before
    assert [line.startswith("ERROR: ") for line in lines if "%|" not in line and line] == [True]
    return lines[-1]


def test_mistakes_are_answered_with_one_sentence(place: Path, capsys: pytest.CaptureFixture):
    raw = place / "nnUNet_raw"
    write_dataset(raw, "Dataset303_OnlyCT", cases=1, channels=("CT",))
    write_dataset(raw, "Dataset304_Regions", cases=1, labels={**LABELS, "whole": [1, 2]})
    write_dataset(raw, "Dataset305_Unlabelled", cases=0)
    assert "no dataset '999'" in refused(place, capsys, data=("-d", "999"))
    assert "No channel is called PET" in refused(place, capsys, data=("-d", "303"), modality="PET")
    assert "has regions ('whole'" in refused(place, capsys, data=("-d", "304"))
    assert "no labelled case" in refused(place, capsys, data=("-d", "305"))
    assert "'pancreas'; there are: liver, spleen" in refused(place, capsys, labels="pancreas")
    assert "Dataset301_Good is given twice" in refused(place, capsys, data=("-d", "301", "--lq", "301"))
    assert "-d or --lq" in refused(place, capsys, data=())
    assert "No case is left to learn from (3 are held out)" in refused(place, capsys, val_fraction="1")
    assert "--val-fraction is 1.5; give a share" in refused(place, capsys, val_fraction="1.5")
    assert "--min-voxels is 0" in refused(place, capsys, min_voxels="0")
    assert "standin_ct" in refused(place, capsys, more=("--name", "standin_ct"))
    assert "learning_rate is -1.0" in refused(place, capsys, learning_rate="-1")
    assert "save_every is 0" in refused(place, capsys, save_every="0")
    assert "--lq needs --scheme published" in refused(place, capsys, data=("-d", "301", "--lq", "302"), scheme="mixed")
    assert "name them with --lq" in refused(place, capsys, cpcl="ensemble")
    assert "no target had 100000 voxels" in refused(place, capsys, min_voxels="100000")
    assert "splits_final.json" in refused(place, capsys, more=("-f", "0"))
    assert not (place / "tiny" / "training.pth").exists()
    assert finetune(place) == 0  # none of them has taken the folder


def test_a_folder_of_another_training_is_refused_by_what_differs(place: Path, capsys: pytest.CaptureFixture):
    assert finetune(place) == 0
    assert "other labels" in refused(place, capsys, labels="spleen")
    assert "other config" in refused(place, capsys, config=str(place / "Sam3D.json"))
    assert "other learning_rate" in refused(place, capsys, learning_rate="0.5")
    (place / "tiny" / "finetuning.json").unlink()
    assert "something else" in refused(place, capsys)


def test_a_teacher_of_another_training_is_not_written_over(place: Path, capsys: pytest.CaptureFixture):
    save_teacher(Sam3D(SAM3D), place / "weights" / "tiny.pth")
    assert "not made by this training" in refused(place, capsys)
    assert finetune(place, "--overwrite") == 0
    assert isinstance(load_teacher("tiny", log=lambda line: None), ClickUNet)
    assert finetune(place, steps="3") == 0  # its own file it may replace


def test_a_configuration_of_nothing_known_is_refused(place: Path, capsys: pytest.CaptureFixture):
    file = place / "odd.json"
    for content, said in (
        ({"architecture": "UNet"}, "ClickUNet"),
        ({"architecture": "ClickUNet", "config": {"depth": 3}}, "depth"),
    ):
        file.write_text(json.dumps(content))
        assert said in refused(place, capsys, config=str(file))
