import shlex

import pytest
from trained_folders import DATASET, PLANS, log_text, logged, write_fold

from nnunetv2_muduo.reporting.commands_again import commands_again
from nnunetv2_muduo.reporting.training import read_training
from nnunetv2_muduo.settings import parse_assignment


def commands(tmp_path, **kwargs):
    return commands_again(read_training(write_fold(tmp_path, **kwargs), "mine"))


def test_our_trainers_need_nnunet_to_be_told_where_they_are(tmp_path):
    assert commands(tmp_path) == [
        'export nnUNet_extTrainer="$(muduo trainers)"',
        f"muduo plan -d {DATASET} --set keep_fraction=0.25 num_epochs=4",
        f"nnUNetv2_train {DATASET} 3d_fullres 0 -tr nnUNetTrainerMuDuo -device cpu",
        f"nnUNetv2_predict -i IN -o OUT -d {DATASET} -c 3d_fullres -f 0 -tr nnUNetTrainerMuDuo -device cpu",
    ]


@pytest.mark.parametrize(
    ("trainer", "given"),
    [
        ("nnUNetTrainerPETCTSwin", ["num_epochs=3", 'mae.swin="base"']),
        ("nnUNetTrainerPETCTMAE", ['mae.swin="base"']),
        ("nnUNetTrainerMuDuo", ["num_epochs=3"]),
    ],
)
def test_settings_are_those_of_the_tables_that_a_trainer_looks_at(tmp_path, trainer, given):
    plans = {**PLANS, "muduo": {"num_epochs": 3}, "mae": {"swin": "base"}}
    words = shlex.split(commands(tmp_path, trainer=trainer, plans=plans)[1])
    assert words[words.index("--set") + 1 :] == given


def test_stock_trainer_and_plans_are_not_named_and_others_are(tmp_path):
    stock, other = commands(tmp_path, trainer="nnUNetTrainer"), commands(tmp_path, trainer="X", plans_name="my plans")
    assert stock[0] == f"nnUNetv2_train {DATASET} 3d_fullres 0 -device cpu"
    assert other[0] == f"nnUNetv2_train {DATASET} 3d_fullres 0 -tr X -p 'my plans' -device cpu"


def test_unfinished_training_is_continued_and_its_checkpoint_named(tmp_path):
    lines = commands(tmp_path, checkpoint="checkpoint_latest.pth", log=logged(2))
    assert lines[-2].endswith(" --c")
    assert "-chk checkpoint_latest.pth" in lines[-1]


def test_settings_are_given_as_the_command_that_sets_them_reads_them(tmp_path):
    settings = {"ct_teacher": None, "mirroring": False, "fusion": "mean", "pet_teacher": "my teacher.pth"}
    line = commands(tmp_path, plans={**PLANS, "muduo": settings})[1]
    words = shlex.split(line)
    assert dict(map(parse_assignment, words[words.index("--set") + 1 :])) == settings


def test_pretrained_weights_are_handed_on(tmp_path):
    lines = commands(tmp_path, trainer="nnUNetTrainerPETCTMAE")
    assert "-pretrained_weights" in lines[-1]
    assert not any("nnUNetv2_predict" in line for line in lines)


def test_pretrained_weights_of_a_swin_go_to_what_trains_one(tmp_path):
    line = commands(tmp_path, trainer="nnUNetTrainerPETCTMAESwin")[-1]
    assert "-tr nnUNetTrainerPETCTSwin -pretrained_weights" in line


@pytest.mark.parametrize("text", [log_text(1)])
def test_nothing_is_made_up_of_a_training_that_nothing_is_known_of(tmp_path, text):
    (tmp_path / "training_log_1.txt").write_text(text)
    assert commands_again(read_training(tmp_path, "mine")) == []
