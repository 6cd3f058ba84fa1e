"""How good are pseudo-labels, and do the thresholds keep the good ones? Phantoms whose truth is known.

    python benchmarks/demo_students.py --scans phantoms --seeds 0 1 --out students
    python benchmarks/pseudo_labels.py --students students --seeds 0 1 --out pseudo

Labels the unlabelled scans of the demo's runs with the stand-in teachers, prompted by two models that were trained on
five scans and by the first of them made worse: of each case two organs are replaced by a stray blob of 27 voxels
somewhere else in the body. The truth is drawn again from the demo's seeds. Repeat the command to continue; writes
benchmarks/results/pseudo_labels.{md,json}.
"""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from machine import describe_machine, write_results

from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.simulated_dataset import GROUPS, ORGANS, organ_labels
from nnunetv2_muduo.demo.recipe import CONFIGURATION, DATASET, FOLD
from nnunetv2_muduo.evaluation.overlap import dice_score
from nnunetv2_muduo.pseudo_labelling.case_quality import DROP, KEEP, OrganQuality, Thresholds
from nnunetv2_muduo.pseudo_labelling.claims import Claims
from nnunetv2_muduo.pseudo_labelling.layout import masked_labels
from nnunetv2_muduo.pseudo_labelling.prompt_maps import PromptModel
from nnunetv2_muduo.pseudo_labelling.recipe import PseudoLabels, pseudo_label
from nnunetv2_muduo.settings import Settings

RESULTS = Path(__file__).resolve().parent / "results"
SPACING_IN_MM = (10.0, 10.0, 10.0)
MODELS = {"prompt generator": "nnUNetTrainerMuDuoPrompt", "supervised student": "nnUNetTrainerMuDuoSupervised"}
STRAY = "generator with strays"
FILTERS = {
    "none": Thresholds(0.0, 0.0),
    "min_iou 0.5": Thresholds(0.5, 0.0),
    "min_prompt_iou 0.2": Thresholds(0.0, 0.2),
    "both": Thresholds(0.5, 0.2),
}
SWEEP = [(iou, prompt) for iou in (0.0, 0.3, 0.5, 0.6, 0.7) for prompt in (0.0, 0.1, 0.2, 0.3, 0.5)]
IGNORE = 255
COUNTS = ("hit", "labelled", "real", "whole")


@dataclass(frozen=True)
class Scored:
    """One organ of one case that was found by the prompts: what is known without the truth, and Dice with it."""

    source: str
    quality: OrganQuality
    dice: float
    prompt_dice: float


def truth(seed: int, number: int) -> np.ndarray:
    """Label map of unlabelled phantom `number` of the demo with this seed, drawn as `write_phantom_dataset` does."""
    groups = list(GROUPS)
    case_seed = np.random.SeedSequence(seed).spawn(len(groups))[groups.index("unlabelled")].spawn(number + 1)[number]
    return organ_labels(draw_phantom(np.random.default_rng(case_seed), spacing_in_mm=SPACING_IN_MM).tissues)


