"""Finding cases in a tree of folders."""

from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.case_finding import find_cases
from nnunetv2_muduo.harmonising.layouts import PRESETS, Layout

LAYOUT = Layout(ct=("CTres.nii.gz", "CT*.nii.gz"), pet=("SUV*.nii.gz",), label=("SEG.nii.gz",))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_cases_are_found_at_any_depth_in_the_order_of_their_names(tmp_path):
    touch(tmp_path / "b" / "study 2", "CT.nii.gz", "SUV.nii.gz", "SEG.nii.gz")
    touch(tmp_path / "b" / "study 1", "CT.nii.gz", "SUV.nii.gz")
    touch(tmp_path / "a", "CT.nii.gz", "SUV.nii.gz", "report.pdf")
    touch(tmp_path / "documents", "readme.txt")
    cases, reasons = find_cases(tmp_path, LAYOUT)
    assert [case.parts for case in cases] == [("a",), ("b", "study 1"), ("b", "study 2")]
    assert [case.label is not None for case in cases] == [False, False, True]
    assert reasons == {}


def test_what_lies_within_a_case_is_its_own(tmp_path):
    touch(tmp_path / "a", "CT.nii.gz", "SUV.nii.gz", "derived/CT.nii.gz", "derived/further/SUV.nii.gz")
    cases, reasons = find_cases(tmp_path, LAYOUT)
    assert [case.parts for case in cases] == [("a",)]
    assert reasons == {}


def test_a_study_inside_the_folder_of_another_is_told(tmp_path):
    touch(tmp_path / "a", "CT.nii.gz", "SUV.nii.gz", "old/older/CT.nii.gz", "old/older/SUV.nii.gz")
    touch(tmp_path / "ab", "CT.nii.gz", "SUV.nii.gz")
    for link in ("a/sibling", "a/old/sibling"):
        (tmp_path / link).symlink_to(tmp_path / "ab")
    cases, reasons = find_cases(tmp_path, LAYOUT)
    assert [case.parts for case in cases] == [("a",), ("ab",)]
    assert reasons.keys() == {"a/old/older"}
    assert f"inside the folder of the case {tmp_path / 'a'};" in reasons["a/old/older"]


def test_the_searched_folder_may_be_the_case_itself(tmp_path):
    touch(tmp_path / "patient", "CT.nii.gz", "SUV.nii.gz")
    (case,), _ = find_cases(tmp_path / "patient", LAYOUT)
    assert case.parts == ("patient",)


def test_of_several_patterns_the_first_that_matches_counts(tmp_path):
    touch(tmp_path / "a", "CT.nii.gz", "CTres.nii.gz", "SUV.nii.gz")
    (case,), _ = find_cases(tmp_path, LAYOUT)
    assert case.ct.name == "CTres.nii.gz"


def test_patterns_may_lead_into_folders(tmp_path):
    touch(tmp_path / "a", "images/ct/low dose.mha", "images/pet.mha")
    (case,), _ = find_cases(tmp_path, Layout(ct=("images/ct/*.mha",), pet=("images/pet.mha",)))
    assert case.folder == tmp_path / "a"


def test_folders_of_dicom_files_count_and_other_folders_do_not(tmp_path):
    touch(tmp_path / "a" / "CT-notes", "x.txt")
    for series in ("CT-1", "PET-1"):
        touch(tmp_path / "a" / series, "1.dcm")
        (tmp_path / "a" / series / "1.dcm").write_bytes(bytes(128) + b"DICM")
    (case,), _ = find_cases(tmp_path, Layout(ct=("CT*",), pet=("PET*",)))
    assert (case.ct.name, case.pet.name) == ("CT-1", "PET-1")


def test_folders_that_are_almost_a_case_are_told_with_the_reason(tmp_path):
    touch(tmp_path / "no pet", "CT.nii.gz")
    touch(tmp_path / "two", "CT1.nii.gz", "CT2.nii.gz", "SUV.nii.gz", "._CT1.nii.gz")
    touch(tmp_path / "good", "CT.nii.gz", "SUV.nii.gz")
    cases, reasons = find_cases(tmp_path, LAYOUT)
    assert [case.parts for case in cases] == [("good",)]
    assert "holds no PET (SUV*.nii.gz)" in reasons["no pet"]
    assert "2 files could be its CT (CT1.nii.gz, CT2.nii.gz)" in reasons["two"]


def test_a_pattern_of_slices_is_answered_with_the_folder(tmp_path):
    for name in ("PET/1.dcm", "PET/2.dcm"):
        touch(tmp_path / "a", "CT.nii.gz", name)
        (tmp_path / "a" / name).write_bytes(bytes(128) + b"DICM")
    _, reasons = find_cases(tmp_path, Layout(ct=("CT.nii.gz",), pet=("PET/*.dcm",)))
    assert "2 files could be its PET (1.dcm, 2.dcm); name their folder" in reasons["a"]


def test_one_file_cannot_be_both(tmp_path):
    touch(tmp_path / "a", "scan.nii.gz")
    _, reasons = find_cases(tmp_path, Layout(ct=("scan*",), pet=("*.nii.gz",)))
    assert "both CT and PET" in reasons["a"]


def test_series_that_share_a_folder_are_told_to_part(tmp_path):
    touch(tmp_path / "a", "DICOM/1.dcm")
    (tmp_path / "a" / "DICOM" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    _, reasons = find_cases(tmp_path, Layout(ct=("DICOM",), pet=("DICOM",)))
    assert "both CT and PET; give each DICOM series a folder of its own" in reasons["a"]


def test_links_are_followed_and_rings_of_them_end(tmp_path):
    touch(tmp_path / "elsewhere" / "a", "CT.nii.gz", "SUV.nii.gz")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "ring").symlink_to(tmp_path / "root")
    cases, _ = find_cases(tmp_path / "root", LAYOUT)
    assert [case.parts for case in cases] == [("linked", "a")]


def test_presets_know_the_published_layouts(tmp_path):
    study = "PETCT_0011f3deaf/03-23-2003-NA-PET-CT Ganzkoerper  primaer mit KM-54651"
    touch(tmp_path / "autopet" / study, "SUV.nii.gz", "CTres.nii.gz", "CT.nii.gz", "SEG.nii.gz", "PET.nii.gz")
    for tracer in ("PSMA", "FDG"):
        files = ("CT.nii.gz", "PET.nii.gz", "TTB.nii.gz", "totseg_24.nii.gz", "threshold.json", "rigid.tfm")
        touch(tmp_path / "deep-psma" / "train_0001" / tracer, *files)
    (autopet,), _ = find_cases(tmp_path / "autopet", PRESETS["autopet"])
    assert [path.name for path in autopet.sources.values()] == ["CTres.nii.gz", "SUV.nii.gz", "SEG.nii.gz"]
    psma, _ = find_cases(tmp_path / "deep-psma", PRESETS["deep-psma"])
    assert [case.parts for case in psma] == [("train_0001", "FDG"), ("train_0001", "PSMA")]
    assert psma[0].label == psma[0].folder / "TTB.nii.gz"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        find_cases(tmp_path / "nowhere", LAYOUT)
