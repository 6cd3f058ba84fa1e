"""`muduo harmonise` and `muduo uncrop` as a user types them, and what stock nnU-Net makes of the result."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from centre_folders import CT_GRID, PET_GRID, a_ct, a_label, a_pet, write_case
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

from nnunetv2_muduo import cli
from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.datasets.scan_grid import ScanGrid


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw"


def test_cropped_there_and_back(raw, tmp_path, capsys):
    wide = PET_GRID.part((-6, -6, -6), (26, 24, 22))
    for name, label in (("Müller v1.2", True), ("b", False)):
        write_case(tmp_path / "c" / name, label=label, CTres=a_ct(wide), **({"SEG": a_label(CT_GRID)} if label else {}))
    command = ["harmonise", str(tmp_path / "c"), "-d", "Dataset230_X", "--preset", "autopet", "--labels", "lesion=1"]
    assert cli.main([*command, "--body-crop", "--centre", "north", "-np", "1"]) == 0
    assert "Next: nnUNetv2_plan_and_preprocess -d 230" in capsys.readouterr().out
    dataset = raw / "Dataset230_X"
    verify_dataset_integrity(str(dataset), num_processes=1)
    assert list(find_scans(dataset / "imagesUn", ".nii.gz")[0]) == ["north_b"]
    uncrop = ["uncrop", "-i", str(dataset / "labelsTr"), "-o", str(tmp_path / "back")]
    assert cli.main([*uncrop, "--record", str(dataset / "harmonised.json")]) == 0
    back = sitk.ReadImage(str(tmp_path / "back" / "north_Müller v1.2.nii.gz"))
    assert ScanGrid.of(back).is_exactly(PET_GRID)
    assert np.mean(sitk.GetArrayFromImage(back) != sitk.GetArrayFromImage(a_label(PET_GRID))) < 0.02


def test_the_next_step_after_a_centre_without_labels_is_that_of_the_whole_dataset(raw, tmp_path, capsys):
    write_case(tmp_path / "north" / "p1", label=True)
    write_case(tmp_path / "south" / "p2")
    command = ["-d", "Dataset230_X", "--preset", "autopet", "--labels", "kidney_left=1", "kidney_right=2", "-np", "1"]
    assert cli.main(["harmonise", str(tmp_path / "south"), *command]) == 0
    assert "The dataset has no labelled cases" in capsys.readouterr().out
    assert cli.main(["harmonise", str(tmp_path / "north"), *command]) == 0
    capsys.readouterr()
    assert cli.main(["harmonise", str(tmp_path / "south"), *command]) == 0
    printed = capsys.readouterr().out
    assert "Next: nnUNetv2_plan_and_preprocess -d 230" in printed
    assert "muduo plan -d 230 --set mirroring=false" in printed
    assert "several ways" not in printed


def test_centres_that_store_patients_mirrored_to_each_other_are_told_of(raw, tmp_path, capsys):
    images = {"CTres": a_ct(PET_GRID), "SUV": a_pet(PET_GRID), "SEG": a_label(PET_GRID)}
    write_case(tmp_path / "north" / "p1", **images)
    write_case(tmp_path / "south" / "p2", **{name: sitk.DICOMOrient(image, "RAS") for name, image in images.items()})
    labels = ["--labels", "kidney_left=1", "kidney_right=2"]
    for centre in ("north", "south"):
        capsys.readouterr()
        command = [str(tmp_path / centre), "-d", "Dataset230_X", "--preset", "autopet", "-np", "1", *labels]
        assert cli.main(["harmonise", *command]) == 0
    printed = capsys.readouterr().out
    assert "several ways (1 as LPS; 1 as RAS, such as imagesTr/p2_0000.nii.gz); add" in printed
    assert "SimpleITKIOWithReorient" in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--ct and --pet"),
        (["--preset", "spade"], "not known here"),
        (["--preset", "autopet", "--spacing", "0", "1", "1"], "above 0"),
        (["--preset", "autopet", "--spacing", "nan", "1", "1"], "above 0"),
        (["--preset", "autopet", "--labels", "lesion"], "NAME=VALUE"),
        (["--preset", "autopet", "--suv-from", "missing.csv"], "cannot be read"),
        (["--preset", "autopet"], "no folder"),
    ],
)
def test_mistakes_are_one_sentence(raw, tmp_path, capsys, options, words):
    assert cli.main(["harmonise", str(tmp_path / "nowhere"), "-d", "Dataset230_X", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(raw.iterdir()) == []
