"""Scans are found in both layouts, and told apart by their identity."""

import os
import unicodedata
from pathlib import Path

import pytest
from autopet_folders import STUDY, write_challenge, write_release

from nnunetv2_muduo.autopet.scans import find_autopet, identity, without_patient
from nnunetv2_muduo.errors import UserError


def test_release_tree_is_found_at_any_depth(tmp_path):
    write_release(tmp_path / "AutoPET" / "FDG-PET-CT-Lesions", {"a1": [STUDY, "s2"], "b2": ["s1"]})
    scans, reasons = find_autopet([tmp_path])
    assert [scan.name for scan in scans] == [f"PETCT_a1_{STUDY}", "PETCT_a1_s2", "PETCT_b2_s1"]
    assert [scan.patient for scan in scans] == ["a1", "a1", "b2"]
    files = {path.name for scan in scans for path in (scan.ct, scan.pet, scan.lesions) if path is not None}
    assert files == {"CTres.nii.gz", "SUV.nii.gz", "SEG.nii.gz"}
    assert reasons == {}


def test_a_patients_own_folder_will_do(tmp_path):
    write_release(tmp_path, {"a1": ["s1"]})
    (scan,), _ = find_autopet([tmp_path / "PETCT_a1"])
    assert (scan.name, scan.patient) == ("PETCT_a1_s1", "a1")


def test_linked_studies_are_called_as_they_are_here(tmp_path):
    write_release(tmp_path / "store", {"x": ["0001", "0002"]})
    for name, patient in (("0001", "a1"), ("0002", "b2")):
        (tmp_path / "tree" / f"PETCT_{patient}").mkdir(parents=True)
        (tmp_path / "tree" / f"PETCT_{patient}" / "s1").symlink_to(tmp_path / "store" / "PETCT_x" / name)
    (tmp_path / "link").symlink_to(tmp_path / "tree" / "PETCT_b2")
    scans, _ = find_autopet([tmp_path / "tree"])
    assert [(scan.name, scan.patient) for scan in scans] == [("PETCT_a1_s1", "a1"), ("PETCT_b2_s1", "b2")]
    assert find_autopet([tmp_path / "link"])[0][0].patient == "b2"


def test_a_patients_folder_with_the_files_in_it_is_that_patients(tmp_path):
    write_release(tmp_path / "flat", {"a1": ["."], "b2": ["."]})
    scans, _ = find_autopet([tmp_path / "flat"])
    assert [(scan.name, scan.patient) for scan in scans] == [("PETCT_a1", "a1"), ("PETCT_b2", "b2")]


def test_challenge_layout_is_found(tmp_path):
    write_challenge(tmp_path, [f"fdg_a1_{STUDY}", "psma_b2_2018-04-23"])
    scans, _ = find_autopet([tmp_path])
    assert [(scan.name, scan.patient) for scan in scans] == [(f"fdg_a1_{STUDY}", "a1"), ("psma_b2_2018-04-23", "b2")]
    assert [scan.ct.name[-12:] for scan in scans] == ["_0000.nii.gz"] * 2
    assert all(scan.lesions is not None for scan in scans)


@pytest.mark.parametrize(
    ("names", "ct"),
    [({"0": "PET", "1": "CT"}, "0001"), ({"0": "CT", "1": "CT"}, "0000"), ({"0": "CT", "1": "SUV"}, "0000")],
)
def test_channel_names_tell_which_is_the_ct_where_they_do(tmp_path, names, ct):
    write_challenge(tmp_path, ["fdg_a_s"], names=names)
    (scan,), _ = find_autopet([tmp_path])
    assert scan.ct.name == f"fdg_a_s_{ct}.nii.gz"


def test_layouts_may_be_given_together_but_no_study_twice(tmp_path):
    release = write_release(tmp_path / "release", {"a1": ["s 1"]})
    other = write_challenge(tmp_path / "challenge", ["fdg_a1_s2"])
    scans, _ = find_autopet([release, other])
    assert {scan.patient for scan in scans} == {"a1"}
    write_challenge(tmp_path / "challenge", ["fdg_a1_s_1"])
    with pytest.raises(UserError, match="are the same study"):
        find_autopet([release, other])


