"""What a checkpoint tells about how its weights were pretrained, for whoever wants to use them."""

import json
from importlib.metadata import version
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.cases import CaseSplit
from nnunetv2_muduo.semisupervised.channels import channel_names


def describe_pretraining(
    plans: PlansManager,
    configuration: ConfigurationManager,
    *,
    source: str,
    configuration_name: str,
    dataset_json: dict,
    settings: MAESettings,
    cases: CaseSplit,
) -> dict[str, Any]:
    """Everything that must fit where the weights go, as plain lists, texts and numbers.

    Returns:
        spacing (mm) and patch_size (voxels) in the order (z, y, x) of nnU-Net's arrays; normalization_schemes and
        use_mask_for_norm one for each of channel_names, which are in the order of the input channels; where it comes
        from (source: the trainer, dataset_name, plans_name, configuration); the architecture; the settings; how many
        cases there were.
    """
    described = {
        "source": source,
        "dataset_name": plans.dataset_name,
        "plans_name": plans.plans_name,
        "configuration": configuration_name,
        "spacing": [float(edge) for edge in configuration.spacing],
        "patch_size": [int(edge) for edge in configuration.patch_size],
        "transpose_forward": [int(axis) for axis in plans.transpose_forward],
        "channel_names": list(channel_names(dataset_json)),
        "normalization_schemes": list(configuration.normalization_schemes),
        "use_mask_for_norm": list(configuration.use_mask_for_norm),
        "architecture": configuration.configuration["architecture"],
        "settings": settings.to_dict(),
        "cases": cases.counts(),
        "nnunetv2-muduo": version("nnunetv2-muduo"),
    }
    return json.loads(json.dumps(described))  # fails here, not where it is read, if anything is not plain
