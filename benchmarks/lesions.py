"""Does MuDuo do harm where labels are lesions? Small scattered foci, and patients without any, against supervised.

    OMP_NUM_THREADS=1 python benchmarks/lesions.py --out lesions

Phantoms with none to six lesions of 8 to 28 mm radius: 5 labelled scans (drawn from 10 with each seed), 4 to judge the
teachers on, 16 unlabelled, 20 to test on, of which some show no lesion. All methods have equally many steps, initial
weights and labelled patches. MuDuo is the preset `few_labels` with the stand-in teachers, which were made for organs.
Repeat the command to continue; what is finished is kept in OUT.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, write_results
from tqdm import tqdm

RESULTS = Path(__file__).resolve().parent / "results"
DATASET, PLANS, CONFIGURATION = "Dataset800_Lesions", "nnUNetPlans", "3d_fullres"
SPACING_IN_MM = (10.0, 10.0, 10.0)
LESION_SIZE = 2.0  # times the radii of 4 to 14 mm: more than a voxel
FEWEST_LESIONS = 2  # but each third person, and the last eight to test on, may have none
CASES = {"labelled": 14, "unlabelled": 16, "test": 20}
DRAWN_FROM, BUDGET = 10, 5  # of the labelled cases; the others judge the teachers
TEACHERS = {"ct_teacher": "standin_ct", "pet_teacher": "standin_pet"}
MUDUO = "nnUNetTrainerMuDuo"
METHODS: dict[str, tuple[str, str | None, dict[str, Any]]] = {  # title -> trainer, preset, further settings
    "supervised": ("nnUNetTrainerMuDuoSupervised", None, {}),
    "MuDuo": (MUDUO, "few_labels", TEACHERS),
    "MuDuo, teachers trusted": (MUDUO, "few_labels", {**TEACHERS, "reliability": "none", "min_prompt_iou": 0.0}),
}


def write_dataset(folder: Path) -> None:
    """Simulate all scans that are not there."""
    from nnunetv2_muduo.datasets.difficulty import Difficulty
    from nnunetv2_muduo.datasets.phantom import draw_phantom
    from nnunetv2_muduo.datasets.simulated_dataset import LESIONS, finish_dataset, write_scan

    folder.mkdir(parents=True, exist_ok=True)
    scans = [(group, number) for group, count in CASES.items() for number in range(count)]
    for group, number in tqdm(scans, desc="scans", unit="scan"):
        may_have_none = number % 3 == 0 or (group == "test" and number >= 12)
        write_scan(
            folder,
            f"{group}_{number:03d}",
            group=group,
            draw_tissues=lambda rng: draw_phantom(rng, spacing_in_mm=SPACING_IN_MM).tissues,
            seed=np.random.SeedSequence([800, list(CASES).index(group), number]),
            spacing_in_mm=SPACING_IN_MM,
            label_lesions=True,
            difficulty=Difficulty(lesion_size=LESION_SIZE, fewest_lesions=0 if may_have_none else FEWEST_LESIONS),
        )
    finish_dataset(folder, labelled=CASES["labelled"], description="Phantoms with lesions", labels=LESIONS)


def plan(out: Path, seeds: int) -> None:
    """nnU-Net's planning and preprocessing with a smaller network, and a fold for each seed."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )

    from nnunetv2_muduo.planning import write_muduo_plans

    cases = [f"labelled_{number:03d}" for number in range(CASES["labelled"])]
    drawn = [np.random.default_rng([800, seed]).permutation(DRAWN_FROM)[:BUDGET] for seed in range(seeds)]
    splits = [{"train": sorted(cases[n] for n in order), "val": cases[DRAWN_FROM:]} for order in drawn]
    folder = Path(os.environ["nnUNet_preprocessed"]) / DATASET
    if not (out / "planned.txt").is_file():
        number = int(DATASET[7:10])
        extract_fingerprint_dataset(number, num_processes=1)
        plan_experiment_dataset(number)
        path = out / "preset.json"
        network = {"patch_size": [32, 24, 32], "features": 8, "max_features": 48, "batch_size": 2}
        path.write_text(json.dumps({"network": network, "configurations": {CONFIGURATION: {"batch_dice": True}}}))
        write_muduo_plans(DATASET, preset=str(path))
        preprocess_dataset(number, PLANS, (CONFIGURATION,), (1,))
        (out / "planned.txt").write_text("planned\n")
    (folder / "splits_final.json").write_text(json.dumps(splits, indent=2))


def run_name(method: str, seed: int) -> str:
    """What folders of a run are called."""
    return f"{method}_{seed}".replace(", ", "-").replace(" ", "-")


