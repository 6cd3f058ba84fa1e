"""Which organs are kept, and how that is written down."""

import csv
import io
import json
from dataclasses import asdict, replace

import pytest

from nnunetv2_muduo.pseudo_labelling.case_quality import (
    OrganQuality,
    Thresholds,
    never_kept,
    quality_csv,
    summary_table,
)

GOOD = OrganQuality(
    "pat 1.v2",
    "liver",
    1,
    prompt_ml=1500.04,
    ct_ml=1400.0,
    pet_ml=None,
    fused_ml=1450.0,
    teacher_iou=0.8,
    prompt_iou=0.7,
    prompt_dice=0.9,
    mean_agreement=0.95,
    components=1,
    ct_windows=2,
)
ABSENT = OrganQuality("pat 1.v2", "spleen", 2)


@pytest.mark.parametrize(
    ("change", "suggestion", "reason"),
    [
        ({}, "keep", ""),
        ({"teacher_iou": 0.49, "pet_ml": 1300.0}, "drop", "teachers disagree"),
        ({"teacher_iou": 0.49}, "drop", "the only teacher is not sure"),
        ({"prompt_iou": 0.19}, "drop", "not what was prompted"),
        ({"fused_ml": 0.0}, "drop", "no voxel in the label map"),
        ({"prompt_ml": 0.0}, "absent", "not found"),
    ],
)
def test_organ_is_kept_only_where_it_reaches_every_threshold(change: dict, suggestion: str, reason: str):
    judged = Thresholds().judge(replace(GOOD, **change))
    assert judged[0] == suggestion
    assert reason in judged[1]


@pytest.mark.parametrize(
    ("change", "suggestion"),
    [
        ({}, "keep"),
        ({"teacher_iou": 0.49}, "drop"),  # they outline the same place, not quite the same thing
        ({"prompt_iou": 0.19}, "missing"),
        ({"fused_ml": 0.0}, "missing"),
        ({"prompt_ml": 0.0}, "missing"),
    ],
)
def test_required_organ_is_missing_where_its_place_is_not_known(change: dict, suggestion: str):
    thresholds = Thresholds(required=frozenset({"liver"}))
    assert thresholds.judge(replace(GOOD, **change))[0] == suggestion
    assert thresholds.judge(ABSENT)[0] == "absent"


def test_zero_switches_a_threshold_off():
    assert Thresholds(0.0, 0.0).judge(replace(GOOD, teacher_iou=0.0, prompt_iou=0.0)) == ("keep", "")


def test_table_has_a_row_per_organ_and_leaves_empty_what_is_not_known():
    rows = list(csv.DictReader(io.StringIO(quality_csv([GOOD, ABSENT], Thresholds()))))
    assert [row["suggestion"] for row in rows] == ["keep", "absent"]
    assert rows[0]["prompt_ml"] == "1500.0"
    assert rows[0]["teacher_iou"] == "0.800"
    assert rows[0]["pet_ml"] == rows[1]["teacher_iou"] == ""


def test_summary_counts_cases_and_takes_medians_of_those_found():
    other = replace(GOOD, case="b", teacher_iou=0.4)
    table = " ".join(summary_table([GOOD, ABSENT, other, replace(ABSENT, case="b")], Thresholds()).split())
    assert "| liver | 2 of 2 | 1 | 0.60 | 0.70 |" in table
    assert "| spleen | 0 of 2 | 0 | - | - | - | - |" in table


def test_organs_that_are_found_and_nowhere_kept_are_named():
    lesion = replace(GOOD, organ="lesion", label=3, prompt_iou=0.1)
    rows = [GOOD, ABSENT, lesion, replace(GOOD, case="b", teacher_iou=0.4), replace(lesion, case="b", prompt_ml=0.0)]
    assert never_kept(rows, Thresholds()) == ("lesion",)
    assert never_kept(rows, Thresholds(min_prompt_iou=0.0)) == ()


def test_a_quality_comes_back_from_json():
    assert OrganQuality.from_dict(json.loads(json.dumps(asdict(GOOD)))) == GOOD


def test_an_organ_without_numbers_is_dropped_and_no_traceback():
    word, reason = Thresholds().judge(replace(GOOD, teacher_iou=None, prompt_iou=None))
    assert word == "drop"
    assert "soft IoU 0.00" in reason


def test_a_row_that_lacks_a_number_is_no_quality():
    with pytest.raises(TypeError, match="prompt_iou is missing"):
        OrganQuality.from_dict({key: value for key, value in asdict(GOOD).items() if key != "prompt_iou"})


@pytest.mark.parametrize(
    "change", [{"case": 3}, {"label": "1"}, {"fused_ml": None}, {"teacher_iou": "0.5"}, {"more": 1}]
)
def test_other_values_are_no_quality(change):
    with pytest.raises(TypeError):
        OrganQuality.from_dict(asdict(GOOD) | change)
