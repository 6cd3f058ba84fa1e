"""How good must teachers be? MuDuo's gain over supervised against the teachers' quality relative to the student's.

    OMP_NUM_THREADS=1 python benchmarks/teacher_quality.py --anatomy ../shared/anatomy --out labels

Teachers: random weights, several lengths of a short training, and the stand-ins that come with the package; each
distils with `reliability` "report" or "gate", the latter also with `fusion` "report", without and with `prompts_label`,
and with "none". Scans, students and supervised runs are those of `label_efficiency.py` with 5 labelled cases (the same
OUT continues it). Quality is the Dice of the fused teachers, prompted by the prompt generator, minus that of the
supervised student, on the patches of the teacher report, which are of held-out cases. Repeat the command to continue,
also with other --steps, --seeds and --ways. Writes benchmarks/results/teacher_quality_SIZE.{md,json,png}; what an
earlier one has of the same size is not measured again.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from label_data import dataset_name, fold_of
from label_efficiency import add_common_arguments, finished, prepare, printing_to, recorded
from label_methods import BEST, MAIN, MUDUO, OURS, SIZES, Method, Size
from label_report import dice_of, mean_dice
from label_training import Run, Workshop, give_prompt_generator, make_trainer, prompt_generator, train
from machine import describe_machine, write_results
from matplotlib import pyplot
from tqdm import tqdm
from weak_teachers import make_weak_teachers, teacher_name

from nnunetv2_muduo.evaluation.figures import plain_style
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.teachers.catalogue import WEIGHTS_VARIABLE

BUDGET = 5
STAND_IN = "stand-ins"
WAYS: dict[str, dict[str, Any]] = {  # to trust teachers -> settings
    "report": {"reliability": "report"},
    "gate": {"reliability": "gate"},
    "gate, fusion report": {"reliability": "gate", "fusion": "report"},
    "gate, fusion report, prompts": BEST,
    "none": {"reliability": "none"},
}


def methods_for(steps: Sequence[int]) -> dict[str, Method]:
    """MuDuo with each pair of teachers and each way to trust them; the stand-ins' are methods of label_efficiency."""
    methods = {"supervised": MAIN["supervised"]}
    for way, trust in WAYS.items():
        for number in steps:
            teachers = {"ct_teacher": teacher_name("CT", number), "pet_teacher": teacher_name("PET", number)}
            settings = {**OURS, **teachers, **trust}
            methods[key_of(str(number), way)] = Method(f"teachers of {number} steps", MUDUO, settings)
        methods[key_of(STAND_IN, way)] = Method(STAND_IN, MUDUO, {**OURS, **trust})
    return methods


def key_of(quality: str, way: str) -> str:
    """The run's method; those that `label_efficiency.py` has as well are not run twice."""
    name = way.replace(", ", "-").replace(" ", "-")
    shared = {"report": "muduo", "none": "muduo-no-report"}
    return shared.get(way, f"muduo-{name}") if quality == STAND_IN else f"quality-{quality}-{name}"


def relative_quality(quality: str, seed: int, workshop: Workshop) -> dict[str, dict[str, float | None]]:
    """Source ("fused", "student" and others) -> organ -> Dice on the report's patches.

    Made by MuDuo's own report, with the weights of the supervised student in the place of the student's.
    """
    path = workshop.out / "qualities" / f"{quality}_{seed}.json"
    if path.is_file():
        return json.loads(path.read_text())
    run = Run(key_of(quality, "report"), BUDGET, seed)
    supervised, _ = train(Run("supervised", BUDGET, seed), workshop)
    settings = workshop.methods[run.method].settings_in(workshop.size, seed=seed)
    fold = fold_of(BUDGET, "held out")
    trainer = make_trainer(
        dataset_name(seed),
        MUDUO,
        fold,
        name=f"Quality_{quality}_{seed}",
        entries={"muduo": settings},
        device=workshop.device,
    )
    give_prompt_generator(trainer, prompt_generator(run, workshop))
    trainer.initialize()
    checkpoint = torch.load(supervised / f"fold_{fold}" / "checkpoint_final.pth", weights_only=False)
    trainer.network.load_state_dict(checkpoint["network_weights"])
    trainer.load_teachers()
    trainer.unlabelled_scans = trainer.prepare_unlabelled_scans()
    trainer.prepare_consistency()
    trainer.get_dataloaders()  # opens the held-out cases, too
    report = trainer.monitor.report(trainer.teaching)
    dice = {
        source: {o: round(float(v), 4) if np.isfinite(v) else None for o, v in zip(report.organs, values, strict=True)}
        for source, values in report.dice.items()
    }
    write_text(path, json.dumps(dice, indent=1) + "\n")
    return dice


