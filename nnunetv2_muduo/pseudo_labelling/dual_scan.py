"""Both teachers at one whole scan, each at its own spacing and turned to its own axes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from nnunetv2_muduo.datasets.boxes import box_around, middle_of
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.pseudo_labelling.case_labels import CaseLabels, Stream, fuse_case
from nnunetv2_muduo.pseudo_labelling.coverage import Answers, ask_with_masks, ask_with_points
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.precision import computes_in_bfloat16
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.windows import ScanWindows


@dataclass(frozen=True)
class Geometry:
    """Where a scan lies, as SimpleITK has it: x, y, z; mm.

    Attributes:
        spacing, origin: three numbers each.
        direction: nine cosines.
    """

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @property
    def voxel_in_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing)) / 1000


PROMPTING = ("mask_prompt", "point_mask", "points", "point_strategy", "seed")  # settings that answers depend on


@dataclass(frozen=True)
class DualScan:
    """The teachers and how they are prompted.

    Attributes:
        ct, pet: frozen teachers on `device`, in eval mode; None for one that is switched off.
        settings: those of `PROMPTING` count.
        device: where they compute.
    """

    ct: PromptableTeacher | None
    pet: PromptableTeacher | None
    settings: Settings
    device: torch.device

    def label(
        self,
        case: str,
        ct: np.ndarray,
        pet: np.ndarray,
        prompts: np.ndarray,
        *,
        geometry: Geometry,
        organs: Mapping[str, int],
    ) -> CaseLabels:
        """Pseudo-label a case.

        The CT teacher is shown each organ's prompt mask, the PET teacher gets points inside it. A teacher's windows are
        the same for all organs, laid around the middle of everything that is prompted.

        Args:
            case: name; with `settings.seed` it decides what the strategy "random" draws.
            ct, pet: [Z, Y, X] in HU and SUV.
            prompts: [Z, Y, X] label map, integers.
            geometry: of all three.
            organs: name -> label, all that get a row.
        """
        asked = [organ for organ in organs.values() if (prompts == organ).any()]
        show_masks = partial(ask_with_masks, organs=asked, kind=self.settings.mask_prompt)
        point = partial(
            ask_with_points,
            organs=asked,
            points=self.settings.points,
            strategy=self.settings.point_strategy,
            point_mask=self.settings.point_mask,
            generator=torch.Generator().manual_seed(_seed(case, self.settings.seed)),
        )
        ask = partial(self._ask, prompts=prompts, geometry=geometry)
        return fuse_case(
            case,
            prompts,
            organs,
            ct=None if self.ct is None else ask(self.ct, ct, show_masks, clamp=CLAMP["CT"]),
            pet=None if self.pet is None else ask(self.pet, pet, point, clamp=CLAMP["PET"]),
            voxel_in_ml=geometry.voxel_in_ml,
        )

    def _ask(
        self,
        teacher: PromptableTeacher,
        image: np.ndarray,
        ask: Callable[[ScanWindows, torch.Tensor], Answers],
        *,
        prompts: np.ndarray,
        geometry: Geometry,
        clamp: tuple[float, float] | None,
    ) -> Stream:
        turn = Turn.of(geometry.direction, teacher.spec.orientation)
        labels = torch.from_numpy(turn.there(prompts))
        prompted = box_around(labels.numpy() > 0) or [slice(0, length) for length in labels.shape]
        scan = ScanWindows(
            teacher,
            torch.from_numpy(turn.there(image)),
            turn.spacing(geometry.spacing[::-1]),
            centre=middle_of(prompted),
            clamp=clamp,
            device=self.device,
            bfloat16=computes_in_bfloat16(self.device),
            remembered=1,  # a window is asked about all organs at once and never again
        )
        return Stream(scan, turn, ask(scan, labels))


def _seed(case: str, seed: int | None) -> int:
    """The same for the same case, whatever else is labelled in a run."""
    return int(np.random.SeedSequence([seed or 0, *case.encode()]).generate_state(1)[0])
