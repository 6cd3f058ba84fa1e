import pytest
from trained_folders import PLANS, write_fold

from nnunetv2_muduo.reporting.settings_rows import plan_rows, setting_rows, side_by_side, version_rows
from nnunetv2_muduo.reporting.training import read_training


@pytest.fixture
def trainings(tmp_path):
    other = {**PLANS, "muduo": {"keep_fraction": 0.5, "from_the_future": 1}, "mae": {"ratio": 0.75}}
    folds = [
        write_fold(tmp_path, trainer="nnUNetTrainerMuDuo"),
        write_fold(tmp_path, trainer="nnUNetTrainerMuDuo", plans_name="Other", plans=other),
        write_fold(tmp_path, trainer="nnUNetTrainerPETCTMAE", plans_name="Other", plans=other),
        write_fold(tmp_path, trainer="nnUNetTrainer"),
    ]
    return [read_training(fold, str(k)) for k, fold in enumerate(folds)]


def test_settings_that_differ_from_the_default_are_marked(trainings):
    rows = {row.key: row for row in setting_rows(trainings)["muduo"]}
    assert rows["keep_fraction"].changed == (True, False, False, False)
    assert rows["keep_fraction"].default == "0.5"
    assert rows["keep_fraction"].noteworthy
    assert not rows["points"].noteworthy


def test_setting_this_version_does_not_know_is_shown_all_the_same(trainings):
    rows = {row.key: row for row in setting_rows(trainings)["muduo"]}
    assert rows["from_the_future"].values[1] == "1"


def test_trainers_show_only_tables_they_look_at(trainings):
    tables = setting_rows(trainings)
    assert [row.values for row in tables["mae"] if row.key == "ratio"] == [("", "", "0.75", "")]
    assert {row.values[2:] for row in tables["muduo"]} == {("", "")}
    assert setting_rows(trainings[3:]) == {}


def test_default_written_out_is_no_change(tmp_path):
    plans = {**PLANS, "mae": {"block": [12, 16, 16], "zoom": [0.9, 1.1]}}
    training = read_training(write_fold(tmp_path, trainer="nnUNetTrainerPETCTMAE", plans=plans), "mae")
    assert not any(row.noteworthy for row in setting_rows([training])["mae"])


def test_plan_is_told_in_words(trainings):
    rows = {row.key: row.values[0] for row in plan_rows(trainings)}
    assert rows["spacing (mm)"] == "3 \N{MULTIPLICATION SIGN} 2 \N{MULTIPLICATION SIGN} 2"
    assert rows["network"] == "PlainConvUNet"
    assert rows["parameters"] == "7"


def test_a_swin_is_told_instead_of_the_planned_network(tmp_path):
    training = read_training(
        write_fold(tmp_path, trainer="nnUNetTrainerPETCTSwin", plans=PLANS | {"mae": {"swin": "base"}}), "x"
    )
    rows = {row.key: row.values[0] for row in plan_rows([training])}
    assert rows["network"] == "SwinUNETR-v2, base"
    assert "features per stage" not in rows


def test_trainings_that_agree_share_a_column(trainings):
    assert side_by_side(version_rows(trainings), ["a", "b", "c", "d"])[0] == ["all trainings"]
    assert side_by_side(setting_rows(trainings)["muduo"], ["a", "b", "c", "d"])[0] == ["a", "b", "c", "d"]


def test_what_nnunet_calls_none_is_left_out(trainings):
    assert [row.key for row in version_rows(trainings)] == ["torch", "device"]
