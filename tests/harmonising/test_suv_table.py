"""What SUV depends on, from files."""

import json
import unicodedata

import pytest

from nnunetv2_muduo.datasets.suv import F18_HALF_LIFE_IN_S, Injection
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.suv_table import read_suv_table


@pytest.mark.parametrize(
    "text",
    [
        "case,injected_dose_mbq,weight_kg,decay_s\na b,350,70,3600\n",
        "\ufeffcase;injected_dose_bq;weight_kg;injection_time;acquisition_time;age\na b;3.5e8;70;23:30;00:30:00;44\n",
        "case,injected_dose_bq,weight_kg,injection_time,acquisition_time\n"
        "a b,350000000,70,2026-01-31 23:30:00,2026-02-01 00:30:00\n\n",
    ],
)
def test_columns_may_be_given_either_way(tmp_path, text):
    (tmp_path / "doses.csv").write_text(text, encoding="utf-8")
    assert read_suv_table(tmp_path / "doses.csv") == {"a b": Injection(350e6, 70.0, 3600.0, F18_HALF_LIFE_IN_S)}


def test_json_names_another_nuclide_by_its_half_life(tmp_path):
    row = {"injected_dose_mbq": 150, "weight_kg": 80, "decay_s": 0, "half_life_s": 4062.6}
    (tmp_path / "doses.json").write_text(json.dumps({"a/b": row}))
    assert read_suv_table(tmp_path / "doses.json") == {"a/b": Injection(150e6, 80.0, 0.0, 4062.6)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case,injected_dose_mbq,decay_s\na,350,60", "case 'a': weight_kg is missing"),
        ("case,injected_dose_mbq,weight_kg\na,350,70", "decay_s, or injection_time and acquisition_time, is missing"),
        ('case,injected_dose_mbq,weight_kg,decay_s\na,350,"70,5",60', "weight_kg is '70,5', which is no number"),
        ("case,injected_dose_bq,weight_kg,decay_s\na,350,70,60", "MBq"),
        ("case,injected_dose_mbq,weight_kg,injection_time,acquisition_time\na,350,70,9h,10h", "'9h' and '10h'"),
        (
            "case,injected_dose_mbq,weight_kg,injection_time,acquisition_time\na,350,70,2026-01-01T09:00,10:00",
            "not both like",
        ),
        ("case,injected_dose_mbq,weight_kg,decay_s\na,350,70,60\na,350,70,60", "'a' twice"),
        ("patient,dose\na,350", "no column 'case'"),
        ("case,injected_dose_mbq,weight_kg,decay_s\na,312,5,71,60", "case 'a': there are more cells than columns"),
        ("case,weight_kg,injected_dose_mbq,weight_kg,decay_s\na,70,350,80,60", "'weight_kg' twice"),
        ("case,injected_dose_mbq,weight_kg,decay_s,half_life\na,350,70,60,4062", "half_life_s may be meant"),
        ("case,injected_dose_mbq,weight_kg,decay_s,Half_life_min\na,350,70,60,68", "half_life_s may be meant"),
        ("case,injected_dose_mbq,injected_dose_bq,weight_kg,decay_s\na,350,35e6,70,60", "its doses are 3.5e"),
        ("case,injected_dose_mbq,weight_kg,decay_s\na,3_50,70,60", "'3_50', which is no number"),
        (
            "case,injected_dose_mbq,weight_kg,decay_s,injection_time,acquisition_time\na,350,70,60,09:00,10:00",
            "times of decay are 60 and 3600",
        ),
        (
            "case,injected_dose_mbq,weight_kg,injection_time,acquisition_time\na,350,70,2026-01-01,2026-01-01",
            "not both like",
        ),
        (f"case,weight_kg\na,{'9' * 200_000}", "is no CSV table"),
        (
            "case,injected_dose_mbq,weight_kg,injection_time,acquisition_time\na,350,70,10:00+01:00,11:00",
            "not both like",
        ),
    ],
)
def test_mistakes_are_named_with_their_case(tmp_path, text, words):
    (tmp_path / "doses.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        read_suv_table(tmp_path / "doses.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[1]", "must look like"),
        ("[" * 100_000, "not valid JSON"),
        (f'{{"a": {{"injected_dose_bq": 1{"0" * 400}}}}}', "which is no number"),
    ],
)
def test_other_json_is_refused(tmp_path, text, words):
    (tmp_path / "doses.json").write_text(text)
    with pytest.raises(UserError, match=words):
        read_suv_table(tmp_path / "doses.json")


def test_a_table_in_another_encoding_is_told_with_the_remedy(tmp_path):
    text = "case;injected_dose_mbq;weight_kg;decay_s\nMüller;350;70;0\n"
    (tmp_path / "doses.csv").write_text(text, encoding="cp1252")
    with pytest.raises(UserError, match=r"not in UTF-8; save it as such"):
        read_suv_table(tmp_path / "doses.csv")


def test_letters_may_be_composed_either_way_and_quoted_cells_hold_several_lines(tmp_path):
    text = 'case,remark,injected_dose_mbq,weight_kg,decay_s\r\nMüller,"one\r\ntwo\x0b",350,70,0\r\n'
    (tmp_path / "doses.csv").write_text(unicodedata.normalize("NFD", text), encoding="utf-8", newline="")
    assert list(read_suv_table(tmp_path / "doses.csv")) == ["Müller"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"doses\.csv cannot be read"):
        read_suv_table(tmp_path / "doses.csv")


def test_true_is_no_number_of_a_json_file(tmp_path):
    (tmp_path / "doses.json").write_text(json.dumps({"a": {"injected_dose_mbq": 350, "weight_kg": True, "decay_s": 0}}))
    with pytest.raises(UserError, match="weight_kg is 'True', which is no number"):
        read_suv_table(tmp_path / "doses.json")


def test_empty_cells_behind_a_row_and_columns_of_ones_own_do_no_harm(tmp_path):
    (tmp_path / "doses.csv").write_text("case,injected_dose_mbq,weight_kg,decay_s,tracer\na,350,70,3600,FDG,,\n")
    assert read_suv_table(tmp_path / "doses.csv") == {"a": Injection(350e6, 70.0, 3600.0, F18_HALF_LIFE_IN_S)}
