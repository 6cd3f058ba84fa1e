"""What teachers say to prompts of several sources, and which of it to keep: pseudo-labels against truth, no training.

    OMP_NUM_THREADS=1 python benchmarks/prompt_sources.py --anatomy ../shared/anatomy --out labels --seeds 8

Scans, supervised student and prompt generator are those of `label_efficiency.py` with 5 labelled scans (the same OUT
continues it). Patches are of the five labelled cases that a budget of 5 leaves aside, on which nothing is trained.
Prompts come from the prompt generator, from the student, from the mean of both, or from the mean of the student and of
what the teachers said to its prompts ("second round"); both teachers get them. For each threshold on the overlap with
the prompt, the mean Dice of what is kept. Writes benchmarks/results/prompt_sources_SIZE.{md,json}, with
`--student supervised-long` prompt_sources_SIZE_long.{md,json}.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from label_data import dataset_name, deal, fold_of
from label_efficiency import add_common_arguments, prepare, printing_to
from label_methods import MUDUO, OURS
from label_training import Run, Workshop, give_prompt_generator, make_trainer, prompt_generator, train
from machine import describe_machine, write_results
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from torch import Tensor
from tqdm import tqdm

from nnunetv2_muduo.cases.labelled_intensities import labelled_raw_intensities
from nnunetv2_muduo.cases.raw_intensities import outside_is_zero
from nnunetv2_muduo.distillation import fuse, soft_iou
from nnunetv2_muduo.semisupervised.answers import Evidence, Patches, organ_masks
from nnunetv2_muduo.semisupervised.report_patches import draw_report_patches
from nnunetv2_muduo.teachers.prompt_rounds import dice

BUDGET = 5
SOURCES = ("generator", "student", "both", "second round")
THRESHOLDS = (0.0, 0.2, 0.3, 0.4)
OF_WHOM = (
    "prompt",
    "student",
    "ct",
    "pet",
    "mean of both",
    "by their errors",
    "by their overlap",
    "mean with the student",
)


def prepared_trainer(student: str, seed: int, workshop: Workshop) -> Any:
    """A MuDuo trainer with teachers and prompt generator, and in its student's place the student of a method."""
    trained, _ = train(Run(student, BUDGET, seed), workshop)
    settings = {**workshop.size.schedule(seed=seed), **OURS, "min_prompt_iou": 0.0}
    fold = fold_of(BUDGET, "held out")
    trainer = make_trainer(
        dataset_name(seed), MUDUO, fold, name=f"Sources_{seed}", entries={"muduo": settings}, device=workshop.device
    )
    give_prompt_generator(trainer, prompt_generator(Run("muduo", BUDGET, seed), workshop))
    trainer.initialize()
    checkpoint = torch.load(trained / f"fold_{fold}" / "checkpoint_final.pth", weights_only=False)
    trainer.network.load_state_dict(checkpoint["network_weights"])
    trainer.network.eval()
    trainer.load_teachers()
    trainer.prepare_consistency()
    trainer.get_tr_and_val_datasets()
    return trainer


def patches_of(trainer: Any, cases: Sequence[str], number: int) -> list[tuple[Patches, Tensor]]:
    """Patches full of organs and their labels, from labelled cases of any fold."""
    dataset = nnUNetDatasetBlosc2(trainer.dataset_val.source_folder, list(cases))
    return draw_report_patches(
        dataset,
        number=number,
        batch_size=2,
        patch_size=trainer.configuration_manager.patch_size,
        label_manager=trainer.label_manager,
        raw_intensities=labelled_raw_intensities(dataset.identifiers, **trainer.data_source),
        outside_is_zero=outside_is_zero(trainer.configuration_manager),
        raw_padding=trainer.raw_padding,
    )


@torch.inference_mode()
def prompts_of(source: str, trainer: Any, patches: Patches, student: Tensor) -> Tensor:
    """Probabilities [B, K, Z, Y, X] of a source of prompts."""
    generated, _ = trainer.teaching._generate_prompts(patches.clean, None)
    if source == "second round":
        ct, pet, _, _ = answers_to(student, trainer, patches)
        return together(ct, pet, student)
    return {"generator": generated, "student": student, "both": (generated + student) / 2}[source]


