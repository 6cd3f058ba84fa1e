"""How each architecture is trained unless told otherwise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.crops import CropSettings
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.protocol import TeacherSpec
from nnunetv2_muduo.teachers.training_settings import TrainingSettings

PUBLISHED_EPOCHS = 200


@dataclass(frozen=True)
class Recipe:
    """Defaults of an architecture.

    Attributes:
        training: settings of `TrainingSettings` that differ from the published scheme's own.
        spacing_range: of the cubes, in units of the teacher's working spacing.
        largest_anisotropy: see `CropSettings`.
        flips: mirror cubes at random; a teacher that knows one orientation must not be.
    """

    training: Mapping[str, Any]
    spacing_range: tuple[float, float]
    largest_anisotropy: float
    flips: bool


RECIPES: Mapping[str, Recipe] = {
    # SegAnyPET, arXiv 2502.14351: AdamW, 8e-4 and a tenth of it, x 0.1 at 120 and 180 of 200 epochs, always 1.5 mm
    "Sam3D": Recipe(
        {"learning_rate": 8e-4, "decoder_rate_share": 0.1, "schedule": "steps"},
        spacing_range=(1.0, 1.0),
        largest_anisotropy=1.0,
        flips=True,
    ),
    # as the stand-ins were trained: at many scales, in one orientation
    "ClickUNet": Recipe(
        {"learning_rate": 1e-3, "decoder_rate_share": 1.0, "schedule": "cosine"},
        spacing_range=(0.6875, 1.25),
        largest_anisotropy=1.3,
        flips=False,
    ),
}


def training_settings(architecture: str, *, cases: int, given: Mapping[str, Any]) -> TrainingSettings:
    """The architecture's recipe with the values given; as many steps as `PUBLISHED_EPOCHS` epochs unless told.

    Raises:
        UserError: naming a value that is out of range.
    """
    numbers = {"scheme": "published", **RECIPES[architecture].training, **given}
    batch = numbers.get("crops_per_step", 2) * max(1, numbers.get("accumulate", 1))
    steps = numbers.setdefault("steps", PUBLISHED_EPOCHS * max(1, math.ceil(cases / max(1, batch))))
    numbers.setdefault("validate_every", max(1, min(500, steps // 10)))
    numbers.setdefault("save_every", 100)
    if numbers["scheme"] == "mixed":
        numbers.setdefault("cpcl", "off")
    try:
        return TrainingSettings(**numbers)
    except ValueError as error:
        raise UserError(f"{error}.") from error


def crop_settings(
    architecture: str,
    spec: TeacherSpec,
    *,
    modality: str,
    spacing_range_in_mm: tuple[float, float] | None = None,
    flips: bool | None = None,
    min_voxels: int | None = None,
) -> CropSettings:
    """How cubes are drawn for a teacher of this architecture; what is None is as in its recipe.

    Raises:
        UserError: for a range of spacings that is none.
    """
    recipe = RECIPES[architecture]
    low, high = spacing_range_in_mm or tuple(share * spec.spacing_in_mm for share in recipe.spacing_range)
    if not 0 < low <= high:
        raise UserError(f"The spacing range {low:g} to {high:g} mm is none; give the smaller one first.")
    return CropSettings(
        size=spec.cube_size,
        spacing_range_in_mm=(low, high),
        largest_anisotropy=recipe.largest_anisotropy,
        flips=recipe.flips if flips is None else flips,
        clamp=CLAMP[modality],
        **({} if min_voxels is None else {"min_voxels": min_voxels}),
    )
