"""Which curves a report draws: what nnU-Net's logger holds of every training, keys it has never heard of included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_muduo.reporting.training import Training

MOST_ORGANS = 40  # small figures of one kind; more help nobody and fill the page
_TIMES = ("epoch_start_timestamps", "epoch_end_timestamps")
_REPORT = "report_"


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        training: index of the training, which is its colour.
        label: what tells it from the training's other curves in the same panel; "" where there is none.
        dash: 0 solid, 1 dashed, 2 thin.
        epochs: [N] as nnU-Net counts them, from 0.
        values: [N] finite.
    """

    training: int
    label: str
    dash: int
    epochs: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Panel:
    """A small figure over the epochs.

    Attributes:
        title: what is drawn.
        lines: none of them empty.
        unit: of the values; "" for plain numbers.
        share: whether all values lie between 0 and 1 by their nature.
    """

    title: str
    lines: tuple[Line, ...]
    unit: str = ""
    share: bool = False


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading.

    Attributes:
        title: heading.
        explanation: a sentence or two; may be empty.
        panels: in order.
        legend: how the curves of one training differ: (dash, what it means).
        small: whether they are many small ones (organ by organ).
        opened: whether they are seen at once.
    """

    title: str
    explanation: str
    panels: tuple[Panel, ...]
    legend: tuple[tuple[int, str], ...] = ()
    small: bool = False
    opened: bool = True

    @property
    def trainings(self) -> list[int]:
        """Indices of those that have a curve in it."""
        return sorted({line.training for panel in self.panels for line in panel.lines})


@dataclass(frozen=True)
class _Wanted:
    """A panel to be: its title, and key of the log -> (label, dash)."""

    title: str
    keys: Mapping[str, tuple[str, int]]
    unit: str = ""
    share: bool = False


_LOSSES = (
    _Wanted("Loss", {"train_losses": ("training", 0), "val_losses": ("validation", 1)}),
    _Wanted("Supervised loss, labelled patches", {"supervised_losses": ("", 0)}),
    _Wanted("Consistency loss, unlabelled patches", {"consistency_losses": ("", 0)}),
    _Wanted("Weight of the consistency loss", {"consistency_weights": ("", 0)}),
)
_DICE = (
    _Wanted(
        "Pseudo Dice, mean over organs",
        {"ema_fg_dice": ("moving average", 0), "mean_fg_dice": ("each epoch", 2)},
        share=True,
    ),
)
_COURSE = (
    _Wanted("Learning rate", {"lrs": ("", 0)}),
    _Wanted("Duration of an epoch", {"seconds": ("", 0)}, unit="s"),
    _Wanted("Time of the teachers in a step", {"teacher_seconds": ("", 0)}, unit="s"),
)
_TEACHERS = {
    "teacher_agreement": "Agreement of the teachers (soft IoU)",
    "share_kept": "Share of patches kept",
    "reliability": "Reliability of the teachers",
    "ct_share": "Weight of the CT teacher in pseudo-labels",
    "by_prompts": "Labelled by the prompts (1) or by teachers (0)",
}
_BY_ORGAN = {"dice_per_class_or_region": "Pseudo Dice"}


def panel_groups(trainings: Sequence[Training]) -> list[PanelGroup]:
    """All curves of some trainings, the same panel for all of them; groups without any are left out."""
    logs = [_with_seconds(training.logged) for training in trainings]
    organs = _shared_organs(trainings)
    groups = [
        PanelGroup("Losses", "", _panels(_LOSSES, logs), ((0, "training"), (1, "validation"))),
        PanelGroup(
            "Pseudo Dice",
            "nnU-Net's Dice on random patches of the validation cases during the training.",
            _panels(_DICE, logs),
            ((0, "moving average"), (2, "each epoch")),
        ),
        _organ_group("Pseudo Dice, organ by organ", {"dice_per_class_or_region": ("", 0)}, logs, organs, share=True),
        _teacher_group(logs),
        _organ_group(
            "Teachers, organ by organ",
            {"teacher_agreement": ("agreement", 0), "share_kept": ("share of patches kept", 1)},
            logs,
            organs,
            share=True,
        ),
        _report_group(logs),
        PanelGroup("Course", "", _panels(_COURSE, logs)),
        *_other_groups(logs, organs),
    ]
    return [group for group in groups if group.panels]


def newest_report(training: Training) -> tuple[int, dict[str, list[float]]] | None:
    """(epoch, source -> [K] Dice) of a training's last teacher report; None without any."""
    rows = {key: values for key, values in training.logged.items() if key.startswith(_REPORT)}
    made = [e for values in rows.values() for e, value in enumerate(values) if np.isfinite(as_row(value)).any()]
    if not made:
        return None
    newest = {key.removeprefix(_REPORT): as_row(v[max(made)]).tolist() for key, v in rows.items() if len(v) > max(made)}
    return max(made), {source: dice for source, dice in newest.items() if np.isfinite(dice).any()}


def as_row(value: object) -> np.ndarray:
    """[K] numbers of one epoch, [1] of a single number, [0] of anything else."""
    try:
        return np.asarray(value, dtype=float).ravel()
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)


