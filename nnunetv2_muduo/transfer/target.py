"""The network that weights are brought in for: as a trainer builds it from a dataset's plans, by names and shapes."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from io import StringIO

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor

from nnunetv2_muduo.cases.channels import find_channels
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_training.trainer import MAETrainer
from nnunetv2_muduo.nnunet_files import read_dataset_json
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder, read_plans
from nnunetv2_muduo.plain_configuration import check_preparation, naming_bad_plans
from nnunetv2_muduo.plans_provenance import body_crop_of, orientations_of, provenance_of_plans
from nnunetv2_muduo.pretraining.imported_weights import HEAD, input_tensors
from nnunetv2_muduo.pretraining.provenance import Provenance
from nnunetv2_muduo.semisupervised.prompt_trainer import PromptGeneratorTrainer
from nnunetv2_muduo.settings import Settings


@dataclass(frozen=True)
class Target:
    """A network to be trained.

    Attributes:
        trainer: name of its trainer.
        provenance: how its images are prepared, and its channels in their order; channels that are CT or PET are
            called so.
        network: name -> tensor on the meta device (a shape), the head aside.
        input_names: those of `network` that look at the input channels.
        prompt_channel: of a prompt generator, the dataset's channel that it looks at; else None.
        fold: a fold that the trainer knows.
    """

    trainer: str
    provenance: Provenance
    network: Mapping[str, Tensor]
    input_names: tuple[str, ...]
    prompt_channel: int | None = None
    fold: str = "0"

    def as_trainer_names_it(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors under the names that the trainer's network has, with what it holds besides."""
        if self.prompt_channel is None:
            return dict(weights)
        inner = {f"network.{name}": tensor for name, tensor in weights.items()}  # a SingleChannelNetwork
        return {**inner, "channel": torch.tensor([self.prompt_channel])}


def find_target(
    dataset: str | int,
    *,
    configuration: str = "3d_fullres",
    plans_name: str = "nnUNetPlans",
    trainer: str = "nnUNetTrainer",
) -> Target:
    """The network that a trainer would build for a planned dataset.

    Args:
        dataset: name, such as Dataset221_AutoPET, or number.
        configuration: of the plans.
        plans_name: a file in the dataset's folder of nnUNet_preprocessed.
        trainer: class name; one of ours, or one that nnU-Net finds.

    Raises:
        UserError: if the dataset, plans, configuration or trainer are not there.
    """
    name = find_dataset(str(dataset))
    folder = nnunet_folder("nnUNet_preprocessed") / name
    plans, dataset_json = (
        read_plans(folder, plans_name),
        read_dataset_json(folder / "dataset.json", needs=("labels", "channel_names")),
    )
    check_preparation(plans, configuration)
    provenance = replace(
        provenance_of_plans(plans, configuration, dataset_json, source=trainer),
        body_crop=body_crop_of(name),
        orientations=orientations_of(name, plans, dataset_json),
    )
    found = find_trainer(trainer)
    if issubclass(found, PromptGeneratorTrainer):
        with naming_bad_plans(plans, configuration):
            return _prompt_target(provenance, plans, dataset_json)
    with naming_bad_plans(plans, configuration):
        network, input_names = _network(found, plans, configuration, dataset_json)
    fold = "all" if issubclass(found, MAETrainer) else "0"
    return Target(trainer, provenance, network, input_names, fold=fold)


def find_trainer(name: str) -> type[nnUNetTrainer]:
    """A trainer class by its name: one of ours, wherever nnUNet_extTrainer points, or one that nnU-Net finds.

    Raises:
        UserError: if there is none.
    """
    module = f"nnunetv2_muduo.trainers.{name}"
    if name.isidentifier() and find_spec(module):
        return getattr(import_module(module), name)
    try:
        with redirect_stdout(StringIO()):  # nnU-Net tells about its search at length
            return recursive_find_trainer_class_by_name(name)
    except RuntimeError as error:
        raise UserError(f"There is no trainer {name}, neither here nor where nnU-Net looks; check its name.") from error


def _network(
    trainer: type[nnUNetTrainer],
    plans: Mapping,
    configuration: str,
    dataset_json: Mapping,
    *,
    channels: int | None = None,
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """State of the network without its head, and which of its tensors look at the input channels; shapes only."""
    manager = PlansManager(deepcopy(dict(plans)))
    resolved = manager.get_configuration(configuration)
    if resolved.previous_stage_name is not None:
        raise UserError(
            f"'{configuration}' follows '{resolved.previous_stage_name}' in a cascade and has input channels that were "
            "never pretrained; bring the weights in for 3d_fullres or 3d_lowres."
        )
    heads = manager.get_label_manager(dict(dataset_json)).num_segmentation_heads
    inputs = channels or determine_num_input_channels(manager, resolved, dict(dataset_json))
    with torch.device("meta"):  # shapes only: no memory, no initialisation
        plain, wider = (
            trainer.build_network_architecture(
                manager, resolved, number, heads, enable_deep_supervision=True
            ).state_dict()
            for number in (inputs, inputs + 1)
        )
    body = {name: tensor for name, tensor in plain.items() if HEAD not in name}
    return body, tuple(input_tensors(body, wider))


def _prompt_target(provenance: Provenance, plans: Mapping, dataset_json: Mapping) -> Target:
    """The prompt generator: the planned network on the PET channel alone."""
    _, pet = find_channels(dataset_json, Settings.from_plans(plans))
    network, input_names = _network(nnUNetTrainer, plans, provenance.configuration, dataset_json, channels=1)
    alone = replace(
        provenance,
        normalization_schemes=(provenance.normalization_schemes[pet],),
        channel_names=(provenance.channel_names[pet],),
        use_mask_for_norm=(provenance.use_mask_for_norm[pet],),
        foreground=provenance.foreground[pet : pet + 1],
    )
    return Target(provenance.source, alone, network, input_names, prompt_channel=pet)