def add_strays(prompts: np.ndarray, ct: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two organs give way to a 3x3x3 blob each, in the body but not where the organ is."""
    worse = prompts.copy()
    for organ in rng.choice(np.unique(prompts[prompts > 0]), 2, replace=False):
        worse[worse == organ] = 0
        z, y, x = rng.choice(np.argwhere((ct > -200) & (prompts != organ)))
        worse[max(z - 1, 0) : z + 2, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = organ
    return worse


def write_strays(source: Path, target: Path, scans: Path, seed: int) -> None:
    """The label maps of a folder, made worse."""
    target.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(source.glob("*.nii.gz"))):
        image = sitk.ReadImage(str(path))
        ct = sitk.GetArrayFromImage(sitk.ReadImage(str(scans / path.name.replace(".nii.gz", "_0000.nii.gz"))))
        worse = add_strays(sitk.GetArrayFromImage(image), ct, np.random.default_rng([seed, number]))
        written = sitk.GetImageFromArray(worse)
        written.CopyInformation(image)
        sitk.WriteImage(written, str(target / path.name))


def run(students: Path, seed: int, out: Path) -> dict[str, tuple[PseudoLabels, Path]]:
    """Pseudo-label the scans of one run with each source of prompts -> results and folder of the prompts."""
    tree = (students / f"phantoms_{seed}").resolve()
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[name] = str(tree / name)
    settings = Settings(ct_teacher="standin_ct", pet_teacher="standin_pet", seed=seed)
    folder = (out / f"phantoms_{seed}").resolve()
    done = {}
    for source, trainer in MODELS.items():
        model = PromptModel(tree / "nnUNet_results" / DATASET / f"{trainer}__nnUNetPlans__{CONFIGURATION}", (FOLD,))
        target = folder / source.replace(" ", "_")
        result = pseudo_label(DATASET, prompts=model, output=target, settings=settings, num_processes=0, figures=False)
        done[source] = result, target / "prompts"
    strays = folder / "stray_prompts"
    if not strays.is_dir():
        write_strays(done["prompt generator"][1], strays, tree / "nnUNet_raw" / DATASET / "imagesUn", seed)
    target = folder / "strays"
    result = pseudo_label(DATASET, prompts=strays, output=target, settings=settings, num_processes=0, figures=False)
    return {**done, STRAY: (result, strays)}


def score(source: str, result: PseudoLabels, prompts: Path, seed: int) -> tuple[list[Scored], list[dict]]:
    """Dice of every organ found, and voxel counts of the label maps with and without what would be ignored."""
    scored, counted = [], []
    for case, rows in result.qualities.items():
        reference = truth(seed, int(case[-3:]))
        labels, agreement = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            for path in (result.output.labels(case), result.output.agreement(case))
        )
        prompted = sitk.GetArrayFromImage(sitk.ReadImage(str(prompts / f"{case}.nii.gz")))
        judged = {row.label: FILTERS["both"].judge(row)[0] for row in rows}
        dropped = [label for label, word in judged.items() if word == DROP]
        claims = Claims.load(result.output.claims(case))
        written = masked_labels(labels, agreement, claims, dropped=dropped, ignore=IGNORE)
        maps = {
            "no ignore label": labels,
            "as written": written,
            "kept organs stand": np.where(~np.isin(labels, [0, *dropped]) & (agreement >= 50), labels, written),
        }
        for row in rows:
            real = reference == row.label
            for name, found in maps.items():
                counted.append({"source": source, "organ": row.organ, "map": name} | count(found, row.label, real))
            if row.prompt_ml > 0:
                mask = labels == row.label
                scored.append(Scored(source, row, dice_score(mask, real), dice_score(prompted == row.label, real)))
    return scored, counted


def count(found: np.ndarray, label: int, real: np.ndarray) -> dict[str, int]:
    """Voxels of an organ, where nothing is ignored and altogether."""
    certain = found != IGNORE
    mask = found == label
    return {
        "hit": int((mask & real).sum()),
        "labelled": int(mask.sum()),
        "real": int((real & certain).sum()),
        "whole": int(real.sum()),
    }


def pooled(counted: list[dict]) -> list[dict]:
    """Over all cases of a source and organ: Dice, precision and recall where nothing is ignored, share ignored."""
    groups: dict[tuple, dict[str, int]] = {}
    for entry in counted:
        group = groups.setdefault((entry["source"], entry["organ"], entry["map"]), dict.fromkeys(COUNTS, 0))
        for key in COUNTS:
            group[key] += entry[key]
    return [
        {"source": source, "organ": organ, "map": name}
        | {
            "dice": 2 * one["hit"] / max(1, one["labelled"] + one["real"]),
            "precision": one["hit"] / one["labelled"] if one["labelled"] else None,
            "recall": one["hit"] / one["real"] if one["real"] else None,
            "share_of_organ_ignored": 1 - one["real"] / one["whole"],
        }
        for (source, organ, name), one in groups.items()
    ]


def kept_and_dropped(scored: list[Scored], thresholds: Thresholds) -> tuple[list[float], list[float]]:
    """Dice of the organs that are kept, and of the others."""
    unfiltered = thresholds == FILTERS["none"]  # which drops not even an empty answer
    kept = [unfiltered or thresholds.judge(one.quality)[0] == KEEP for one in scored]
    dice = [one.dice for one in scored]
    return (
        [value for value, keep in zip(dice, kept, strict=True) if keep],
        [value for value, keep in zip(dice, kept, strict=True) if not keep],
    )


def mean(values: list[float]) -> float | None:
    """None where there is nothing; Dice is never undefined here, as every phantom has every organ."""
    return float(np.mean(values)) if values else None


def shown(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def filter_rows(scored: list[Scored]) -> tuple[list[list[str]], list[dict]]:
    """A row per source of prompts and organ: for each filter Dice of what is kept, share kept, Dice of the rest."""
    rows, record = [], []
    sources = list(dict.fromkeys(one.source for one in scored))
    for source in sources:
        for organ in [*[name for name in ORGANS if name != "background"], "all organs"]:
            group = [one for one in scored if one.source == source and organ in (one.quality.organ, "all organs")]
            if not group:
                continue
            cells = [source, organ, str(len(group)), shown(mean([one.prompt_dice for one in group]))]
            for name, thresholds in FILTERS.items():
                kept, dropped = kept_and_dropped(group, thresholds)
                share = len(kept) / len(group)
                record.append(
                    {"source": source, "organ": organ, "found": len(group), "filter": name, "share_kept": share}
                    | {"dice_kept": mean(kept), "dice_dropped": mean(dropped)}
                )
                cells.append(
                    shown(mean(kept))
                    if name == "none"
                    else f"{shown(mean(kept))} / {share:.0%} / {shown(mean(dropped))}"
                )
            rows.append(cells)
    return rows, record


def main() -> None:
    """Label, compare and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=Path, required=True, help="what demo_students.py left")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    scored: list[Scored] = []
    counted: list[dict] = []
    for seed in arguments.seeds:
        for source, (result, prompts) in run(arguments.students, seed, arguments.out).items():
            new = score(source, result, prompts, seed)
            scored += new[0]
            counted += new[1]
    rows, record = filter_rows(scored)
    sweep = []
    for source in dict.fromkeys(one.source for one in scored):
        group = [one for one in scored if one.source == source]
        for min_iou, min_prompt_iou in SWEEP:
            kept, dropped = kept_and_dropped(group, Thresholds(min_iou, min_prompt_iou))
            bad = sum(value < 0.5 for value in kept)
            sweep.append(
                {"source": source, "min_iou": min_iou, "min_prompt_iou": min_prompt_iou}
                | {"share_kept": len(kept) / len(group), "dice_kept": mean(kept), "dice_dropped": mean(dropped)}
                | {"kept_below_0.5": bad}
            )
    trusted = pooled(counted)
    write_results(
        RESULTS / "pseudo_labels",
        title=f"{16 * len(arguments.seeds)} pseudo-labelled phantoms by filter: Dice kept / share kept / Dice dropped",
        header=["prompts", "organ", "found", "Dice of prompts", "no filter", *list(FILTERS)[1:]],
        rows=rows,
        record={
            "command": shlex.join(["python", *sys.argv]),
            "filters": record,
            "sweep": sweep,
            "with_ignore_label": trusted,
        },
        machine=describe_machine(torch.device("cpu")),
    )
    append_tables(RESULTS / "pseudo_labels.md", sweep, trusted)


