"""What becomes of malformed inputs: settings, JSON, scans, checkpoints and tables, damaged at random, before `muduo`.

    python benchmarks/malformed_inputs.py                        # 680 inputs, written to benchmarks/results
    python benchmarks/malformed_inputs.py --sample 30            # as many, of as many commands; nothing is written
    python benchmarks/malformed_inputs.py --show "plans.json -> muduo export" 3

One small valid world (datasets, plans, splits, records, teachers, trained folders) is made by our own commands. For
each input it is copied, one file of it is damaged (bits, bytes, encodings; JSON of other types, missing, repeated and
nested entries; headers of images; pickles that would run a program), and a command that reads this file runs in a
process of its own. Good ends are two: the work is done (a damaged case may be left out by name), or refused with exit
code 2 in a sentence that names the file or entry. Anything else is wrong: a traceback, a crash of the process, 60
seconds of processor time, 700 MB of memory, a program that a pickle starts, a half-written file or folder, a result
in spite of a refusal, no result without one. What is drawn depends on the seed alone. Exit code 1 if anything was
wrong.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "fuzzing")]

import torch  # noqa: E402
from judging import DONE, KINDS, REFUSED, Fuzzer, Verdict, trials_of  # noqa: E402
from machine import describe_machine, write_results  # noqa: E402
from preload import import_everything  # noqa: E402
from trials import TRIALS, Trial  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "malformed_inputs"
INPUTS = {
    "settings": 90,
    "JSON": 180,
    "NIfTI": 120,
    "MHA and NRRD": 80,
    "DICOM": 80,
    "checkpoint": 90,
    "table": 40,
}


def all_draws(*, seed: int) -> list[tuple[Trial, int]]:
    """`INPUTS` of each kind: every way in once, then every way in with other damage, and so on; shuffled."""
    draws = [
        draw
        for kind, number in INPUTS.items()
        for draw in islice(((trial, draw) for draw in count() for trial in trials_of(kind)), number)
    ]
    Random(seed).shuffle(draws)
    return draws


def sample_of(number: int, *, seed: int) -> list[tuple[Trial, int]]:
    """So many different ways in, with a damage each."""
    return [(trial, 0) for trial in Random(seed).sample(TRIALS, number)]


def last_line(verdict: Verdict) -> str:
    """Of what was printed."""
    return (verdict.told.strip().splitlines() or [""])[-1][:200].replace(str(ROOT), "")


def told(verdict: Verdict) -> str:
    """One line about an input."""
    return f"{verdict.trial.title} {verdict.number} ({verdict.how}): {verdict.outcome}: {last_line(verdict)}"


def record_of(verdicts: Sequence[Verdict]) -> dict:
    """What the JSON file keeps."""
    return {
        "inputs": len(verdicts),
        "ways_in": len({verdict.trial for verdict in verdicts}),
        "outcomes": {kind: dict(Counter(v.outcome for v in verdicts if v.trial.kind == kind)) for kind in KINDS},
        "wrong": [
            {"way_in": v.trial.title, "number": v.number, "how": v.how, "outcome": v.outcome, "told": last_line(v)}
            for v in verdicts
            if not v.is_good
        ],
    }


def write(verdicts: Sequence[Verdict], *, seed: int) -> None:
    """The table and the record."""
    rows = []
    for kind in (*KINDS, "all"):
        found = Counter(v.outcome for v in verdicts if kind in (v.trial.kind, "all"))
        wrong = [f"{number} {what}" for what, number in found.items() if what not in (DONE, REFUSED)]
        ways = len({v.trial for v in verdicts if kind in (v.trial.kind, "all")})
        rows.append(
            [kind, str(ways), str(found.total()), str(found[DONE]), str(found[REFUSED]), ", ".join(wrong) or "0"]
        )
    write_results(
        RESULTS,
        title="Malformed inputs before `muduo` (done: also where the damaged case was left out by name)",
        header=("kind", "files and commands", "inputs", "done", "refused in a sentence", "wrong"),
        rows=rows,
        record={"seed": seed, **record_of(verdicts)},
        machine=describe_machine(torch.device("cpu")),
    )


def drawn(draws: Iterable[tuple[Trial, int]], *, seed: int, seconds: float) -> Iterator[Verdict]:
    """The inputs before the product, for so long at most; what is wrong is told at once."""
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), seed=seed)
        for trial, number in draws:
            if time.monotonic() > end:
                break
            verdict = fuzzer.try_one(trial, number)
            if not verdict.is_good:
                print(told(verdict), file=sys.stderr, flush=True)
            yield verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop drawing after so many")
    parser.add_argument("--sample", type=int, metavar="N", help="draw so many ways in; print what is wrong as JSON")
    parser.add_argument("--show", nargs=2, metavar=("WAY_IN", "NUMBER"), help="one input, with all that is printed")
    arguments = parser.parse_args()
    seed = arguments.seed
    import_everything()
    if arguments.show:
        title, number = arguments.show
        draws = [(trial, int(number)) for trial in TRIALS if trial.title == title]
        verdicts = list(drawn(draws, seed=seed, seconds=math.inf))
        print(*(f"{told(verdict)}\n{verdict.told}" for verdict in verdicts), sep="\n")
    elif arguments.sample:
        verdicts = list(drawn(sample_of(arguments.sample, seed=seed), seed=seed, seconds=math.inf))
        print(json.dumps(record_of(verdicts)))
    else:
        verdicts = list(drawn(all_draws(seed=seed), seed=seed, seconds=60 * arguments.minutes))
        write(verdicts, seed=seed)
    return int(not all(verdict.is_good for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
