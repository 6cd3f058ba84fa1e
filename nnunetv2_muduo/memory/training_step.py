"""What a step of training holds in memory, found by doing one on tensors without values."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunetv2_muduo.mae_training.trainer import MAETrainer
from nnunetv2_muduo.memory.live_bytes import LiveBytes
from nnunetv2_muduo.memory.scratch import reordered_copies
from nnunetv2_muduo.memory.simulated_teaching import add_teaching
from nnunetv2_muduo.memory.simulation import (
    Answers,
    AutocastEinsum,
    precision_of_cuda,
    tensors_without_values,
)
from nnunetv2_muduo.memory.throwaway_trainer import keep_in_place, throwaway_trainer
from nnunetv2_muduo.semisupervised.taught_trainer import TaughtTrainer
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainers.nnUNetTrainerCPS import nnUNetTrainerCPS

ALLOCATION_BLOCK = 512  # bytes: torch's CUDA allocator rounds every tensor up to it (kMinBlockSize)


@dataclass(frozen=True)
class StepBytes:
    """What a step takes, in bytes.

    Attributes:
        teachers: weights of the teachers and the prompt generator, always there.
        student: weights, momentum and gradients of the student, or of both, and an average's weights, there between two
            steps.
        peak: the most at any time of a step, all of the above and what convolutions need beside their tensors included.
        batch: of the peak, the patches as the loaders hand them over; on CUDA they stay in the host's memory.
        kept: what a process on the CPU comes to hold for such steps where glibc keeps what is freed (`KeptPlaces`); no
            less than the peak.
    """

    teachers: int
    student: int
    peak: int
    batch: int
    kept: int

    def on_host(self, *, gives_back: bool) -> int:
        """Bytes of the process that does the step on the CPU; the batch lies in memory that it shares with workers."""
        return (self.peak if gives_back else self.kept) - self.batch


def simulate_step(
    trainer_class: type[nnUNetTrainer],
    plans: dict,
    *,
    configuration: str,
    dataset_json: dict,
    on_cuda: bool,
    values: bool = False,
) -> StepBytes:
    """Any step of a training but the first, which begins without momentum.

    Everything is the trainer's own, done on tensors without values: seconds, and no memory to speak of. Every organ is
    found in every patch, so that teachers have most to do.

    Args:
        trainer_class: a supervised or semi-supervised trainer, or one that pretrains.
        plans: nnU-Net's plans, with their settings.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        on_cuda: with the precision of a training on a GPU, not torch.compiled; else as with `-device cpu`.
        values: do the very same on real tensors, of random networks: what the simulation is compared with.

    Raises:
        Exception: of any kind, where something in the configuration needs a tensor's values.
    """
    live = LiveBytes(block=ALLOCATION_BLOCK if on_cuda else 1, scratch=reordered_copies)
    made = throwaway_trainer(trainer_class, plans, configuration=configuration, dataset_json=dataset_json)
    with made as trainer, contextlib.ExitStack() as always:
        counted = _Counted(live, organs=len(trainer.label_manager.foreground_labels), values=values)
        with counted():
            initialise(trainer)
        student = live.now
        if isinstance(trainer, TaughtTrainer):
            add_teaching(trainer, counted, organs=counted.organs, on_cuda=on_cuda)
        teachers = live.now - student
        if on_cuda:
            always.enter_context(precision_of_cuda())
        with counted():
            fill_optimiser(trainer)
            if isinstance(trainer, nnUNetTrainerCPS):
                with trainer.second.in_place_of_the_first(trainer):
                    fill_optimiser(trainer)
            live.restart_peak()
            before = live.now
            batch = empty_batch(trainer)
            size = live.now - before
            trainer.train_step(batch)
            del batch
        return StepBytes(
            teachers=teachers, student=live.now - teachers, peak=live.peak, batch=size, kept=live.places.peak
        )


@dataclass(frozen=True)
class _Counted:
    """Enters what counts tensors and, unless they are to be real, what takes their values away."""

    live: LiveBytes
    organs: int
    values: bool

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with contextlib.ExitStack() as modes:
            if not self.values:
                modes.enter_context(tensors_without_values())
                modes.enter_context(Answers(self.organs))
            modes.enter_context(self.live)
            modes.enter_context(AutocastEinsum())
            yield


def initialise(trainer: nnUNetTrainer) -> None:
    """Network, optimiser and loss, as nnU-Net makes them."""
    build = trainer.build_network_architecture

    def build_in_place(plans_manager, configuration_manager, *others) -> nn.Module:  # nnU-Net looks at the names
        return keep_in_place(build(plans_manager, configuration_manager, *others))

    trainer.build_network_architecture = build_in_place  # type: ignore[method-assign]
    if isinstance(trainer, MAETrainer):  # whose own initialisation looks for scans
        nnUNetTrainer.initialize(trainer)
        trainer.masks = torch.Generator()
    else:
        trainer.initialize()


def fill_optimiser(trainer: nnUNetTrainer) -> None:
    """Gradients of zero and the optimiser's state, as the step before leaves them."""
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trainer.optimizer.step()


def empty_batch(trainer: nnUNetTrainer) -> dict:
    """What the trainer's loader would hand it."""
    patch = tuple(int(edge) for edge in trainer.configuration_manager.patch_size)
    data = torch.zeros(trainer.batch_size, trainer.num_input_channels, *patch)
    scales = trainer._get_deep_supervision_scales() or [[1.0] * len(patch)]
    sizes = [[round(edge * factor) for edge, factor in zip(patch, scale, strict=True)] for scale in scales]
    batch: dict = {"data": data}
    batch["target"] = [torch.zeros(trainer.batch_size, 1, *size, dtype=torch.int16) for size in sizes]
    if isinstance(trainer, SemiSupervisedTrainer):
        shape = (trainer.unlabelled_batch_size, *data.shape[1:])
        forms = {form: torch.zeros(shape) for form in ("image", "clean", "raw")}
        batch["unlabelled"] = {**forms, "orientations": [None] * shape[0]}  # mirrored ones take no more
    return batch
