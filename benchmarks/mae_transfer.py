"""What masked-autoencoder pretraining brings to few labelled cases, on images simulated around real anatomy.

    OMP_NUM_THREADS=1 python benchmarks/mae_transfer.py --anatomy ../shared/anatomy --out transfer

Pretrains on 40 unlabelled scans (organ maps 000-039): on both channels, on CT alone and on PET alone, the other channel
hidden. Transfers to 3 and to 5 labelled scans (drawn from maps 040-051) of organs and of lesions, by linear probing
and by fine-tuning, and tests on 12 other scans (052-063). Scratch means random features under the probe, and nnU-Net's
own initial weights in fine-tuning. All runs of a kind have equal iterations, and all seeds begin at the same
pretraining. Repeat the command to continue; what is finished is kept in OUT.
"""

import argparse
import copy
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, write_results
from standin_pool import ORGAN_MAP_NAMES
from tqdm import tqdm
from transfer_runs import KINDS, SCRATCH, STARTS, TARGETS, Run, draw, mean_dice, table_rows

from nnunetv2_muduo.datasets.difficulty import Difficulty

RESULTS = Path(__file__).resolve().parent / "results"
PLANS, CONFIGURATION = "nnUNetPlansTransfer", "3d_fullres"
POOL = "Dataset600_Pool"
SPACING_IN_MM = (8.0, 8.0, 8.0)
LESIONS_TO_SEE = Difficulty(fewest_lesions=3, lesion_size=2.5)  # radii of 10 to 35 mm: more than a voxel or two
UNLABELLED_MAPS, LABELLED_MAPS, TEST_MAPS = range(40), range(40, 52), range(52, 64)


def write_datasets(raw: Path, anatomy: Path) -> None:
    """Simulate the pool and, twice with the same images, the scans with labels of organs and of lesions."""
    from nnunetv2_muduo.datasets.simulated_dataset import LESIONS, ORGANS, finish_dataset

    jobs = [(POOL, "unlabelled", number) for number in UNLABELLED_MAPS]
    jobs += [(name, "labelled", number) for name in TARGETS.values() for number in (*LABELLED_MAPS, *TEST_MAPS)]
    for name, group, number in tqdm(jobs, desc="scans", unit="scan"):
        _write_scan(raw / name, anatomy / f"anat_{number:03d}.nii.gz", number, group)
    description = "Simulated PET/CT around real organ maps"
    finish_dataset(raw / POOL, labelled=0, description=description)
    labelled = len(LABELLED_MAPS) + len(TEST_MAPS)
    for target, labels in (("organs", ORGANS), ("lesions", LESIONS)):
        finish_dataset(raw / TARGETS[target], labelled=labelled, description=description, labels=labels)


def _write_scan(folder: Path, path: Path, number: int, group: str) -> None:
    from anatomy import body_box, load_organ_map, tissues_from_organ_map

    from nnunetv2_muduo.datasets.simulated_dataset import write_scan

    def draw_tissues(rng: np.random.Generator) -> np.ndarray:
        organ_map = load_organ_map(path, spacing_in_mm=SPACING_IN_MM)
        tissues = tissues_from_organ_map(organ_map, names=ORGAN_MAP_NAMES, spacing_in_mm=SPACING_IN_MM, rng=rng)
        return tissues[body_box(tissues)]

    folder.mkdir(parents=True, exist_ok=True)
    write_scan(
        folder,
        case_name(number),
        group=group,
        draw_tissues=draw_tissues,
        seed=np.random.SeedSequence([600, number]),
        spacing_in_mm=SPACING_IN_MM,
        difficulty=LESIONS_TO_SEE,
        label_lesions=folder.name == TARGETS["lesions"],
    )


def case_name(number: int) -> str:
    return f"anat_{number:03d}"


