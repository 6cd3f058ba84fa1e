"""Folders of several centres into one dataset."""

import json
import os
import time
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
from centre_folders import CT_GRID, a_ct, a_label, a_pet, write_case

from nnunetv2_muduo.datasets.suv import Injection, suv_factor
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.dataset import open_dataset
from nnunetv2_muduo.harmonising.images import Options
from nnunetv2_muduo.harmonising.layouts import PRESETS
from nnunetv2_muduo.harmonising.recipe import Summary, harmonise
from nnunetv2_muduo.harmonising.record import read_records

LABELS = {"background": 0, "lesion": 1}
PLAIN = Options()


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def north(tmp_path: Path) -> Path:
    """Two patients of a centre, one with two studies; one study is labelled."""
    write_case(tmp_path / "north" / "p1" / "s1", label=True)
    write_case(tmp_path / "north" / "p1" / "s2")
    write_case(tmp_path / "north" / "p2" / "s1", CTres=a_ct(CT_GRID))
    return tmp_path / "north"


def run(source: Path, *, told: list[str] | None = None, options: Options = PLAIN, **others) -> Summary:
    dataset = open_dataset("Dataset230_X", labels=LABELS)
    log = (told if told is not None else []).append
    return harmonise(source, dataset, layout=PRESETS["autopet"], options=options, log=log, **others)


def test_labelled_and_unlabelled_cases_go_where_nnunet_and_muduo_look_for_them(raw, north):
    summary = run(north)
    assert (summary.done, summary.kept, summary.skipped, summary.labelled) == (("p1_s1", "p1_s2", "p2_s1"), (), {}, 1)
    folder = raw / "Dataset230_X"
    assert sorted(os.listdir(folder / "imagesTr")) == ["p1_s1_0000.nii.gz", "p1_s1_0001.nii.gz"]
    assert os.listdir(folder / "labelsTr") == ["p1_s1.nii.gz"]
    assert len(os.listdir(folder / "imagesUn")) == 4
    content = json.loads((folder / "dataset.json").read_text())
    assert (content["numTraining"], content["labels"]) == (1, LABELS)
    records = read_records(folder / "harmonised.json")
    assert {case: record.patient for case, record in records.items()} == {"p1_s1": "p1", "p1_s2": "p1", "p2_s1": "p2"}


def test_several_centres_share_a_dataset(raw, north, tmp_path):
    write_case(tmp_path / "south" / "p1" / "s1", label=True)
    run(north, centre="north")
    summary = run(tmp_path / "south", centre="south")
    assert summary.done == ("south_p1_s1",)
    assert (summary.labelled, summary.labelled_in_all) == (1, 2)
    write_case(tmp_path / "east" / "p1" / "s1", label=True)
    assert run(tmp_path / "east", centre="east", with_labels=False).labelled_in_all == 2
    assert json.loads((raw / "Dataset230_X" / "dataset.json").read_text())["numTraining"] == 2
    assert len(read_records(raw / "Dataset230_X" / "harmonised.json")) == 5


def test_scans_do_not_come_into_a_dataset_under_two_names(raw, north):
    run(north)
    with pytest.raises(UserError, match=r"north_p1_s1: its scans are in the dataset already, as p1_s1; give --centre"):
        run(north, centre="north")
    (north.parent / "by_link").symlink_to(north / "p1")
    with pytest.raises(UserError, match=r"s1: its scans are in the dataset already, as p1_s1"):
        run(north.parent / "by_link")
    for record in (raw / "Dataset230_X").glob("harmonised/p2*"):
        record.unlink()
    summary = run(north, centre="north")
    assert (summary.done, set(summary.skipped)) == (("north_p2_s1",), {"north_p1_s1", "north_p1_s2"})


def test_other_scans_in_a_folder_that_was_used_before_are_other_cases(raw, north):
    run(north, options=Options(copy=True))
    write_case(north / "p1" / "s1", SUV=a_pet(factor=2.3))
    assert run(north, centre="south").done == ("south_p1_s1",)


