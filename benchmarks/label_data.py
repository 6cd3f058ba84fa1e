"""The scans of `label_efficiency.py`: hard PET/CT simulated around real organ maps, a dataset for each seed.

Test cases are the maps 052-063; held-out cases 045 and 051, which have all organs and are shown as a whole, as one
would choose them to judge every organ. A seed deals the others of 024-051 into ten labelled cases, of which smaller
budgets take the first, and sixteen persons with two visits each, of which 30 are the unlabelled scans. The stand-in
teachers were trained on the maps 000-023 and have seen none of these.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from anatomy import body_box, load_organ_map, tissues_from_organ_map
from finetune_data import organ_numbers
from label_methods import SPLITS, Size, Split, Unlabelled
from standin_pool import ORGAN_MAP_NAMES, TARGETS
from tqdm import tqdm

from nnunetv2_muduo.datasets.difficulty import HARD
from nnunetv2_muduo.datasets.simulated_dataset import finish_dataset, write_scan
from nnunetv2_muduo.files import link_or_copy, write_text

TEST_MAPS, HELD_OUT_MAPS = range(52, 64), (45, 51)
DEALT_MAPS = tuple(number for number in range(24, 52) if number not in HELD_OUT_MAPS)
BUDGETS = (2, 5, 10)
UNLABELLED = 30
PLANS, CONFIGURATION = "nnUNetPlans", "3d_fullres"
ORGANS = {"background": 0, **{name: number for number, name in enumerate(TARGETS, start=1)}}
_DESCRIPTION = "Hard PET/CT simulated around real organ maps"


@dataclass(frozen=True)
class Deal:
    """Which case is what with one seed, by name; the first `budget` labelled ones are a budget's."""

    labelled: tuple[str, ...]
    held_out: tuple[str, ...]
    unlabelled: tuple[str, ...]
    test: tuple[str, ...]


def deal(seed: int) -> Deal:
    """Deal the maps; small budgets lie within large ones, and no person is in two groups."""
    order = np.random.default_rng([7, seed]).permutation(DEALT_MAPS).tolist()
    labelled, others = order[: max(BUDGETS)], order[max(BUDGETS) :]
    visits = [case_name(number, visit) for visit in range(2) for number in others]
    return Deal(
        labelled=tuple(case_name(number) for number in labelled),
        held_out=tuple(case_name(number) for number in HELD_OUT_MAPS),
        unlabelled=tuple(visits[:UNLABELLED]),
        test=tuple(case_name(number) for number in TEST_MAPS),
    )


def case_name(number: int, visit: int = 0) -> str:
    return f"anat_{number:03d}_{visit}"


def dataset_name(seed: int) -> str:
    return f"Dataset{700 + seed}_Labels"


def fold_of(budget: int, split: Split) -> int:
    """The fold that trains on a budget."""
    return len(BUDGETS) * SPLITS.index(split) + BUDGETS.index(budget)