def plan(out: Path, arguments: argparse.Namespace) -> None:
    """The same small plans for all three datasets, straight from a preset, and nnU-Net's preprocessing."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    from nnunetv2_muduo.planning import write_muduo_plans
    from nnunetv2_muduo.presets import preset_paths

    done = out / "planned.txt"
    if done.is_file():
        return
    preset = json.loads(preset_paths()["petct_mae"].read_text())
    preset["plans_name"] = PLANS
    preset["configurations"][CONFIGURATION] |= {"spacing": list(SPACING_IN_MM), "batch_size": arguments.batch}
    preset["network"] = {"patch_size": arguments.patch, "features": arguments.features, "batch_size": arguments.batch}
    preset["mae"] |= {
        "block": [4, 4, 4],  # 32 mm, about as large as the published blocks are at 3 x 2 x 2 mm
        "batch_size": arguments.batch,
        "num_epochs": 10,
        "iterations_per_epoch": arguments.pretraining_steps // 10,
        "val_iterations_per_epoch": 10,
        "initial_lr": arguments.pretraining_rate,
        "report_every": 5,
        "seed": 0,
    }
    path = out / "preset.json"
    path.write_text(json.dumps(preset, indent=2))
    for name in (POOL, *TARGETS.values()):
        write_muduo_plans(name, preset=str(path))
    for name in TARGETS.values():
        number = int(name[7:10])
        extract_fingerprint_dataset(number, num_processes=2)
        preprocess_dataset(number, PLANS, (CONFIGURATION,), (2,))
    done.write_text("planned\n")


def make_trainer(dataset: str, trainer: str, fold: int | str, *, name: str, changes: Mapping[str, Any], device: str):
    """A trainer of nnU-Net's making with settings of its own and, named after its plans, a folder of its own."""
    from nnunetv2.run.run_training import recursive_find_trainer_class_by_name

    folder = Path(os.environ["nnUNet_preprocessed"]) / dataset
    plans = json.loads((folder / f"{PLANS}.json").read_text())
    plans |= {"plans_name": name, "continue_training": False}
    for entry, settings in changes.items():
        plans[entry] = plans.get(entry, {}) | settings
    dataset_json = json.loads((Path(os.environ["nnUNet_raw"]) / dataset / "dataset.json").read_text())
    trainer_class = recursive_find_trainer_class_by_name(trainer)
    return trainer_class(copy.deepcopy(plans), CONFIGURATION, fold, dataset_json, torch.device(device))


def pretrain(start: str, arguments: argparse.Namespace) -> Path:
    """The checkpoint of a pretraining; made where it is not there."""
    name = f"Pretrained{start.replace(' ', '')}"
    settings = {} if STARTS[start] is None else {"channels": STARTS[start]}
    trainer = make_trainer(
        POOL, "nnUNetTrainerPETCTMAE", "all", name=name, changes={"mae": settings}, device=arguments.device
    )
    final = Path(trainer.output_folder) / "checkpoint_final.pth"
    if not final.is_file():
        trainer.initialize()
        trainer.run_training()
    return final


def imported(run: Run, out: Path, arguments: argparse.Namespace) -> Path:
    """The checkpoint of a run's pretraining as `muduo import-mae` rearranges it for the run's network.

    A channel that was hidden in pretraining starts from zeros: its filters were never trained.
    """
    from nnunetv2_muduo.transfer.weight_import import import_weights

    path = out / f"imported_{run.kind}_{run.start}_{run.target}.pth".replace(" ", "-")
    if not path.is_file():
        import_weights(
            pretrain(run.start, arguments),
            dataset=TARGETS[run.target],
            output=path,
            configuration=CONFIGURATION,
            plans_name=PLANS,
            trainer=KINDS[run.kind],
            force=STARTS[run.start] is not None,
        )
    return path


def random_features(out: Path, seed: int, arguments: argparse.Namespace) -> Path:
    """A checkpoint of nnU-Net's initial weights, what a probe from scratch stands on."""
    path = out / f"random_{seed}.pth"
    trainer = make_trainer(
        TARGETS["organs"],
        KINDS["fine-tuning"],
        0,
        name=f"Random_{seed}",
        changes={"muduo": {"seed": seed}},
        device="cpu",
    )
    trainer.initialize()
    torch.save({"network_weights": trainer.network.state_dict()}, path)
    return path


def write_splits(arguments: argparse.Namespace) -> dict[tuple[int, int], int]:
    """One fold for each budget and seed, small budgets within larger ones, all validated on the test cases."""
    from nnunetv2_muduo.transfer.few_shot import Amount, draw_split

    labelled = {case_name(number): case_name(number) for number in LABELLED_MAPS}
    folds: dict[tuple[int, int], int] = {}
    splits = []
    for seed in range(10):
        for budget in (3, 5):
            split = draw_split(labelled, labelled=Amount.parse(str(budget)), validation=Amount.parse("1"), seed=seed)
            folds[budget, seed] = len(splits)
            splits.append({"train": list(split.train), "val": [case_name(number) for number in TEST_MAPS]})
    for name in TARGETS.values():
        folder = Path(os.environ["nnUNet_preprocessed"]) / name
        (folder / "splits_final.json").write_text(json.dumps(splits, indent=2))
    return folds


def train_and_test(run: Run, *, fold: int, weights: Path | None, arguments: argparse.Namespace) -> dict[str, list]:
    """Label -> Dice of each test case (nan where neither has it), after training."""
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    probing = run.kind == "linear probe"
    settings = {
        "num_epochs": 2,
        "iterations_per_epoch": (arguments.probe_steps if probing else arguments.steps) // 2,
        "val_iterations_per_epoch": 1,
        "optimizer": "adamw",
        "initial_lr": arguments.probe_rate if probing else arguments.rate,
        "mirroring": False,
        "seed": run.seed,
    }
    trainer = make_trainer(
        TARGETS[run.target],
        KINDS[run.kind],
        fold,
        name=f"Run{run.name}",
        changes={"muduo": settings},
        device=arguments.device,
    )
    trainer.disable_checkpointing = True
    trainer.initialize()
    if weights is not None:
        load_pretrained_weights(trainer.network, str(weights))
    trainer.run_training()
    return test(trainer)