def test_a_dataset_that_another_run_extended_since_it_was_opened_loses_nothing(raw, north, tmp_path):
    write_case(tmp_path / "south" / "p1")
    early = open_dataset("Dataset230_X")
    run(north)
    summary = harmonise(tmp_path / "south", early, layout=PRESETS["autopet"], options=PLAIN, centre="south")
    content = json.loads((raw / "Dataset230_X" / "dataset.json").read_text())
    assert (content["labels"], content["numTraining"], summary.labelled_in_all) == (LABELS, 1, 1)


def test_labels_that_another_run_settled_since_then_are_not_changed(raw, north, tmp_path):
    write_case(tmp_path / "south" / "p1", label=True)
    early = open_dataset("Dataset230_X", labels={"background": 0, "tumour": 1})
    run(north)
    with pytest.raises(UserError, match=r"Dataset230_X has labelled cases with .*lesion.*leave --labels out"):
        harmonise(tmp_path / "south", early, layout=PRESETS["autopet"], options=PLAIN, centre="south")
    assert json.loads((raw / "Dataset230_X" / "dataset.json").read_text())["labels"] == LABELS


def test_while_one_run_is_at_work_on_a_dataset_another_is_refused(raw, north, tmp_path):
    write_case(tmp_path / "south" / "p1")
    refused: list[str] = []

    def start_another(line: str) -> None:
        if line.startswith("p2_s1: CT and PET lie on different grids"):  # in the midst of the first run
            with pytest.raises(UserError, match=r"Another run is at work in .*Dataset230_X.*; wait until it is done"):
                run(tmp_path / "south", centre="south")
            refused.append(line)

    dataset = open_dataset("Dataset230_X", labels=LABELS)
    harmonise(north, dataset, layout=PRESETS["autopet"], options=PLAIN, log=start_another)
    assert len(refused) == 1
    assert run(tmp_path / "south", centre="south").done == ("south_p1",)


def test_centres_that_were_made_in_another_way_are_told(raw, north, tmp_path):
    write_case(tmp_path / "south" / "p1")
    told: list[str] = []
    cropped = Options(body_crop=True, spacing_in_mm=(5.0, 4.0, 4.0))
    run(north, told=told, options=cropped)
    run(north, told=told, options=replace(cropped, copy=True))
    assert not any("harmonise all alike" in line for line in told)
    run(tmp_path / "south", centre="south", told=told)
    assert told[-1].startswith("3 case(s) of the dataset, such as p1_s1, have another --grid, --body-crop or --spacing")


def test_a_name_of_another_centre_is_not_taken_over(raw, north, tmp_path):
    write_case(tmp_path / "south" / "p1" / "s1")
    write_case(tmp_path / "south" / "p9")
    run(north)
    summary = run(tmp_path / "south")
    assert summary.done == ("p9",)
    assert "--centre" in summary.skipped["p1_s1"]
    assert (raw / "Dataset230_X" / "labelsTr" / "p1_s1.nii.gz").exists()


def test_a_second_run_keeps_what_is_finished_and_makes_what_changed(raw, north):
    run(north)
    assert run(north).kept == ("p1_s1", "p1_s2", "p2_s1")
    sitk.WriteImage(a_pet(factor=2.0), str(north / "p1" / "s2" / "SUV.nii.gz"))
    (raw / "Dataset230_X" / "imagesUn" / "p2_s1_0000.nii.gz").unlink()
    summary = run(north)
    assert (summary.done, summary.kept) == (("p1_s2", "p2_s1"), ("p1_s1",))
    assert run(north, options=Options(body_crop=True)).kept == ()


def test_moved_sources_are_made_anew_under_their_name(raw, north):
    run(north)
    north.rename(north.with_name("moved"))
    summary = run(north.with_name("moved"))
    assert (len(summary.done), summary.skipped) == (3, {})


def test_other_scans_do_not_replace_a_case_whose_folder_is_gone(raw, north, tmp_path):
    run(north, options=Options(copy=True))
    north.rename(north.with_name("unplugged"))
    write_case(tmp_path / "south" / "p1" / "s1", SUV=a_pet(factor=2.3))
    write_case(tmp_path / "south" / "p9")
    summary = run(tmp_path / "south")
    assert summary.done == ("p9",)
    assert "--centre" in summary.skipped["p1_s1"]


