"""Does an image look like CT in HU, or PET in SUV? Most bad masks are bad intensities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST_SUV = -50.0
HIGHEST_SUV = 1000.0  # a bladder may reach a hundred; activity concentrations (Bq/ml) reach tens of thousands
# FDG in brain, liver, heart or bladder and PSMA ligands in kidneys, glands, liver or bladder exceed it in every patient
LEAST_PEAK_IN_SUV = 1.5
HIGHEST_BYTE = 255.0
_LEAST_AIR_IN_HU = -200.0  # every CT shows air or lung
# Reconstructions that allow negative values scatter by some hundredths around 0 in air; of a z-scored image, all the
# air, which is most of it, lies some tenths below 0.
_CLEARLY_NEGATIVE_IN_SUV = -0.1
_MOST_CLEARLY_NEGATIVE = 0.1  # share of voxels
_STEP = 4  # every fourth voxel along each axis is looked at


@dataclass(frozen=True)
class Intensities:
    """What was seen of an image's raw values.

    Attributes:
        lowest: value.
        hardly_exceeded: by 0.1 % of the voxels; a stray hot voxel does not move it.
        highest: value of all voxels, of which the others may be a sample.
        negative_share: of voxels, 0 to 1, that are more negative than noise is in SUV (`share_of_negative`).
        are_whole_numbers: all of them.
        of_all_slices: False where a part of the image was seen, which need not show the hottest voxels.
    """

    lowest: float
    hardly_exceeded: float
    highest: float
    negative_share: float
    are_whole_numbers: bool
    of_all_slices: bool


def intensity_warnings(array: NDArray, *, modality: str) -> list[str]:
    """What looks wrong about raw intensities; one sentence each, empty where all is well.

    Args:
        array: [Z, Y, X], of a whole scan.
        modality: "CT" (HU expected) or "PET" (SUV expected).
    """
    sample = _sample(array)
    seen = intensities_of(sample, highest=float(np.nanmax(array)), of_all_slices=True)
    return warnings_about(seen, modality=modality)


def intensities_of(sample: NDArray[np.float32], *, highest: float, of_all_slices: bool) -> Intensities:
    """What a sample of voxels tells; see `Intensities` for the others. Voxels that are NaN tell nothing."""
    return Intensities(
        lowest=float(np.nanmin(sample)),
        hardly_exceeded=float(np.nanpercentile(sample, 99.9)),
        highest=highest,
        negative_share=share_of_negative(sample),
        are_whole_numbers=has_only_whole_numbers(sample),
        of_all_slices=of_all_slices,
    )


def share_of_negative(sample: NDArray) -> float:
    """Share of voxels that are more negative than noise is in SUV."""
    return float(np.mean(sample < _CLEARLY_NEGATIVE_IN_SUV))


def has_only_whole_numbers(sample: NDArray) -> bool:
    """Whether no voxel has a fraction, which nearly all SUV have."""
    return bool(np.all((sample == np.rint(sample)) | np.isnan(sample)))


def warnings_about(seen: Intensities, *, modality: str) -> list[str]:
    """As `intensity_warnings`, from what was seen; rules about the hottest voxels need all slices."""
    if modality == "CT":
        problem = _problem_of_ct(seen)
        return [] if problem is None else [f"This does not look like CT in HU: {problem}."]
    problem = _problem_of_pet(seen)
    return [] if problem is None else [f"This does not look like PET in SUV: {problem}."]


def looks_like_activity(array: NDArray) -> bool:
    """Whether a PET [Z, Y, X] reaches values that Bq/ml reach and SUV do not."""
    return float(np.nanpercentile(_sample(array), 99.9)) > HIGHEST_SUV


def _problem_of_ct(seen: Intensities) -> str | None:
    if seen.lowest > _LEAST_AIR_IN_HU:
        return (
            f"the lowest value is {seen.lowest:g}, where air is about -1000; give HU "
            "(was PET given, or a normalised image?)"
        )
    return None


def _problem_of_pet(seen: Intensities) -> str | None:
    if seen.lowest < LOWEST_SUV:
        return f"it goes down to {seen.lowest:g}, and SUV are not negative (was CT given?)"
    if seen.hardly_exceeded > HIGHEST_SUV:
        return (
            f"values reach {seen.hardly_exceeded:.3g}; convert Bq/ml to SUV first (`muduo harmonise --suv-from` does)"
        )
    if seen.negative_share > _MOST_CLEARLY_NEGATIVE:
        return (
            f"{seen.negative_share:.0%} of the voxels are below {_CLEARLY_NEGATIVE_IN_SUV:g}, and SUV are not "
            "negative; give the image before its normalisation (z-score)"
        )
    if not seen.of_all_slices:
        return None
    if seen.are_whole_numbers and seen.highest == HIGHEST_BYTE:
        return "all values are whole numbers up to 255; give the image before it was scaled to bytes"
    if seen.are_whole_numbers and seen.highest == 1:
        return "all values are 0 or 1; give the image, not a mask"
    if seen.highest < LEAST_PEAK_IN_SUV:
        return (
            f"the highest value is {seen.highest:.3g}, and some organ of every patient exceeds {LEAST_PEAK_IN_SUV:g}; "
            "give the image before it was scaled"
        )
    return None


def _sample(array: NDArray) -> NDArray[np.float32]:
    return np.asarray(array[::_STEP, ::_STEP, ::_STEP], dtype=np.float32)
