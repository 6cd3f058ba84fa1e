"""What a teacher cache tells without any teacher being loaded: where it lies, how large it is, how much of it fits."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.cases.freshness import SOURCE_KEY, body_axis, read_properties
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teacher_cache.case import CachedCase, is_cached

# those that what is stored depends on
CACHE_SETTINGS = ("grid", "ct_prompt", "mask_prompt", "point_mask", "points", "point_strategy", "cache_tiles")
FIRST = "as the teacher sees the scan"  # order of the points of the strategy "first"; before, as the scan was stored


@dataclass(frozen=True)
class CacheState:
    """The cache of one training.

    Attributes:
        folder: holds a folder for each case.
        fitting: cases whose scan, settings and patch size are today's; whether the weights are, only the trainer knows.
        cases: so many lie there.
        size_in_bytes: of the whole folder.
    """

    folder: Path
    fitting: int
    cases: int
    size_in_bytes: int


def caches_of(scans_folder: Path) -> Path:
    """Where the caches of all trainings lie that use these preprocessed scans: TRAINER__PLANS__CONFIGURATION/fold_X."""
    return scans_folder.with_name(f"{scans_folder.name}_teacher_cache")


def made_from(settings: Settings, patch_size: Sequence[int], source: object) -> dict:
    """What a case is made from, but for the weights of the networks; plain values as JSON has them.

    Args:
        settings: of the training.
        patch_size: (Z, Y, X) in voxels.
        source: of `source_of`.
    """
    keys = [*CACHE_SETTINGS, "ct_teacher", "pet_teacher"]
    keys += ["seed"] if settings.point_strategy == "random" else []
    if settings.point_strategy == "first":
        source = [source, FIRST]
    told = {"settings": {key: getattr(settings, key) for key in keys}, "patch": list(map(int, patch_size))}
    return json.loads(json.dumps(told | {"source": source}))


def source_of(scans_folder: Path, case: str) -> object:
    """What a preprocessed scan was made from (see `source_stamp`), and the axis of its body where that is not z.

    Raises:
        OSError: where it is not preprocessed.
        UserError: where the file that tells of it is damaged.
    """
    properties = read_properties(scans_folder, case)
    source, axis = properties[SOURCE_KEY], body_axis(properties)
    return [source, axis] if axis else source


def state_of(
    folder: Path, cases: Iterable[str], *, scans_folder: Path, settings: Settings, patch_size: Sequence[int]
) -> CacheState:
    """Look at the cache of one training.

    Args:
        folder: of the cache.
        cases: names of the scans there are today.
        scans_folder: holds them preprocessed.
        settings, patch_size: of today's plans.
    """
    fitting = 0
    for case in cases:
        try:
            cached = CachedCase(folder / case)
            wanted = made_from(settings, patch_size, source_of(scans_folder, case))
        except (OSError, UserError, KeyError):
            continue
        fitting += is_cached(folder / case, cached.fingerprint) and cached.made_from == wanted
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return CacheState(folder, fitting, sum(path.is_dir() for path in folder.iterdir()), sum(sizes))