def organ_gains(record: Mapping[str, Any], supervised: Mapping[str, Any]) -> dict[str, float]:
    """Organ -> difference of its mean Dice in the test cases."""
    differences = np.nanmean(dice_of(record) - dice_of(supervised), axis=0)
    return dict(zip(record["dice"], differences.tolist(), strict=True))


def point(
    record: Mapping[str, Any],
    supervised: Mapping[str, Any],
    dice: Mapping[str, Mapping[str, float | None]],
    *,
    quality: str,
    way: str,
) -> dict[str, Any]:
    """One run as a point of the curve, as a mean and organ by organ (organs of which both are known)."""
    gains = organ_gains(record, supervised)
    organs = {
        organ: {"quality": fused - student, "gain": gains[organ]}
        for organ, fused in dice["fused"].items()
        if fused is not None and (student := dice["student"][organ]) is not None and np.isfinite(gains[organ])
    }
    return {
        "teachers": quality,
        "way": way,
        "seed": record["seed"],
        "fused": _mean(dice["fused"]),
        "prompt_generator": _mean(dice["prompt_generator"]),
        "supervised": _mean(dice["student"]),
        "gain": mean_dice(record) - mean_dice(supervised),
        "organs": organs,
    }


def finished_points(out: Path) -> list[dict[str, Any]]:
    """All points in the folder of a size, also those of earlier commands with other steps and seeds."""
    points = []
    for quality, seed in (path.stem.rsplit("_", 1) for path in (out / "qualities").glob("*.json")):
        dice = json.loads((out / "qualities" / f"{quality}_{seed}.json").read_text())
        supervised = recorded(Run("supervised", BUDGET, int(seed)), out)
        for way in WAYS:
            record = recorded(Run(key_of(quality, way), BUDGET, int(seed)), out)
            if record and supervised:
                points.append(point(record, supervised, dice, quality=quality, way=way))
    return points


def earlier_points(results: Path, size: Size) -> list[dict[str, Any]]:
    """The points of an earlier results file, where it is of the same size."""
    earlier = json.loads(results.read_text()) if results.is_file() else {}
    same_size = earlier.get("size") == json.loads(json.dumps(vars(size)))
    return earlier["points"] if same_size else []


