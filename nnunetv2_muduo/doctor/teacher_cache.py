"""Where is the teacher cache, how large is it, and how much of it will be used?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_muduo.datasets.scan_header import chosen_reader
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.doctor.unlabelled import sorted_scans
from nnunetv2_muduo.settings import Settings

if TYPE_CHECKING:
    from nnunetv2_muduo.teacher_cache.state import CacheState

NAME = "teacher cache"
GIB = 1024**3


def check_teacher_cache(
    raw_folder: Path,
    preprocessed_folder: Path,
    *,
    plans: dict,
    configuration: str,
    dataset_json: dict,
    plans_identifier: str,
) -> list[Check]:
    """A check for each training's cache; one that says so where there is none.

    Args:
        raw_folder: the dataset's, in nnUNet_raw.
        preprocessed_folder: its folder in nnUNet_preprocessed.
        plans, configuration: which preprocessed scans and which settings count.
        dataset_json: the content of its dataset.json.
        plans_identifier: such as nnUNetPlans; caches of trainings with others are left aside.
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunetv2_muduo.cases.unlabelled import unlabelled_folder
    from nnunetv2_muduo.teacher_cache.state import caches_of, state_of

    settings = Settings.from_plans(plans)
    scans_folder = unlabelled_folder(plans, configuration, preprocessed_folder)
    caches = sorted(caches_of(scans_folder).glob(f"*__{plans_identifier}__{configuration}/fold_*"))
    if not settings.teacher_cache:
        return [judge_unused(caches)]
    reader = chosen_reader(dataset_json, plans)
    scans = sorted(sorted_scans(raw_folder, preprocessed_folder, dataset_json, reader=reader)[0])
    patch_size = PlansManager(plans).get_configuration(configuration).patch_size
    states = [
        state_of(cache, scans, scans_folder=scans_folder, settings=settings, patch_size=patch_size) for cache in caches
    ]
    return [judge_cache(state, total=len(scans)) for state in states] or [
        ok(NAME, f"nothing computed yet; the trainer will, into {caches_of(scans_folder)}")
    ]


def judge_unused(caches: Sequence[Path]) -> Check:
    """Of the setting teacher_cache=false: whether caches of earlier trainings take up room."""
    size = sum(file.stat().st_size for cache in caches for file in cache.rglob("*") if file.is_file())
    if not caches:
        return ok(NAME, "switched off (setting teacher_cache)")
    found = f"switched off, but {size / GIB:.2f} GiB of earlier trainings lie in {caches[0].parents[1]}"
    return warn(NAME, found, "delete that folder, unless you will switch the cache on again")


def judge_cache(state: "CacheState", *, total: int) -> Check:
    """Of one training: how many of all `total` scans it need not compute again, as far as can be told."""
    training = f"{state.folder.parent.name}/{state.folder.name}"
    found = f"{training}: {state.fitting} of {total} scans up to date, {state.size_in_bytes / GIB:.2f} GiB"
    if state.fitting < total:
        return warn(NAME, f"{found} in {state.folder}", "start the training: it computes the others first")
    return ok(NAME, f"{found} in {state.folder} (if the weights are the same)")