def append_tables(path: Path, sweep: list[dict], trusted: list[dict]) -> None:
    """The other two tables behind the first."""
    lines = ["", "Other thresholds, all organs:", ""]
    lines += [
        "| prompts | min_iou | min_prompt_iou | share kept | Dice kept | Dice dropped | kept below 0.5 |",
        "|---" * 7 + "|",
    ]
    for one in sweep:
        lines.append(
            f"| {one['source']} | {one['min_iou']} | {one['min_prompt_iou']} | {one['share_kept']:.0%} | "
            f"{shown(one['dice_kept'])} | {shown(one['dice_dropped'])} | {one['kept_below_0.5']} |"
        )
    lines += ["", "Label maps of `--as-labels` (both thresholds), voxels of all cases pooled, found or not.", ""]
    lines += [
        "`kept organs stand` is another rule: where a kept organ has won a voxel, a dropped one's claim is overruled."
    ]
    lines += [
        "",
        "| prompts | organ | map | Dice where not ignored | precision | recall | share of the organ ignored |",
    ]
    lines += ["|---" * 7 + "|"]
    for one in trusted:
        lines.append(
            f"| {one['source']} | {one['organ']} | {one['map']} | {one['dice']:.3f} | {shown(one['precision'])} | "
            f"{shown(one['recall'])} | {one['share_of_organ_ignored']:.0%} |"
        )
    path.write_text(path.read_text() + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
