"""Values far below air in a CT, with which scanners fill what they did not see."""

import numpy as np
import SimpleITK as sitk

AIR_IN_HU = -1024.0  # the lowest value of most scanners
_FAR_BELOW_IN_HU = -1100.0  # noise and sharp kernels go a little below air


def told_of_filling(lowest: float) -> str:
    """What to tell of a CT with this lowest value in HU that is left as it is; "" where it is air or above."""
    if lowest >= _FAR_BELOW_IN_HU:
        return ""
    return (
        f"The CT goes down to {lowest:g} HU, far below air, as what a scanner did not see: it spoils z-scores, as "
        "pretraining takes them, and not nnU-Net's CTNormalization, which clips; `muduo harmonise` raises it to air."
    )


def with_air_for_filling(ct: sitk.Image) -> tuple[sitk.Image, str | None]:
    """A CT whose lowest value is air, and a sentence about what was changed; the given object where nothing is.

    Outside of a scanner's circle are -2000 or -3024 HU in some scans, which spoil a z-score over the whole image as
    nothing that a scan shows does.

    Args:
        ct: HU.

    Returns:
        The CT with all values below -1024 HU raised to it, of the same type, and the sentence; or the CT and None where
        no value is below -1100 HU.
    """
    values = sitk.GetArrayViewFromImage(ct)
    lowest = float(values.min())
    if lowest >= _FAR_BELOW_IN_HU:
        return ct, None
    share = float(np.mean(values < _FAR_BELOW_IN_HU))
    raised = sitk.Clamp(ct, lowerBound=AIR_IN_HU, upperBound=float(values.max()))
    return raised, (
        f"{share:.1%} of the CT lie far below air, down to {lowest:g} HU, as what a scanner did not see: "
        f"raised to {AIR_IN_HU:g} HU."
    )
