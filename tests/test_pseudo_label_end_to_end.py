"""Pseudo-labels to a stock nnU-Net model and back: label, lay out, plan, preprocess, train, prompt with that model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.phantom import draw_phantom, write_phantom_dataset
from nnunetv2_muduo.datasets.simulated_dataset import organ_labels

pytestmark = pytest.mark.slow

SOURCE, NEW = "Dataset221_Phantom", "Dataset321_PhantomPseudo"
SPACING_IN_MM = (16.0, 16.0, 16.0)
TRAIN = """
import json, os, sys, torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
torch.set_num_threads(1)
folder = os.path.join(os.environ["nnUNet_preprocessed"], sys.argv[1])
read = lambda name: json.load(open(os.path.join(folder, name)))
plans = {**read("nnUNetPlans.json"), "continue_training": False}  # as nnUNetv2_train hands them over
trainer = nnUNetTrainer(plans, "3d_fullres", 0, read("dataset.json"), device=torch.device("cpu"))
trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = 1, 2, 1
trainer.run_training()
trainer.perform_actual_validation()
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("nnunet")
    paths = {name: str(folder / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for path in paths.values():
        Path(path).mkdir()
    return {**os.environ, **paths, "nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], *arguments: str) -> str:
    program = Path(sys.executable).parent / arguments[0]
    done = subprocess.run(
        [str(program), *arguments[1:]], env=environment, capture_output=True, encoding="utf-8", timeout=900, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def write_prompts(folder: Path, raw: Path) -> None:
    """The truth of the unlabelled phantoms, drawn again from their seeds; the second one lacks its liver."""
    folder.mkdir()
    seeds = np.random.SeedSequence(0).spawn(3)[1].spawn(2)
    for number, seed in enumerate(seeds):
        case = f"unlabelled_{number:03d}"
        organs = organ_labels(draw_phantom(np.random.default_rng(seed), spacing_in_mm=SPACING_IN_MM).tissues)
        image = sitk.GetImageFromArray(np.where((organs == 1) & (number == 1), 0, organs).astype(np.uint8))
        image.CopyInformation(sitk.ReadImage(str(raw / "imagesUn" / f"{case}_0000.nii.gz")))
        sitk.WriteImage(image, str(folder / f"{case}.nii.gz"))


def test_stock_nnunet_trains_on_pseudo_labels_and_its_model_prompts_again(environment: dict[str, str], tmp_path: Path):
    raw = Path(environment["nnUNet_raw"]) / SOURCE
    write_phantom_dataset(raw, labelled=5, unlabelled=2, test=0, seed=0, spacing_in_mm=SPACING_IN_MM)
    write_prompts(tmp_path / "prompts", raw)
    teachers = ["--ct-teacher", "standin_ct", "--pet-teacher", "standin_pet"]
    common = ["-d", "221", *teachers, "-device", "cpu", "--no-figures"]
    prompts = ["--predictions", str(tmp_path / "prompts")]
    output = run(
        environment, "muduo", "pseudo-label", *common, *prompts, "-o", str(tmp_path / "out"), "--as-labels", "321"
    )
    assert "2 pseudo-labelled and 5 labelled cases" in output
    assert "every scan should show is missing in 1 case(s)" in output
    incomplete = sitk.GetArrayFromImage(sitk.ReadImage(str(raw.with_name(NEW) / "labelsTr" / "unlabelled_001.nii.gz")))
    assert not (incomplete == 0).any()
    assert len(np.unique(incomplete)) > 3  # the organs that were found are still learnt
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "labels" / "unlabelled_000.nii.gz")))
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "prompts" / "unlabelled_000.nii.gz")))
    liver, real = labels == 1, truth == 1
    assert 2 * (liver & real).sum() / (liver.sum() + real.sum()) > 0.7
    checked = run(
        environment, "nnUNetv2_plan_and_preprocess", "-d", "321", "-c", "3d_fullres", "-np", "1", "-npfp", "1",
        "--verify_dataset_integrity",
    )  # fmt: skip
    assert "verify_dataset_integrity Done" in checked
    run(environment, "muduo", "plan", "-d", "321", "--preset", "tiny")
    run(environment, sys.executable, "-c", TRAIN, NEW)
    model = Path(environment["nnUNet_results"]) / NEW / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    assert json.loads((model / "fold_0" / "validation" / "summary.json").read_text())["metric_per_case"]
    model_prompts = ["--model", str(model), "-f", "0", "-np", "1"]
    output = run(environment, "muduo", "pseudo-label", *common, *model_prompts, "-o", str(tmp_path / "again"))
    assert "2 cases pseudo-labelled" in output
    assert len(list((tmp_path / "again" / "prompts").glob("*.nii.gz"))) == 2
