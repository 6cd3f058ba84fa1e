"""One whole case pseudo-labelled: both teachers asked about every organ, their answers fused into one label map."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import generate_binary_structure
from scipy.ndimage import label as connected_components

from nnunetv2_muduo.datasets.boxes import box_within, joint_box
from nnunetv2_muduo.datasets.turning import Part, Turn
from nnunetv2_muduo.distillation import both_streams, soft_iou
from nnunetv2_muduo.pseudo_labelling.case_quality import OrganQuality
from nnunetv2_muduo.pseudo_labelling.claims import Claims
from nnunetv2_muduo.pseudo_labelling.coverage import Answers
from nnunetv2_muduo.teachers.windows import ScanWindows

CERTAIN = 100  # of an agreement map, in per cent


@dataclass(frozen=True)
class Stream:
    """What one teacher says about a case.

    Attributes:
        scan: the windows it was asked in, over the turned scan.
        turn: from the scan's axes to the teacher's.
        answers: its logits, organ by organ and window by window.
    """

    scan: ScanWindows
    turn: Turn
    answers: Answers

    def probabilities(self, organ: int, shape: Sequence[int]) -> tuple[np.ndarray, Part]:
        """Probabilities [z, y, x] on the scan's own grid of the part that the organ's windows cover, and that part."""
        logits, part = self.scan.to_scan(self.answers[organ])
        return self.turn.back(logits.sigmoid().numpy()), self.turn.part_back(part, shape)


@dataclass(frozen=True)
class CaseLabels:
    """What came out of a case, all on the scan's own grid.

    Attributes:
        labels: [Z, Y, X] label map; where answers overlap, the larger fused probability has won.
        agreement: [Z, Y, X] uint8, 0 to 100 per cent: 1 - |p_ct - p_pet| of the organ in the label map, in background
            1 - the largest |p_ct - p_pet| of all organs.
        claims: for each organ the voxels that its prompt or either teacher's answer lays claim to.
        qualities: a row for each organ, in the order asked for.
    """

    labels: np.ndarray
    agreement: np.ndarray
    claims: Claims
    qualities: tuple[OrganQuality, ...]


@dataclass(frozen=True)
class _Opinion:
    """Both teachers about one organ in one part of the scan, [z, y, x] each; None: switched off."""

    part: Part
    ct: np.ndarray | None
    pet: np.ndarray | None

    @property
    def streams(self) -> tuple[np.ndarray, np.ndarray]:
        ct, pet = (None if values is None else torch.from_numpy(values) for values in (self.ct, self.pet))
        first, second = both_streams(ct, pet)
        return first.numpy(), second.numpy()


def fuse_case(
    case: str,
    prompts: np.ndarray,
    organs: Mapping[str, int],
    *,
    ct: Stream | None,
    pet: Stream | None,
    voxel_in_ml: float,
) -> CaseLabels:
    """Consensus and fusion over a whole case; one organ's part of the scan is in memory at a time.

    An organ's fused probability is the mean of both teachers' (of the one there is); a voxel belongs to the organ whose
    fused probability is the largest, if that is above 0.5.

    Args:
        case: name.
        prompts: [Z, Y, X] label map that the teachers were prompted with.
        organs: name -> label, all that get a row.
        ct, pet: what the teachers say, None for one that is switched off; asked about each organ of `prompts`.
        voxel_in_ml: volume of a voxel.

    Raises:
        ValueError: if both teachers are switched off.
    """
    labels = np.zeros_like(prompts)
    largest, disputed, own = (np.zeros(prompts.shape, np.float32) for _ in range(3))
    claims = Claims({})
    measured: dict[int, tuple[Part, dict]] = {}
    for organ, opinion in _opinions(organs.values(), prompts.shape, ct, pet):
        p_ct, p_pet = opinion.streams
        part, fused, difference = opinion.part, (p_ct + p_pet) / 2, np.abs(p_ct - p_pet)
        prompted = prompts[part] == organ
        np.maximum(disputed[part], difference, out=disputed[part])
        won = (fused > 0.5) & (fused > largest[part])
        largest[part][won], own[part][won], labels[part][won] = fused[won], difference[won], organ
        claims.add(organ, part, prompted | (p_ct > 0.5) | (p_pet > 0.5))
        measured[organ] = (
            part,
            {
                "prompt_ml": float(prompted.sum() * voxel_in_ml),
                "ct_ml": None if opinion.ct is None else float((opinion.ct > 0.5).sum() * voxel_in_ml),
                "pet_ml": None if opinion.pet is None else float((opinion.pet > 0.5).sum() * voxel_in_ml),
                "teacher_iou": _soft_iou(p_ct, p_pet),
                "prompt_iou": _soft_iou(fused, prompted),
                "ct_windows": 0 if ct is None else len(ct.answers[organ]),
                "pet_windows": 0 if pet is None else len(pet.answers[organ]),
            },
        )
    agreement = np.rint(CERTAIN * (1 - np.where(labels > 0, own, disputed))).astype(np.uint8)
    qualities = []
    for name, organ in organs.items():
        part, numbers = measured.get(organ, ((slice(0),) * 3, {}))
        if numbers:
            numbers |= _measure(labels[part] == organ, prompts[part] == organ, agreement[part], voxel_in_ml)
        qualities.append(OrganQuality(case, name, organ, **numbers))
    return CaseLabels(labels, agreement, claims, tuple(qualities))


def _opinions(
    organs: Iterable[int], shape: tuple[int, ...], ct: Stream | None, pet: Stream | None
) -> Iterator[tuple[int, _Opinion]]:
    """Both teachers' probabilities of each organ they were asked about, on the smallest part that holds both."""
    if ct is None and pet is None:
        raise ValueError("at least one teacher is needed")
    for organ in organs:
        found = [
            stream.probabilities(organ, shape) if stream is not None and organ in stream.answers else None
            for stream in (ct, pet)
        ]
        parts = [one[1] for one in found if one is not None]
        if not parts:
            continue
        whole = joint_box(parts)
        p_ct, p_pet = (None if one is None else _placed(*one, whole) for one in found)
        yield organ, _Opinion(whole, p_ct, p_pet)


def _placed(values: np.ndarray, part: Part, whole: Part) -> np.ndarray:
    """Values of a part as a larger part has them, 0 where they are not known."""
    placed = np.zeros([along.stop - along.start for along in whole], np.float32)
    placed[box_within(whole, part)] = values
    return placed


def _measure(mask: np.ndarray, prompted: np.ndarray, agreement: np.ndarray, voxel_in_ml: float) -> dict:
    """What is known of an organ only when the label map is complete."""
    voxels, overlap = int(mask.sum()), int((mask & prompted).sum())
    return {
        "fused_ml": float(voxels * voxel_in_ml),
        "prompt_dice": 2 * overlap / (voxels + int(prompted.sum())),
        "mean_agreement": float(agreement[mask].mean() / CERTAIN) if voxels else None,
        "components": int(connected_components(mask, generate_binary_structure(3, 3))[1]),
    }


def _soft_iou(first: np.ndarray, second: np.ndarray) -> float:
    maps = [torch.from_numpy(np.ascontiguousarray(values)).double()[None, None] for values in (first, second)]
    return float(soft_iou(*maps))
