"""Trains the prompt generator: a PET-only network on the labelled cases, later frozen to prompt the teachers."""

import copy
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunetv2_muduo.cases.channels import find_channels
from nnunetv2_muduo.checkpoint_files import NUMPY_NUMBERS, fill, read_checkpoint, refuse_damaged
from nnunetv2_muduo.environment import without_wandb
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.prompt_network import SingleChannelNetwork
from nnunetv2_muduo.semisupervised.prompt_origin import PromptOrigin, refuse_other_origin, stored_origin
from nnunetv2_muduo.semisupervised.refusals import refuse_unsupported
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.training.configured import ConfiguredTrainer
from nnunetv2_muduo.training.mistakes import answer_in_one_sentence
from nnunetv2_muduo.training.processes import processes_of
from nnunetv2_muduo.training.same_data import refuse_other_data
from nnunetv2_muduo.training.wrapped_network import unwrapped

FINAL, LATEST = "checkpoint_final.pth", "checkpoint_latest.pth"  # nnU-Net's names


class PromptGeneratorTrainer(ConfiguredTrainer):
    """nnU-Net's own training on the PET channel alone, for `prompt_epochs` epochs."""

    origin: PromptOrigin | None = None  # known when the training has begun
    asks_for_an_average = ()  # of its student, which has one
    schedule = ("optimizer",)  # else a student's own may differ: it uses what is there, or trains it to the end

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ) -> None:
        answer_in_one_sentence()
        refuse_unsupported(type(self).__name__, plans, configuration, dataset_json)
        _, pet_channel = find_channels(dataset_json, Settings.from_plans(plans))
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.pet_channel = pet_channel

    def epochs_asked_for(self) -> int | None:
        return self.settings.prompt_epochs or max(1, (self.settings.num_epochs or self.num_epochs) // 10)

    @staticmethod
    def build_network_architecture(
        plans_manager,
        configuration_manager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        network = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, 1, num_output_channels, enable_deep_supervision
        )
        return SingleChannelNetwork(network, channel=num_input_channels - 1)

    def initialize(self) -> None:
        super().initialize()
        unwrapped(self.network).get_buffer("channel").fill_(self.pet_channel)

    def origin_of(self, cases: Collection[str]) -> PromptOrigin:
        """What it is when trained on these cases."""
        return PromptOrigin.of(cases, pet_channel=self.pet_channel, dataset_json=self.dataset_json)

    def get_tr_and_val_datasets(self):
        training, validation = super().get_tr_and_val_datasets()
        self.origin = self.origin_of(training.identifiers)
        return training, validation

    def checkpoint_entries(self) -> dict[str, Any]:
        return super().checkpoint_entries() | ({} if self.origin is None else self.origin.as_entry())


def prompt_generator_of(student: nnUNetTrainer, trainer_class: type[PromptGeneratorTrainer]) -> nn.Module:
    """The frozen prompt generator for a student: loaded if it was trained before, else trained now.

    It belongs to the student's dataset, plans, configuration and fold. Several processes train one together.

    Returns:
        Network in eval mode on the student's device: image [B, C, Z, Y, X] -> logits [B, 1 + K, Z, Y, X].

    Raises:
        UserError: if the checkpoint does not fit the plans, or was trained on other cases, labels or another channel.
    """
    trainer = _trainer_beside(student, trainer_class)
    folder = Path(trainer.output_folder)
    with processes_of(student) as processes:  # all must load the same or train together
        found = processes.first_does(lambda: _checkpoint_of(trainer, student.print_to_log_file))
    if found is not None:
        _load(trainer, found)
    if found is not None and found.name == FINAL:
        student.print_to_log_file(f"Prompt generator: using the trained one, {found}")
    else:
        student.print_to_log_file(
            f"Prompt generator: none trained for this dataset, plans, configuration and fold; training "
            f"{trainer_class.__name__} first, epochs {trainer.current_epoch} to {trainer.num_epochs} "
            f"(setting prompt_epochs), in {folder}"
        )
        trainer.run_training()
    network = unwrapped(trainer.network)
    trainer.set_deep_supervision_enabled(False)
    return network.eval().requires_grad_(False)


def _trainer_beside(student: nnUNetTrainer, trainer_class: type[PromptGeneratorTrainer]) -> PromptGeneratorTrainer:
    plans = copy.deepcopy(student.plans_manager.plans)
    plans["continue_training"] = True  # its logger appends to an interrupted run
    with without_wandb():  # the run is the student's
        trainer = trainer_class(plans, student.configuration_name, student.fold, student.dataset_json, student.device)
    trainer.initialize()
    return trainer


def _checkpoint_of(trainer: PromptGeneratorTrainer, log: Callable[[str], object]) -> Path | None:
    """The finished training's, else an interrupted one's, else None; refused where it is one of something else."""
    checkpoints = (Path(trainer.output_folder) / name for name in (FINAL, LATEST))
    found = next((path for path in checkpoints if path.is_file()), None)
    if found is None:
        return None
    refuse_damaged(found)
    before = stored_origin(found)
    if before is None:
        log(f"Prompt generator: {found} does not tell what it was trained on; its cases and labels are not compared.")
    else:
        refuse_other_origin(found, before, trainer.origin_of(trainer.do_split()[0]))
    return found


def _load(trainer: PromptGeneratorTrainer, checkpoint: Path) -> None:
    """The weights of a finished training, everything of an interrupted one."""
    again = "move its folder away to have it trained again"
    try:
        if checkpoint.name == FINAL:
            content = read_checkpoint(checkpoint, allowed=NUMPY_NUMBERS)
            fill(unwrapped(trainer.network), content.get("network_weights"))
            refuse_other_data(
                content.get("init_args"),
                plans=trainer.plans_manager.plans,
                configuration=trainer.configuration_name,
                dataset_json=trainer.dataset_json,
            )
        else:
            trainer.load_checkpoint(str(checkpoint))
    except RuntimeError as error:
        raise UserError(
            f"The prompt generator {checkpoint} does not fit these plans; {again}, or train with the plans it was "
            f"made with ({error})."
        ) from error
    except ValueError as error:
        raise UserError(f"The prompt generator {checkpoint} cannot be used: {error}; {again}.") from error
    except UserError as error:
        raise UserError(f"The prompt generator {checkpoint} cannot be used. {error} Or {again}.") from error
