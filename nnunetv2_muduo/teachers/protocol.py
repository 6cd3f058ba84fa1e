"""What a promptable teacher is: one image encoded once, any number of targets decoded from it."""

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from nnunetv2_muduo.teachers.orientation import is_orientation


@dataclass(frozen=True)
class TeacherSpec:
    """The cube a teacher expects and the prompts it understands.

    Attributes:
        cube_size: edge length S of the cubic input, in voxels; axes are (x, y, z).
        mask_size: edge length M of the cubic grid of mask prompts and of the decoded logits, in voxels.
        spacing_in_mm: isotropic working spacing the teacher was trained at.
        orientation: which way x, y and z grow in the patient, in the letters of nibabel and SimpleITK: "RAS" is right,
            anterior, superior (what the published inference scripts turn scans to), "LPS" left, posterior, superior.

    Raises:
        ValueError: naming what is no such number or orientation.
    """

    cube_size: int
    mask_size: int
    spacing_in_mm: float
    orientation: str = "RAS"

    def __post_init__(self) -> None:
        for name, kinds in (("cube_size", int), ("mask_size", int), ("spacing_in_mm", int | float)):
            value = getattr(self, name)
            if not (isinstance(value, kinds) and 0 < value < math.inf):
                raise ValueError(f"{name} is {value!r}, which is no {'size' if kinds is int else 'spacing'}")
        if not (isinstance(self.orientation, str) and is_orientation(self.orientation)):
            raise ValueError(f"orientation is {self.orientation!r}, not three letters such as RAS")


class PromptableTeacher(Protocol):
    """A frozen network that segments what points or a rough mask point at.

    Images are z-normalised over the voxels whose raw intensity is > 0 (HU or SUV), axes (x, y, z).
    Mask prompts are logits on the M-cube; a teacher trained that way also takes all-zero masks as "no hint".
    """

    spec: TeacherSpec

    def encode(self, image: Tensor) -> Tensor:
        """Image [B, 1, S, S, S] -> embedding, whatever the teacher needs to decode any number of targets."""
        ...

    def decode(
        self,
        embedding: Tensor,
        coords: Tensor | None = None,
        labels: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode K targets of each image in one pass.

        Args:
            embedding: what `encode` returned for B images.
            coords: [B, K, N, 3] points in voxels of the S-cube, axis order (x, y, z).
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot (no influence).
            masks: [B, K, M, M, M] mask prompts (logits).

        Returns:
            logits [B, K, M, M, M] and predicted IoU [B, K].

        Raises:
            ValueError: if neither points nor masks are given, or shapes do not fit.
        """
        ...