def over_epochs(values: Iterable[object], organ: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(epochs, values) where there is one: of an organ, or the mean over those that have one."""
    found = []
    for epoch, value in enumerate(values):
        row = as_row(value)
        row = row[organ : organ + 1] if organ is not None else row
        row = row[np.isfinite(row)]
        if len(row):
            found.append((epoch, float(row.mean())))
    epochs, kept = zip(*found, strict=True) if found else ((), ())
    return np.array(epochs, dtype=int), np.array(kept, dtype=float)


def spoken_key(key: str) -> str:
    """A key of the log as words."""
    words = key.replace("_", " ").strip()
    return (words[:1].upper() + words[1:]).replace("Ct ", "CT ").replace("Pet ", "PET ")


def _with_seconds(logged: Mapping[str, Sequence]) -> dict[str, Sequence]:
    starts, ends = (logged.get(key, []) for key in _TIMES)
    return {**logged, "seconds": [end - start for start, end in zip(starts, ends, strict=False)]}


def _panels(wanted: Iterable[_Wanted], logs: Sequence[Mapping[str, Sequence]]) -> tuple[Panel, ...]:
    panels = [Panel(w.title, _lines(w.keys, logs), w.unit, w.share) for w in wanted]
    return tuple(panel for panel in panels if panel.lines)


def _lines(
    keys: Mapping[str, tuple[str, int]], logs: Sequence[Mapping[str, Sequence]], organ: int | None = None
) -> tuple[Line, ...]:
    lines = []
    for training, logged in enumerate(logs):
        for key, (label, dash) in keys.items():
            epochs, values = over_epochs(logged.get(key, []), organ)
            if len(epochs):
                lines.append(Line(training, label, dash, epochs, values))
    return tuple(lines)


def _teacher_group(logs: Sequence[Mapping[str, Sequence]]) -> PanelGroup:
    wanted = [_Wanted(f"{title}, mean over organs", {key: ("", 0)}, share=True) for key, title in _TEACHERS.items()]
    return PanelGroup("Teachers", "What they say of unlabelled patches.", _panels(wanted, logs))


def _report_group(logs: Sequence[Mapping[str, Sequence]]) -> PanelGroup:
    """A panel for each source of the teacher report, with the student beside it."""
    sources = dict.fromkeys(key for logged in logs for key in logged if key.startswith(_REPORT))
    student = f"{_REPORT}student"
    wanted = [
        _Wanted(
            spoken_key(key.removeprefix(_REPORT)),
            {key: ("", 0), **({student: ("student", 1)} if key != student else {})},
            share=True,
        )
        for key in sources
        if any(len(over_epochs(logged.get(key, []))[0]) for logged in logs)
    ]
    return PanelGroup(
        "Teacher report over time",
        "Mean Dice on labelled patches of the validation cases: where a teacher is not above the student, it cannot "
        "teach much.",
        _panels(wanted, logs),
        ((0, "the source"), (1, "the student")),
    )


def _organ_group(
    title: str,
    keys: Mapping[str, tuple[str, int]],
    logs: Sequence[Mapping[str, Sequence]],
    organs: Sequence[str],
    *,
    share: bool = False,
) -> PanelGroup:
    """A small panel for each organ."""
    number = max((len(as_row(v)) for logged in logs for key in keys for v in logged.get(key, [])), default=0)
    names = organs if len(organs) == number else [f"output {k + 1}" for k in range(number)]
    panels = [Panel(name, _lines(keys, logs, k), share=share) for k, name in enumerate(names[:MOST_ORGANS])]
    left_out = max(0, len(names) - MOST_ORGANS)
    return PanelGroup(
        title,
        f"The first {MOST_ORGANS} of {len(names)} organs." if left_out else "",
        tuple(panel for panel in panels if panel.lines),
        tuple((dash, label) for label, dash in keys.values() if label),
        small=True,
        opened=number <= 12,
    )


def _other_groups(logs: Sequence[Mapping[str, Sequence]], organs: Sequence[str]) -> list[PanelGroup]:
    """Whatever else was logged, under its own name."""
    wanted = (*_LOSSES, *_DICE, *_COURSE)
    known = {*_TIMES, *_BY_ORGAN, *_TEACHERS, *(key for each in wanted for key in each.keys)}
    others = [k for k in dict.fromkeys(k for logged in logs for k in logged) if k not in known]
    others = [key for key in others if not key.startswith(_REPORT)]
    means = _panels([_Wanted(spoken_key(key), {key: ("", 0)}) for key in others], logs)
    by_organ = [k for k in others if any(len(as_row(v)) > 1 for logged in logs for v in logged.get(k, []))]
    return [
        PanelGroup("Other logged values", "Mean over organs where there is one for each.", means),
        *(_organ_group(f"{spoken_key(key)}, organ by organ", {key: ("", 0)}, logs, organs) for key in by_organ),
    ]


def _shared_organs(trainings: Sequence[Training]) -> tuple[str, ...]:
    """The organs' names where all trainings have the same; else none."""
    named = {training.organs for training in trainings if training.organs}
    return next(iter(named)) if len(named) == 1 else ()