def test(trainer: Any) -> dict[str, list]:
    """Dice of the fold's validation cases, predicted by nnU-Net's sliding window on the scans' own grid."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(use_mirroring=False, device=trainer.device, allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network, trainer.plans_manager, trainer.configuration_manager, None, trainer.dataset_json, "", None
    )
    _, cases = trainer.do_split()
    dataset = trainer.dataset_class(trainer.preprocessed_dataset_folder, cases)
    labels = {name: value for name, value in trainer.dataset_json["labels"].items() if value}
    scores: dict[str, list] = {name: [] for name in labels}
    for case in cases:
        image, reference, _, _ = dataset.load_case(case)
        logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(np.asarray(image[:])))
        prediction = logits.argmax(0).cpu().numpy()
        for name, value in labels.items():
            ours, truth = prediction == value, np.asarray(reference[0]) == value
            total = int(ours.sum() + truth.sum())
            scores[name].append(2 * int((ours & truth).sum()) / total if total else float("nan"))
    return scores


def planned_runs(arguments: argparse.Namespace) -> Iterator[Run]:
    """All of them: both ways and joint pretraining first, so that an early look at the table tells most."""
    for start, seed, budget, target, kind in (
        (start, seed, budget, target, kind)
        for starts in ((SCRATCH, "CT and PET"), ("CT alone", "PET alone"))
        for budget in arguments.budgets
        for seed in arguments.seeds
        for target in TARGETS
        for kind in arguments.kinds
        for start in starts
    ):
        single = start in ("CT alone", "PET alone")
        if not single or budget in arguments.single_budgets:
            yield Run(kind, start, target, budget, seed)


def report(results: Mapping[Run, Mapping[str, list]], arguments: argparse.Namespace) -> None:
    write_results(
        arguments.results / f"mae_transfer{arguments.name}",
        title=f"Mean Dice on 12 unseen simulated scans (number of seeds); pretrained for {arguments.pretraining_steps} "
        f"steps on 40 scans, then {arguments.probe_steps} steps of probing or {arguments.steps} of fine-tuning "
        f"at a learning rate of {arguments.rate:g}",
        header=["training", "target", "labelled", SCRATCH, *STARTS],
        rows=table_rows(results),
        record={
            "command": shlex.join(["python", *sys.argv]),
            "dice": [{**vars(run), "scores": scores} for run, scores in results.items()],
        },
        machine=describe_machine(torch.device(arguments.device)),
    )
    draw(results, arguments.results / f"mae_transfer{arguments.name}.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="keeps scans, checkpoints and what is finished")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table and the figure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budgets", type=int, nargs="+", choices=(3, 5), default=[5, 3], help="labelled scans")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--name", default="", help="added to the name of the result files, such as _slower")
    parser.add_argument("--single-budgets", type=int, nargs="*", default=[5], help="those that single channels are for")
    parser.add_argument("--patch", type=int, nargs=3, default=[48, 32, 48], help="(z, y, x) voxels of 8 mm")
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--pretraining-steps", type=int, default=1500)
    parser.add_argument("--pretraining-rate", type=float, default=1e-3, help="published: 5e-4, for batches of 16")
    parser.add_argument("--steps", type=int, default=200, help="of fine-tuning")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--probe-steps", type=int, default=400)
    parser.add_argument("--probe-rate", type=float, default=5e-2)
    parser.add_argument("--only-report", action="store_true", help="table and figure of what is finished")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args()


def main() -> None:
    """Simulate, plan, pretrain, then every run that is not finished, and the table after each seed."""
    arguments = parse()
    out = arguments.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    os.environ |= {name: str(out / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    os.environ |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}
    from nnunetv2_muduo.trainer_folder import trainer_folder

    os.environ["nnUNet_extTrainer"] = str(trainer_folder())
    write_datasets(out / "nnUNet_raw", arguments.anatomy)
    plan(out, arguments)
    folds = write_splits(arguments)
    results: dict[Run, dict[str, list]] = {}
    (out / "runs").mkdir(exist_ok=True)
    for run in tqdm(list(planned_runs(arguments)), desc="runs", unit="run"):
        finished = out / "runs" / f"{run.name}.json"
        if not finished.is_file() and arguments.only_report:
            continue
        if not finished.is_file():
            weights = None
            if run.start != SCRATCH:
                weights = imported(run, out, arguments)
            elif run.kind == "linear probe":
                weights = random_features(out, run.seed, arguments)
            scores = train_and_test(run, fold=folds[run.budget, run.seed], weights=weights, arguments=arguments)
            finished.write_text(json.dumps(scores))
            print(f"{run.name}: {mean_dice(scores):.3f}", flush=True)
        results[run] = json.loads(finished.read_text())
    report(results, arguments)


if __name__ == "__main__":
    main()
