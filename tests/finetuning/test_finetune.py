"""`muduo finetune-teacher` trains, stops, continues and leaves a teacher that loads by its name."""

import csv
import json
from pathlib import Path

import pytest
import torch
from phantom_datasets import LABELS, write_dataset
from tiny_teachers import CLICK_UNET, SAM3D

from nnunetv2_muduo import cli
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.teachers import training
from nnunetv2_muduo.teachers.checkpoint import read_checkpoint, save_teacher
from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.sam3d import Sam3D
from nnunetv2_muduo.teachers.weights import load_teacher

CONFIGURATIONS = {"ClickUNet": CLICK_UNET, "Sam3D": SAM3D}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with dataset 301 (good labels), 302 (doubtful ones) and a configuration of each architecture."""
    for variable in FOLDER_VARIABLES:
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    write_dataset(tmp_path / "nnUNet_raw", "Dataset301_Good")
    write_dataset(tmp_path / "nnUNet_raw", "Dataset302_Doubtful", cases=2, seed=5)
    for architecture, config in CONFIGURATIONS.items():
        content = {"architecture": architecture, "config": config.to_dict()}
        (tmp_path / f"{architecture}.json").write_text(json.dumps(content))
    return tmp_path


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
    dice = iter([0.2, 0.6, 0.4])  # of the start, step 1 and step 2
    scored = [{"target": "liver", "prompt": "1 click", "count": 1}]
    monkeypatch.setattr(training, "validate", lambda *of, **how: [{**row, "dice": next(dice)} for row in scored])
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


def test_a_training_that_only_harms_leaves_the_teacher_it_began_with(place: Path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    start = ClickUNet(CLICK_UNET)
    save_teacher(start, place / "weights" / "mine.pth")
    dice = iter([0.6, 0.4, 0.2])
    monkeypatch.setattr(
        training, "validate", lambda *of, **how: [{"target": "liver", "prompt": "mask", "dice": next(dice)}]
    )
    assert finetune(place, "--validate-every", "1", config="", teacher="mine") == 0
    assert same(read_checkpoint(place / "weights" / "tiny.pth")["model_state_dict"], start.state_dict())
    assert "no validation was better than that of the start" in log_of(place)


def log_of(place: Path) -> str:
    return (place / "tiny" / "finetuning.log").read_text()


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


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
    assert "All 3 cases are held out" in refused(place, capsys, val_fraction="1")
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
