"""Malformed inputs, one after the other: drawn, shown to the product, and judged."""

import json
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from damaged_checkpoints import EXECUTED
from sandbox import MOST_BYTES, TRACEBACK, Ended, run_aside
from trials import TRIALS, Trial
from world import build_world, use_world

from nnunetv2_muduo import cli
from nnunetv2_muduo.files import PARTIAL_PREFIX

_SENTENCE = re.compile(r"^ERROR: (.*)", re.MULTILINE | re.DOTALL)
_MOST_TOLD = 4000  # characters
DONE, REFUSED = "done", "refused"
GOOD = (DONE, REFUSED)
LIMIT_IN_S = 60  # of processor time; most take less than one second, a simulated training step takes 12


@dataclass(frozen=True)
class Verdict:
    """What came of one input.

    Attributes:
        trial: which way in.
        number: of the draw; with the seed and the trial it tells everything.
        how: the damage.
        outcome: `DONE` or `REFUSED`, or what is wrong.
        told: the end of what was printed.
    """

    trial: Trial
    number: int
    how: str
    outcome: str
    told: str

    @property
    def is_good(self) -> bool:
        """Whether a user can live with it."""
        return self.outcome in GOOD


class Fuzzer:
    """Keeps a valid world, and damages copies of it.

    Args:
        folder: to work in, empty.
        seed: of all draws.
    """

    def __init__(self, folder: Path, *, seed: int = 0) -> None:
        self.seed = seed
        self._world, self._template, self._log = folder / "world", folder / "template", folder / "log.txt"
        built = run_aside(lambda: build_world(self._world), self._log, limit_in_s=300, most_bytes=8 << 30)
        if built.code != 0:
            raise RuntimeError(f"The world cannot be built:\n{built.printed}")
        self._world.rename(self._template)

    def draw(self, trials: Sequence[Trial], numbers: Sequence[int]) -> Iterator[Verdict]:
        """Every trial with every number."""
        for trial in trials:
            for number in numbers:
                yield self.try_one(trial, number)

    def try_one(self, trial: Trial, number: int) -> Verdict:
        """One damaged input."""
        shutil.rmtree(self._world, ignore_errors=True)
        shutil.copytree(self._template, self._world, symlinks=True)
        rng = Random(zlib.crc32(f"{self.seed} {trial.file} {trial.words} {number}".encode()))
        file = self._world / trial.file
        how = trial.damage(file, rng)
        words = list(trial.words)
        if "{}" in words:
            words[words.index("{}")] = json.loads(file.read_text())
        ended = run_aside(lambda: self._command(words), self._log, limit_in_s=LIMIT_IN_S, most_bytes=MOST_BYTES)
        outcome = judged(trial, ended, world=self._world)
        return Verdict(trial, number, how, outcome, ended.printed.replace(str(self._world), "WORLD")[-_MOST_TOLD:])

    def _command(self, words: Sequence[str]) -> int:
        use_world(self._world)
        return cli.main(words)


def judged(trial: Trial, ended: Ended, *, world: Path) -> str:
    """`DONE`, `REFUSED`, or what is wrong, the worst first."""
    result = world / trial.result if trial.result else None
    if any(world.rglob(EXECUTED)):
        return "executed"
    if ended.timed_out:
        return "hang"
    if ended.signal is not None:
        return f"crash (signal {ended.signal})"
    if ended.code == TRACEBACK:
        return "traceback"
    if ended.grown_in_bytes > trial.most_growth:
        return f"took {ended.grown_in_bytes >> 20} MB"
    if any(world.rglob(f"{PARTIAL_PREFIX}*")):
        return "half-written file left"
    if ended.code in trial.codes:
        return "no result" if result is not None and not result.exists() else DONE
    told = _SENTENCE.search(ended.printed)
    if ended.code != 2 or told is None:
        return f"exit code {ended.code}"
    if result is not None and result.exists():
        return "result in spite of refusal"
    sentence = told[1]
    stem = Path(trial.file).name.split(".")[0]
    named = any(name in sentence for name in (stem, *trial.names))
    return REFUSED if named else "refused without a name"


def trials_of(kind: str) -> tuple[Trial, ...]:
    """The ways in of one kind of input."""
    return tuple(trial for trial in TRIALS if trial.kind == kind)


KINDS = tuple(dict.fromkeys(trial.kind for trial in TRIALS))
