"""The stock nnU-Net commands for real, on a small phantom: plan, train, interrupt, resume, predict, export."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.trainer_folder import trainer_folder

pytestmark = pytest.mark.slow

DATASET = "Dataset221_Phantom"
SETTINGS = [
    "num_epochs=3",
    "iterations_per_epoch=2",
    "val_iterations_per_epoch=1",
    "prompt_epochs=2",
    "report_patches=2",
    "report_every=2",
    "reliability=report",
]


class Project:
    """nnU-Net's folders and a way to run its commands in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = {name: folder / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        for path in paths.values():
            path.mkdir()
        self.raw = paths["nnUNet_raw"] / DATASET
        self.preprocessed = paths["nnUNet_preprocessed"] / DATASET
        self.results = paths["nnUNet_results"] / DATASET
        self.environment = {
            **os.environ,
            **{name: str(path) for name, path in paths.items()},
            "nnUNet_extTrainer": str(trainer_folder()),
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": "1",
            "OMP_NUM_THREADS": "2",
        }

    def command(self, *arguments: str) -> list[str]:
        program = Path(sys.executable).with_name(arguments[0])
        return [str(program), *arguments[1:]]

    def run(self, *arguments: str, expect: int = 0, without: tuple[str, ...] = ()) -> str:
        environment = {key: value for key, value in self.environment.items() if key not in without}
        done = subprocess.run(
            self.command(*arguments), env=environment, capture_output=True, encoding="utf-8", timeout=600, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == expect, output[-4000:]
        return output

    def fold(self, trainer: str = "nnUNetTrainerMuDuo", fold: str = "0") -> Path:
        return self.results / f"{trainer}__nnUNetPlans__3d_fullres" / f"fold_{fold}"


def rename_case(folder: Path, old: str, new: str) -> None:
    """Spaces and dots are common in names of patients' files."""
    for file in folder.glob(f"{old}_*.nii.gz"):
        file.rename(folder / file.name.replace(old, new))


TRAIN = ("nnUNetv2_train", DATASET, "3d_fullres", "0", "-tr", "nnUNetTrainerMuDuo", "-device", "cpu")
PREDICT = ("nnUNetv2_predict", "-d", "221", "-c", "3d_fullres", "-f", "0", "-device", "cpu", "-npp", "1", "-nps", "1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("nnunet"))
    write_phantom_dataset(
        project.raw, labelled=5, unlabelled=3, test=1, seed=0, spacing_in_mm=(16, 16, 16), progress=False
    )
    rename_case(project.raw / "imagesUn", "unlabelled_000", "pat 0.v1")
    rename_case(project.raw / "imagesTs", "test_000", "new pat.1")
    project.run("nnUNetv2_plan_and_preprocess", "-d", "221", "-c", "3d_fullres", "-np", "1", "-npfp", "1")
    project.run("muduo", "plan", "-d", "221", "--preset", "tiny", "--set", "ct_teacher=standin_ct")
    project.run("muduo", "plan", "-d", "221", "--set", "pet_teacher=standin_pet", *SETTINGS)
    return project


@pytest.fixture(scope="module")
def trained(project: Project) -> Project:
    """Interrupted after its first saved epoch, then continued to the end."""
    with subprocess.Popen(project.command(*TRAIN), env=project.environment, start_new_session=True) as process:
        latest = project.fold() / "checkpoint_latest.pth"
        deadline = time.monotonic() + 400
        while not latest.is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        interrupted = process.poll() is None and latest.is_file()
        os.killpg(process.pid, signal.SIGKILL)
    assert interrupted, "the training ended before it could be interrupted"
    project.resumed_output = project.run(*TRAIN, "--c", "--npz")
    return project


def test_training_is_continued_where_it_was_interrupted(trained: Project):
    assert "Epoch 0\n" not in trained.resumed_output
    assert "using the trained one" in trained.resumed_output
    assert (trained.fold() / "checkpoint_final.pth").is_file()


def test_unlabelled_scans_are_preprocessed_by_the_trainer_whatever_they_are_called(trained: Project):
    folder = trained.preprocessed / "nnUNetPlans_3d_fullres_unlabelled"
    cases = sorted(path.stem for path in folder.glob("*.pkl"))
    assert cases == ["pat 0.v1", "unlabelled_001", "unlabelled_002"]
    assert "3 up to date" in trained.resumed_output


def test_training_leaves_numbers_and_pictures_of_what_the_teachers_did(trained: Project):
    reports = json.loads((trained.fold() / "teacher_report.json").read_text())
    assert [report["epoch"] for report in reports] == [0, 2]
    assert set(reports[0]["student"]) == {"liver", "spleen", "kidneys", "heart", "lungs", "bladder"}
    for picture in ("progress.png", "progress_muduo.png", "unlabelled_patch_epoch_0002.png"):
        assert (trained.fold() / picture).stat().st_size > 10_000


def test_stand_in_teachers_are_never_taken_for_the_real_ones(trained: Project):
    assert "stand-in" in trained.resumed_output


def test_validation_and_its_probabilities_are_nnunets_own(trained: Project):
    validation = trained.fold() / "validation"
    summary = json.loads((validation / "summary.json").read_text())
    assert summary["foreground_mean"]["Dice"] >= 0
    assert list(validation.glob("*.npz"))
    trained.run(*TRAIN, "--val")


def test_stock_prediction_finds_the_trainer_and_segments_every_voxel(trained: Project):
    trained.run(
        *PREDICT,
        "-tr",
        "nnUNetTrainerMuDuo",
        "-i",
        str(trained.raw / "imagesTs"),
        "-o",
        str(trained.folder / "predicted"),
    )
    for image in (trained.raw / "imagesTs").glob("*_0000.nii.gz"):
        prediction = sitk.ReadImage(str(trained.folder / "predicted" / image.name.replace("_0000", "")))
        assert prediction.GetSize() == sitk.ReadImage(str(image)).GetSize()


def test_exported_model_predicts_the_same_without_this_package(trained: Project):
    out = trained.folder / "exported"
    trained.run("muduo", "export", "-d", "221", "-f", "0", "-o", str(out))
    images = trained.raw / "imagesTs"
    trained.run(*PREDICT, "-tr", "nnUNetTrainerMuDuo", "-i", str(images), "-o", str(trained.folder / "with_plugin"))
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
    predicted = sorted((trained.folder / "with_plugin").glob("*.nii.gz"))
    assert predicted
    for path in predicted:
        pair = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(p)))
            for p in (path, trained.folder / "without_plugin" / path.name)
        ]
        assert np.array_equal(*pair)


def test_all_labelled_cases_can_be_trained_on_from_pretrained_weights(trained: Project):
    weights = trained.fold() / "checkpoint_final.pth"
    command = ["all" if argument == "0" else argument for argument in TRAIN]
    output = trained.run(*command, "-pretrained_weights", str(weights))
    assert f"Loading pretrained weights from file  {weights}" in output
    assert "training nnUNetTrainerMuDuoPrompt first" in output  # a fold has a prompt generator of its own
    assert (trained.fold(fold="all") / "checkpoint_final.pth").is_file()
    assert len(json.loads((trained.fold(fold="all") / "teacher_report.json").read_text())) == 2


def test_changed_epoch_count_is_refused_when_continuing(trained: Project):
    plans = trained.preprocessed / "nnUNetPlans.json"
    before = plans.read_text()
    trained.run("muduo", "plan", "-d", "221", "--set", "num_epochs=9")
    try:
        output = trained.run(*TRAIN, "--c", expect=1)
    finally:
        plans.write_text(before)
    assert "'num_epochs' was 3 when this training began and is now 9" in output
