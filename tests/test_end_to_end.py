"""The stock nnU-Net commands for real, on a small phantom: plan, train, interrupt, resume, predict, export."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunet_project import SPACING_IN_MM, NNUNetProject

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset

pytestmark = pytest.mark.slow

TRAINER = "nnUNetTrainerMuDuo"
SETTINGS = [
    "num_epochs=3",
    "iterations_per_epoch=2",
    "val_iterations_per_epoch=1",
    "prompt_epochs=2",
    "report_patches=2",
    "report_every=2",
    "reliability=report",
    "fusion=report",
]


def rename_case(folder: Path, old: str, new: str) -> None:
    """Spaces and dots are common in names of patients' files."""
    for file in folder.glob(f"{old}_*.nii.gz"):
        file.rename(folder / file.name.replace(old, new))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> NNUNetProject:
    project = NNUNetProject(tmp_path_factory.mktemp("nnunet"))
    write_phantom_dataset(project.raw, labelled=5, unlabelled=3, test=1, seed=0, spacing_in_mm=SPACING_IN_MM)
    rename_case(project.raw / "imagesUn", "unlabelled_000", "pat 0.v1")
    rename_case(project.raw / "imagesTs", "test_000", "new pat.1")
    project.plan_and_preprocess()
    project.muduo("plan", "-d", "221", "--preset", "tiny", "--set", "ct_teacher=standin_ct")
    project.muduo("plan", "-d", "221", "--set", "pet_teacher=standin_pet", *SETTINGS)
    return project


@pytest.fixture(scope="module")
def trained(project: NNUNetProject) -> NNUNetProject:
    """Interrupted after its first saved epoch, then continued to the end."""
    project.interrupt(project.fold(TRAINER) / "checkpoint_latest.pth", *project.training(TRAINER))
    project.resumed_output = project.train(TRAINER, "--c", "--npz")
    return project


def test_training_is_continued_where_it_was_interrupted(trained: NNUNetProject):
    assert "Epoch 0\n" not in trained.resumed_output
    assert "using the trained one" in trained.resumed_output
    assert (trained.fold(TRAINER) / "checkpoint_final.pth").is_file()


def test_unlabelled_scans_are_preprocessed_by_the_trainer_whatever_they_are_called(trained: NNUNetProject):
    folder = trained.preprocessed / "nnUNetPlans_3d_fullres_unlabelled"
    cases = sorted(path.stem for path in folder.glob("*.pkl"))
    assert cases == ["pat 0.v1", "unlabelled_001", "unlabelled_002"]
    assert "3 up to date" in trained.resumed_output


def test_training_leaves_numbers_and_pictures_of_what_the_teachers_did(trained: NNUNetProject):
    reports = json.loads((trained.fold(TRAINER) / "teacher_report.json").read_text())
    assert [report["epoch"] for report in reports] == [0, 2]
    assert set(reports[0]["student"]) == {"liver", "spleen", "kidneys", "heart", "lungs", "bladder"}
    assert set(reports[0]["ct_share"].values()) <= {0.0, 0.5, 1.0}
    assert "Labelled by " in (trained.fold(TRAINER) / "teacher_report.md").read_text()
    for picture in ("progress.png", "progress_muduo.png", "unlabelled_patch_epoch_0002.png"):
        assert (trained.fold(TRAINER) / picture).stat().st_size > 10_000


def test_stand_in_teachers_are_never_taken_for_the_real_ones(trained: NNUNetProject):
    assert "stand-in" in trained.resumed_output


def test_validation_and_its_probabilities_are_nnunets_own(trained: NNUNetProject):
    validation = trained.fold(TRAINER) / "validation"
    summary = json.loads((validation / "summary.json").read_text())
    assert summary["foreground_mean"]["Dice"] >= 0
    assert list(validation.glob("*.npz"))
    trained.train(TRAINER, "--val")


@pytest.fixture(scope="module")
def predicted(trained: NNUNetProject) -> Path:
    """Predictions of the test images by nnU-Net's own command."""
    return trained.predict(TRAINER, trained.raw / "imagesTs", trained.folder / "predicted")


def test_report_tells_of_a_real_training(trained: NNUNetProject):
    page = trained.folder / "report.html"
    told = trained.muduo("report", "-d", "221", "-tr", TRAINER, f"{TRAINER}Prompt", "-o", str(page))
    summary = json.loads((trained.fold(TRAINER) / "validation" / "summary.json").read_text())
    text = page.read_text(encoding="utf-8")
    assert f'<data value="{summary["foreground_mean"]["Dice"]}">' in text
    assert "MuDuo: Dice on labelled patches before epoch 2, the last report" in text
    assert text.count("data:image/jpeg") == 3  # the only validation case, the first and the last unlabelled patch
    assert "MuDuoPrompt: There is no validation/summary.json" in told


def test_stock_prediction_finds_the_trainer_and_segments_every_voxel(trained: NNUNetProject, predicted: Path):
    for image in (trained.raw / "imagesTs").glob("*_0000.nii.gz"):
        prediction = sitk.ReadImage(str(predicted / image.name.replace("_0000", "")))
        assert prediction.GetSize() == sitk.ReadImage(str(image)).GetSize()


def test_exported_model_predicts_the_same_without_this_package(trained: NNUNetProject, predicted: Path):
    out, images = trained.folder / "exported", trained.raw / "imagesTs"
    trained.muduo("export", "-d", "221", "-f", "0", "-o", str(out))
    model = next(path.parent for path in out.rglob("plans.json"))
    code = (
        "import sys; sys.modules['nnunetv2_muduo'] = None\n"
        "from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as predict\n"
        "predict()"
    )
    arguments = ["-i", str(images), "-o", str(trained.folder / "without_plugin"), "-m", str(model), "-f", "0"]
    environment = {key: value for key, value in trained.environment.items() if key != "nnUNet_extTrainer"}
    subprocess.run(
        [sys.executable, "-c", code, *arguments, "-device", "cpu", "-npp", "1", "-nps", "1"],
        env=environment,
        check=True,
        timeout=600,
    )
    with_plugin = sorted(predicted.glob("*.nii.gz"))
    assert with_plugin
    for path in with_plugin:
        pair = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(p)))
            for p in (path, trained.folder / "without_plugin" / path.name)
        ]
        assert np.array_equal(*pair)


def test_all_labelled_cases_can_be_trained_on_from_pretrained_weights(trained: NNUNetProject):
    weights = trained.fold(TRAINER) / "checkpoint_final.pth"
    output = trained.train(TRAINER, "-pretrained_weights", str(weights), fold="all")
    assert f"Loading pretrained weights from file  {weights}" in output
    assert "training nnUNetTrainerMuDuoPrompt first" in output  # a fold has a prompt generator of its own
    assert (trained.fold(TRAINER, "all") / "checkpoint_final.pth").is_file()
    assert len(json.loads((trained.fold(TRAINER, "all") / "teacher_report.json").read_text())) == 2


def test_changed_epoch_count_is_refused_when_continuing(trained: NNUNetProject):
    plans = trained.preprocessed / "nnUNetPlans.json"
    before = plans.read_text()
    trained.muduo("plan", "-d", "221", "--set", "num_epochs=9")
    try:
        output = trained.run(*trained.training(TRAINER, "--c"), expect=1)
    finally:
        plans.write_text(before)
    assert "'num_epochs' was 3 when this training began and is now 9" in output
