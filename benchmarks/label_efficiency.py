"""Label efficiency: what methods make of 2, 5 or 10 labelled and 30 unlabelled simulated scans on real anatomy.

    OMP_NUM_THREADS=1 python benchmarks/label_efficiency.py --anatomy ../shared/anatomy --out labels

Hard PET/CT (datasets/difficulty.py) around 40 real organ maps that the stand-in teachers never saw; ten organs, 12
fixed test scans. Students take equally many steps from the same initial weights on the same labelled patches. All
methods run with the first of --budgets, those named by --wide with the others, too. Repeat the command to continue;
what is finished is kept in OUT. Writes benchmarks/results/label_efficiency_SIZE.{md,json,png} and, organ by organ,
label_efficiency_SIZE_organs.md. Runs in an earlier label_efficiency_SIZE.json with the same settings and teachers count
as finished, so that another day or machine goes on from there.
"""

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from label_data import BUDGETS, plan, write_dataset, write_pool
from label_figure import draw
from label_methods import ABLATIONS, LONG, MAIN, METHODS, SIZES, Method
from label_report import TINY, ablation_rows, mean_dice, most_common_budget, organ_rows, table_rows
from label_training import Run, Workshop, carry_out, clear_up, identity, missing_trainer
from machine import describe_machine, write_results, write_table
from tqdm import tqdm

from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.trainer_folder import trainer_folder

RESULTS = Path(__file__).resolve().parent / "results"
GROUPS = {"main": tuple(MAIN), "long": tuple(LONG), "ablations": tuple(ABLATIONS), "all": tuple(METHODS)}


def chosen_methods(names: list[str], known: Mapping[str, Method] = METHODS) -> list[str]:
    """Keys of the methods, groups spelt out, each once; those whose trainer is missing are told and left out."""
    keys = [key for name in names for key in GROUPS.get(name, (name,))]
    usable = []
    for key in dict.fromkeys(keys):
        if key not in known:
            raise SystemExit(f"There is no method '{key}'; there are: {', '.join([*GROUPS, *known])}.")
        if trainer := missing_trainer(known[key]):
            print(f"Left out: {known[key].title}, because this version of the package has no trainer {trainer}.")
        else:
            usable.append(key)
    return usable


def planned_runs(methods: list[str], arguments: argparse.Namespace) -> Iterator[Run]:
    """Everything with the first budget, seed by seed, then the wide methods with the other budgets."""
    first, *others = arguments.budgets
    for seed in arguments.seeds:
        yield from (Run(method, first, seed) for method in methods)
    for budget in others:
        for seed in arguments.seeds:
            yield from (Run(method, budget, seed) for method in methods if method in arguments.wide)


