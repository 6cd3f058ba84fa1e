"""Is there room for what preprocessing still has to write?"""

import math
import shutil
from pathlib import Path

from nnunetv2_muduo.doctor.check import Check, fail, ok, warn

BYTES_PER_IMAGE_VOXEL = 4  # float32, for each channel
BYTES_PER_LABEL_VOXEL = 2  # int16
SAFETY = 1.5  # below the estimate times this a warning is given
GIB = 1024**3


def check_disk(folder: Path, *, needed_in_bytes: int) -> Check:
    """Free space where `folder` lies against an estimate of what is still to be written."""
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free, preprocessing still needs up to {needed_in_bytes / GIB:.1f} GiB"
    remedy = f"free some space, or move nnUNet_preprocessed ({folder}) to a larger disk"
    if free < needed_in_bytes:
        return fail("disk", found, remedy)
    if free < needed_in_bytes * SAFETY:
        return warn("disk", found, remedy)
    return ok("disk", found)


def bytes_to_write(plans: dict, *, configuration: str, cases: int, channels: int) -> int:
    """Size of `cases` preprocessed cases of the median shape, uncompressed; nnU-Net's compression saves some of it."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    shape = PlansManager(plans).get_configuration(configuration).configuration["median_image_size_in_voxels"]
    return int(cases * math.prod(shape) * (channels * BYTES_PER_IMAGE_VOXEL + BYTES_PER_LABEL_VOXEL))
