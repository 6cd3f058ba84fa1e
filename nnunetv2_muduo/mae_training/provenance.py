"""What a checkpoint tells about how its weights were pretrained, for whoever wants to use them."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.cases import CaseSplit
from nnunetv2_muduo.plans_provenance import body_crop_of, provenance_of_plans
from nnunetv2_muduo.pretraining import NOT_PRETRAINED


def describe_pretraining(
    plans: PlansManager,
    configuration: ConfigurationManager,
    *,
    source: str,
    configuration_name: str,
    dataset_json: dict,
    settings: MAESettings,
    cases: CaseSplit,
    orientations: Sequence[str],
) -> dict[str, Any]:
    """Everything that must fit where the weights go, as plain lists, texts and numbers.

    Returns:
        What `Provenance` has, a channel that the network never saw being normalised by `NOT_PRETRAINED`; and patch_size
        (z, y, x) in voxels, the planned architecture, the settings, how many cases there were, and our version.
    """
    told = provenance_of_plans(plans.plans, configuration_name, dataset_json, source=source)
    shown = range(len(told.channel_names)) if settings.channels is None else settings.channels
    schemes = [
        scheme if channel in shown else NOT_PRETRAINED for channel, scheme in enumerate(told.normalization_schemes)
    ]
    described = {
        **told.to_dict(),
        "body_crop": body_crop_of(told.dataset_name),
        "orientations": list(orientations),
        "normalization_schemes": schemes,
        "patch_size": [int(edge) for edge in configuration.patch_size],
        "architecture": configuration.configuration["architecture"],
        "settings": settings.to_dict(),
        "cases": cases.counts(),
        "nnunetv2-muduo": version("nnunetv2-muduo"),
    }
    return json.loads(json.dumps(described))  # fails here, not where it is read, if anything is not plain