def prepare(arguments: argparse.Namespace, methods: Mapping[str, Method] = METHODS) -> Workshop:
    """Simulate and plan what is missing."""
    size = SIZES[arguments.size]
    out = arguments.out.absolute() / size.name
    out.mkdir(parents=True, exist_ok=True)
    os.environ |= {name: str(out / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    os.environ.setdefault("nnUNet_def_n_proc", "1")
    os.environ["nnUNet_extTrainer"] = str(trainer_folder())
    os.environ["nnUNet_n_proc_DA"] = "1"  # nnU-Net's planner refuses none
    workshop = Workshop(out, size, torch.device(arguments.device), methods)
    write_pool(workshop.pool, arguments.anatomy, size)
    for seed in arguments.seeds:
        write_dataset(workshop.pool, workshop.raw, seed)
        with printing_to(out / "logs" / f"plan_{seed}.txt"):
            plan(seed, size, out)
    os.environ["nnUNet_n_proc_DA"] = str(arguments.workers)
    return workshop


def adopt_finished(results: Path, workshop: Workshop) -> None:
    """Take over the runs of earlier results that would be made again with the same settings and teachers."""
    records = json.loads(results.read_text())["runs"] if results.is_file() else []
    for record in records:
        run = Run(record["method"], record["budget"], record["seed"])
        path = workshop.out / "runs" / f"{run.name}.json"
        if run.method in workshop.methods and identity(run, workshop).items() <= record.items() and not path.is_file():
            write_text(path, json.dumps(record, indent=1) + "\n")


def finished(run: Run, workshop: Workshop) -> dict[str, Any]:
    """The record of a run, carried out where there is none."""
    path = workshop.out / "runs" / f"{run.name}.json"
    if not path.is_file():
        with printing_to(workshop.out / "logs" / f"{run.name}.txt"):
            record = carry_out(run, workshop)
        write_text(path, json.dumps(record, indent=1) + "\n")
        clear_up(run, workshop)
        print(f"{run.name}: {mean_dice(record):.3f} after {record['seconds']['training']:.0f} s", flush=True)
    return json.loads(path.read_text())


def recorded(run: Run, out: Path) -> dict[str, Any] | None:
    """The record of a run in the folder of its size; None where there is none."""
    path = out / "runs" / f"{run.name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def report(records: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Tables, everything measured and the figure."""
    size, results, budget = SIZES[arguments.size], results_of(arguments), most_common_budget(records)
    machine = describe_machine(torch.device(arguments.device))
    write_results(
        results,
        title="Mean Dice of ten organs on 12 test scans, simulated images on real anatomy; "
        f"{size.epochs * size.iterations} student steps, 30 unlabelled scans; differences are paired, their intervals "
        "(95 %) are over the test scans",
        header=[
            "method",
            "labelled",
            "seeds",
            "Dice, mean ± sd over seeds",
            f"the same without the {TINY}",
            "against supervised of as many steps",
            "false positives, ml",
        ],
        rows=table_rows(records),
        record={"command": shlex.join(["python", *sys.argv]), "size": vars(size), "runs": records},
        machine=machine,
    )
    write_table(
        results.with_name(f"{results.name}_organs.md"),
        title=f"Mean Dice organ by organ, {budget} labelled scans, 12 test scans, simulated images on real anatomy",
        header=["method", "seeds", *records[0]["dice"]],
        rows=organ_rows(records, budget),
        machine=machine,
    )
    if rows := ablation_rows(records, budget):
        write_table(
            results.with_name(f"{results.name}_ablations.md"),
            title=f"MuDuo set otherwise against MuDuo, {budget} labelled scans, simulated images on real anatomy; "
            "differences of mean Dice, same seeds",
            header=[
                "what is other",
                "seeds",
                "ten organs, mean",
                "seed by seed",
                f"without the {TINY}, mean",
                "seed by seed",
            ],
            rows=rows,
            machine=machine,
        )
    draw(records, results.with_suffix(".png"))


def results_of(arguments: argparse.Namespace) -> Path:
    """Table, figure and record of a size, without a suffix."""
    return arguments.results / f"label_efficiency_{arguments.size}"


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """What this benchmark and `teacher_quality.py` share."""
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="keeps scans, models and what is finished")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table and the figure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], choices=range(10), metavar="SEED")
    parser.add_argument("--size", choices=tuple(SIZES), default="small", help="large is meant for a GPU")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="that augment; with 0, all methods see the same patches in the same order",
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--methods", nargs="+", default=["main"], metavar="METHOD", help=", ".join([*GROUPS, *METHODS]))
    parser.add_argument("--budgets", type=int, nargs="+", choices=BUDGETS, default=[5, 2, 10], help="labelled scans")
    parser.add_argument("--wide", nargs="*", default=["supervised", "muduo"], help="methods for all budgets")
    parser.add_argument("--only-report", action="store_true", help="table and figure of what is finished, no runs")
    return parser.parse_args()


def main() -> None:
    """Simulate, plan, carry out every run that is not finished, and write the table."""
    arguments = parse()
    runs = list(planned_runs(chosen_methods(arguments.methods), arguments))
    if not arguments.only_report:
        workshop = prepare(arguments)
        adopt_finished(results_of(arguments).with_suffix(".json"), workshop)
        for run in tqdm(runs, desc="runs", unit="run"):
            finished(run, workshop)
    folder = arguments.out.absolute() / arguments.size / "runs"
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    records = [record for record in records if record["method"] in METHODS]  # teacher_quality.py runs others
    if not records:
        raise SystemExit(f"No run is finished in {folder}; run without --only-report first.")
    report(records, arguments)


@contextlib.contextmanager
def printing_to(path: Path) -> Iterator[None]:
    """What nnU-Net prints and its bars go to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield


if __name__ == "__main__":
    main()