def write_pool(folder: Path, anatomy: Path, size: Size) -> None:
    """Simulate every scan of every seed once, images and labels, into imagesTr and labelsTr of a folder."""
    spacing = (size.spacing_in_mm,) * 3
    scans = [(number, visit) for number in DEALT_MAPS for visit in range(2)]
    scans += [(number, 0) for number in (*HELD_OUT_MAPS, *TEST_MAPS)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, visit in tqdm(scans, desc="scans", unit="scan"):

        def draw_tissues(rng: np.random.Generator, number: int = number) -> np.ndarray:
            organ_map = load_organ_map(anatomy / f"anat_{number:03d}.nii.gz", spacing_in_mm=spacing)
            tissues = tissues_from_organ_map(organ_map, names=ORGAN_MAP_NAMES, spacing_in_mm=spacing, rng=rng)
            return tissues[body_box(tissues)]

        write_scan(
            folder,
            case_name(number, visit),
            group="labelled",
            draw_tissues=draw_tissues,
            seed=np.random.SeedSequence([700, number, visit]),
            spacing_in_mm=spacing,
            labels_of=organ_numbers,
            difficulty=replace(HARD, varied_field_of_view=number not in HELD_OUT_MAPS),
        )


def write_dataset(pool: Path, raw: Path, seed: int) -> None:
    """The dataset of a seed, of links into the pool."""
    folder, cases = raw / dataset_name(seed), deal(seed)
    groups = {
        ("imagesTr", "labelsTr"): (*cases.labelled, *cases.held_out),
        ("imagesUn", None): cases.unlabelled,
        ("imagesTs", "labelsTs"): cases.test,
    }
    for (images, labels), names in groups.items():
        for name in names:
            for channel in range(2):
                file = f"{name}_{channel:04d}.nii.gz"
                _link(pool / "imagesTr" / file, folder / images / file)
            if labels is not None:
                _link(pool / "labelsTr" / f"{name}.nii.gz", folder / labels / f"{name}.nii.gz")
    finish_dataset(folder, labelled=len(groups["imagesTr", "labelsTr"]), description=_DESCRIPTION, labels=ORGANS)


def plan(seed: int, size: Size, out: Path) -> None:
    """Plan and preprocess with nnU-Net, then make the network small and write a fold for each budget and split."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )

    from nnunetv2_muduo.planning import write_muduo_plans

    name, folder = dataset_name(seed), Path(os.environ["nnUNet_preprocessed"]) / dataset_name(seed)
    done = folder / "planned.txt"
    if done.is_file():
        return
    extract_fingerprint_dataset(700 + seed, num_processes=1)
    plan_experiment_dataset(700 + seed)
    network = {"patch_size": list(size.patch_size), "features": size.features, "max_features": size.max_features}
    preset = {
        "network": {**network, "batch_size": size.batch_size},
        "configurations": {CONFIGURATION: {"batch_dice": True}},
    }
    write_text(out / "preset.json", json.dumps(preset, indent=2))
    write_muduo_plans(name, preset=str(out / "preset.json"))
    preprocess_dataset(700 + seed, PLANS, (CONFIGURATION,), (1,))
    write_text(folder / "splits_final.json", json.dumps(_folds(deal(seed)), indent=2))
    write_text(done, "planned\n")


def _folds(cases: Deal) -> list[dict[str, list[str]]]:
    folds = []
    for split in SPLITS:
        for budget in BUDGETS:
            training, held_out = list(cases.labelled[:budget]), list(cases.held_out)
            if split == "with held out":
                training = training + held_out
            folds.append({"train": training, "val": training if split == "on training cases" else held_out})
    return folds


_MORE_LABELS: dict[Unlabelled, tuple[int, str]] = {
    "true labels": (900, "AllLabels"),
    "predicted labels": (800, "SelfTraining"),
    "long student's labels": (600, "LongSelfTraining"),
}


def more_labels_name(seed: int, budget: int, unlabelled: Unlabelled) -> str:
    first, title = _MORE_LABELS[unlabelled]
    return f"Dataset{first + 10 * seed + BUDGETS.index(budget)}_{title}"


def write_more_labels(pool: Path, raw: Path, labels: Path, *, seed: int, budget: int, unlabelled: Unlabelled) -> None:
    """A stock dataset of a budget's labelled cases and of the unlabelled scans with their labels in a folder; one fold.

    Plans and statistics are those of the seed's own dataset, so that network and normalisation are the same.
    """
    from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset

    name, cases = more_labels_name(seed, budget, unlabelled), deal(seed)
    preprocessed = Path(os.environ["nnUNet_preprocessed"])
    folder, prepared = raw / name, preprocessed / name
    done = prepared / "planned.txt"
    if done.is_file():
        return
    known, others = (*cases.labelled[:budget], *cases.held_out), cases.unlabelled
    for case in (*known, *others):
        for channel in range(2):
            file = f"{case}_{channel:04d}.nii.gz"
            _link(pool / "imagesTr" / file, folder / "imagesTr" / file)
        source = pool / "labelsTr" if case in known else labels
        _link(source / f"{case}.nii.gz", folder / "labelsTr" / f"{case}.nii.gz")
    finish_dataset(folder, labelled=len(known) + len(others), description=_DESCRIPTION, labels=ORGANS)
    prepared.mkdir(parents=True, exist_ok=True)
    original = preprocessed / dataset_name(seed)
    plans: dict[str, Any] = json.loads((original / f"{PLANS}.json").read_text())
    write_text(prepared / f"{PLANS}.json", json.dumps({**plans, "dataset_name": name}, indent=4))
    for file in ("dataset_fingerprint.json", "dataset.json"):
        source = folder if file == "dataset.json" else original
        write_text(prepared / file, (source / file).read_text())
    preprocess_dataset(int(name[7:10]), PLANS, (CONFIGURATION,), (1,))
    folds = [{"train": [*cases.labelled[:budget], *others], "val": list(cases.held_out)}]
    write_text(prepared / "splits_final.json", json.dumps(folds, indent=2))
    write_text(done, "planned\n")


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        target.unlink(missing_ok=True)  # a link to what is no more
        link_or_copy(source, target)
