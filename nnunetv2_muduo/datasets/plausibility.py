"""Does an image look like CT in HU, or PET in SUV? Most bad masks are bad intensities."""

import numpy as np
from numpy.typing import NDArray

_LEAST_AIR_IN_HU = -200.0  # every CT shows air or lung
_LOWEST_SUV = -50.0
_HIGHEST_SUV = 1000.0  # a bladder may reach a hundred; activity concentrations (Bq/ml) reach tens of thousands
_STEP = 4  # every fourth voxel along each axis is looked at


def intensity_warnings(array: NDArray, *, modality: str) -> list[str]:
    """What looks wrong about raw intensities; one sentence each, empty where all is well.

    Args:
        array: [Z, Y, X].
        modality: "CT" (HU expected) or "PET" (SUV expected).
    """
    return range_warnings(*_range(array), modality=modality)


def range_warnings(lowest: float, highest: float, *, modality: str) -> list[str]:
    """As `intensity_warnings`, from the lowest value and one that hardly any voxel exceeds."""
    warnings = []
    if modality == "CT" and lowest > _LEAST_AIR_IN_HU:
        warnings.append(
            f"This does not look like CT in HU: the lowest value is {lowest:g}, where air is about -1000; give HU "
            "(was PET given, or a normalised image?)."
        )
    if modality == "PET" and lowest < _LOWEST_SUV:
        warnings.append(
            f"This does not look like PET in SUV: it goes down to {lowest:g}, and SUV are not negative (was CT given?)."
        )
    elif modality == "PET" and highest > _HIGHEST_SUV:
        warnings.append(f"This does not look like PET in SUV: values reach {highest:.3g}; convert Bq/ml to SUV first.")
    return warnings


def looks_like_activity(array: NDArray) -> bool:
    """Whether a PET [Z, Y, X] reaches values that Bq/ml reach and SUV do not."""
    return _range(array)[1] > _HIGHEST_SUV


def _range(array: NDArray) -> tuple[float, float]:
    """The lowest value and one that hardly any voxel exceeds, which a stray hot voxel does not move."""
    sample = np.asarray(array[::_STEP, ::_STEP, ::_STEP], dtype=np.float32)
    return float(np.nanmin(sample)), float(np.nanpercentile(sample, 99.9))
