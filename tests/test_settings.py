import copy
import json

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.settings import Settings, parse_assignment

EVERY_KEY = [
    "ct_teacher", "pet_teacher", "grid", "ct_prompt", "mask_prompt", "point_mask", "points", "point_strategy",
    "keep_fraction", "min_iou", "min_prompt_iou", "fusion", "prompts_label", "student_share", "student_prompt_share",
    "reliability", "spatial_augmentation", "consistency_weight", "ramp_fraction",
    "warmup_epochs", "predict_with", "ema_decay", "uncertainty_passes", "generalist", "generalist_prompt",
    "unlabelled_batch_size", "num_epochs", "iterations_per_epoch", "val_iterations_per_epoch", "optimizer",
    "initial_lr", "mirroring", "prompt_epochs", "ct_channel", "pet_channel", "teacher_cache", "cache_tiles",
    "report_every", "report_patches", "seed",
]  # fmt: skip


def test_plans_without_settings_give_the_defaults():
    assert Settings.from_plans({"plans_name": "nnUNetPlans"}) == Settings()


def test_defaults_are_the_designed_ones():
    settings = Settings()
    assert list(settings.to_dict()) == EVERY_KEY
    assert (settings.ct_teacher, settings.pet_teacher) == ("sam_med3d_turbo", "seganypet_v1")
    assert (settings.points, settings.point_strategy) == (3, "spread")
    assert (settings.keep_fraction, settings.min_iou, settings.consistency_weight) == (0.5, 0.0, 0.1)
    assert settings.unlabelled_batch_size is settings.num_epochs is settings.prompt_epochs is None


def test_reading_plans_does_not_change_them():
    plans = {"muduo": {"points": 5, "ct_teacher": None}}
    before = copy.deepcopy(plans)
    assert Settings.from_plans(plans).points == 5
    assert plans == before


def test_settings_survive_a_trip_through_json():
    settings = Settings(pet_teacher=None, seed=3, keep_fraction=1.0)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_unknown_key_is_named_with_the_closest_known_one():
    with pytest.raises(UserError, match=r"'keep_fractoin' \(0\.5\).*did you mean 'keep_fraction'"):
        Settings.from_dict({"keep_fractoin": 0.5})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ct_teacher", 3),
        ("pet_teacher", " "),
        ("grid", "1mm"),
        ("ct_prompt", "Student"),
        ("mask_prompt", None),
        ("point_mask", "zero"),
        ("points", 0),
        ("points", 3.0),
        ("points", True),
        ("points", 10**400),
        ("point_strategy", ["spread"]),
        ("keep_fraction", 0.0),
        ("keep_fraction", float("nan")),
        ("keep_fraction", "0.5"),
        ("min_iou", 1.5),
        ("fusion", "max"),
        ("reliability", None),
        ("consistency_weight", -0.1),
        ("consistency_weight", float("inf")),
        ("ramp_fraction", 2),
        ("warmup_epochs", -1),
        ("predict_with", "average"),
        ("ema_decay", 1.1),
        ("uncertainty_passes", 0),
        ("generalist", "CT"),
        ("generalist_prompt", "point"),
        ("unlabelled_batch_size", 1),
        ("num_epochs", 0),
        ("optimizer", "adam"),
        ("initial_lr", 0),
        ("mirroring", 1),
        ("ct_channel", -1),
        ("teacher_cache", 1),
        ("cache_tiles", 0),
        ("report_every", 0),
        ("seed", -1),
    ],
)
def test_a_wrong_value_is_refused_by_name(key, value):
    with pytest.raises(UserError, match=f"'{key}' is .*must be"):
        Settings.from_dict({key: value})


def test_the_allowed_words_are_listed():
    with pytest.raises(UserError, match='"spread" or "random" or "uptake" or "centroid" or "components" or "first"'):
        Settings.from_dict({"point_strategy": "middle"})


def test_whole_numbers_are_accepted_where_real_ones_are():
    assert Settings.from_dict({"keep_fraction": 1, "min_iou": 0}).keep_fraction == 1


@pytest.mark.parametrize(
    "together",
    [
        {"ct_teacher": None, "pet_teacher": None},
        {"ct_channel": 1, "pet_channel": 1},
        {"warmup_epochs": 5, "num_epochs": 5},
        {"teacher_cache": True, "student_prompt_share": 0.5},
        {"student_prompt_share": 0.5, "pet_teacher": None},
        {"prompts_label": True, "pet_teacher": None},
    ],
)
def test_values_that_contradict_each_other_are_refused(together):
    with pytest.raises(UserError):
        Settings.from_dict(together)


@pytest.mark.parametrize("prompted", [{}, {"pet_teacher": None, "ct_prompt": "generator"}, {"ct_teacher": None}])
def test_the_student_shares_in_prompts_where_there_are_some(prompted):
    assert Settings.from_dict({"student_prompt_share": 0.5, **prompted}).student_prompt_share == 0.5


def test_a_settings_entry_that_is_no_table_is_refused():
    with pytest.raises(UserError, match="must be a table"):
        Settings.from_plans({"muduo": ["points", 3]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("points=5", ("points", 5)),
        ("min_iou = 0.5", ("min_iou", 0.5)),
        ("ct_teacher=null", ("ct_teacher", None)),
        ("reliability=none", ("reliability", "none")),
        ("grid=1.5mm", ("grid", "1.5mm")),
        ('fusion="mean"', ("fusion", "mean")),
        ("ct_teacher=a=b.pth", ("ct_teacher", "a=b.pth")),
    ],
)
def test_assignments_are_read_as_json_or_else_as_words(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["points", "=3", "points=", ""])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(UserError, match="KEY=VALUE"):
        parse_assignment(text)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 500 + "]" * 500, "1" * 5000])
def test_a_typed_value_that_python_cannot_take_for_json_is_a_text_and_refused_in_a_short_sentence(text: str):
    key, value = parse_assignment(f"points={text}")
    assert value == text
    with pytest.raises(UserError, match=r"Setting 'points' is .*but must be a whole number") as refused:
        Settings.from_dict({key: value})
    assert len(str(refused.value)) < 200