def test_bad_cases_are_told_in_a_line_and_at_the_end_and_others_are_made(raw, north):
    write_case(north / "p3", label=True, SEG=a_label(value=9))
    (north / "p4").mkdir()
    (north / "p4" / "SUV.nii.gz").write_bytes((north / "p3" / "SUV.nii.gz").read_bytes())
    told: list[str] = []
    summary = run(north, told=told)
    assert len(summary.done) == 3
    assert set(summary.skipped) == {"p3", "p4"}
    assert [line for line in told if line.startswith("p3: SKIPPED, the label holds 9")]
    assert "2 case(s) are left out" in told[-1]
    assert "p4: it holds no CT" in told[-1]
    assert any(line.startswith("p2_s1: CT and PET lie on different grids") for line in told)


def test_labels_need_names_or_are_left_out(raw, north):
    dataset = open_dataset("Dataset230_X")
    with pytest.raises(UserError, match=r"1 case\(s\) have labels.*--labels.*--unlabelled"):
        harmonise(north, dataset, layout=PRESETS["autopet"], options=Options())
    assert not dataset.folder.exists()
    summary = run(north, with_labels=False)
    assert (len(summary.done), summary.labelled) == (3, 0)


def test_values_for_suv_are_found_by_name_or_folder(raw, north, tmp_path):
    table = {
        "p1/s1": Injection(350e6, 70.0, 0.0),
        "p1_s2": Injection(350e6, 70.0, 0.0),
        "p7": Injection(350e6, 70.0, 0.0),
    }
    told: list[str] = []
    summary = run(north, told=told, suv_table=table)
    assert set(summary.skipped) == {"p1_s1", "p1_s2"}  # they are SUV already
    assert "The SUV values name 'p7', which is no case here." in told


def test_activity_that_a_run_without_values_let_pass_is_not_kept_beside_suv(raw, tmp_path):
    injection = Injection(350e6, 70.0, 0.0)
    for patient in ("p1", "p2"):
        write_case(tmp_path / "south" / patient, SUV=a_pet(factor=1 / suv_factor(injection)))
    assert run(tmp_path / "south").done == ("p1", "p2")
    for _ in range(2):
        summary = run(tmp_path / "south", suv_table={"p1": injection})
        assert "the file of --suv-from does not name the case" in summary.skipped["p2"]
        assert "made of it is still in the dataset" in summary.skipped["p2"]
    assert summary.kept == ("p1",)


def test_values_find_folders_whose_letters_are_composed_otherwise(raw, tmp_path):
    injection = Injection(350e6, 70.0, 0.0)
    pet = a_pet(factor=1 / suv_factor(injection))
    write_case(tmp_path / "south" / unicodedata.normalize("NFD", "Müller"), SUV=pet)
    assert run(tmp_path / "south", centre="south", suv_table={"Müller": injection}).done == ("south_Müller",)


def test_workers_do_the_same(raw, north):
    assert len(run(north, num_processes=2).done) == 3


def test_what_a_killed_run_left_is_cleared_away_after_a_day(raw, north):
    for name, age in ((".partial-old", 90000), (".partial-young", 0)):
        folder = raw / "Dataset230_X" / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age,) * 2)
    run(north)
    assert [path.name for path in (raw / "Dataset230_X").glob(".partial*")] == [".partial-young"]


def test_nothing_to_do_is_one_sentence(raw, tmp_path):
    (tmp_path / "empty" / "p1").mkdir(parents=True)
    (tmp_path / "empty" / "p1" / "SUV.nii.gz").touch()
    with pytest.raises(UserError, match=r"no case with CT and PET.*p1 \(it holds no CT"):
        run(tmp_path / "empty")
    with pytest.raises(UserError, match="lies within the dataset itself"):
        run(raw / "Dataset230_X" / "imagesTr")


def test_if_no_case_is_good_all_reasons_are_told(raw, tmp_path):
    write_case(tmp_path / "bad" / "p1", label=True, SEG=a_label(value=9))
    with pytest.raises(UserError, match=r"None of the 1 case\(s\) can be used:\n  - p1: the label holds 9"):
        run(tmp_path / "bad")