def test_composed_and_decomposed_letters_are_the_same_letters(tmp_path):
    case = "fdg_müller_2005"
    write_challenge(tmp_path, [case])
    decomposed = unicodedata.normalize("NFD", case)
    for name in (f"labelsTr/{case}.nii.gz", f"imagesTr/{case}_0001.nii.gz"):
        (tmp_path / name).rename(tmp_path / name.replace(case, decomposed))
    (scan,), reasons = find_autopet([tmp_path])
    assert scan.name == case
    assert scan.lesions == tmp_path / "labelsTr" / f"{decomposed}.nii.gz"
    assert scan.pet == tmp_path / "imagesTr" / f"{decomposed}_0001.nii.gz"
    assert reasons == {}


def test_two_files_of_one_name_are_an_error(tmp_path):
    case = "fdg_müller_2005"
    write_challenge(tmp_path, [case])
    label = tmp_path / "labelsTr" / f"{case}.nii.gz"
    (tmp_path / "labelsTr" / unicodedata.normalize("NFD", label.name)).write_bytes(label.read_bytes())
    if len(list((tmp_path / "labelsTr").iterdir())) == 1:
        pytest.skip("this file system takes both names for one")
    with pytest.raises(UserError, match="are called alike"):
        find_autopet([tmp_path])


def test_a_patient_whose_name_has_an_underscore_is_one_in_both_layouts(tmp_path):
    release = write_release(tmp_path / "release", {"Mueller_Anna": ["s1"], "Mueller": ["s1"], "Mueller_An": ["s1"]})
    cases = ["fdg_Mueller_Anna_s2", "fdg_Mueller_Bert_s1", "psma_mueller_anna"]
    challenge = write_challenge(tmp_path / "challenge", cases)
    write_release(tmp_path / "flat", {"Mueller_Anna_s3": ["."]})
    scans, _ = find_autopet([challenge, release, tmp_path / "flat"])
    assert {scan.name: scan.patient for scan in scans} == {
        "PETCT_Mueller_Anna_s1": "mueller_anna",
        "PETCT_Mueller_Anna_s3": "mueller_anna",
        "PETCT_Mueller_An_s1": "mueller_an",
        "PETCT_Mueller_s1": "mueller",
        "fdg_Mueller_Anna_s2": "mueller_anna",
        "fdg_Mueller_Bert_s1": "mueller",
        "psma_mueller_anna": "mueller_anna",
    }


def test_what_is_incomplete_is_told_with_a_remedy(tmp_path):
    folder = write_challenge(tmp_path / "c", ["fdg_a_s", "fdg_b_s"])
    (folder / "imagesTr" / "fdg_a_s_0001.nii.gz").unlink()
    (folder / "labelsTr" / "fdg_c_s.nii.gz").touch()
    write_release(tmp_path / "r", {"d": ["s"], "e": ["s"]})
    study = tmp_path / "r" / "PETCT_d" / "s"
    (study / "SUV.nii.gz").rename(study / "PET.nii.gz")
    scans, reasons = find_autopet([folder, tmp_path / "r"])
    assert [scan.name for scan in scans] == ["PETCT_e_s", "fdg_b_s"]
    told = {Path(what).name: reason for what, reason in reasons.items()}
    assert told["fdg_a_s"] == "channels 0000 instead of 0000 (CT) and 0001 (PET); copy the missing file again"
    assert "without images" in told["fdg_c_s.nii.gz"]
    assert "harmonise --suv-from" in told["s"]


def test_nothing_found_says_which_folder_to_give(tmp_path):
    with pytest.raises(UserError, match="give the folder that holds PETCT_<patient>"):
        find_autopet([tmp_path])
    with pytest.raises(UserError, match="no folder"):
        find_autopet([tmp_path / "nowhere"])


def test_a_path_that_no_record_can_hold_is_refused(tmp_path):
    write_release(tmp_path / "cafe", {"a": ["s"]})
    try:
        os.rename(tmp_path / "cafe", os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(UserError, match="is not in UTF-8"):
        find_autopet([tmp_path])


def test_names_of_one_study_have_one_identity():
    names = [f"fdg_a1_{STUDY}", f"PETCT_A1_{unicodedata.normalize('NFD', STUDY)}", f"a1_{STUDY.replace(' ', '_')}"]
    assert len({identity(name) for name in names}) == 1
    assert identity("fdg_a1_s1") != identity("fdg_a1_s2")


def test_names_that_do_not_tell_the_patient_are_known(tmp_path):
    write_challenge(tmp_path, ["fdg_a_s", "scan 7"])
    write_release(tmp_path / "release", {"b": ["s"]})
    (tmp_path / "release" / "PETCT_b").rename(tmp_path / "release" / "person b")  # the folder tells whose study it is
    assert without_patient(find_autopet([tmp_path, tmp_path / "release"])[0]) == ["scan 7"]
