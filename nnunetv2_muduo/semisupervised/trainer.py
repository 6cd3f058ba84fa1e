"""The shared base of the semi-supervised trainers: two streams of patches through one student."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from nnunetv2.configuration import default_num_processes
from nnunetv2.utilities.collate_outputs import collate_outputs
from torch import Tensor

from nnunetv2_muduo.cases.channels import find_channels
from nnunetv2_muduo.cases.freshness import read_properties
from nnunetv2_muduo.cases.raw_intensities import raw_padding
from nnunetv2_muduo.cases.unlabelled import UnlabelledSummary, preprocess_unlabelled, told_labelled_too
from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.datasets.sides import left_and_right
from nnunetv2_muduo.datasets.stored_orientations import told_lying_differently
from nnunetv2_muduo.distillation import consistency_weight
from nnunetv2_muduo.evaluation.figures import draw_progress
from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.nnunet_folders import nnunet_folder
from nnunetv2_muduo.semisupervised.augmentation import intensity_transforms
from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader, build_unlabelled_loader
from nnunetv2_muduo.semisupervised.paired_loading import PairedLoader
from nnunetv2_muduo.semisupervised.refusals import refuse_unsupported, unlabelled_batch_size_per_process
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.training.ema_trainer import EmaTrainer
from nnunetv2_muduo.training.ignored_settings import set_in_vain
from nnunetv2_muduo.training.mistakes import answer_in_one_sentence
from nnunetv2_muduo.training.processes import processes_of
from nnunetv2_muduo.training.seeding import Stream
from nnunetv2_muduo.training.workers import loader_inside


@dataclass(frozen=True)
class Consistency:
    """What a step learns from its unlabelled patches.

    Attributes:
        loss: scalar with gradients into the student.
        log: numbers of this step: a float under each of the trainer's `scalar_log_keys`, [K] under each of its
            `organ_log_keys`.
    """

    loss: Tensor
    log: dict[str, float | np.ndarray]


class SemiSupervisedTrainer(EmaTrainer):
    """nnU-Net's training with a second stream of patches from unlabelled scans.

    A subclass says what the student learns from the unlabelled patches (`consistency`) and prepares what it needs for
    that (`prepare_consistency`). Everything else is nnU-Net's: network, loss, optimiser, augmentation, validation.
    """

    scalar_log_keys: tuple[str, ...] = ()  # what `consistency` logs each step, averaged over an epoch
    organ_log_keys: tuple[str, ...] = ()  # the same with one value per organ
    epoch_log_keys: tuple[str, ...] = ()  # what a subclass logs once an epoch by itself
    labelled_cases: tuple[str, ...] = ()  # to train and to validate on
    ignored_settings: tuple[str, ...] = ()  # what means nothing to a subclass
    schedule = (*EmaTrainer.schedule, "warmup_epochs", "ramp_fraction", "consistency_weight")

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
        channels = find_channels(dataset_json, Settings.from_plans(plans))
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.ct_channel, self.pet_channel = channels
        self.organs = tuple(self._name_of(label) for label in self.label_manager.foreground_labels)
        processes = dist.get_world_size() if self.is_ddp else 1
        self.unlabelled_batch_size = unlabelled_batch_size_per_process(
            self.settings.unlabelled_batch_size or max(2 * processes, self.configuration_manager.batch_size),
            processes,
            self.local_rank,
        )
        self.iteration = 0  # steps that are done
        self._declare_log_keys()

    # What a subclass fills in

    @classmethod
    def named_teachers(cls, settings: Settings) -> dict[str, str | None]:
        """Modality that a promptable teacher sees -> its name in the settings, None where it is switched off."""
        return {}

    def load_teachers(self) -> None:
        """Find and load what must not be missing; called first, before anything that takes long."""

    def prepare_consistency(self) -> None:
        """Make what `consistency` needs; called once, when the scans are ready, before the data loaders start."""

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        """Compare the student with its teachers.

        Args:
            logits: [B, 1 + K, Z, Y, X] float32, the student on the augmented unlabelled patches, with gradients.
            unlabelled: the batch of `UnlabelledDataLoader`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it learns from unlabelled patches")

    # Data

    @property
    def data_source(self) -> dict:
        """Where the scans are and how they are prepared, as the functions of this room want to know it."""
        dataset = self.plans_manager.dataset_name
        return {
            "plans": self.plans_manager.plans,
            "configuration": self.configuration_name,
            "dataset_json": self.dataset_json,
            "raw_folder": nnunet_folder("nnUNet_raw") / dataset,
            "preprocessed_folder": Path(self.preprocessed_dataset_folder_base),
            "num_processes": min(default_num_processes, os.cpu_count() or 1),
            "log": self.print_to_log_file,
        }

    def prepare_unlabelled_scans(self) -> UnlabelledSummary:
        """Preprocess what is missing or stale; with several GPUs the first process does it for all."""
        with processes_of(self) as processes:
            return processes.first_does(
                lambda: preprocess_unlabelled(self.plans_manager.dataset_name, **self.data_source)
            )

    @property
    def raw_padding(self) -> tuple[float, ...]:
        """Raw value of each channel outside the scan: air in CT, no uptake in PET."""
        return raw_padding(self.num_input_channels, self.ct_channel)

    def get_tr_and_val_datasets(self):
        self.dataset_tr, self.dataset_val = super().get_tr_and_val_datasets()
        self.labelled_cases = (*self.dataset_tr.identifiers, *self.dataset_val.identifiers)
        return self.dataset_tr, self.dataset_val

    def unlabelled_loader_class(self) -> Callable[..., UnlabelledDataLoader]:
        """What makes the loader of unlabelled patches."""
        return UnlabelledDataLoader

    def get_dataloaders(self):
        labelled, validation = super().get_dataloaders()
        unlabelled = build_unlabelled_loader(
            self.unlabelled_scans.folder,
            self.unlabelled_scans.identifiers,
            batch_size=self.unlabelled_batch_size,
            patch_size=self.configuration_manager.patch_size,
            raw_padding=self.raw_padding,
            transforms=intensity_transforms(loader_inside(labelled).transforms),
            pin_memory=self.device.type == "cuda",
            seed=self.seed_of_epoch(Stream.UNLABELLED),
            loader_class=self.unlabelled_loader_class(),
        )
        return PairedLoader(labelled, unlabelled), validation

    # Training

    def on_train_start(self) -> None:
        if not self.was_initialized:
            self.initialize()
        vain = set_in_vain(self.plans_manager.plans, self.ignored_settings)
        if vain:
            self.print_to_log_file(f"Settings that mean nothing to {type(self).__name__}: {', '.join(vain)}")
        self.load_teachers()
        self.unlabelled_scans = self.prepare_unlabelled_scans()
        self.prepare_consistency()
        super().on_train_start()
        labelled, scans = Path(self.preprocessed_dataset_folder), self.unlabelled_scans
        if told := told_labelled_too(self.labelled_cases, scans.identifiers):
            self.print_to_log_file(f"WARNING: {told}")
        folders = dict.fromkeys(self.labelled_cases, labelled) | dict.fromkeys(scans.identifiers, scans.folder)
        self.tell_of_orientations(
            {case: orientation_of(read_properties(folder, case)) for case, folder in folders.items()}
        )

    def tell_of_orientations(self, stored: Mapping[str, str | None]) -> None:
        """Warn in the log of scans that the student sees lying otherwise than those that it learns from.

        Args:
            stored: which way x, y and z of each case's scan grow; None where its file does not tell.
        """
        mirrored = self.settings.mirroring and not left_and_right(self.dataset_json["labels"])
        if told := told_lying_differently(stored, mirrored=mirrored):
            self.print_to_log_file(f"WARNING: {told}")

    def on_train_end(self) -> None:
        super().on_train_end()
        self.dataloader_train.finish()

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.iteration = self.current_epoch * self.num_iterations_per_epoch

    def train_step(self, batch: dict) -> dict:
        outcome = self.learn_from(batch, self.consistency_weight_now())
        self.iteration += 1  # only now: whatever grows in a step grows with the same ramp
        return outcome

    def learn_from(self, batch: dict, weight: float | None) -> dict:
        """nnU-Net's step on labelled and unlabelled patches in one forward pass.

        Args:
            batch: of `PairedLoader`.
            weight: of the consistency loss; None leaves the unlabelled patches alone.
        """
        unlabelled = batch["unlabelled"]
        if weight is None:
            outcome = super().train_step({"data": self._of_fixed_size(batch["data"]), "target": batch["target"]})
            return {**outcome, "supervised_losses": float(outcome["loss"]), **self._empty_step_log()}
        step_loss = _StepLoss(self, len(batch["data"]), unlabelled, weight)
        self.loss = step_loss
        try:
            labelled, images = (  # joined on the device: there nobody waits for it
                patches.to(self.device, non_blocking=True) for patches in (batch["data"], unlabelled["image"])
            )
            data = self._of_fixed_size(torch.cat([labelled, self.student_view(images)]))
            outcome = super().train_step({"data": data, "target": batch["target"]})
        finally:
            self.loss = step_loss.supervised_loss
        return {**outcome, **step_loss.log}

    def student_view(self, images: Tensor) -> Tensor:
        """Augmented unlabelled patches [B, C, Z, Y, X] on the device, as the student is to see them."""
        return images

    def _of_fixed_size(self, data: Tensor) -> Tensor:
        """On the device, marked so that torch.compile makes a graph for each size: steps of a warm-up are smaller."""
        data = data.to(self.device, non_blocking=True)  # here, because nnU-Net's own copy would lose the mark
        torch._dynamo.mark_static(data)
        return data

    def consistency_weight_now(self) -> float | None:
        """Lambda of this iteration; None during the labelled-only warm-up."""
        ramp = self.ramp_now()
        return None if ramp is None else self.settings.consistency_weight * ramp

    def ramp_now(self) -> float | None:
        """How far the ramp of lambda has come, exp(-5) to 1; None during the labelled-only warm-up."""
        warmup = self.settings.warmup_epochs * self.num_iterations_per_epoch
        if self.iteration < warmup:
            return None
        total = self.num_epochs * self.num_iterations_per_epoch
        ramp = round(self.settings.ramp_fraction * max(total - warmup, 1))
        return consistency_weight(self.iteration - warmup, ramp, maximum=1.0)

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        super().on_train_epoch_end(train_outputs)
        outputs = collate_outputs(train_outputs)
        for key in self._step_keys():
            values = np.asarray(outputs[key], dtype=float)
            if self.is_ddp:
                values = np.concatenate(_gathered(values))
            self.log_epoch(key, mean_of(values, axis=0))
        self.log_epoch("consistency_weights", self.consistency_weight_now() or 0.0)

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        if self.local_rank == 0:
            logged = self.logger.get_checkpoint()
            draw_progress(Path(self.output_folder, "progress_muduo.png"), logged, self.organs)

    # Logging

    def log_epoch(self, key: str, value: float | np.ndarray) -> None:
        """One value, or one per organ, for the current epoch through nnU-Net's logger."""
        plain = [float(v) for v in value] if isinstance(value, np.ndarray) and value.ndim else float(value)
        self.logger.log(key, plain, self.current_epoch)

    def load_checkpoint(self, filename_or_checkpoint) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        self._declare_log_keys()

    def _declare_log_keys(self) -> None:
        """nnU-Net's logger asserts that it knows every key; a checkpoint of another trainer lacks ours, or the end."""
        logged = self.logger.local_logger.my_fantastic_logging
        epochs = len(logged["train_losses"])
        for key in (*self._step_keys(), "consistency_weights", *self.epoch_log_keys):
            known = logged[key][:epochs] if isinstance(logged.get(key), list) else []
            logged[key] = known + [float("nan")] * (epochs - len(known))

    def _step_keys(self) -> tuple[str, ...]:
        return ("supervised_losses", *self.scalar_log_keys, *self.organ_log_keys)

    def _empty_step_log(self) -> dict[str, float | np.ndarray]:
        scalars = dict.fromkeys(self.scalar_log_keys, float("nan"))
        return {**scalars, **{key: np.full(len(self.organs), np.nan) for key in self.organ_log_keys}}

    def _name_of(self, label: int) -> str:
        return next(name for name, value in self.dataset_json["labels"].items() if value == label)


class _StepLoss:
    """Stands in for nnU-Net's loss during one step: supervised on the first patches, consistency on the others."""

    def __init__(self, trainer: SemiSupervisedTrainer, labelled: int, unlabelled: dict, weight: float) -> None:
        self.trainer, self.labelled, self.unlabelled, self.weight = trainer, labelled, unlabelled, weight
        self.supervised_loss = trainer.loss
        self.log: dict[str, float | np.ndarray] = {}

    def __call__(self, output: Tensor | list[Tensor], target: Tensor | list[Tensor]) -> Tensor:
        scales = [output] if isinstance(output, Tensor) else output
        full_resolution, labelled = scales[0], [scale[: self.labelled] for scale in scales]
        supervised = self.supervised_loss(labelled[0] if isinstance(output, Tensor) else labelled, target)
        with torch.autocast(full_resolution.device.type, enabled=False):
            consistency = self.trainer.consistency(full_resolution[self.labelled :].float(), self.unlabelled)
        self.log = {"supervised_losses": float(supervised.detach()), **consistency.log}
        return supervised + self.weight * consistency.loss


def _gathered(values: np.ndarray) -> list[np.ndarray]:
    everyone: list = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, values)
    return everyone
