"""How plans prepare images, told alike where weights are pretrained and where they are brought in."""

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.cases.channels import channel_names, modality_of_channel
from nnunetv2_muduo.datasets.scan_header import chosen_reader
from nnunetv2_muduo.datasets.stored_orientations import stored_orientations
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.record import is_body_cropped
from nnunetv2_muduo.pretraining.provenance import Provenance
from nnunetv2_muduo.settings import Settings

_FOREGROUND = ("mean", "std", "percentile_00_5", "percentile_99_5")  # nnU-Net's names, in the order of the provenance


def provenance_of_plans(plans: Mapping, configuration: str, dataset_json: Mapping, *, source: str) -> Provenance:
    """How images are prepared by plans that have this configuration; channels of CT and PET are called CT and PET.

    Raises:
        UserError: if the plans normalise another number of channels than the dataset has.
    """
    resolved = PlansManager(deepcopy(dict(plans))).get_configuration(configuration)
    settings = Settings.from_plans(plans)
    set_by_hand = {settings.ct_channel: "CT", settings.pet_channel: "PET"}
    names = [
        set_by_hand.get(channel) or plain_channel_name(name) for channel, name in enumerate(channel_names(dataset_json))
    ]
    if len(resolved.normalization_schemes) != len(names):
        raise UserError(
            f"The plans {plans.get('plans_name', '')} normalise {len(resolved.normalization_schemes)} channel(s), but "
            f"the dataset has {len(names)} ({', '.join(names)}); plan it again."
        )
    return Provenance(
        spacing=tuple(float(edge) for edge in resolved.spacing),
        normalization_schemes=tuple(resolved.normalization_schemes),
        channel_names=tuple(names),
        source=source,
        plans_name=str(plans.get("plans_name", "")),
        dataset_name=str(plans.get("dataset_name", "")),
        configuration=configuration,
        transpose_forward=tuple(int(axis) for axis in plans.get("transpose_forward", Provenance.transpose_forward)),
        use_mask_for_norm=tuple(bool(used) for used in resolved.use_mask_for_norm),
        foreground=_foreground(plans, channels=len(names)),
    )


def body_crop_of(dataset_name: str) -> bool | None:
    """Whether `muduo harmonise` cropped a dataset of nnUNet_raw to the body; None where nothing tells."""
    raw = os.environ.get("nnUNet_raw")
    return is_body_cropped(Path(raw) / dataset_name) if raw else None


def orientations_of(dataset_name: str, plans: Mapping, dataset_json: Mapping) -> tuple[str, ...]:
    """In which ways scans of a dataset of nnUNet_raw lie that the plans' reader delivers; () where nothing tells."""
    raw, ending = os.environ.get("nnUNet_raw"), dataset_json.get("file_ending")
    if not raw or not ending:
        return ()
    reader = chosen_reader(dataset_json, plans)
    return tuple(sorted(set(stored_orientations(Path(raw) / dataset_name, ending, reader=reader).values())))


def _foreground(plans: Mapping, *, channels: int) -> tuple[tuple[float, ...], ...]:
    """As `Provenance.foreground`; () where the plans do not say it of every channel."""
    told = plans.get("foreground_intensity_properties_per_channel") or {}
    try:
        return tuple(tuple(float(told[str(channel)][key]) for key in _FOREGROUND) for channel in range(channels))
    except (KeyError, TypeError, ValueError):
        return ()


def plain_channel_name(name: str) -> str:
    """CT or PET where a name says so, else the name itself."""
    return modality_of_channel(name) or name
