"""One run of `label_efficiency.py`: a student trained through nnU-Net and tested by its predictor.

Runs of a seed and budget share initial weights, labelled patches in the same order with the same augmentation,
unlabelled crops, the prompt generator and the pretrained weights, so that their differences are the methods'.
"""

import copy
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from label_data import (
    CONFIGURATION,
    ORGANS,
    PLANS,
    dataset_name,
    deal,
    fold_of,
    more_labels_name,
    write_more_labels,
)
from label_methods import LABELLERS, MUDUO, Method, Size
from machine import describe_machine
from repeatable_patches import repeatable

from nnunetv2_muduo.files import replacing, sha256_of
from nnunetv2_muduo.teachers.weights import find_weights
from nnunetv2_muduo.trainer_folder import trainer_folder

CURVES = ("train_losses", "consistency_losses", "teacher_agreement", "share_kept", "reliability", "teacher_seconds")
GENERATOR = "nnUNetTrainerMuDuoPrompt"


@dataclass(frozen=True)
class Run:
    """One student: a key of the methods, how many labelled cases, which seed."""

    method: str
    budget: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method}_{self.budget}_{self.seed}"


@dataclass(frozen=True)
class Workshop:
    """Where and how large everything is.

    Attributes:
        out: folder of this size.
        size: of scans, network and trainings.
        device: of the trainings.
        methods: key -> method.
    """

    out: Path
    size: Size
    device: torch.device
    methods: Mapping[str, Method]

    @property
    def pool(self) -> Path:
        """Where all scans of this spacing lie."""
        return self.out.parent / f"pool_{self.size.spacing_in_mm:g}mm"

    @property
    def raw(self) -> Path:
        return self.out / "nnUNet_raw"


def missing_trainer(method: Method) -> str | None:
    """The name of the method's trainer where the package has none of this name."""
    return None if (trainer_folder() / f"{method.trainer}.py").is_file() else method.trainer


def identity(run: Run, workshop: Workshop) -> dict[str, Any]:
    """What makes a run the same, whoever carried it out: cases, settings, size, the teachers' weights by checksum."""
    method = workshop.methods[run.method]
    settings = method.settings_in(workshop.size, seed=run.seed)
    teachers = [settings[key] for key in ("ct_teacher", "pet_teacher") if settings.get(key)]
    weights = {name: sha256_of(find_weights(name))[:12] for name in teachers}
    identical = {
        "trainer": method.trainer,
        "settings": settings,
        "size": asdict(workshop.size),
        "weights": weights,
        "starts from": {"pretrained": method.pretrained, "unlabelled": method.unlabelled, "split": method.split},
    }
    return json.loads(json.dumps(identical))


def carry_out(run: Run, workshop: Workshop) -> dict[str, Any]:
    """Train and test; everything that is worth keeping, as JSON takes it."""
    method = workshop.methods[run.method]
    model, seconds = train(run, workshop)
    start = perf_counter()
    scores = test(model, workshop, seed=run.seed, out=workshop.out / "test_predictions" / run.name)
    fold = next(model.glob("fold_*"))
    report = fold / "teacher_report.json"
    return {
        "method": run.method,
        "title": method.title,
        "budget": run.budget,
        "seed": run.seed,
        **identity(run, workshop),
        "machine": describe_machine(workshop.device),
        "seconds": {"training": round(seconds, 1), "testing": round(perf_counter() - start, 1)},
        **scores,
        "teacher_report": json.loads(report.read_text()) if report.is_file() else [],
        "curves": json.loads((model / "curves.json").read_text()),
    }


def train(run: Run, workshop: Workshop) -> tuple[Path, float]:
    """The model folder of a run and the seconds of its training; trained where it is not there."""
    method, size = workshop.methods[run.method], workshop.size
    dataset, fold = dataset_name(run.seed), fold_of(run.budget, method.split)
    if method.unlabelled != "without labels":
        label_the_unlabelled(run, workshop)
        dataset, fold = more_labels_name(run.seed, run.budget, method.unlabelled), 0
    settings = method.settings_in(size, seed=run.seed)
    weights = pretrained(run.seed, workshop) if method.pretrained else None
    if method.trainer == MUDUO:
        prompt_generator(run, workshop)  # before the student's trainer, which sets the seed of its weights
    trainer = make_trainer(
        dataset, method.trainer, fold, name=run.name, entries={"muduo": settings}, device=workshop.device
    )
    model = Path(trainer.output_folder_base)
    if (model / "curves.json").is_file():
        return model, json.loads((model / "curves.json").read_text())["seconds"]
    if method.trainer == MUDUO:
        give_prompt_generator(trainer, prompt_generator(run, workshop))
    start = perf_counter()
    run_training(trainer, seed=run.seed, weights=weights, jitter=method.jitter)
    seconds = perf_counter() - start
    logged = trainer.logger.get_checkpoint()
    curves = {key: _plain(logged[key]) for key in CURVES if key in logged}
    (model / "curves.json").write_text(json.dumps({"seconds": seconds, **curves}))
    return model, seconds