def all_points(new: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Points by quality, way and seed; a new one takes the place of an earlier one."""
    every = {key_of_point(p): p for p in [*earlier, *new]}
    ways = list(WAYS)

    def place(p: Mapping[str, Any]) -> tuple[bool, str, int, int]:
        return not p["teachers"].isdecimal(), p["teachers"].zfill(9), p["seed"], ways.index(p["way"])

    return sorted(every.values(), key=place)


def key_of_point(point: Mapping[str, Any]) -> tuple[str, str, int]:
    return point["teachers"], point["way"], point["seed"]


def table_rows(points: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A line for each pair of teachers, means over the seeds."""
    rows = []
    for quality in dict.fromkeys(p["teachers"] for p in points):
        ours = [p for p in points if p["teachers"] == quality]
        cells = [f"{mean(p[key] for p in ours):.3f}" for key in ("fused", "prompt_generator", "supervised")]
        for way in WAYS:
            gains = [p["gain"] for p in ours if p["way"] == way]
            each = ", ".join(f"{gain:+.3f}" for gain in gains)
            cells.append(f"{mean(gains):+.3f} ({each})" if gains else "")
        rows.append([f"{quality} steps" if quality.isdecimal() else quality, *cells])
    return rows


@plain_style
def draw(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Gain against relative quality: left the means of runs, right organ by organ."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for number, way in enumerate(WAYS):
        ours = [p for p in points if p["way"] == way]
        look = {"color": f"C{number}", "marker": "os^*D"[number], "label": f"reliability: {way}"}
        left.scatter([p["fused"] - p["supervised"] for p in ours], [p["gain"] for p in ours], **look)
        organs = [organ for p in ours for organ in p["organs"].values()]
        right.scatter([o["quality"] for o in organs], [o["gain"] for o in organs], s=12, alpha=0.6, **look)
    left.set(title="mean of organs, a dot a run", ylabel="Dice gained over supervised, test scans")
    right.set(title="a dot an organ of a run")
    for axis in (left, right):
        axis.axhline(0, color="0.7", lw=1)
        axis.axvline(0, color="0.7", lw=1)
        axis.set_xlabel("Dice of the fused teachers minus that of the supervised student")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(WAYS))
    figure.suptitle(f"Which teachers help, {BUDGET} labelled scans, simulated images on real anatomy")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _mean(by_organ: Mapping[str, float | None]) -> float:
    return float(np.mean([value for value in by_organ.values() if value is not None]))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 150, 500, 2000], help="of the weak teachers")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY", help="; ".join(WAYS))
    parser.add_argument("--only-report", action="store_true", help="table and figure of what is finished, no runs")
    parser.add_argument("--teacher-pool", type=Path, help="simulated scans of standin_teachers.py; default: in OUT")
    return parser.parse_args()


def results_of(arguments: argparse.Namespace) -> Path:
    """Table, figure and record of a size, without a suffix."""
    return arguments.results / f"teacher_quality_{arguments.size}"


def carry_out_all(arguments: argparse.Namespace) -> None:
    """Train the weak teachers, then every run that is not finished."""
    weights = arguments.out.absolute() / "weak_teachers"
    os.environ[WEIGHTS_VARIABLE] = str(weights)
    pool = arguments.teacher_pool or arguments.out / "teacher_pool"
    make_weak_teachers(weights, arguments.steps, pool=pool, anatomy=arguments.anatomy)
    workshop = replace(prepare(arguments), methods=methods_for(arguments.steps))
    qualities = [*map(str, sorted(arguments.steps)), STAND_IN]
    known = {key_of_point(p) for p in earlier_points(results_of(arguments).with_suffix(".json"), workshop.size)}
    for seed, quality in tqdm([(s, q) for s in arguments.seeds for q in qualities], desc="teachers", unit="pair"):
        missing = [key_of(quality, way) for way in arguments.ways if (quality, way, seed) not in known]
        if not missing:
            continue
        with printing_to(workshop.out / "logs" / f"quality_{quality}_{seed}.txt"):
            relative_quality(quality, seed, workshop)
        for key in ("supervised", *missing):
            finished(Run(key, BUDGET, seed), workshop)


def main() -> None:
    """Carry out what is not finished, write table and figure."""
    arguments = parse()
    if not arguments.only_report:
        carry_out_all(arguments)
    results, size = results_of(arguments), SIZES[arguments.size]
    points = all_points(
        finished_points(arguments.out / arguments.size), earlier_points(results.with_suffix(".json"), size)
    )
    write_results(
        results,
        title=f"What MuDuo gains with teachers of several qualities, {BUDGET} labelled scans, simulated images on real "
        "anatomy; left Dice on held-out patches, right mean Dice gained on the test scans (each seed)",
        header=["teachers", "fused teachers", "prompt generator", "supervised", *(f"gain, {way}" for way in WAYS)],
        rows=table_rows(points),
        record={
            "command": shlex.join(["python", *sys.argv]),
            "size": vars(size),
            "points": points,
        },
        machine=describe_machine(torch.device(arguments.device)),
    )
    draw(points, results.with_suffix(".png"))


if __name__ == "__main__":
    main()
