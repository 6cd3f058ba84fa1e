"""Which settings mean nothing to a trainer; one plans file serves all, so they are told, not refused."""

from collections.abc import Iterable, Mapping
from typing import Any

from nnunetv2_muduo.settings import Settings

OF_AN_AVERAGE = ("predict_with",)  # `ema_decay` says how to average, not whether
OF_ONE_GENERALIST = ("generalist", "generalist_prompt")
OF_TWO_TEACHERS = (
    "ct_prompt",
    "keep_fraction",
    "min_iou",
    "fusion",
    "prompts_label",
    "student_share",
    "student_prompt_share",
    "spatial_augmentation",
    "prompt_epochs",
    "teacher_cache",
    "cache_tiles",
)
OF_ANY_TEACHER = (
    "ct_teacher",
    "pet_teacher",
    "grid",
    "mask_prompt",
    "point_mask",
    "points",
    "point_strategy",
    "min_prompt_iou",
    "reliability",
    "report_every",
    "report_patches",
    *OF_ONE_GENERALIST,
    *OF_TWO_TEACHERS,
)


def set_in_vain(plans: Mapping[str, Any], ignored: Iterable[str]) -> tuple[str, ...]:
    """Those of the ignored settings that the plans set to something else than the default."""
    given, usual = plans.get("muduo", {}), Settings()
    return tuple(key for key in ignored if key in given and given[key] != getattr(usual, key))
