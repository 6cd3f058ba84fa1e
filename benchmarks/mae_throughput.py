"""Patches per second of pretraining against stock nnU-Net training, same network, patch and batch.

    OMP_NUM_THREADS=1 python benchmarks/mae_throughput.py                        # small, on a CPU: about 5 minutes
    python benchmarks/mae_throughput.py --device cuda --preset --repeats 50      # the published network and patch

Both trainers run on the same preprocessed phantoms. In every round each does one *step* on a batch that is in memory
(forward, loss, backward, update) and one turn of its *loop* (the same and making the batch, in this process, so that
reading, augmentation and masks count); medians are compared. Stock nnU-Net trains with deep supervision, Dice and
cross-entropy and its full augmentation.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from machine import describe_machine, write_results

SPACING_IN_MM = (4.0, 4.0, 4.0)
PLANS = "nnUNetPlansPETCTMAE"
DATASET = "Dataset700_Throughput"


def make_trainers(folder: Path, arguments: argparse.Namespace) -> dict:
    """Both trainers, begun, on phantoms below a folder."""
    os.environ |= {name: str(folder / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    os.environ["nnUNet_n_proc_DA"] = str(arguments.workers)
    os.environ.setdefault("nnUNet_compile", "1" if arguments.compile else "0")
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
    from nnunetv2_muduo.planning import write_muduo_plans
    from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE

    write_phantom_dataset(
        folder / "nnUNet_raw" / DATASET, labelled=4, unlabelled=0, test=0, seed=0, spacing_in_mm=SPACING_IN_MM
    )
    preset = folder / "preset.json"
    preset.write_text(json.dumps(preset_for(arguments)))
    written = write_muduo_plans(DATASET, preset=str(preset))
    extract_fingerprint_dataset(700, num_processes=1)
    preprocess_dataset(700, PLANS, ("3d_fullres",), (1,))
    dataset_json = json.loads((folder / "nnUNet_raw" / DATASET / "dataset.json").read_text())
    trainers = {}
    for name, trainer_class in {"stock nnU-Net": nnUNetTrainer, "pretraining": nnUNetTrainerPETCTMAE}.items():
        plans = json.loads(written.path.read_text()) | {"continue_training": False}
        trainer = trainer_class(plans, "3d_fullres", "all", dataset_json, torch.device(arguments.device))
        trainer.on_train_start()
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        trainers[name] = trainer
    return trainers


def preset_for(arguments: argparse.Namespace) -> dict:
    """The published preset, on the phantoms' grid and, unless asked for as it is, with a smaller network."""
    from nnunetv2_muduo.presets import preset_paths

    preset = json.loads(preset_paths()["petct_mae"].read_text())
    configuration = preset["configurations"]["3d_fullres"]
    configuration |= {"spacing": list(SPACING_IN_MM), "batch_size": arguments.batch}
    preset["mae"] |= {"batch_size": arguments.batch, "seed": 0}
    if not arguments.preset:
        size = {"patch_size": arguments.patch, "features": arguments.features, "batch_size": arguments.batch}
        preset["network"] = size
    return preset


def seconds(work: Callable[[], object], device: str) -> float:
    """Wall time of some work, with what it left to do on the GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start


def measure(trainers: dict, arguments: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Kind of work -> trainer -> seconds of each round."""
    in_memory = {name: next(trainer.dataloader_train) for name, trainer in trainers.items()}
    times: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in trainers} for kind in ("step", "loop")}
    for repeat in range(arguments.repeats + 1):
        order = list(trainers.items())[:: 1 if repeat % 2 else -1]  # neither always goes first
        for name, trainer in order:
            work: dict[str, Callable[[], object]] = {
                "step": lambda trainer=trainer, name=name: trainer.train_step(dict(in_memory[name])),
                "loop": lambda trainer=trainer: trainer.train_step(next(trainer.dataloader_train)),
            }
            for kind, do in work.items():
                taken = seconds(do, arguments.device)
                if repeat:  # the first round warms up
                    times[kind][name].append(taken)
        print(f"round {repeat} of {arguments.repeats}", flush=True)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--preset", action="store_true", help="the published patch and network")
    parser.add_argument("--patch", type=int, default=64, help="edge of the cubic patch in voxels")
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--workers", type=int, default=0, help="augmentation processes; 0: in this process")
    parser.add_argument("--compile", action="store_true", help="torch.compile, as nnU-Net does on CUDA")
    parser.add_argument("--note", default="", help="what else to say of the machine")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trainers = make_trainers(Path(folder), arguments)
        patch = trainers["pretraining"].configuration_manager.patch_size
        features = trainers["pretraining"].configuration_manager.network_arch_init_kwargs["features_per_stage"]
        times = measure(trainers, arguments)
        for trainer in trainers.values():
            for loader in (trainer.dataloader_train, trainer.dataloader_val):
                if arguments.workers:
                    loader._finish()
    report(times, patch=patch, features=features, arguments=arguments)


def report(times: dict, *, patch: list[int], features: list[int], arguments: argparse.Namespace) -> None:
    rows = []
    for kind, by_trainer in times.items():
        stock, ours = (median(by_trainer[name]) for name in ("stock nnU-Net", "pretraining"))
        pairs = zip(by_trainer["stock nnU-Net"], by_trainer["pretraining"], strict=True)
        paired = median(stock_seconds / our_seconds for stock_seconds, our_seconds in pairs)
        rows.append(
            (
                kind,
                f"{arguments.batch / stock:.3f}",
                f"{arguments.batch / ours:.3f}",
                f"{stock / ours:.2f}",
                f"{paired:.2f}",
            )
        )
    shape = " x ".join(map(str, patch))
    write_results(
        arguments.out / f"mae_throughput_{arguments.device}{'_preset' if arguments.preset else ''}",
        title=f"Pretraining against stock nnU-Net, patch {shape}, {features[0]} to {features[-1]} features, "
        f"batch {arguments.batch}, {arguments.repeats} rounds",
        header=("what", "stock patches/s", "pretraining patches/s", "ratio of medians", "median of ratios"),
        rows=rows,
        record={"arguments": {k: str(v) for k, v in vars(arguments).items() if k != "out"}, "seconds": times},
        machine=describe_machine(torch.device(arguments.device)) | ({"note": arguments.note} if arguments.note else {}),
    )


if __name__ == "__main__":
    main()