def settings_of(method: str, seed: int, *, epochs: int) -> dict[str, Any]:
    """plans["muduo"] of a run."""
    from nnunetv2_muduo.presets import load_preset

    _, preset, further = METHODS[method]
    schedule = {
        "num_epochs": epochs,
        "iterations_per_epoch": 25,
        "val_iterations_per_epoch": 2,
        "prompt_epochs": epochs,
        "optimizer": "adamw",
        "initial_lr": 3e-3,
        "mirroring": False,
        "unlabelled_batch_size": 2,
        "report_every": max(1, epochs // 4),
        "report_patches": 12,
        "seed": seed,
    }
    return schedule | dict(load_preset(preset).muduo if preset else {}) | further


def carry_out(method: str, seed: int, out: Path, *, epochs: int) -> dict[str, Any]:
    """Train, predict and evaluate one student."""
    from label_training import (
        give_prompt_generator,
        load_predictor,
        make_trainer,
        run_training,
        trained_prompt_generator,
    )

    from nnunetv2_muduo.evaluation.folders import evaluate_folders
    from nnunetv2_muduo.evaluation.task import task_of

    settings = settings_of(method, seed, epochs=epochs)
    name = run_name(method, seed)
    device, generator = torch.device("cpu"), None
    if METHODS[method][0] == MUDUO:  # all runs of a seed share one
        generator = trained_prompt_generator(
            DATASET, seed, name=f"Generator_{seed}", settings=settings, seed=seed, device=device
        )
    trainer = make_trainer(  # seeds the initial weights, so nothing may be trained between here and its own training
        DATASET, METHODS[method][0], seed, name=name, entries={"muduo": settings}, device=device
    )
    if not (Path(trainer.output_folder) / "checkpoint_final.pth").is_file():
        if generator is not None:
            give_prompt_generator(trainer, generator)
        run_training(trainer, seed=seed)
    raw, predictions = Path(os.environ["nnUNet_raw"]) / DATASET, out / "predictions" / name
    predictions.mkdir(parents=True, exist_ok=True)
    predictor = load_predictor(Path(trainer.output_folder_base), device)
    reader = predictor.plans_manager.image_reader_writer_class()
    for reference in sorted((raw / "labelsTs").glob("*.nii.gz")):
        case = reference.name.removesuffix(".nii.gz")
        image, properties = reader.read_images([str(raw / "imagesTs" / f"{case}_{k:04d}.nii.gz") for k in range(2)])
        labels = predictor.predict_single_npy_array(image, properties)
        reader.write_seg(labels, str(predictions / reference.name), properties)
    task = task_of(json.loads((raw / "dataset.json").read_text()), lesions=["lesion"])
    cases = evaluate_folders(raw / "labelsTs", {name: predictions}, task=task)[name].cases
    reports = Path(trainer.output_folder) / "teacher_report.json"
    return {
        "method": method,
        "seed": seed,
        "settings": settings,
        "cases": {case.case: _kept(case.organs["lesion"].values) for case in cases},
        "teacher_report": json.loads(reports.read_text()) if reports.is_file() else [],
    }


def _kept(values: Mapping[str, float]) -> dict[str, float | None]:
    names = ("Dice", "FPV_ml", "FNV_ml", "volume_ref_ml", "volume_pred_ml")
    return {name: round(values[name], 4) if np.isfinite(values[name]) else None for name in names}


def table_rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """A row a run: means over the patients with lesions, and what those without are said to have."""
    rows = []
    for result in sorted(results, key=lambda one: (one["seed"], list(METHODS).index(one["method"]))):
        cases = result["cases"].values()
        ill, healthy = ([c for c in cases if bool(c["volume_ref_ml"]) is has] for has in (True, False))
        means = [float(np.mean([c[key] for c in ill])) for key in ("Dice", "FPV_ml", "FNV_ml")]
        made_up = float(np.mean([c["FPV_ml"] for c in healthy]))
        cells = [f"{means[0]:.3f}", f"{means[1]:.1f}", f"{means[2]:.1f}", f"{made_up:.1f}"]
        rows.append([str(result["seed"]), result["method"], *cells])
    return rows


def report(results: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    first = next(iter(results))["cases"].values()
    healthy = sum(not case["volume_ref_ml"] for case in first)
    write_results(
        arguments.results / "lesions",
        title=f"Lesions in phantoms, 5 labelled scans, {25 * arguments.epochs} steps, stand-in teachers; "
        f"{len(first) - healthy} test patients with lesions, {healthy} without",
        header=["seed", "method", "Dice", "FPV ml", "FNV ml", "FPV ml of those without"],
        rows=table_rows(results),
        record={"command": shlex.join(["python", *sys.argv]), "runs": results},
        machine=describe_machine(torch.device("cpu")),
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="keeps scans, checkpoints and what is finished")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--epochs", type=int, default=8, help="of 25 steps, of the student and the prompt generator")
    return parser.parse_args()


def main() -> None:
    """Simulate, plan, then every run that is not finished, and the table after each."""
    arguments = parse()
    out = arguments.out.absolute()
    (out / "runs").mkdir(parents=True, exist_ok=True)
    os.environ |= {name: str(out / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}
    from nnunetv2_muduo.trainer_folder import trainer_folder

    os.environ["nnUNet_extTrainer"] = str(trainer_folder())
    write_dataset(out / "nnUNet_raw" / DATASET)
    plan(out, arguments.seeds)
    os.environ["nnUNet_n_proc_DA"] = "0"  # which nnU-Net's planning does not take
    results = []
    for seed in range(arguments.seeds):
        for method in arguments.methods:
            finished = out / "runs" / f"{run_name(method, seed)}.json"
            if not finished.is_file():
                finished.write_text(json.dumps(carry_out(method, seed, out, epochs=arguments.epochs)))
            results.append(json.loads(finished.read_text()))
            report(results, arguments)


if __name__ == "__main__":
    main()
