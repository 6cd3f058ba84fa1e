"""What is to be segmented: organs, lesions, or organs with the lesions on top."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.errors import UserError

LESION = "lesion"
# what --target says -> the label maps that a labelled case needs
TARGETS: Mapping[str, tuple[str, ...]] = {
    "organs": ("organs",),
    "lesions": ("lesions",),
    "both": ("organs", "lesions"),
}


def target_labels(target: str, organs: Mapping[str, int] | None) -> dict[str, int]:
    """nnU-Net's labels of the dataset; with both, lesions are the last one.

    Args:
        target: one of `TARGETS`.
        organs: labels of the organ maps with the background, where the target has organs.

    Raises:
        UserError: if an organ has the name of the lesions.
    """
    if target == "lesions":
        return {"background": 0, LESION: 1}
    if organs is None:
        raise ValueError(f"the target {target} needs the organs' labels")
    if target == "organs":
        return dict(organs)
    if LESION in organs:
        raise UserError(f"An organ is called '{LESION}', as the lesions are; rename it with --organ-names.")
    return {**organs, LESION: max(organs.values()) + 1}


def with_lesions_on_top(organs: NDArray, lesions: NDArray, *, value: int) -> NDArray:
    """Organs and lesions in one map; a voxel that is both is lesion, as lesions are small and in organs.

    Args:
        organs: [Z, Y, X] organ labels.
        lesions: [Z, Y, X], not 0 in lesions.
        value: that lesions get, above those of all organs.

    Returns:
        [Z, Y, X], uint8 where the values fit.
    """
    return np.where(lesions != 0, value, organs).astype(np.uint8 if value < 256 else np.uint16)
