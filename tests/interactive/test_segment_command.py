"""`muduo segment` as typed."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from dicom_series import BECQUEREL_PER_SUV, write_pet_series

from nnunetv2_muduo.cli import main
from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.weights import save_teacher


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder with a tiny PET teacher in it."""
    torch.manual_seed(0)
    config = ClickUNetConfig(16, 4.0, 3, (4, 8), (2, 2), (1, 1), (1,), head_channels=4)
    folder = tmp_path / "weights"
    save_teacher(ClickUNet(config), folder / "tiny.pth", extra={"modality": "PET"})
    save_teacher(ClickUNet(config), folder / "silent.pth")
    monkeypatch.setenv("MUDUO_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def scan(tmp_path):
    array = np.random.default_rng(0).uniform(0, 5, (20, 24, 28)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((4.0, 4.0, 4.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    path = tmp_path / "patient 1.v2.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def test_points_become_a_label_map_and_a_picture(weights, scan, tmp_path, capsys, monkeypatch):
    marked = []
    monkeypatch.setattr("nnunetv2_muduo.evaluation.mask_figure.mark_sides", lambda axis, plane: marked.append(plane))
    command = ["segment", str(scan), "--teacher", "tiny.pth", "-o", str(tmp_path / "mask.nii.gz")]
    command += ["--target", "a", "--point", "10", "12", "9", "--point", "2", "3", "4:0", "--target", "b"]
    command += ["--point=14,12,9", "--figure", str(tmp_path / "mask.png")]
    assert main(command) == 0
    mask, image = sitk.ReadImage(str(tmp_path / "mask.nii.gz")), sitk.ReadImage(str(scan))
    assert mask.GetSize() == image.GetSize()
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection())
    assert (tmp_path / "mask.png").stat().st_size > 5000
    assert marked == ["axial", "coronal", "sagittal"] * 2
    said = capsys.readouterr().out
    assert "1  a " in said
    assert "2  b " in said
    assert "tiny.pth" in said


@pytest.mark.parametrize("weighed", [True, False])
def test_a_dicom_pet_becomes_suv_where_its_tags_tell_how(weights, tmp_path, capsys, monkeypatch, weighed):
    pydicom = pytest.importorskip("pydicom")
    series = write_pet_series(tmp_path / "PET", sitk.GetImageFromArray(np.full((8, 9, 10), 2.0, np.float32)))
    for file in () if weighed else series.iterdir():
        header = pydicom.dcmread(file)
        del header.PatientWeight
        header.save_as(file)
    shown = []
    monkeypatch.setattr(
        "nnunetv2_muduo.evaluation.mask_figure.draw_masks", lambda path, scan, *_, **__: shown.append(scan.max())
    )
    command = ["segment", str(series), "--teacher", "tiny.pth", "--point", "5", "4", "3"]
    assert main([*command, "-o", str(tmp_path / "mask.nii.gz"), "--figure", str(tmp_path / "mask.png")]) == 0
    activity = 2.0 * BECQUEREL_PER_SUV
    suv = activity * 70e3 / (350e6 * 2 ** (-3600 / 6586.2))
    assert shown == pytest.approx([suv if weighed else activity], rel=0.06)  # rounded by the slices' factors
    assert (
        "not converted to SUV, because the PET lacks the DICOM tag PatientWeight" in capsys.readouterr().out
    ) != weighed


@pytest.mark.parametrize("option", ["-o", "--figure"])
def test_a_place_that_cannot_be_written_to_is_told_before_the_teacher_works(scan, tmp_path, capsys, option):
    (tmp_path / "file").touch()
    places = {"-o": str(tmp_path / "mask.nii.gz"), "--figure": str(tmp_path / "mask.png")}
    places[option] = places[option].replace("mask", "file/mask")
    command = ["segment", str(scan), "--teacher", "no such teacher", "--point", "10", "12", "9"]
    assert main([*command, *(word for pair in places.items() for word in pair)]) == 2
    assert f"ERROR: {tmp_path / 'file'} cannot be written or read: Not a directory" in capsys.readouterr().err


def test_a_rough_mask_is_taken_instead_of_points(weights, scan, tmp_path, capsys):
    image = sitk.ReadImage(str(scan))
    rough = np.zeros((20, 24, 28), np.uint8)
    rough[8:12, 8:14, 10:16] = 3
    masks = sitk.GetImageFromArray(rough)
    masks.CopyInformation(image)
    sitk.WriteImage(masks, str(tmp_path / "rough.nii.gz"))
    out = tmp_path / "mask.mha"
    command = ["segment", str(scan), "--teacher", "tiny.pth"]
    assert main([*command, "--mask", str(tmp_path / "rough.nii.gz"), "-o", str(out)]) == 0
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(out))))) <= {0, 3}
    sitk.WriteImage(sitk.Cast(masks, sitk.sitkFloat32) * float("nan"), str(tmp_path / "rough.nii.gz"))
    assert main([*command, "--mask", str(tmp_path / "rough.nii.gz"), "-o", str(out)]) == 2
    assert "are NaN or infinite" in capsys.readouterr().err