def clear_up(run: Run, workshop: Workshop) -> None:
    """Delete the weights of a finished run, but those of supervised ones, which label scans for self-training."""
    if run.method in LABELLERS.values():
        return
    for folder in (workshop.out / "nnUNet_results").glob(f"*/*__{run.name}__{CONFIGURATION}"):
        for checkpoint in folder.glob("fold_*/checkpoint_*.pth"):
            checkpoint.unlink()
        (folder / "curves.json").unlink(missing_ok=True)


def make_trainer(
    dataset: str, trainer: str, fold: int | str, *, name: str, entries: Mapping[str, Any], device: torch.device
) -> Any:
    """A trainer of nnU-Net's making with settings of its own and, named after its plans, a folder of its own."""
    from nnunetv2.run.run_training import recursive_find_trainer_class_by_name

    plans = json.loads((Path(os.environ["nnUNet_preprocessed"]) / dataset / f"{PLANS}.json").read_text())
    plans |= {"plans_name": name, "continue_training": False, **entries}
    dataset_json = json.loads((Path(os.environ["nnUNet_raw"]) / dataset / "dataset.json").read_text())
    trainer_class = recursive_find_trainer_class_by_name(trainer)
    return trainer_class(copy.deepcopy(plans), CONFIGURATION, fold, dataset_json, device)


def run_training(trainer: Any, *, seed: int, weights: Path | None = None, jitter: int = 0) -> None:
    """nnU-Net's own training loop on repeatable patches, from given weights or those that the seed draws, jittered."""
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    trainer.initialize()
    if weights is not None:
        load_pretrained_weights(trainer.network, str(weights))
    if jitter:
        jitter_weights(trainer.network, jitter)
    original = trainer.get_dataloaders

    def get_dataloaders() -> tuple[Any, Any]:
        training, validation = original()
        if hasattr(training, "unlabelled"):
            training.labelled, training.unlabelled = (
                repeatable(training.labelled, seed),
                repeatable(training.unlabelled, seed + 1000),
            )
        else:
            training = repeatable(training, seed)
        return training, repeatable(validation, seed + 2000)

    trainer.get_dataloaders = get_dataloaders
    trainer.run_training()


@torch.no_grad()
def jitter_weights(network: torch.nn.Module, number: int) -> None:
    """Multiply each weight by 1 + 1e-6 · N(0, 1), drawn by the number: some ten units in the last place."""
    generator = torch.Generator().manual_seed(number)
    for weights in network.parameters():
        weights *= 1 + 1e-6 * torch.randn(weights.shape, generator=generator).to(weights.device)


def give_prompt_generator(trainer: Any, checkpoint: Path) -> None:
    """Put a shared prompt generator where a MuDuo trainer looks for its own."""
    model = Path(trainer.output_folder_base)
    beside = model.with_name(model.name.replace(MUDUO, GENERATOR, 1)) / Path(trainer.output_folder).name
    beside.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(checkpoint, beside / "checkpoint_final.pth")


def prompt_generator(run: Run, workshop: Workshop) -> Path:
    """The checkpoint of the prompt generator of a budget and seed, which all of its MuDuo runs share."""
    method, size = workshop.methods[run.method], workshop.size
    shares_cases = method.split != "with held out"
    fold = fold_of(run.budget, "held out" if shares_cases else method.split)
    return trained_prompt_generator(
        dataset_name(run.seed),
        fold,
        name=f"Generator_{run.budget}_{run.seed}",
        settings=size.schedule(seed=run.seed),
        seed=run.seed,
        device=workshop.device,
    )


def trained_prompt_generator(
    dataset: str, fold: int | str, *, name: str, settings: Mapping[str, Any], seed: int, device: torch.device
) -> Path:
    """The checkpoint of a prompt generator; trained where it is not there."""
    trainer = make_trainer(dataset, GENERATOR, fold, name=name, entries={"muduo": settings}, device=device)
    final = Path(trainer.output_folder) / "checkpoint_final.pth"
    if not final.is_file():
        run_training(trainer, seed=seed)
    return final


