"""Hundreds of random faults in the midst of our commands: what is lost, and does anything end in a traceback?

Each trial runs a command on a tiny dataset, lets one fault strike, runs it again, and compares all files with those of
an undisturbed run; see `tests/support/fault_trials.py`. The faults follow from the seed. Trials that the results hold
already are not done again, so that it can be stopped at any time; those after which something was wrong are.

    python benchmarks/faults.py --faults 500
    python benchmarks/faults.py --scenarios harmonise evaluate --faults 40 --out faults

Disks are filled and made read-only where the account may mount a small one (root); elsewhere these kinds are left out.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from machine import describe_machine, write_results

from nnunetv2_muduo.files import write_text

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from fault_scenarios import SCENARIOS
from fault_trainings import training
from fault_trials import KINDS, Bench, Fault, Scenario, draw_faults, trial
from small_disk import own_disk

TRAINING = "nnUNetv2_train"
# shares of the trials: what takes long gets fewer
SHARES = {
    "weights": 12,
    "plan": 8,
    "harmonise": 20,
    "convert-autopet": 20,
    "evaluate": 12,
    "preprocess-unlabelled": 16,
    "pseudo-label": 4,
    "pseudo-label with pictures": 1,
    "clicks": 3,
    "finetune-teacher": 2,
    "split": 1,
    "export": 3,
    "export over an earlier one": 3,
    "import-mae": 3,
    "segment": 3,
    "uncrop": 6,
    "report": 3,
    TRAINING: 5,
}
COLUMNS = {
    "kill": "killed before a change",
    "torn": "killed in the midst of a file",
    "clock": "killed by the clock",
    "full": "disk full",
    "read-only": "disk read-only",
    "damaged": "result cut short",
    "cut input": "input cut short",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=500, help="in all, shared out among the scenarios")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenarios", nargs="+", default=list(SHARES), choices=list(SHARES))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "faults")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # forks of a process with threads can hang
    wanted = shared_out(arguments.faults, arguments.scenarios)
    done = read_trials(arguments.out, arguments.seed)
    for name, number in wanted.items():
        if sum(row["scenario"] == name for row in done) < number:
            for row in trials(name, number, seed=arguments.seed, done=done):
                done.append(row)
                write_text(arguments.out.with_suffix(".json"), json.dumps({"seed": arguments.seed, "trials": done}))
    report(done, arguments.out, arguments.seed)
    if any(row["problems"] for row in done):
        sys.exit("Something was lost or badly told; the results say what.")


def shared_out(number: int, names: Sequence[str]) -> dict[str, int]:
    """So many trials of each scenario, at least one."""
    total = sum(SHARES[name] for name in names)
    return {name: max(1, round(number * SHARES[name] / total)) for name in names}


def read_trials(out: Path, seed: int) -> list[dict]:
    """Of earlier runs with this seed, without those to be done again."""
    path = out.with_suffix(".json")
    content = json.loads(path.read_text()) if path.is_file() else {}
    return [row for row in content["trials"] if not row["problems"]] if content.get("seed") == seed else []


def trials(name: str, number: int, *, seed: int, done: Sequence[dict]) -> Iterable[dict]:
    """Let the faults strike that are not among those done; yields a row each."""
    with tempfile.TemporaryDirectory() as folder, own_disk(Path(folder) / "disk") as has_disk:
        bench = Bench(scenario(name), Path(folder) / "disk", has_disk=has_disk, twice=name != TRAINING)
        faults = draw_faults(bench, number, kinds=KINDS, rng=random.Random(f"{seed} {name}"))
        known = {json.dumps(row["fault"]) for row in done if row["scenario"] == name}
        for turn, fault in enumerate(faults, start=1):
            if json.dumps(asdict(fault)) in known:
                continue
            problems = trial(bench, fault)
            print(f"{name} {turn}/{number}: {described(fault, bench)}: {problems or 'recovered'}", flush=True)
            yield {"scenario": name, "fault": asdict(fault), "problems": problems}


def scenario(name: str) -> Scenario:
    return training() if name == TRAINING else SCENARIOS[name]()


def described(fault: Fault, bench: Bench) -> str:
    event = bench.reference.events[fault.at - 1] if fault.at else None
    return f"{fault.kind} {fault.file or (event and f'{event.kind} {Path(event.path).name}') or ''}"


def report(done: Sequence[dict], out: Path, seed: int) -> None:
    """The table, and all trials as JSON."""
    rows = [table_row(name, [row for row in done if row["scenario"] == name]) for name in SHARES]
    rows = [row for row in rows if row[-4] != "0"]
    rows.append(["all", *(str(sum(int(row[column]) for row in rows)) for column in range(1, len(rows[0])))])
    write_results(
        out,
        title=f"{len(done)} random faults",
        header=["command", *COLUMNS.values(), "tried", "recovered", "lost or half written", "tracebacks"],
        rows=rows,
        record={"seed": seed, "trials": list(done)},
        machine=describe_machine(torch.device("cpu")),
    )


def table_row(name: str, trials: Sequence[dict]) -> list[str]:
    """How many of each kind, and what became of all."""
    kinds = Counter(row["fault"]["kind"] for row in trials)
    tracebacks = sum(any("traceback" in problem for problem in row["problems"]) for row in trials)
    bad = sum(bool(row["problems"]) for row in trials)
    numbers = [*(kinds[kind] for kind in COLUMNS), len(trials), len(trials) - bad, bad - tracebacks, tracebacks]
    return [name, *map(str, numbers)]


if __name__ == "__main__":
    main()