def test_a_rough_mask_is_corrected_with_a_point_on_the_background(weights, scan, tmp_path, capsys):
    image = sitk.ReadImage(str(scan))
    rough = np.zeros((20, 24, 28), np.uint8)
    rough[8:12, 8:14, 10:16] = 3
    masks = sitk.GetImageFromArray(rough)
    masks.CopyInformation(image)
    sitk.WriteImage(masks, str(tmp_path / "rough.nii.gz"))
    command = ["segment", str(scan), "--teacher", "tiny.pth", "--mask", str(tmp_path / "rough.nii.gz")]
    command += ["--target", "lesion", "--point", "10", "8", "8:0", "-o", str(tmp_path / "better.nii.gz")]
    assert main([*command, "--figure", str(tmp_path / "better.png")]) == 0
    assert "3  lesion " in capsys.readouterr().out
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "better.nii.gz"))))) <= {0, 3}
    assert (tmp_path / "better.png").stat().st_size > 5000


def test_a_teachers_file_may_lie_anywhere(weights, scan, tmp_path, monkeypatch):
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "nothing here"))
    command = ["segment", str(scan), "--teacher", str(weights / "tiny.pth"), "--point", "10", "12", "9"]
    assert main([*command, "-o", str(tmp_path / "mask.nrrd")]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--teacher", "tiny.pth"], "with a rough --mask, or with both"),
        (["--teacher", "tiny.pth", "--point", "1", "2"], "is no point"),
        (["--teacher", "tiny.pth", "--point", "99", "2", "3"], "outside the scan"),
        (["--teacher", "silent.pth", "--point", "9", "9", "9"], "--modality"),
        (["--teacher", "tiny.pth", "--point", "9", "9", "9", "--modality", "CT"], "trained on PET"),
        (["--teacher", "tinny", "--point", "9", "9", "9"], "No teacher is called 'tinny'"),
        (["--teacher", "tiny.pth", "--prompts", "missing.json"], "no file missing.json"),
    ],
)
def test_mistakes_are_answered_with_one_sentence(weights, scan, tmp_path, capsys, arguments, words):
    assert main(["segment", str(scan), "-o", str(tmp_path / "mask.nii.gz"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "mask.nii.gz").exists()


def test_a_name_without_a_format_is_told_before_any_work(weights, scan, tmp_path, capsys):
    assert (
        main(["segment", str(scan), "--teacher", "tiny.pth", "--point", "9", "9", "9", "-o", str(tmp_path / "mask")])
        == 2
    )
    assert "does not say its format" in capsys.readouterr().err


def test_the_scan_itself_is_not_overwritten(weights, scan, tmp_path, capsys):
    before = scan.read_bytes()
    (tmp_path / "link.nii.gz").symlink_to(scan)
    for out in (scan, tmp_path / "link.nii.gz"):
        assert main(["segment", str(scan), "--teacher", "tiny.pth", "--point", "9", "9", "9", "-o", str(out)]) == 2
        assert "is the scan itself" in capsys.readouterr().err
    assert scan.read_bytes() == before


def test_a_figure_is_a_png_and_never_the_scan(weights, scan, tmp_path, capsys):
    before = scan.read_bytes()
    command = [
        "segment",
        str(scan),
        "--teacher",
        "tiny.pth",
        "--point",
        "9",
        "9",
        "9",
        "-o",
        str(tmp_path / "m.nii.gz"),
    ]
    assert main([*command, "--figure", str(scan)]) == 2
    assert "let its name end in .png" in capsys.readouterr().err
    assert scan.read_bytes() == before
    assert not (tmp_path / "m.nii.gz").exists()


@pytest.mark.parametrize("name", ["pet.nrrd", "pet.mha", "pet.nii", "pet.nii.gz"])  # NIfTI's ITK reads as 0
def test_a_scan_with_voxels_that_are_no_numbers_is_refused(weights, tmp_path, capsys, name):
    array = np.random.default_rng(0).uniform(0, 5, (20, 24, 28)).astype(np.float32)
    array[3, 3, 3] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
    command = ["segment", str(tmp_path / name), "--teacher", "tiny.pth", "--point", "9", "9", "9"]
    assert main([*command, "-o", str(tmp_path / "mask.nii.gz")]) == 2
    assert f"1 voxel(s) of {tmp_path / name} are NaN or infinite" in capsys.readouterr().err
    assert not (tmp_path / "mask.nii.gz").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_told(weights, scan, tmp_path, capsys):
    command = ["segment", str(scan), "--teacher", "tiny.pth", "--point", "9", "9", "9", "-device", "cuda"]
    assert main([*command, "-o", str(tmp_path / "mask.nii.gz")]) == 2
    assert "no CUDA device here; use -device cpu" in capsys.readouterr().err


def test_a_scan_of_the_wrong_kind_is_warned_of(weights, tmp_path, capsys):
    array = np.random.default_rng(0).uniform(-1000, 400, (20, 24, 28)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((4.0, 4.0, 4.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    command = ["segment", str(tmp_path / "ct.nii.gz"), "--teacher", "tiny.pth", "--point", "9", "9", "9"]
    assert main([*command, "-o", str(tmp_path / "mask.nii.gz")]) == 0
    assert "WARNING" in capsys.readouterr().out
