"""Unlabelled scans change nothing that stock nnU-Net does with the dataset."""

import json
from pathlib import Path

import pytest
import torch
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

CASES = ("a", "b", "c", "d", "pat 1.v2")


@pytest.fixture
def stock_dataset(tiny_dataset, monkeypatch):
    """Five labelled cases where nnU-Net looks for them."""
    monkeypatch.setenv("nnUNet_raw", str(tiny_dataset.raw.parent))
    monkeypatch.setenv("nnUNet_preprocessed", str(tiny_dataset.preprocessed.parent))
    monkeypatch.setenv("nnUNet_results", str(tiny_dataset.folder / "results"))
    for seed, case in enumerate(CASES):
        tiny_dataset.write_labelled(case, seed=seed)
    tiny_dataset.dataset_json["numTraining"] = len(CASES)
    (tiny_dataset.raw / "dataset.json").write_text(json.dumps(tiny_dataset.dataset_json))
    tiny_dataset.preprocessed.mkdir(parents=True)
    return tiny_dataset


def run_stock_nnunet(dataset) -> dict[str, bytes | object]:
    """Fingerprint, plans, preprocessing and splits, with nnU-Net's own code; what of it can be compared."""
    DatasetFingerprintExtractor(dataset.raw.name, num_processes=1).run(overwrite_existing=True)
    ExperimentPlanner(dataset.raw.name).plan_experiment()
    plans = json.loads((dataset.preprocessed / "nnUNetPlans.json").read_text())
    plans_manager = PlansManager(plans)
    labelled = get_filenames_of_train_images_and_targets(str(dataset.raw), dict(dataset.dataset_json))
    folder = dataset.preprocessed / plans["configurations"]["3d_fullres"]["data_identifier"]
    folder.mkdir(exist_ok=True)
    for case in set(labelled) - set(nnUNetDatasetBlosc2.get_identifiers(str(folder))):
        DefaultPreprocessor(verbose=False).run_case_save(
            str(folder / case),
            labelled[case]["images"],
            labelled[case]["label"],
            plans_manager,
            plans_manager.get_configuration("3d_fullres"),
            dataset.dataset_json,
        )
    (dataset.preprocessed / "splits_final.json").unlink(missing_ok=True)
    given = {**plans, "continue_training": False}  # as nnUNetv2_train calls it
    trainer = nnUNetTrainer(given, "3d_fullres", 0, dataset.dataset_json, torch.device("cpu"))
    split = trainer.do_split()
    files = ("dataset_fingerprint.json", "nnUNetPlans.json", "splits_final.json")
    content = {name: (dataset.preprocessed / name).read_bytes() for name in files}
    return {**content, "split": split, "labelled": labelled, "plans": plans}


@pytest.mark.slow
def test_fingerprint_plans_and_splits_are_the_same_bytes(stock_dataset):
    before = run_stock_nnunet(stock_dataset)
    for seed, case in enumerate(("u1", "u 2.v1", "u3")):
        stock_dataset.write_scan(case, seed=10 + seed)
    stock_dataset.plans = before["plans"]
    assert stock_dataset.preprocess().identifiers == ("u 2.v1", "u1", "u3")
    assert before == run_stock_nnunet(stock_dataset)
    assert set(json.loads(before["splits_final.json"])[0]["train"]) < set(CASES)


def test_the_labelled_folder_holds_no_unlabelled_case(stock_dataset):
    stock_dataset.write_scan("u1")
    labelled_folder = stock_dataset.preprocessed / "nnUNetPlans_3d_fullres"
    labelled_folder.mkdir()
    folder: Path = stock_dataset.preprocess().folder
    assert folder.parent == labelled_folder.parent
    assert list(labelled_folder.iterdir()) == []
    assert nnUNetDatasetBlosc2.get_identifiers(str(folder)) == ["u1"]
