"""How far apart do runs end that differ by rounding alone?

    OMP_NUM_THREADS=1 python benchmarks/rounding.py --anatomy ../shared/anatomy --out labels --methods supervised muduo

Runs of `label_efficiency.py` with 5 labelled scans (the same OUT continues it), each repeated --times more, with
initial weights that are multiplied by 1 + 1e-6 · N(0, 1). Another processor changes as much within a step. Repeat the
command to continue, also with other methods and seeds. Writes benchmarks/results/rounding_SIZE.{md,json}.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

import torch
from label_efficiency import add_common_arguments, chosen_methods, finished, prepare
from label_methods import METHODS, SIZES, Method
from label_report import TINY, mean_dice
from label_training import Run
from machine import describe_machine, write_results
from tqdm import tqdm

BUDGET = 5


def repeats(method: str, times: int) -> dict[str, Method]:
    """Key -> the method as it is, then with so many other roundings."""
    return {key_of(method, number): replace(METHODS[method], jitter=number) for number in range(times + 1)}


def key_of(method: str, number: int) -> str:
    return f"{method}-jitter-{number}" if number else method


def spreads(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each method and seed of which there are several runs, their Dice in the order of the roundings."""
    found: dict[tuple[str, int], dict[int, Mapping[str, Any]]] = {}
    for record in records:
        method, _, number = record["method"].partition("-jitter-")
        if record["budget"] == BUDGET:
            found.setdefault((method, record["seed"]), {})[int(number or 0)] = record
    order = list(METHODS)
    return [
        {
            "method": method,
            "title": METHODS[method].title,
            "seed": seed,
            "dice": [mean_dice(runs[number]) for number in sorted(runs)],
            f"dice without the {TINY}": [mean_dice(runs[number], without=TINY) for number in sorted(runs)],
        }
        for (method, seed), runs in sorted(found.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
        if len(runs) > 1
    ]


def table_rows(spread: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A line for each method and seed."""
    rows = []
    for entry in spread:
        cells = [entry["title"], str(entry["seed"]), str(len(entry["dice"]))]
        for values in (entry["dice"], entry[f"dice without the {TINY}"]):
            cells += [f"{mean(values):.3f} ± {stdev(values):.3f}", f"{min(values):.3f} to {max(values):.3f}"]
        rows.append(cells)
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--methods", nargs="+", default=["supervised"], metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument("--times", type=int, default=4, help="other roundings for each run")
    return parser.parse_args()


def main() -> None:
    """Carry out what is not finished, write the table."""
    arguments = parse()
    methods = {
        key: method
        for name in chosen_methods(arguments.methods)
        for key, method in repeats(name, arguments.times).items()
    }
    workshop = replace(prepare(arguments), methods=methods)
    for run in tqdm([Run(key, BUDGET, seed) for seed in arguments.seeds for key in methods], desc="runs", unit="run"):
        finished(run, workshop)
    records = [json.loads(path.read_text()) for path in (workshop.out / "runs").glob("*.json")]
    spread = spreads([record for record in records if record["method"].partition("-jitter-")[0] in METHODS])
    write_results(
        arguments.results / f"rounding_{arguments.size}",
        title=f"Mean Dice of runs that differ by rounding alone, {BUDGET} labelled scans, 12 test scans, simulated "
        "images on real anatomy",
        header=["method", "seed", "runs", "Dice, mean ± sd", "range", f"without the {TINY}, mean ± sd", "range"],
        rows=table_rows(spread),
        record={"command": shlex.join(["python", *sys.argv]), "size": vars(SIZES[arguments.size]), "spreads": spread},
        machine=describe_machine(torch.device(arguments.device)),
    )


if __name__ == "__main__":
    main()
