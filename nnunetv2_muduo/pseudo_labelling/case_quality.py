"""How good a pseudo-labelled organ is likely to be, without a reference, and whether to keep it."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import numpy as np

from nnunetv2_muduo.evaluation.markdown import markdown_table

ABSENT, KEEP, DROP, MISSING = "absent", "keep", "drop", "missing"


@dataclass(frozen=True)
class OrganQuality:
    """One organ of one case. Numbers are None where they mean nothing (an absent organ, a switched-off teacher).

    Attributes:
        case, organ: names.
        label: the organ's integer label.
        prompt_ml, ct_ml, pet_ml, fused_ml: volume of the prompt, of both teachers' answers (probability > 0.5) and of
            the organ in the label map, in ml.
        teacher_iou: soft IoU of both teachers' probabilities; with one teacher switched off, of the other with itself.
        prompt_iou: soft IoU of the teachers' mean with the prompt mask.
        prompt_dice: Dice of the organ in the label map with the prompt mask.
        mean_agreement: mean of 1 - |p_ct - p_pet| over the organ in the label map.
        components: connected parts of the organ in the label map (voxels that share a face, an edge or a corner).
        ct_windows, pet_windows: windows that were asked about the organ.
    """

    case: str
    organ: str
    label: int
    prompt_ml: float = 0.0
    ct_ml: float | None = None
    pet_ml: float | None = None
    fused_ml: float = 0.0
    teacher_iou: float | None = None
    prompt_iou: float | None = None
    prompt_dice: float | None = None
    mean_agreement: float | None = None
    components: int = 0
    ct_windows: int = 0
    pet_windows: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "OrganQuality":
        """What `asdict` gave, also from JSON.

        Raises:
            TypeError: for anything else.
        """
        if missing := [item.name for item in fields(cls) if item.name not in values]:
            raise TypeError(f"{missing[0]} is missing")
        quality = cls(**values)
        for item in fields(cls):
            value, kind = getattr(quality, item.name), cast(Any, item.type)
            if not isinstance(value, kind if kind is str else kind | int) or isinstance(value, bool):
                raise TypeError(f"{item.name} is {value!r}")
        return quality


@dataclass(frozen=True)
class Thresholds:
    """What an organ has to reach to be kept.

    Attributes:
        min_iou: least soft IoU of the teachers; 0 switches it off.
        min_prompt_iou: least soft IoU of their mean with the prompt mask; 0 switches it off.
        required: names of the organs that every case ought to show. One that was not found, or found in a place that
            the prompt did not mean, is somewhere else in the scan: missing, not absent.
    """

    min_iou: float = 0.5
    min_prompt_iou: float = 0.2
    required: frozenset[str] = frozenset()

    def judge(self, quality: OrganQuality) -> tuple[str, str]:
        """Suggestion ("keep", "drop", "absent" or "missing") and the reason for it, empty for "keep"."""
        required = quality.organ in self.required
        if quality.prompt_ml == 0:
            found = "not found by the prompts"
            return (MISSING, f"{found}, but every scan should show it") if required else (ABSENT, found)
        elsewhere = []
        if quality.fused_ml == 0:
            elsewhere.append("no voxel in the label map")
        if (quality.prompt_iou or 0.0) < self.min_prompt_iou:
            elsewhere.append(
                f"not what was prompted: soft IoU {quality.prompt_iou or 0.0:.2f} < {self.min_prompt_iou:g}"
            )
        reasons = list(elsewhere)
        if (quality.teacher_iou or 0.0) < self.min_iou:
            alone = None in (quality.ct_ml, quality.pet_ml)
            doubt = "the only teacher is not sure" if alone else "teachers disagree"
            reasons.append(f"{doubt}: soft IoU {quality.teacher_iou or 0.0:.2f} < {self.min_iou:g}")
        if required and elsewhere:
            return MISSING, "; ".join(reasons)
        return (DROP, "; ".join(reasons)) if reasons else (KEEP, "")

    def suggestions(self, qualities: Iterable[OrganQuality]) -> dict[str, str]:
        """Organ -> suggestion, of one case."""
        return {quality.organ: self.judge(quality)[0] for quality in qualities}


def quality_csv(qualities: Iterable[OrganQuality], thresholds: Thresholds) -> str:
    """A line per case and organ; volumes in ml with one decimal, ratios with three, nothing where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(OrganQuality)] + ["suggestion", "reason"])
    for quality in qualities:
        row = [_shown(name, value) for name, value in asdict(quality).items()]
        writer.writerow([*row, *thresholds.judge(quality)])
    return text.getvalue()


def summary_table(qualities: Sequence[OrganQuality], thresholds: Thresholds) -> str:
    """Markdown: an organ a row, how often it was found and kept, and medians over the cases where it was found."""
    head = ["organ", "found", "keep", "teachers' IoU", "IoU with prompt", "agreement", "ml"]
    rows = []
    for organ in dict.fromkeys(quality.organ for quality in qualities):
        found = [quality for quality in qualities if quality.organ == organ and quality.prompt_ml > 0]
        kept = sum(thresholds.judge(quality)[0] == KEEP for quality in found)
        cases = sum(quality.organ == organ for quality in qualities)
        medians = [
            _median([getattr(quality, name) for quality in found])
            for name in ("teacher_iou", "prompt_iou", "mean_agreement", "fused_ml")
        ]
        cells = ["-" if np.isnan(m) else f"{m:.{digits}f}" for m, digits in zip(medians, (2, 2, 2, 0), strict=True)]
        rows.append([organ, f"{len(found)} of {cases}", str(kept), *cells])
    return markdown_table(head, rows)


def never_kept(qualities: Iterable[OrganQuality], thresholds: Thresholds) -> tuple[str, ...]:
    """Organs that were found in some case and are kept in none."""
    found = [quality for quality in qualities if quality.prompt_ml > 0]
    kept = {quality.organ for quality in found if thresholds.judge(quality)[0] == KEEP}
    return tuple(organ for organ in dict.fromkeys(quality.organ for quality in found) if organ not in kept)


def _median(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else float("nan")


def _shown(name: str, value: object) -> object:
    if isinstance(value, float):
        return f"{value:.1f}" if name.endswith("_ml") else f"{value:.3f}"
    return "" if value is None else value
