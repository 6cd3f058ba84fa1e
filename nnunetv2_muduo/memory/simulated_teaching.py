"""Teachers of the configured size for a step that is simulated: none is trained, none need be there."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor, nn

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.distillation.spatial_view import SpatialView, spatial_view
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.memory.throwaway_trainer import keep_in_place
from nnunetv2_muduo.semisupervised.student_views import StudentViews
from nnunetv2_muduo.semisupervised.taught_trainer import TaughtTrainer
from nnunetv2_muduo.teachers import Sam3D
from nnunetv2_muduo.teachers.catalogue import KNOWN_TEACHERS
from nnunetv2_muduo.teachers.registry import find_architecture
from nnunetv2_muduo.teachers.weights import find_weights
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.trainers.nnUNetTrainerSemiSAM import nnUNetTrainerSemiSAM

Counted = Callable[[], AbstractContextManager[None]]  # tensors made within count


def add_teaching(trainer: TaughtTrainer, counted: Counted, *, organs: int, on_cuda: bool) -> None:
    """Give a trainer teachers of the configured size and what prompts them.

    Args:
        trainer: initialised; whatever its teachers are kept in is filled.
        counted: entered while tensors are made that a training would hold.
        organs: K.
        on_cuda: teachers work in half precision.
    """
    with counted():
        teachers = [
            None if name is None else keep_in_place(teacher_without_weights(name))
            for name in trainer.named_teachers(trainer.settings).values()
        ]
    # small matrices of the views are looked at when they are made, and need values: that is not counted
    if isinstance(trainer, nnUNetTrainerMuDuo):
        trainer.ct_teacher, trainer.pet_teacher = teachers  # type: ignore[assignment]
        with counted():
            generator = prompt_generator(trainer, organs, on_cuda=on_cuda) if trainer.needs_prompt_generator else None
        trainer.teaching = trainer.teaching_with(generator)
        trainer.cache_folder = None
        trainer.views = EveryPatchTurned(trainer) if trainer.settings.spatial_augmentation else None
    elif isinstance(trainer, nnUNetTrainerSemiSAM):
        (trainer.generalist,) = teachers
        trainer.teaching = trainer.make_teaching()
    keep_in_place(trainer.teaching.dual)
    if on_cuda:
        trainer.teaching.dual.in_bfloat16 = True


def prompt_generator(trainer: nnUNetTrainerMuDuo, organs: int, *, on_cuda: bool) -> nn.Module:
    """One of the planned size, not trained, that finds every organ."""
    network = nnUNetTrainerMuDuoPrompt.build_network_architecture(
        trainer.plans_manager,
        trainer.configuration_manager,
        trainer.num_input_channels,
        trainer.label_manager.num_segmentation_heads,
        False,
    )
    return FindsEveryOrgan(network, organs, half_precision=on_cuda).requires_grad_(False)


class EveryPatchTurned(StudentViews):
    """Turns all patches, where nnU-Net leaves most as they are: the dearest case."""

    def draw(self, patches: int) -> SpatialView:
        return spatial_view([[0.1, 0.1, 0.1]] * patches, [[1.0, 1.0, 1.0]] * patches, extent_in_mm=self.extent_in_mm)


class FindsEveryOrgan(nn.Module):
    """Runs a prompt generator, and answers that all organs are there: the dearest case for the teachers.

    Args:
        network: image -> logits [B, 1 + K, Z, Y, X].
        organs: K.
        half_precision: as autocast runs it on CUDA.
    """

    def __init__(self, network: nn.Module, organs: int, *, half_precision: bool) -> None:
        super().__init__()
        self.network, self.organs, self.half_precision = network, organs, half_precision

    def forward(self, image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half_precision):
            logits = self.network(image)
        slices = logits.shape[2]
        for label in range(1, self.organs + 1):  # in place: no tensor that a generator would not hold
            logits[:, label, slices * label // (self.organs + 1)] = 1e4
        return logits


def teacher_without_weights(name: str) -> nn.Module:
    """A teacher of the right size; a published one need not be there, an own file that is missing counts as one."""
    known = KNOWN_TEACHERS.get(name)
    if known is not None and not known.shipped:
        return Sam3D().eval()
    try:
        file: Path | None = find_weights(name)
    except UserError:
        file = None
    checkpoint = {} if file is None else read_checkpoint(file)
    architecture = find_architecture(str(checkpoint.get("architecture", "Sam3D")))
    return architecture(architecture.config_class.from_dict(checkpoint.get("config", {}))).eval()  # type: ignore[attr-defined]
