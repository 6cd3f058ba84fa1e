"""Does an image look like what a teacher was trained on? Most bad masks are bad intensities."""

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
    sample = np.asarray(array[::_STEP, ::_STEP, ::_STEP], dtype=np.float32)
    lowest, highest = float(np.nanmin(sample)), float(np.nanpercentile(sample, 99.9))
    warnings = []
    if modality == "CT" and lowest > _LEAST_AIR_IN_HU:
        warnings.append(
            f"This does not look like CT in HU: the lowest value is {lowest:g}, where air is about -1000; a CT teacher "
            "needs HU (was PET given, or a normalised image?)."
        )
    if modality == "PET" and lowest < _LOWEST_SUV:
        warnings.append(
            f"This does not look like PET in SUV: it goes down to {lowest:g}, and SUV are not negative (was CT given?)."
        )
    elif modality == "PET" and highest > _HIGHEST_SUV:
        warnings.append(f"This does not look like PET in SUV: values reach {highest:.3g}; convert Bq/ml to SUV first.")
    return warnings
