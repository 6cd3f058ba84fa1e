"""How much of a person a scan shows: protocols differ in where along the body they begin and end."""

from typing import Literal, TypeAlias

import numpy as np

from nnunetv2_muduo.datasets.fields import Grid
from nnunetv2_muduo.datasets.tissues import Tissue

Protocol: TypeAlias = Literal["whole", "eyes to thighs", "chest and belly"]
PROTOCOLS: tuple[Protocol, ...] = ("whole", "eyes to thighs", "chest and belly")
SHARES = (0.35, 0.40, 0.25)
_LEAST_IN_MM = 250.0  # no scan is cut shorter


def draw_field_of_view(
    tissues: np.ndarray, *, spacing_in_mm: tuple[float, float, float], rng: np.random.Generator
) -> slice:
    """The axial slices that a scan of this person shows, of a protocol drawn at random.

    "whole" (35 %) shows everything there is; "eyes to thighs" (40 %), the usual protocol of oncology, ends up to 50 mm
    above or below the brain's middle; "chest and belly" (25 %) begins within 60 mm of the lower pole of liver, spleen
    and kidneys and ends within 60 mm of the top of the lungs, so that brain, bladder and prostate are missing.
    A person without the organs that a protocol goes by is shown as a whole.

    tissues: tissue map, uint8 [Z,Y,X], z towards the head; spacing_in_mm: (z, y, x).
    """
    protocol = PROTOCOLS[int(rng.choice(len(PROTOCOLS), p=SHARES))]
    below, above = (float(value) for value in rng.uniform(-1, 1, 2))
    z, _, _ = Grid.of_shape(tissues.shape, spacing_in_mm).axes_in_mm()
    brain = _range_in_mm(tissues, (Tissue.BRAIN,), z)
    lungs = _range_in_mm(tissues, (Tissue.LUNG,), z)
    belly = _range_in_mm(tissues, (Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY), z)
    first, last = float(z[0]), float(z[-1])
    if protocol == "eyes to thighs" and brain is not None:
        last = sum(brain) / 2 + 50 * above
    elif protocol == "chest and belly" and lungs is not None and belly is not None:
        first, last = belly[0] + 60 * below, lungs[1] + 60 * above
    inside = np.flatnonzero((z >= first) & (z <= last))
    if len(inside) * spacing_in_mm[0] < _LEAST_IN_MM:
        return slice(0, len(z))
    return slice(int(inside[0]), int(inside[-1]) + 1)


def outside_circle(
    shape: tuple[int, int, int], *, spacing_in_mm: tuple[float, float, float], diameter_in_mm: float
) -> np.ndarray:
    """Which columns [Y,X] lie outside a circle in the middle of the image, bool: a CT sees 500 mm, a PET 700 mm."""
    _, y, x = Grid.of_shape(shape, spacing_in_mm).axes_in_mm()
    height, width = (n * s for n, s in zip(shape[1:], spacing_in_mm[1:], strict=True))
    return (y - height / 2)[:, None] ** 2 + (x - width / 2)[None, :] ** 2 > (diameter_in_mm / 2) ** 2


def _range_in_mm(tissues: np.ndarray, members: tuple[Tissue, ...], z: np.ndarray) -> tuple[float, float] | None:
    """Lowest and highest slice that holds any of these tissues, in mm; None where none does."""
    slices = np.flatnonzero(np.isin(tissues, members).any(axis=(1, 2)))
    return (float(z[slices[0]]), float(z[slices[-1]])) if slices.size else None
