"""The base of the trainers that pretrain as a masked autoencoder in nnU-Net's training loop."""

import os
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from time import time

import numpy as np
import torch
import torch.distributed as dist
from batchgenerators.utilities.file_and_folder_operations import save_json
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.helpers import empty_cache
from torch import Tensor, nn

from nnunetv2_muduo.cases.channels import channel_names, find_channels
from nnunetv2_muduo.cases.freshness import read_properties
from nnunetv2_muduo.checkpoint_files import (
    refuse_damaged,
    refusing_damaged_entries,
    save_with,
    writing_checkpoint,
)
from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.datasets.stored_orientations import told_lying_differently
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.evaluation.reconstruction_figure import draw_reconstruction
from nnunetv2_muduo.files import clear_away_left_behind
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.checkpoints import STATE_KEY, checked_state, read_entry
from nnunetv2_muduo.mae_training.cosine_scheduler import CosineScheduler
from nnunetv2_muduo.mae_training.gathering import gather_cases
from nnunetv2_muduo.mae_training.patches import PatchSpecification
from nnunetv2_muduo.mae_training.provenance import describe_pretraining
from nnunetv2_muduo.mae_training.refusals import (
    refuse_changed_cases,
    refuse_changed_settings,
    refuse_to_segment,
    refuse_unknown_channels,
    refuse_unsupported,
)
from nnunetv2_muduo.mae_training.step import mean_loss, seeded_generator, shown_to_network
from nnunetv2_muduo.mae_training.streams import TRAINING_STREAM, VALIDATION_SEED, VALIDATION_STREAM, Streams
from nnunetv2_muduo.package_versions import installed_version
from nnunetv2_muduo.pretraining import PROVENANCE_KEY, block_mask, reconstruction_loss
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.training.mistakes import answer_in_one_sentence
from nnunetv2_muduo.training.processes import refuse_unconnected_processes


