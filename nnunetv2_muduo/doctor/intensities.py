"""Are the labelled scans in HU and SUV, as far as nnU-Net's fingerprint of the dataset tells?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunetv2_muduo.datasets.plausibility import HIGHEST_BYTE, HIGHEST_SUV, LEAST_PEAK_IN_SUV, LOWEST_SUV
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.json_files import is_number, table_or_nothing
from nnunetv2_muduo.presets import planning_command
from nnunetv2_muduo.settings import Settings

FINGERPRINT = "dataset_fingerprint.json"
_PROPERTIES = "foreground_intensity_properties_per_channel"
# The noise of CT alone, some 10 HU, spreads the thousands of voxels that nnU-Net samples a case wider than this.
_LEAST_SPREAD_IN_HU = 20.0
# Where half of the foreground is fluid or fat, noise takes some of it below -1.
_LEAST_MEDIAN_IN_HU, _LOWEST_OF_PET = 20.0, -1.0
_HIGHEST_MEDIAN_IN_HU = 800.0  # only teeth and metal exceed it; all tissue does where 1024 was added


def check_intensities(
    preprocessed: Path, dataset_json: Mapping, settings: Settings, *, plans_identifier: str
) -> list[Check]:
    """Whether the numbers of the foreground contradict HU or SUV; no check where there is no fingerprint of it.

    Args:
        preprocessed: the dataset's folder in nnUNet_preprocessed.
        dataset_json: tells, with the settings, which channel is CT and which PET.
        settings: of the plans.
        plans_identifier: name of the plans, such as nnUNetPlans.

    Raises:
        UserError: if the channels cannot be told.
    """
    from nnunetv2_muduo.cases.channels import find_channels

    told = table_or_nothing(preprocessed / FINGERPRINT).get(_PROPERTIES)
    channels = zip(("CT", "PET"), find_channels(dataset_json, settings), strict=True)
    numbers = {modality: _numbers(told, channel) for modality, channel in channels}
    if not all(numbers.values()):
        return []
    problems = {
        "CT in HU": foreground_problem_of_ct(numbers["CT"]),
        "PET in SUV": foreground_problem_of_pet(numbers["PET"]),
    }
    wrong = [f"no {what}: {problem}" for what, problem in problems.items() if problem is not None]
    if not wrong:
        return [ok("intensities", "the labelled foreground looks like CT in HU and PET in SUV")]
    number = int(preprocessed.name[7:10])
    remedy = (
        "give HU and SUV by body weight, which the teachers were trained on (`muduo harmonise` converts Bq/ml), then: "
        f"{planning_command(number, plans_identifier)}; `muduo doctor -d {number} --cases` says which cases do not"
    )
    return [warn("intensities", f"the labelled foreground looks like {' and '.join(wrong)}", remedy)]


def foreground_problem_of_pet(numbers: Mapping[str, float]) -> str | None:
    """What about the voxels of organs or lesions contradicts SUV, by nnU-Net's numbers; None where nothing does."""
    if numbers["min"] < LOWEST_SUV:
        return f"it goes down to {numbers['min']:g} (is it CT?)"
    if numbers["percentile_99_5"] > HIGHEST_SUV:
        return f"values reach {numbers['percentile_99_5']:.3g} (Bq/ml?)"
    if numbers["median"] < 0:
        return f"its median is {numbers['median']:.2g} (z-scored?)"
    if numbers["max"] == HIGHEST_BYTE:
        return f"it ends at {HIGHEST_BYTE:g} (scaled to bytes?)"
    if numbers["max"] < LEAST_PEAK_IN_SUV:
        return f"it ends at {numbers['max']:.2g} (scaled?)"
    return None


def foreground_problem_of_ct(numbers: Mapping[str, float]) -> str | None:
    """As `foreground_problem_of_pet`, of HU: rules that no organ, lesion, contrast agent or window of noise breaks."""
    if numbers["max"] - numbers["min"] < _LEAST_SPREAD_IN_HU:
        return f"all of it is between {numbers['min']:.3g} and {numbers['max']:.3g} (normalised?)"
    if numbers["min"] >= _LOWEST_OF_PET and numbers["median"] < _LEAST_MEDIAN_IN_HU:
        return f"it begins at {numbers['min']:.2g} and its median is {numbers['median']:.2g} (is it PET?)"
    if numbers["min"] >= 0 and numbers["max"] == HIGHEST_BYTE:
        return f"it ends at {HIGHEST_BYTE:g} (scaled to bytes?)"
    if numbers["min"] >= 0 and numbers["median"] > _HIGHEST_MEDIAN_IN_HU:
        return f"its median is {numbers['median']:.4g} (1024 above HU?)"
    return None


def _numbers(told: Any, channel: int) -> dict[str, float]:
    """nnU-Net's numbers of one channel's foreground; nothing where one that is needed is missing."""
    of_channel = told.get(str(channel)) if isinstance(told, Mapping) else None
    if not isinstance(of_channel, Mapping):
        return {}
    needed = ("min", "median", "max", "percentile_99_5")
    numbers = {key: float(of_channel[key]) for key in needed if is_number(of_channel.get(key))}
    return numbers if len(numbers) == len(needed) else {}
