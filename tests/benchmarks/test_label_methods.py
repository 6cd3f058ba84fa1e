import json
from pathlib import Path

import label_training
import pytest
import torch
from label_efficiency import adopt_finished, chosen_methods
from label_methods import FOUR_TIMES, LABELLERS, METHODS, SIZES
from label_training import Run, Workshop, identity, missing_trainer

from nnunetv2_muduo.presets import load_preset
from nnunetv2_muduo.settings import Settings


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_every_method_of_a_known_trainer_has_settings_that_are_accepted(size):
    for method in METHODS.values():
        if missing_trainer(method) is None:
            Settings.from_dict(method.settings_in(size, seed=0))


def test_published_settings_are_those_of_the_preset_but_for_the_schedule_that_all_share():
    settings, preset = METHODS["muduo-published"].settings_in(SIZES["small"], seed=0), load_preset("published").muduo
    differing = {key for key in preset if settings[key] != preset[key]}
    assert differing <= {"num_epochs", "iterations_per_epoch", "unlabelled_batch_size"}


def test_a_longer_training_has_so_many_times_the_epochs():
    short, long = (METHODS[key].settings_in(SIZES["small"], seed=0) for key in ("supervised", "supervised-long"))
    assert long == short | {"num_epochs": 4 * short["num_epochs"]}


def test_scans_are_labelled_by_a_student_of_as_many_steps():
    students = [method for method in METHODS.values() if method.unlabelled in LABELLERS]
    assert {method.longer for method in students} == {1, 4}
    assert all(METHODS[LABELLERS[method.unlabelled]].longer == method.longer for method in students)


def test_a_run_on_other_cases_is_another_run(tmp_path):
    workshop = Workshop(tmp_path, SIZES["smoke"], torch.device("cpu"), METHODS)
    held_out, more = (identity(Run(key, 5, 0), workshop) for key in ("supervised", "supervised-held-out"))
    assert held_out != more


def test_a_prompt_generator_is_trained_before_the_student_is_seeded(tmp_path, monkeypatch):
    order = []

    def made(*given, **options):
        order.append("student")
        raise KeyboardInterrupt

    monkeypatch.setattr(label_training, "prompt_generator", lambda run, workshop: order.append("generator"))
    monkeypatch.setattr(label_training, "make_trainer", made)
    with pytest.raises(KeyboardInterrupt):
        label_training.train(Run("muduo", 5, 0), Workshop(tmp_path, SIZES["smoke"], torch.device("cpu"), METHODS))
    assert order == ["generator", "student"]


def test_a_method_without_its_trainer_is_told_and_left_out(capsys, monkeypatch):
    monkeypatch.setattr(
        "label_efficiency.missing_trainer", lambda method: method.trainer if "CPS" in method.title else None
    )
    assert chosen_methods(["supervised", "cps", "muduo", "muduo"]) == ["supervised", "muduo"]
    assert "CPS" in capsys.readouterr().out


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(SystemExit, match="muduoo"):
        chosen_methods(["muduoo"])


def test_earlier_results_count_as_finished_where_settings_and_teachers_are_the_same(tmp_path):
    workshop = Workshop(tmp_path, SIZES["smoke"], torch.device("cpu"), METHODS)
    same, other = (
        {"method": "muduo", "budget": 5, "seed": seed, **identity(Run("muduo", 5, seed), workshop)} for seed in (0, 1)
    )
    other["weights"] = {**other["weights"], "standin_ct": "another"}
    gone = {**same, "method": "a method of former days"}
    (tmp_path / "results.json").write_text(json.dumps({"runs": [same, other, gone]}))
    adopt_finished(tmp_path / "results.json", workshop)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["muduo_5_0.json"]
    adopt_finished(Path(tmp_path, "no such file"), workshop)


def test_titles_tell_which_trainings_are_long():
    long = {method.title for method in METHODS.values() if method.longer > 1}
    assert long == {method.title for method in METHODS.values() if method.title.endswith(FOUR_TIMES)}