class MAETrainer(nnUNetTrainer):
    """nnU-Net's planned network learns to tell what is hidden of PET/CT patches (arXiv 2605.21835), from no label.

    Settings: plans["mae"]. Training, logging, checkpoints and resuming are nnU-Net's loop; the steps are ours. With a
    given number of processes, a training that is resumed does what it would have done uninterrupted: patches, zoom and
    masks follow from the seed and the number of the step.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ) -> None:
        answer_in_one_sentence()
        settings = MAESettings.from_plans(plans)
        refuse_unsupported(type(self).__name__, plans, configuration, fold)
        refuse_unconnected_processes()
        self.ct_channel, _ = find_channels(dataset_json, Settings.from_plans(plans))
        refuse_unknown_channels(settings, len(channel_names(dataset_json)))
        self.continues = plans.get("continue_training", False)
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.settings = settings
        self.muduo_version, self.nnunet_version = map(installed_version, ("nnunetv2-muduo", "nnunetv2"))  # debug.json
        self.num_epochs = settings.num_epochs
        self.num_iterations_per_epoch = settings.iterations_per_epoch
        self.num_val_iterations_per_epoch = settings.val_iterations_per_epoch
        self.save_every = max(1, min(50, self.num_epochs // 10))  # as nnU-Net, more often in short trainings
        self.initial_lr, self.weight_decay = settings.initial_lr, settings.weight_decay
        self.seed = int.from_bytes(os.urandom(4), "big") if settings.seed is None else settings.seed
        self.best_validation_loss = float("inf")
        self.pictured: tuple[np.ndarray, ...] | None = None

    @property
    def ranks(self) -> int:
        """How many processes train together, one a GPU."""
        return dist.get_world_size() if self.is_ddp else 1

    # Network and optimiser

    @staticmethod
    def build_network_architecture(
        plans_manager,
        configuration_manager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The planned network with one output for each input channel; the labels' number of outputs is not asked.

        It has no deep supervision whatever is asked for: nnU-Net asks for it to train, and for none to predict.

        Raises:
            UserError: when it is to predict.
        """
        refuse_to_segment(asked_to_train=enable_deep_supervision)
        network = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_input_channels, False
        )
        for layer in getattr(getattr(network, "decoder", None), "seg_layers", [])[:-1]:
            layer.requires_grad_(False)  # without deep supervision nobody uses them, which DDP would not accept
        return network

    def agree_on_seed(self) -> None:
        """One seed for all processes; one that was drawn would else be lost for all but the first in resuming."""
        if self.is_ddp:
            seed = [self.seed]
            dist.broadcast_object_list(seed, src=0)
            self.seed = seed[0]

    def initialize(self) -> None:
        self.agree_on_seed()
        self.cases = gather_cases(self, self.settings)
        # nnU-Net looks here for the format of the data, and the usual folder need not be there
        self.preprocessed_dataset_folder = str(self.cases.training[0].folder)
        torch.manual_seed(self.seed)
        super().initialize()
        self.enable_deep_supervision = False  # was left at nnU-Net's default to build the network, which has one output

    def _set_batch_size_and_oversample(self) -> None:
        total = self.settings.batch_size or self.configuration_manager.batch_size
        if total < self.ranks:
            raise UserError(f"A batch of {total} patches cannot be shared by {self.ranks} GPUs; raise mae.batch_size.")
        self.batch_size = total // self.ranks + (self.local_rank < total % self.ranks)

    def configure_optimizers(self):
        learning = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(learning, self.initial_lr, weight_decay=self.weight_decay)
        return optimizer, CosineScheduler(
            optimizer, self.num_epochs, initial=self.initial_lr, final=self.settings.final_lr
        )

    def _build_loss(self) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        return partial(reconstruction_loss, visible_weight=self.settings.visible_weight)

    # Data

    def get_dataloaders(self):
        specification = PatchSpecification(
            tuple(self.configuration_manager.patch_size),
            tuple(self.configuration_manager.spacing),
            self.ct_channel,
            axes=tuple(self.plans_manager.transpose_forward),
        )
        streams = Streams(
            self.cases,
            self.batch_size,
            specification,
            self.settings,
            seed=self.seed,
            rank=self.local_rank,
            pin_memory=self.device.type == "cuda",
        )
        first = self.current_epoch * self.num_iterations_per_epoch
        return streams.start_training(first=first), streams.start_validation()

    # Training

    def on_train_start(self) -> None:
        """As nnU-Net's, without what needs labels: a fingerprint of the dataset."""
        if not self.was_initialized:
            self.initialize()
        self.dataloader_train, self.dataloader_val = self.get_dataloaders()
        self.print_plans()
        self.print_to_log_file(
            f"Pretraining on {len(self.cases.training)} cases, validation loss on {len(self.cases.held_out)} others "
            f"({listed(case.name for case in self.cases.held_out)}), "
            f"{self.batch_size} patches a step, seed {self.seed}"
        )
        if told := told_lying_differently(self.stored_orientations, mirrored=False):  # as its patches are not
            self.print_to_log_file(f"WARNING: {told}")
        empty_cache(self.device)
        if self.local_rank == 0:
            clear_away_left_behind(Path(self.output_folder), all_of_them=True)
            save_json(self.plans_manager.plans, str(Path(self.output_folder_base, "plans.json")), sort_keys=False)
            save_json(self.dataset_json, str(Path(self.output_folder_base, "dataset.json")), sort_keys=False)
        self._save_debug_information()

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.masks = seeded_generator(self.seed, self.local_rank, TRAINING_STREAM, self.current_epoch)

    def train_step(self, batch: dict) -> dict:
        self.optimizer.zero_grad(set_to_none=True)
        loss, _ = self._reconstruct(batch)
        if self.grad_scaler is None:
            loss.backward()
            self._clip_gradients()
            self.optimizer.step()
        else:
            self.grad_scaler.scale(loss).backward()
            self.grad_scaler.unscale_(self.optimizer)
            self._clip_gradients()
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        return {"loss": float(loss.detach())}

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        self.logger.log("train_losses", mean_loss(train_outputs, ranks=self.ranks), self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.masks = seeded_generator(VALIDATION_SEED, self.local_rank, VALIDATION_STREAM, 0)
        self.pictured = None

    def validation_step(self, batch: dict) -> dict:
        loss, seen = self._reconstruct(batch)
        if self.pictured is None:
            self.pictured = tuple(tensor[0].float().cpu().numpy() for tensor in seen)
            self.pictured_case = batch["keys"][0]
        return {"loss": float(loss)}

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        self.logger.log("val_losses", mean_loss(val_outputs, ranks=self.ranks), self.current_epoch)
        # nnU-Net's logger and its progress figure ask for a Dice in every epoch; there is none
        self.logger.log("mean_fg_dice", float("nan"), self.current_epoch)
        self.logger.log("dice_per_class_or_region", [], self.current_epoch)

    def on_epoch_end(self) -> None:
        epoch = self.current_epoch
        self.logger.log("epoch_end_timestamps", time(), epoch)
        started, ended, train_loss, val_loss = (
            self.logger.get_value(key, step=-1)
            for key in ("epoch_start_timestamps", "epoch_end_timestamps", "train_losses", "val_losses")
        )
        self.print_to_log_file("train_loss", np.round(train_loss, 4))
        self.print_to_log_file("val_loss", np.round(val_loss, 4))
        self.print_to_log_file(f"Epoch time: {ended - started:.2f} s")
        if val_loss < self.best_validation_loss:
            self.best_validation_loss = val_loss
            self.print_to_log_file(f"New best validation loss: {val_loss:.4f}")
            self.save_checkpoint(str(Path(self.output_folder, "checkpoint_best.pth")))
        if (epoch + 1) % self.save_every == 0 and epoch != self.num_epochs - 1:
            self.save_checkpoint(str(Path(self.output_folder, "checkpoint_latest.pth")))
        if self.local_rank == 0:
            self.logger.plot_progress_png(self.output_folder)
            if epoch % self.settings.report_every == 0 or epoch == self.num_epochs - 1:
                self._draw(epoch)
        self.current_epoch += 1

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Says that there is nothing to segment; nnU-Net calls it after every training, and for --val."""
        asked_for = " No probabilities (--npz) are written." if save_probabilities else ""
        self.print_to_log_file(
            f"{type(self).__name__} reconstructs images and segments nothing, so no case is predicted.{asked_for} "
            f"The validation losses are in progress.png of {self.output_folder}; `muduo import-mae` fits its "
            "checkpoint_final.pth to the network of a dataset and says how to train from it."
        )

    # Checkpoints

    def save_checkpoint(self, filename: str) -> None:
        if self.local_rank > 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        state = {
            "seed": self.seed,
            "best_validation_loss": float(self.best_validation_loss),
            "cases": self.cases.roles(),
        }
        with writing_checkpoint(Path(filename)):
            save_with({PROVENANCE_KEY: self.provenance(), STATE_KEY: state}, super().save_checkpoint, Path(filename))

    def load_checkpoint(self, filename_or_checkpoint) -> None:
        path = Path(filename_or_checkpoint)
        refuse_damaged(path)
        with refusing_damaged_entries(path):
            state = checked_state(read_entry(path, STATE_KEY))
            if self.continues:  # checked first: another size of the network would not even load
                before = read_entry(path, "init_args")["plans"]
                refuse_changed_settings(before, self.plans_manager.plans, self.configuration_name)
        if self.continues:
            if not self.was_initialized:
                self.initialize()
            now = self.cases.roles()
            refuse_changed_cases(state.get("cases", now), now)  # older checkpoints do not name their cases
        super().load_checkpoint(filename_or_checkpoint)
        self.seed, self.best_validation_loss = state["seed"], state["best_validation_loss"]

    def provenance(self) -> dict:
        """See `describe_pretraining`."""
        return describe_pretraining(
            self.plans_manager,
            self.configuration_manager,
            source=type(self).__name__,
            configuration_name=self.configuration_name,
            dataset_json=self.dataset_json,
            settings=self.settings,
            cases=self.cases,
            orientations=self.orientations,
        )

    @property
    def orientations(self) -> list[str]:
        """In which ways the pool's scans lie, such as ["LPS"]; scans of which nobody knows do not count."""
        return sorted({orientation for orientation in self.stored_orientations.values() if orientation is not None})

    @cached_property
    def stored_orientations(self) -> dict[str, str | None]:
        """Which way x, y and z of each case's scan grow; None where nobody knows."""
        pool = (*self.cases.training, *self.cases.held_out)
        return {case.name: orientation_of(read_properties(case.folder, case.name)) for case in pool}

    # Steps

    def _reconstruct(self, batch: dict) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Loss of a batch, and image, mask and reconstruction."""
        image = batch["data"].to(self.device, non_blocking=True)
        mask = block_mask(
            image.shape, self.settings.block, self.settings.ratio, generator=self.masks, device=self.device
        )
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            reconstruction = self.network(shown_to_network(image, mask, self.settings.channels))
        wanted = slice(None) if self.settings.channels is None else list(self.settings.channels)
        return self.loss(reconstruction[:, wanted], image[:, wanted], mask[:, wanted]), (image, mask, reconstruction)

    def _clip_gradients(self) -> None:
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)

    def _draw(self, epoch: int) -> None:
        if self.pictured is None:
            return
        shown = next(case for case in self.cases.held_out if case.name == self.pictured_case)
        stored = orientation_of(read_properties(shown.folder, shown.name))
        turn = Turn.of_patch(stored, "LPS", axes=self.plans_manager.transpose_forward)
        image, mask, reconstruction = (np.stack([turn.there(channel) for channel in seen]) for seen in self.pictured)
        draw_reconstruction(
            Path(self.output_folder, f"reconstruction_epoch_{epoch:04d}.png"),
            image,
            mask > 0,
            reconstruction,
            channels=channel_names(self.dataset_json),
            title=f"held-out case {self.pictured_case}, after epoch {epoch}",
            spacing_in_mm=turn.spacing(self.configuration_manager.spacing),
            oriented=stored is not None,
        )
