"""Scans of one patient are told by their names, or by what was recorded of them."""

import json
from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.patients import patients_of, patients_of_dataset


@pytest.mark.parametrize(
    ("case", "patient"),
    [
        ("fdg_0011f3deaf_03-23-2003-NA-PET-CT Ganzkoerper", "fdg_0011f3deaf"),
        ("psma_95b833d65be26f2c_2018-04-23", "psma_95b833d65be26f2c"),
        ("PETCT_0223_1", "PETCT_0223"),
        ("case_003_1", "case_003_1"),
        ("unlabelled", "unlabelled"),
    ],
)
def test_patients_of_autopet_are_known_by_their_names(case: str, patient: str):
    assert patients_of([case]) == {case: patient}


def test_patients_are_found_by_a_pattern_with_or_without_a_group():
    assert patients_of(["C01_a"], r"[^_]+") == patients_of(["C01_a"], r"([^_]+)_") == {"C01_a": "C01"}


def test_no_regular_expression_is_a_users_mistake():
    with pytest.raises(UserError, match="no regular expression"):
        patients_of(["a"], "(")


def test_a_pattern_that_finds_nobody_is_a_mistake_of_the_users(tmp_path: Path):
    with pytest.raises(UserError, match=r"'P[+]' matches at the start of no case's name, such as C01_a"):
        patients_of_dataset(tmp_path, ["C01_a", "C01_b"], "P+")


def test_patients_of_converted_cases_are_those_of_the_manifest(tmp_path: Path):
    cases = {name: {"patient": "a1"} for name in ("fdg_a1_s1", "PETCT_a1_s2")}
    (tmp_path / "autopet.json").write_text(json.dumps({"cases": cases}))
    found = patients_of_dataset(tmp_path, [*cases, "fdg_b2_s1"])
    assert found == {"fdg_a1_s1": "a1", "PETCT_a1_s2": "a1", "fdg_b2_s1": "fdg_b2"}
