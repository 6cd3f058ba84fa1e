import json
from pathlib import Path

import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import DATASET, unet_plans, write_planned_dataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.planning import write_muduo_plans


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in FOLDER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "with space"))
    return write_planned_dataset(tmp_path / "with space")


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_assignments_are_written_and_everything_else_stays(dataset):
    written = write_muduo_plans("21", assignments=["points=5", "ct_teacher=null"])
    assert written.path == dataset / "nnUNetPlans.json"
    assert read(written.path) == unet_plans() | {"muduo": {"points": 5, "ct_teacher": None}}
    assert (written.settings.points, written.settings.ct_teacher) == (5, None)


@pytest.mark.parametrize("name", ["21", 21, "021", DATASET])
def test_the_dataset_is_found_by_number_and_name(dataset, name):
    assert write_muduo_plans(name).path.parent == dataset


def test_settings_of_an_earlier_call_stay_unless_given_anew(dataset):
    write_muduo_plans("21", assignments=["points=5", "fusion=mean"])
    write_muduo_plans("21", assignments=["points=1"])
    assert read(dataset / "nnUNetPlans.json")["muduo"] == {"points": 1, "fusion": "mean"}


def test_assignments_win_over_the_preset(dataset):
    settings = write_muduo_plans("21", preset="published", assignments=["points=1"]).settings
    assert (settings.points, settings.point_strategy) == (1, "first")


def test_settings_of_another_preset_stay_and_that_is_told(dataset):
    write_muduo_plans("21", preset="few_labels_long", assignments=["points=5"])
    written = write_muduo_plans("21", preset="few_labels", assignments=["points=7"])
    assert written.settings.student_share == 0.333
    assert [line for line in written.summary().splitlines() if "kept from before" in line] == [
        "  kept from before: student_share is 0.333 (the preset has none)",
        "  kept from before: student_prompt_share is 0.5 (the preset has none)",
    ]
    assert "kept from before" not in write_muduo_plans("21", assignments=["points=7"]).summary()


def test_a_preset_resizes_the_chosen_configuration_only(dataset):
    write_muduo_plans("21", preset="tiny")
    after, before = read(dataset / "nnUNetPlans.json"), unet_plans()
    assert after["configurations"]["3d_fullres"]["patch_size"] == [32, 32, 32]
    assert after["configurations"]["3d_fullres"]["data_identifier"] == "nnUNetPlans_3d_fullres"
    assert after["configurations"]["2d"] == before["configurations"]["2d"]
    assert after["configurations"]["3d_small_batch"] == before["configurations"]["3d_small_batch"]


def test_a_configuration_that_inherits_can_be_resized(dataset):
    write_muduo_plans("21", preset="tiny", configuration="3d_small_batch")
    manager = PlansManager(str(dataset / "nnUNetPlans.json"))
    assert manager.get_configuration("3d_small_batch").patch_size == [32, 32, 32]
    assert manager.get_configuration("3d_fullres").patch_size == [32, 48, 48]


def test_a_preset_reaches_into_configurations(dataset, tmp_path):
    preset = tmp_path / "big batch.json"
    preset.write_text(json.dumps({"configurations": {"3d_fullres": {"batch_size": 7}}}))
    write_muduo_plans("21", preset=str(preset))
    configurations = read(dataset / "nnUNetPlans.json")["configurations"]
    assert configurations["3d_fullres"] == unet_plans()["configurations"]["3d_fullres"] | {"batch_size": 7}


def test_plans_of_another_name_leave_the_first_alone_and_share_its_data(dataset):
    before = (dataset / "nnUNetPlans.json").read_bytes()
    for points in (5, 7):
        written = write_muduo_plans("21", assignments=[f"points={points}"], output_name="nnUNetPlansFive")
    assert written.path == dataset / "nnUNetPlansFive.json"
    manager = PlansManager(str(written.path))
    assert manager.plans_name == written.plans_name == "nnUNetPlansFive"
    assert manager.get_configuration("3d_fullres").data_identifier == "nnUNetPlans_3d_fullres"
    assert read(written.path)["muduo"] == {"points": 7}
    assert (dataset / "nnUNetPlans.json").read_bytes() == before


def test_settings_of_plans_that_are_written_anew_do_not_go_without_a_word(dataset):
    def told(*assignments: str, plans: str = "nnUNetPlans") -> str:
        return write_muduo_plans("21", plans_name=plans, assignments=assignments, output_name="Mine").summary()

    assert "gone" not in told("keep_fraction=0.3", "mae.ratio=0.4")
    assert "gone" not in told("keep_fraction=0.4", plans="Mine")
    assert "gone with the Mine.json before: mae.ratio; to keep them, give -p Mine" in told("keep_fraction=0.2")
    assert "gone" not in told("keep_fraction=0.1")


def test_what_changed_is_told_entry_by_entry(dataset):
    write_muduo_plans("21", assignments=["points=5"])
    summary = write_muduo_plans("21", preset="tiny", assignments=["points=1", "seed=null"]).summary()
    assert "muduo.points: 5 -> 1" in summary
    assert "muduo.num_epochs: (not set) -> 2" in summary
    assert "configurations.3d_fullres.patch_size: [32, 48, 48] -> [32, 32, 32]" in summary
    assert "spacing" not in summary
    assert "nothing changed" in write_muduo_plans("21").summary()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "22"}, "no dataset '22'"),
        ({"plans_name": "other"}, "nnUNetv2_plan_and_preprocess -d 21"),
        ({"configuration": "3d_lowres"}, "3d_lowres.*3d_fullres"),
        ({"preset": "nothing"}, "no preset 'nothing'"),
        ({"assignments": ["pionts=3"]}, "did you mean 'points'"),
        ({"assignments": ["points"]}, "KEY=VALUE"),
        ({"assignments": ["points=0"]}, "'points' is 0"),
        ({"output_name": "a__b"}, "a__b"),
        ({"output_name": "../a"}, "plain file name"),
        ({"output_name": "dataset"}, "not made by muduo plan"),
    ],
)
def test_a_refused_call_writes_nothing(dataset, options, message):
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    with pytest.raises(UserError, match=message):
        write_muduo_plans(options.pop("dataset", "21"), **options)
    assert {path.name: path.read_bytes() for path in dataset.iterdir()} == before


@pytest.mark.parametrize(
    "configuration", [{"patch_size": "large"}, {"data_identifier": "../../outside"}, {"spacing": [0, 1, 1]}]
)
def test_a_preset_cannot_make_plans_that_nnunet_would_stumble_over(dataset, tmp_path, configuration):
    (tmp_path / "own.json").write_text(json.dumps({"configurations": {"3d_fullres": configuration}}))
    before = (dataset / "nnUNetPlans.json").read_bytes()
    with pytest.raises(UserError, match=r"nnUNetPlans\.json: 'configurations\.3d_fullres"):
        write_muduo_plans("21", preset=str(tmp_path / "own.json"))
    assert (dataset / "nnUNetPlans.json").read_bytes() == before


@pytest.mark.parametrize("table", ["muduo", "mae"])
def test_plans_with_something_else_for_a_table_of_settings_are_refused(dataset, table):
    plans = read(dataset / "nnUNetPlans.json")
    (dataset / "nnUNetPlans.json").write_text(json.dumps(plans | {table: "0.5"}))
    with pytest.raises(UserError, match=f'plans."{table}". must be a table'):
        write_muduo_plans("21", assignments=["points=3"])