@torch.inference_mode()
def answers_to(prompts: Tensor, trainer: Any, patches: Patches) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probabilities of CT and PET teacher [B, K, Z, Y, X], what they were asked (bool), and valid [B, K]."""
    teaching, background = trainer.teaching, 1 - prompts.sum(1, keepdim=True)
    label_map = torch.cat([background, prompts], 1).argmax(1)
    prompted = organ_masks(label_map, prompts.shape[1])
    valid = prompted.flatten(2).any(2)
    encoded = teaching._encode_ct(patches, valid.any(1))
    ct_logits = teaching._ask_ct(encoded, prompts, valid, patches.orientations)
    pet_logits, asked = teaching._ask_pet(patches, prompted)
    evidence = Evidence(label_map, None, ct_logits, pet_logits, asked, patches.orientations)
    ct, pet = teaching.conclude(evidence, prompts).streams
    return ct, pet, prompted, valid


def together(ct: Tensor, pet: Tensor, student: Tensor) -> Tensor:
    """The mean of all three as probabilities of organs that exclude each other, [B, K, Z, Y, X]."""
    mean_of_all = (ct + pet + student) / 3
    return mean_of_all / mean_of_all.sum(1, keepdim=True).clamp_min(1)


@torch.inference_mode()
def rows_of(source: str, trainer: Any, batches: Sequence[tuple[Patches, Tensor]]) -> list[dict[str, float]]:
    """A row for each organ that the source finds in a patch: overlap with the prompt, Dice of all (0: not there)."""
    rows = []
    for patches, labels in batches:
        logits = trainer.network(patches.clean)
        student = (logits if isinstance(logits, Tensor) else logits[0]).float().softmax(1)[:, 1:]
        ct, pet, prompted, valid = answers_to(prompts_of(source, trainer, patches, student), trainer, patches)
        truth = organ_masks(labels[:, 0], len(trainer.organs))
        overlaps = [soft_iou(said, prompted.float()) for said in (ct, pet)]
        answers = {
            "prompt": prompted,
            "student": student > 0.5,
            "ct": ct > 0.5,
            "pet": pet > 0.5,
            "mean of both": ct + pet > 1,
            "by their errors": fuse(ct, pet, trainer.ct_share.expand_as(valid)),
            "by their overlap": fuse(ct, pet, overlaps[0] / sum(overlaps).clamp_min(1e-9)),
            "mean with the student": ct + pet + student > 1.5,
        }
        overlap = soft_iou((ct + pet) / 2, prompted.float())
        scores = {who: dice(mask, truth).nan_to_num(0.0) for who, mask in answers.items()}
        for place in valid.nonzero().tolist():
            image, organ = place
            numbers = {who: float(values[image, organ]) for who, values in scores.items()}
            rows.append({"organ": organ, "overlap": float(overlap[image, organ]), **numbers})
    return rows


def share_of_ct(trainer: Any, batches: Sequence[tuple[Patches, Tensor]]) -> Tensor:
    """[K] weight of the CT teacher by the inverse squares of both teachers' errors 1 - Dice on held-out cases."""
    trainer.ct_share = torch.full((len(trainer.organs),), 0.5)
    rows = rows_of("generator", trainer, batches)

    def error(who: str, organ: int) -> float:
        found = [row[who] for row in rows if row["organ"] == organ]
        return (1 - mean(found)) ** 2 + 1e-6 if found else 1.0

    errors = [(error("ct", organ), error("pet", organ)) for organ in range(len(trainer.organs))]
    return torch.tensor([pet / (ct + pet) for ct, pet in errors])


def table_rows(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A line for each source and threshold."""
    lines = []
    for source in SOURCES:
        ours = [row for row in rows if row["source"] == source]
        for threshold in THRESHOLDS:
            kept = [row for row in ours if row["overlap"] >= threshold]
            if kept:
                numbers = [f"{mean(row[who] for row in kept):.3f}" for who in OF_WHOM]
                lines.append([source, f"{threshold:g}", f"{len(kept)} of {len(ours)}", *numbers])
    return lines


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument(
        "--student", choices=("supervised", "supervised-long"), default="supervised", help="whose answers and prompts"
    )
    parser.add_argument("--patches", type=int, default=48, help="of each seed")
    return parser.parse_args()


def measure(
    student: str, seed: int, workshop: Workshop, number: int, show: Callable[[str], object]
) -> list[dict[str, Any]]:
    """All rows of a seed."""
    with printing_to(workshop.out / "logs" / f"sources_{student}_{seed}.txt"):
        trainer = prepared_trainer(student, seed, workshop)
        cases = deal(seed)
        trainer.ct_share = share_of_ct(trainer, patches_of(trainer, cases.held_out, 12))
        batches = patches_of(trainer, cases.labelled[BUDGET : 2 * BUDGET], number)
    rows = []
    for source in SOURCES:
        show(f"seed {seed}, {source}")
        rows += [{"seed": seed, "source": source, **row} for row in rows_of(source, trainer, batches)]
    return rows


def main() -> None:
    """Train what is missing, ask, and write the table."""
    arguments = parse()
    workshop = prepare(arguments)
    rows = []
    for seed in arguments.seeds:
        rows += measure(arguments.student, seed, workshop, arguments.patches, tqdm.write)
    longer = arguments.student.removeprefix("supervised").replace("-", "_")
    write_results(
        Path(arguments.results) / f"prompt_sources_{workshop.size.name}{longer}",
        title="Mean Dice of organs found in patches of unseen cases, by the source of the prompts and the least "
        f"overlap with them; student: {workshop.methods[arguments.student].title}; {BUDGET} labelled scans, simulated "
        f"images on real anatomy, seeds {arguments.seeds}",
        header=["prompts", "overlap", "kept", *OF_WHOM],
        rows=table_rows(rows),
        record={
            "command": shlex.join(["python", *sys.argv]),
            "rows": json.loads(json.dumps(rows), parse_float=lambda text: round(float(text), 4)),
        },
        machine=describe_machine(torch.device(arguments.device)),
    )


if __name__ == "__main__":
    main()
