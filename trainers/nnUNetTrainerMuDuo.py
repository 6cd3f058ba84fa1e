"""-tr nnUNetTrainerMuDuo: two frozen promptable teachers, mutual prompts, consensus, distillation into nnU-Net."""

from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from nnunetv2_muduo.datasets.lesion_names import told_lesions_taught
from nnunetv2_muduo.distillation import distil
from nnunetv2_muduo.distillation.spatial_view import SpatialView
from nnunetv2_muduo.semisupervised.answers import OwnAnswer, TeacherLabels
from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader
from nnunetv2_muduo.semisupervised.prompt_trainer import prompt_generator_of
from nnunetv2_muduo.semisupervised.student_views import StudentViews
from nnunetv2_muduo.semisupervised.taught_trainer import TaughtTrainer
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.semisupervised.trainer import Consistency
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teacher_cache.evidence import from_stored
from nnunetv2_muduo.teacher_cache.loading import CachedDataLoader
from nnunetv2_muduo.teacher_cache.of_trainers import prepare_teacher_cache
from nnunetv2_muduo.teachers.weights import load_teacher
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.training.ignored_settings import OF_ONE_GENERALIST
from nnunetv2_muduo.training.seeding import Stream


class nnUNetTrainerMuDuo(TaughtTrainer):
    """MuDuo (arXiv 2606.15611): SAM-Med3D labels the CT, SegAnyPET the PET, nobody clicks.

    The student's own probabilities prompt the CT teacher, points from a PET-only prompt generator prompt the PET
    teacher; where both agree most, their fusion is the student's pseudo-label. Settings: plans["muduo"].
    """

    scalar_log_keys = ("consistency_losses", "teacher_seconds")
    organ_log_keys = ("teacher_agreement", "share_kept")
    ignored_settings = ("uncertainty_passes", *OF_ONE_GENERALIST)
    views: StudentViews | None = None
    view: SpatialView | None = None  # of this step's unlabelled patches

    @classmethod
    def named_teachers(cls, settings: Settings) -> dict[str, str | None]:
        return {"CT": settings.ct_teacher, "PET": settings.pet_teacher}

    def load_teachers(self) -> None:
        self.ct_teacher, self.pet_teacher = (
            load_teacher(name, shown=modality, log=self.print_to_log_file) if name else None
            for modality, name in self.named_teachers(self.settings).items()
        )

    def prepare_consistency(self) -> None:
        if told := told_lesions_taught(self.organs, reliability=self.settings.reliability):
            remedy = "muduo plan -d ID --set reliability=report min_prompt_iou=0.2"
            self.print_to_log_file(f"WARNING: {told}; judge the teachers with: {remedy}")
        generator = prompt_generator_of(self, nnUNetTrainerMuDuoPrompt) if self.needs_prompt_generator else None
        self.teaching = self.teaching_with(generator)
        self.cache_folder = prepare_teacher_cache(self, self.teaching) if self.settings.teacher_cache else None
        self.views = StudentViews(self) if self.settings.spatial_augmentation else None
        self.start_monitor()

    @property
    def needs_prompt_generator(self) -> bool:
        """Whether anything is prompted by the PET-only network."""
        return self.pet_teacher is not None or self.settings.ct_prompt == "generator"

    def teaching_with(self, prompt_generator: nn.Module | None) -> Teaching:
        """The teachers that were loaded, at work on this trainer's patches."""
        return Teaching(
            self.ct_teacher,
            self.pet_teacher,
            prompt_generator=prompt_generator,
            settings=self.settings,
            patch_size=self.configuration_manager.patch_size,
            spacing_in_mm=self.configuration_manager.spacing,
            channels=(self.ct_channel, self.pet_channel),
            device=self.device,
            seed=self.seed_of_teaching(),
            axes=self.plans_manager.transpose_forward,
        )

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        start = perf_counter()
        probabilities, view = logits.softmax(1)[:, 1:], self.view
        seen = probabilities.detach()
        said = self._ask_teachers(unlabelled, seen if view is None else view.undone(seen))
        self.synchronise()
        seconds = perf_counter() - start
        mix = said.mix
        if self.settings.fusion == "random":
            mix = torch.rand(said.valid.shape, generator=self.teaching.randomness, device=self.device)
        result = distil(
            probabilities,
            said.p_ct,
            said.p_pet,
            said.valid,
            mix,
            keep_fraction=self.settings.keep_fraction,
            min_iou=self.settings.min_iou,
            organ_weights=self.organ_weights,
            vote=said.vote,
            view=view,
        )
        log: dict[str, float | np.ndarray] = {
            "consistency_losses": float(result.loss.detach()),
            "teacher_seconds": seconds,
            "teacher_agreement": _mean_over_valid(result.iou, said.valid),
            "share_kept": result.kept.float().mean(0).cpu().numpy(),
        }
        return Consistency(result.loss, log)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        if self.views is not None:
            self.views.seed(self.seed_of_epoch(Stream.VIEW))

    def student_view(self, images: Tensor) -> Tensor:
        if self.views is None:
            return images
        self.view = self.views.draw(len(images))
        return self.view.of(images)

    @property
    def needs_ema(self) -> bool:
        """The student takes part in the teaching with its average."""
        return self.settings.student_share > 0 or self.settings.student_prompt_share > 0

    def own_answer(self, clean: Tensor) -> OwnAnswer | None:
        if not self.needs_ema:
            return None
        ramp, settings = self.ramp_now() or 0.0, self.settings
        probabilities = self.ema_logits(clean).softmax(1)[:, 1:]
        return OwnAnswer(probabilities, ramp * settings.student_share, ramp * settings.student_prompt_share)

    def _ask_teachers(self, unlabelled: dict, student: Tensor) -> TeacherLabels:
        chosen = {"ct_share": self.ct_share, "by_prompts": self.by_prompts}
        if self.cache_folder is None:
            patches = self.patches_of(unlabelled)
            return self.teaching.label(patches, student, self.own_answer(patches.clean), **chosen)
        own = self.own_answer(unlabelled["clean"].to(self.device, non_blocking=True))
        evidence = from_stored(unlabelled["evidence"], self.device, unlabelled["orientations"])
        return self.teaching.conclude(evidence, student, own, **chosen)

    def unlabelled_loader_class(self) -> Callable[..., UnlabelledDataLoader]:
        if self.cache_folder is None:
            return super().unlabelled_loader_class()
        return partial(CachedDataLoader, cache_folder=self.cache_folder)


def _mean_over_valid(values: Tensor, valid: Tensor) -> np.ndarray:
    """[K] mean of values [B, K] over the valid patches, NaN where there is none."""
    number = valid.sum(0)
    mean = torch.where(valid, values, 0.0).sum(0) / number
    return torch.where(number > 0, mean, torch.nan).float().cpu().numpy()
