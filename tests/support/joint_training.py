"""What each of two processes does in the tests of several GPUs; see `two_processes`."""

import copy
import time
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
from fabricated_training import PATCH, batch, fabricated_trainer, nnUNetTrainerPull, weights
from stub_teachers import EchoTeacher
from torch import Tensor, nn
from two_processes import join_group

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainers import nnUNetTrainerMuDuo as muduo
from nnunetv2_muduo.trainers.nnUNetTrainerCPS import nnUNetTrainerCPS
from nnunetv2_muduo.trainers.nnUNetTrainerMeanTeacher import nnUNetTrainerMeanTeacher
from nnunetv2_muduo.training.processes import processes_of

FULL_WEIGHT = {"ramp_fraction": 0, "consistency_weight": 1.0}
BOX = (slice(2, 6), slice(4, 12), slice(3, 11))


class Generator(nn.Module):
    """Finds organ 1 in a box of every patch, or nothing anywhere."""

    def __init__(self, *, finds: bool) -> None:
        super().__init__()
        self.finds = finds

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.full((len(image), 3, *PATCH), -4.0)
        logits[:, 0] = 4.0
        if self.finds:
            logits[:, 0][(slice(None), *BOX)] = -4.0
            logits[:, 1][(slice(None), *BOX)] = 4.0
        return logits


def muduo_trainer(*, finds: bool, **settings) -> SemiSupervisedTrainer:
    """MuDuo with stub teachers and a stub prompt generator."""
    given = {"trainer_class": muduo.nnUNetTrainerMuDuo, "fusion": "mean", **FULL_WEIGHT, **settings}
    trainer = fabricated_trainer(**given)
    trainer.ct_teacher, trainer.pet_teacher = EchoTeacher(), EchoTeacher()
    real, muduo.prompt_generator_of = muduo.prompt_generator_of, lambda *_: Generator(finds=finds)
    try:
        trainer.prepare_consistency()
    finally:
        muduo.prompt_generator_of = real
    return trainer


def gradients(trainer: SemiSupervisedTrainer) -> Tensor:
    """Of the last step, in one row."""
    return torch.cat([parameter.grad.flatten() for parameter in trainer.network.parameters()])


def steps_of_every_kind(rank: int) -> dict:
    """Steps of trainers on fabricated patches, each process with its own; the second process finds no organ."""
    seen: dict = {}
    for batch_dice in (False, True):
        trainer = fabricated_trainer(trainer_class=nnUNetTrainerPull, batch_dice=batch_dice, **FULL_WEIGHT)
        trainer.train_step(batch(rank))
        seen[f"pull, batch_dice {batch_dice}"] = gradients(trainer)
    trainer = muduo_trainer(finds=rank == 0, predict_with="ema")
    kept = [trainer.train_step(batch(rank))["share_kept"].tolist()]
    seen["muduo"] = gradients(trainer)
    kept += [trainer.train_step(batch(2 * step + rank))["share_kept"].tolist() for step in (1, 2)]
    average = torch.cat([parameter.flatten() for parameter in trainer.ema.network.parameters()])
    learning = set(trainer.network.parameters())
    seen |= {
        "share kept": kept,
        "student": weights(trainer),
        "average": average,
        "teachers are inside": any(parameter in learning for parameter in trainer.teaching.dual.parameters()),
        "points": torch.rand(4, generator=trainer.teaching.randomness),
    }
    trainer = fabricated_trainer(trainer_class=nnUNetTrainerCPS, **FULL_WEIGHT)
    students = [(weights(trainer), _second(trainer))]
    for step in range(2):
        trainer.train_step(batch(2 * step + rank))
    seen["cps"] = [*students, (weights(trainer), _second(trainer))]
    seen["noise"] = _first_noise(fabricated_trainer(trainer_class=nnUNetTrainerMeanTeacher))
    return seen


def wait_and_fail(rank: int, folder: Path) -> None:
    """Long work, work that fails, and at last one process that dies in a step."""
    told = []
    dist.destroy_process_group()
    join_group(rank, folder / "impatient", seconds=2)
    with processes_of(SimpleNamespace(is_ddp=True, local_rank=rank)) as processes:
        told.append(processes.first_does(lambda: time.sleep(4) or f"done by {rank}"))
        time.sleep(0 if rank == 0 else 4)
        processes.wait_for_all()
        for kind in (UserError, OSError):

            def work(kind: type = kind) -> None:
                raise kind("imagesUn is empty")

            try:
                processes.first_does(work)
            except Exception as error:
                told.append((type(error).__name__, str(error)))
    dist.destroy_process_group()
    torch.save(told, folder / f"told_{rank}.pt")
    join_group(rank, folder / "patient")
    trainer = fabricated_trainer()
    trainer.train_step(batch(rank))
    if rank == 1:
        raise OSError("No space left on device")
    trainer.train_step(batch(rank))


class JointTrainer(muduo.nnUNetTrainerMuDuo):
    """MuDuo that remembers its first patches, and stops after its first epoch where it is told to."""

    stops = False
    first_patches: tuple | None = None

    def train_step(self, batch: dict) -> dict:
        if self.first_patches is None:
            self.first_patches = batch["data"].clone(), batch["unlabelled"]["image"].clone()
        return super().train_step(batch)

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        if self.stops:
            raise KeyboardInterrupt


JointTrainer.__name__ = "nnUNetTrainerMuDuo"


def train_and_resume(rank: int, plans: dict, dataset_json: dict, settings: dict) -> dict:
    """MuDuo from the raw scans on: preprocessing, prompt generator, teacher cache, an epoch; then another."""

    def trainer(*, continues: bool) -> JointTrainer:
        given = {**copy.deepcopy(plans), "muduo": settings, "continue_training": continues}
        made = JointTrainer(given, "3d_fullres", 0, copy.deepcopy(dataset_json), torch.device("cuda"))
        made.save_every = 1
        return made

    first = trainer(continues=False)
    first.stops = True
    try:
        first.run_training()
    except KeyboardInterrupt:
        first.dataloader_train.finish()
    resumed = trainer(continues=True)
    latest = Path(first.output_folder) / "checkpoint_latest.pth"
    for _ in range(600):  # the first process may still be writing it
        if latest.is_file():
            break
        time.sleep(0.1)
    resumed.load_checkpoint(str(latest))
    before, after = _state(first), _state(resumed)
    resumed.run_training()
    return {
        "before": before,
        "after": after,
        "final": _state(resumed),
        "generator": torch.cat([p.flatten() for p in first.teaching.prompt_generator.parameters()]),
        "patches": [*first.first_patches, *resumed.first_patches],
        "batch sizes": (first.batch_size, first.unlabelled_batch_size),
        "scans": first.unlabelled_scans,
        "logged": {
            key: resumed.logger.get_checkpoint()[key] for key in ("supervised_losses", "report_fused", "ct_share")
        },
        "organ weights": resumed.organ_weights,
        "folder": Path(resumed.output_folder),
    }


def _state(trainer: SemiSupervisedTrainer) -> dict[str, Tensor]:
    average = [parameter.flatten() for parameter in trainer.ema.network.parameters()]
    return {"student": weights(trainer).clone(), "average": torch.cat(average).clone()}


def _second(trainer: nnUNetTrainerCPS) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.second.network.parameters()])


def _first_noise(trainer: nnUNetTrainerMeanTeacher) -> Tensor:
    trainer.on_train_epoch_start()
    return torch.randn(4, generator=trainer.noise)
