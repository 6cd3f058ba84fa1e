"""Organ maps find their scans, whatever exactly they are called."""

import json
from pathlib import Path

import pytest
from autopet_folders import STUDY, write_organs

from nnunetv2_muduo.autopet.organ_maps import match_organ_maps, organ_labels
from nnunetv2_muduo.autopet.scans import Scan
from nnunetv2_muduo.errors import UserError

SCANS = [
    Scan(name, patient, Path("ct"), Path("pet"))
    for name, patient in ((f"PETCT_a1_{STUDY}", "a1"), ("PETCT_a1_s2", "a1"), ("psma_b2_2018-04-23", "b2"))
]


@pytest.mark.parametrize(
    ("file", "number"),
    [
        (f"fdg_a1_{STUDY}", 0),
        (f"a1_{STUDY.replace(' ', '_')}", 0),
        (f"PETCT_a1/{STUDY}/organs", 0),
        ("deeper/PETCT_a1/s2", 1),
        ("psma_b2_2018-04-23", 2),
        ("b2", 2),
        ("PETCT_b2/labels", 2),
    ],
)
def test_a_map_is_matched_by_its_identifier(tmp_path, file, number):
    write_organs((tmp_path / file).parent, [Path(file).name])
    matched, strangers = match_organ_maps(tmp_path, SCANS)
    assert matched == {SCANS[number].name: tmp_path / f"{file}.nii.gz"}
    assert strangers == []


def test_only_labels_of_nnunets_layout_and_no_images_of_the_release_are_maps(tmp_path):
    write_organs(tmp_path / "nnunet" / "imagesTr", ["fdg_a1_s2_0000"])
    write_organs(tmp_path / "nnunet" / "labelsTr", ["fdg_a1_s2"])
    matched, _ = match_organ_maps(tmp_path / "nnunet", SCANS)
    assert list(matched) == ["PETCT_a1_s2"]
    write_organs(tmp_path / "tree" / "PETCT_a1" / "s2", ["SUV", "CTres", "SEG", "organs"])
    matched, strangers = match_organ_maps(tmp_path / "tree", SCANS)
    assert (matched["PETCT_a1_s2"].name, strangers) == ("organs.nii.gz", [])


def test_strangers_are_told_and_doubles_and_no_match_refused(tmp_path):
    folder = write_organs(tmp_path, ["fdg_a1_s2", "fdg_z9_s1", "a1"])  # patient a1 has two studies
    matched, strangers = match_organ_maps(folder, SCANS)
    assert list(matched) == ["PETCT_a1_s2"]
    assert [path.name for path in strangers] == ["a1.nii.gz", "fdg_z9_s1.nii.gz"]
    with pytest.raises(UserError, match=r"None of the 3 organ maps .* is called like a scan: .* against psma_b2"):
        match_organ_maps(folder, SCANS[2:])
    write_organs(folder, ["PETCT_a1_s2"])
    with pytest.raises(UserError, match="both belong to PETCT_a1_s2; keep one map"):
        match_organ_maps(folder, SCANS)


@pytest.mark.parametrize("file", ["PETCT_b2/2019-01-01", "b2/psma_b2_2019-01-01", "PETCT_b2/2019-01-01/organs"])
def test_a_map_of_another_study_is_a_stranger_also_where_the_patient_has_one_scan(tmp_path, file):
    write_organs(tmp_path / "PETCT_a1", ["s2"])
    write_organs((tmp_path / file).parent, [Path(file).name])
    matched, strangers = match_organ_maps(tmp_path, SCANS)
    assert list(matched) == ["PETCT_a1_s2"]
    assert strangers == [tmp_path / f"{file}.nii.gz"]


def test_missing_maps_are_told(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        match_organ_maps(tmp_path / "nowhere", SCANS)
    with pytest.raises(UserError, match=r"no .nii.gz file"):
        match_organ_maps(tmp_path, SCANS)


@pytest.mark.parametrize(
    "content",
    [
        {"liver": 1, "left lung": 2},
        {"1": "liver", "2": "left lung"},
        {"labels": {"background": 0, "liver": 1, "left lung": 2}, "numTraining": 5},
        {"0": "background", "1": "liver", "2": "left lung"},
    ],
)
def test_names_are_read_in_every_way_they_are_written(tmp_path, content):
    (tmp_path / "names.json").write_text(json.dumps(content))
    assert organ_labels(tmp_path, tmp_path / "names.json") == ({"background": 0, "liver": 1, "left lung": 2}, True)


def test_dataset_json_beside_the_maps_names_them_and_without_any_names_are_generic(tmp_path):
    labels, named = organ_labels(tmp_path / "labelsTr")
    assert (list(labels.values()), labels["organ_12"], named) == (list(range(13)), 12, False)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "heart": 1}}))
    assert organ_labels(tmp_path / "labelsTr") == ({"background": 0, "heart": 1}, True)
    assert organ_labels(tmp_path) == ({"background": 0, "heart": 1}, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"liver": 1, "spleen": 3}, "without a gap"),
        ({"1": "liver", "2": "liver"}, "two values one name"),
        ({"liver": "1"}, "whole numbers"),
        ({"labels": {}}, "names no organs"),
        ([1], "names no organs"),
    ],
)
def test_names_nnunet_cannot_use_are_refused(tmp_path, content, words):
    (tmp_path / "names.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"names\.json.*{words}"):
        organ_labels(tmp_path, tmp_path / "names.json")