def pretrained(seed: int, workshop: Workshop) -> Path:
    """The checkpoint of a masked autoencoder of a seed's unlabelled scans."""
    size = workshop.size
    settings = {
        "block": list(size.block),
        "initial_lr": 1e-3,  # published: 5e-4, for batches of 16
        "num_epochs": size.pretraining_epochs,
        "iterations_per_epoch": size.iterations,
        "val_iterations_per_epoch": 2,
        "use_labelled": False,
        "report_every": size.pretraining_epochs,
        "seed": seed,
    }
    trainer = make_trainer(
        dataset_name(seed),
        "nnUNetTrainerPETCTMAE",
        "all",
        name=f"Pretrained_{seed}",
        entries={"mae": settings},
        device=workshop.device,
    )
    final = Path(trainer.output_folder) / "checkpoint_final.pth"
    if not final.is_file():
        trainer.initialize()
        trainer.run_training()
    return final


def label_the_unlabelled(run: Run, workshop: Workshop) -> None:
    """A dataset in which the unlabelled scans have labels: predicted, as stock commands would do it, or true."""
    kind = workshop.methods[run.method].unlabelled
    student = Run(LABELLERS[kind], run.budget, run.seed) if kind in LABELLERS else None
    labels = workshop.pool / "labelsTr" if student is None else predicted_labels(student, workshop)
    write_more_labels(workshop.pool, workshop.raw, labels, seed=run.seed, budget=run.budget, unlabelled=kind)


def predicted_labels(student: Run, workshop: Workshop) -> Path:
    """Folder of what a student predicts for its seed's unlabelled scans; it is trained where it is not there."""
    predictions = workshop.out / "predictions" / student.name
    cases = deal(student.seed).unlabelled
    if not all((predictions / f"{case}.nii.gz").is_file() for case in cases):
        model, _ = train(student, workshop)
        predictions.mkdir(parents=True, exist_ok=True)
        predictor = load_predictor(model, workshop.device)
        writer = predictor.plans_manager.image_reader_writer_class()
        for case, labels, properties in predictions_of(predictor, workshop.pool, cases):
            with replacing(predictions / f"{case}.nii.gz") as partial:
                writer.write_seg(labels, str(partial), properties)
    return predictions


def test(model: Path, workshop: Workshop, *, seed: int, out: Path) -> dict[str, Any]:
    """Dice of each organ in the test cases that have it, and ml that are taken for it in those that do not.

    The label maps are kept in `out`, for measures that are thought of later.
    """
    out.mkdir(parents=True, exist_ok=True)
    cases = deal(seed).test
    predictor = load_predictor(model, workshop.device)
    reader = predictor.plans_manager.image_reader_writer_class()
    millilitres = workshop.size.spacing_in_mm**3 / 1000
    dice: dict[str, list[float | None]] = {organ: [] for organ, label in ORGANS.items() if label}
    false_positive: dict[str, list[float | None]] = {organ: [] for organ in dice}
    writer = predictor.plans_manager.image_reader_writer_class()
    for case, prediction, properties in predictions_of(predictor, workshop.pool, cases):
        writer.write_seg(prediction, str(out / f"{case}.nii.gz"), properties)
        reference = reader.read_seg(str(workshop.pool / "labelsTr" / f"{case}.nii.gz"))[0][0]
        for organ in dice:
            ours, truth = prediction == ORGANS[organ], reference == ORGANS[organ]
            there, claimed = int(truth.sum()), int(ours.sum())
            dice[organ].append(2 * int((ours & truth).sum()) / (there + claimed) if there else None)
            false_positive[organ].append(None if there else claimed * millilitres)
    return {"cases": list(cases), "dice": dice, "false_positive_ml": false_positive}


def load_predictor(model: Path, device: torch.device) -> Any:
    """nnU-Net's predictor of a model folder's one fold."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=device, allow_tqdm=False)
    fold = next(model.glob("fold_*")).name.removeprefix("fold_")
    predictor.initialize_from_trained_model_folder(str(model), (int(fold),), "checkpoint_final.pth")
    return predictor


def predictions_of(
    predictor: Any, pool: Path, cases: tuple[str, ...]
) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Name, label map [Z, Y, X] and the image's properties of each case, on the scan's own grid."""
    reader = predictor.plans_manager.image_reader_writer_class()
    for case in cases:
        files = [str(pool / "imagesTr" / f"{case}_{channel:04d}.nii.gz") for channel in range(2)]
        image, properties = reader.read_images(files)
        yield case, predictor.predict_single_npy_array(image, properties), properties


def _plain(values: Any) -> Any:
    """Logged numbers for JSON: None for what is not finite."""
    if isinstance(values, list | tuple | np.ndarray):
        return [_plain(value) for value in values]
    return round(float(values), 5) if np.isfinite(values) else None
