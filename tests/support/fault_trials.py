"""A command, a fault in the midst of it, the command again: is the result what an undisturbed run comes to?"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from fault_child import Ended, import_all, in_a_child
from fault_events import WRITE, Event, Watch, doing, killing
from small_disk import fill

KINDS = ("kill", "torn", "full", "damaged", "read-only", "cut input", "clock")
_IN_THE_MAKING = (".partial-*", ".downloading-*")
_TWO_DAYS_AGO = time.time() - 2 * 86400


@dataclass(frozen=True)
class Scenario:
    """A command that changes a folder.

    Attributes:
        name: of the command.
        prepare: writes all that it needs into a new folder.
        run: does it in that folder, which is the working directory, and returns its exit code.
        results: globs of the files that it comes to, below the folder.
        meaning: pattern, in which * takes in slashes -> what of a file counts; other files count byte by byte.
        unit: path below the folder -> the piece of work that it belongs to; finished pieces are not done again.
        whole: globs of files that are never there but whole.
        damage: globs of finished files that are cut short afterwards: noticed, and made again or told.
        inputs: globs of the inputs that are cut short: told, and nothing else suffers.
        joins: looks at what a fault left and returns what tells, after the next run, where that does not go on from it.
        mistake: exit code of one sentence.
    """

    name: str
    prepare: Callable[[Path], None]
    run: Callable[[Path], int]
    results: tuple[str, ...]
    meaning: Mapping[str, Callable[[Path], str]] = field(default_factory=dict)
    unit: Callable[[str], str | None] = lambda path: None
    whole: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    joins: Callable[[Path], Callable[[], list[str]]] = lambda folder: list
    mistake: int = 2


@dataclass(frozen=True)
class Fault:
    """What happens to a run.

    Attributes:
        kind: "kill" (before an event), "torn" (the same, the file just being written is cut), "clock" (a kill after
            some time), "full" (the disk, from an event on), "read-only" (from the start), "damaged" (a finished file is
            cut short, then the command runs again), "cut input" (before the run).
        at: number of the event, from 1; 0 where it does not matter.
        share: in [0, 1): how much of a file is left, of the time, or of 64 KiB that are free.
        file: below the folder, that is cut.
    """

    kind: str
    at: int = 0
    share: float = 0.0
    file: str = ""


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run comes to: path -> meaning, its events and how long it took in seconds."""

    result: Mapping[str, str]
    events: tuple[Event, ...]
    seconds: float


class Bench:
    """Runs one scenario again and again in one place.

    Args:
        scenario: what is run.
        place: a folder of its own; a disk of its own where that is possible, see `own_disk`.
        has_disk: whether it is.
        twice: let two undisturbed runs come to the same before anything else.
    """

    def __init__(self, scenario: Scenario, place: Path, *, has_disk: bool, twice: bool = True) -> None:
        self.scenario, self.place, self.has_disk = scenario, place, has_disk
        self.folder, self.template = place / "work", place / "template"
        self.template.mkdir(parents=True)
        prepared = in_a_child(lambda: scenario.prepare(self.template) or 0)
        assert prepared.code == 0, prepared.text
        ended, seconds = self._undisturbed()
        before = self.result()
        if twice:
            import_all(ended.modules)  # so that the runs to come need not
            ended, seconds = self._undisturbed()
        self.reference = Reference(self.result(), ended.events, seconds)
        assert self.reference.result, f"{scenario.name} has no result"
        assert before == self.reference.result, f"two runs of {scenario.name} differ: {_differing(self, before)}"

    def begin(self) -> None:
        """Everything as it was before the first run."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder, symlinks=True)

    def run(self, fault: Fault | None = None) -> Ended:
        """The scenario's command in a process of its own, with a fault at its event or its time."""
        before = self._before(fault)
        seconds = fault.share * self.reference.seconds if fault is not None and fault.kind == "clock" else None
        return in_a_child(
            lambda: self.scenario.run(self.folder), Watch(self.folder, *([before] if before else [])), seconds
        )

    def result(self) -> dict[str, str]:
        """Path -> meaning of all result files that are there now."""
        return {name: self.meaning(self.folder / name) for name in self.files(self.scenario.results)}

    def meaning(self, file: Path) -> str:
        """What of a file counts; of one that cannot be made sense of, that it is broken."""
        for pattern, of in self.scenario.meaning.items():
            if fnmatchcase(self._name(file), pattern):
                try:
                    return of(file)
                except Exception as error:  # whatever a reader of a half written file raises
                    return f"broken: {type(error).__name__}"
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def times(self) -> dict[str, int]:
        """Path -> time of change in ns."""
        return {self._name(file): file.lstat().st_mtime_ns for file in self.folder.rglob("*") if file.is_file()}

    def leftovers(self) -> list[str]:
        """What a later run does not take away though it is old enough to be nobody's."""
        return [self._name(path) for pattern in _IN_THE_MAKING for path in self.folder.rglob(pattern)]

    def age_leftovers(self) -> None:
        """As if two days had passed since the kill."""
        for path in self.leftovers():
            os.utime(self.folder / path, (_TWO_DAYS_AGO, _TWO_DAYS_AGO))

    def files(self, patterns: Sequence[str]) -> list[str]:
        """Paths of the files that match, without those that are hidden or in the making."""
        found = {file for pattern in patterns for file in self.folder.glob(pattern) if file.is_file()}
        return sorted(name for name in map(self._name, found) if "/." not in f"/{name}")

    @contextmanager
    def faulty_disk(self, fault: Fault) -> Iterator[None]:
        """Read-only as long as this lasts; what filled the disk goes at the end."""
        if fault.kind == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(self.place)], check=True)
        try:
            yield
        finally:
            if fault.kind == "read-only":
                subprocess.run(["mount", "-o", "remount,rw", str(self.place)], check=True)
            (self.place / "filler").unlink(missing_ok=True)

    def _undisturbed(self) -> tuple[Ended, float]:
        """From the beginning to the end, and how long it took."""
        self.begin()
        started = time.monotonic()
        ended = self.run()
        assert ended.code == 0, ended.text
        return ended, time.monotonic() - started

    def _before(self, fault: Fault | None) -> Callable | None:
        if fault is None or fault.kind in ("clock", "read-only", "damaged", "cut input"):
            return None
        if fault.kind == "full":
            return doing(fault.at, lambda: fill(self.place, leave=int(fault.share * 65536)))
        return killing(fault.at, cut=fault.share if fault.kind == "torn" else None)

    def _name(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()


def trial(bench: Bench, fault: Fault) -> list[str]:
    """Let a fault strike, run again, compare; returns what went wrong, which is nothing where all is well."""
    bench.begin()
    if fault.kind == "damaged":
        return _damaged_result(bench, fault)
    if fault.kind == "cut input":
        return _cut_input(bench, fault)
    with bench.faulty_disk(fault):
        ended = bench.run(fault)
    problems = _badly_told(ended, fault, mistake=bench.scenario.mistake)
    between, times = bench.result(), bench.times()
    wanted = bench.reference.result
    problems += [
        f"half written: {name}"
        for name in bench.files(bench.scenario.whole)
        if between.get(name) != wanted.get(name) and name in between
    ]
    finished, not_joining = _finished_units(bench, between), bench.scenario.joins(bench.folder)
    again = bench.run()
    if again.code != 0:
        return [*problems, f"the restart ended with {again.code}: {again.text[-1500:]}"]
    problems += [*_differences(bench), *not_joining()]
    after = bench.times()
    problems += [
        f"done again: {name}" for unit in finished for name in finished[unit] if times[name] != after.get(name)
    ]
    bench.age_leftovers()
    if bench.leftovers():
        bench.run()
        problems += [f"left behind: {name}" for name in bench.leftovers()]
    return problems


def draw_faults(bench: Bench, number: int, *, kinds: Sequence[str], rng: random.Random) -> list[Fault]:
    """Faults at random places; the kinds take turns, but for those that a scenario has no place for."""
    events = bench.reference.events
    after_writing = [at for at, event in enumerate(events, start=1) if at > 1 and events[at - 2].kind == WRITE]
    inputs = _inputs(bench)
    damaged = [name for name in bench.files(bench.scenario.damage) if not (bench.folder / name).is_symlink()]
    places = {
        "kill": len(events),
        "torn": len(after_writing),
        "clock": 1,
        "full": len(events) if bench.has_disk else 0,
        "read-only": int(bench.has_disk),
        "damaged": len(damaged),
        "cut input": len(inputs),
    }
    possible = [kind for kind in kinds if places[kind]]
    faults = []
    for turn in range(number):
        kind = possible[turn % len(possible)]
        fault = Fault(kind, share=rng.random())
        if kind in ("kill", "full"):
            fault = replace(fault, at=rng.randint(1, len(events)))
        elif kind == "torn":
            fault = replace(fault, at=rng.choice(after_writing))
        elif kind in ("damaged", "cut input"):
            fault = replace(fault, file=rng.choice(damaged if kind == "damaged" else inputs))
        faults.append(fault)
    return faults


def _damaged_result(bench: Bench, fault: Fault) -> list[str]:
    """A finished file is cut short: the next run makes it again, or says so in a sentence that names it."""
    first = bench.run()
    assert first.code == 0, first.text
    file = bench.folder / fault.file
    _cut(file, fault.share)
    ended = bench.run()
    if ended.code == 0:
        return _differences(bench)
    problems = _badly_told(ended, fault, mistake=bench.scenario.mistake)
    return problems if file.name in ended.text else [*problems, f"{file.name} is not named: {ended.sentence[:300]}"]


def _cut_input(bench: Bench, fault: Fault) -> list[str]:
    """An input is cut short: whatever the run comes to, it names it; and with the input put right all is as ever."""
    file = bench.folder / fault.file
    status = file.stat()
    whole = file.read_bytes()
    _cut(file, fault.share)
    ended = bench.run()
    problems = [] if file.name in ended.text else [f"{file.name} is not named: {ended.text[-600:]}"]
    problems += _badly_told(ended, fault, mistake=bench.scenario.mistake)
    file.write_bytes(whole)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = bench.run()
    if again.code != 0:
        return [*problems, f"the restart ended with {again.code}: {again.text[-1500:]}"]
    return problems + _differences(bench)


def _inputs(bench: Bench) -> list[str]:
    return sorted(
        file.relative_to(bench.template).as_posix()
        for pattern in bench.scenario.inputs
        for file in bench.template.glob(pattern)
    )


def _cut(file: Path, share: float) -> None:
    os.truncate(file, int(share * file.stat().st_size))


def _badly_told(ended: Ended, fault: Fault, *, mistake: int) -> list[str]:
    """A traceback, or an ending that is neither success nor one sentence."""
    if fault.kind in ("kill", "torn", "clock"):
        gone = ended.code in (-signal.SIGKILL, 0)
        return [] if gone else [f"ended with {ended.code} before it was killed: {ended.text[-800:]}"]
    problems = [f"a traceback: {ended.text[-1500:]}"] if "Traceback" in ended.text else []
    if ended.code not in (0, mistake):
        problems.append(f"ended with {ended.code}: {ended.sentence[:300]}")
    elif ended.code and not re.search(r"^ERROR: .", ended.text, re.MULTILINE):
        problems.append(f"no sentence: {ended.sentence[:300]}")
    return problems


def _finished_units(bench: Bench, between: Mapping[str, str]) -> dict[str, list[str]]:
    """Pieces of work of which every file is there as it will be: unit -> its files."""
    units: dict[str, list[str]] = {}
    for name in bench.reference.result:
        if (unit := bench.scenario.unit(name)) is not None:
            units.setdefault(unit, []).append(name)
    wanted = bench.reference.result
    return {unit: names for unit, names in units.items() if all(between.get(name) == wanted[name] for name in names)}


def _differences(bench: Bench) -> list[str]:
    return _differing(bench, bench.reference.result)


def _differing(bench: Bench, wanted: Mapping[str, str]) -> list[str]:
    found = bench.result()
    return [
        *(f"lost: {name}" for name in wanted if name not in found),
        *(f"not wanted: {name}" for name in found if name not in wanted),
        *(f"differs: {name}" for name in wanted if name in found and found[name] != wanted[name]),
    ]
