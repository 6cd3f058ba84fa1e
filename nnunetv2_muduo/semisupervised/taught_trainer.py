"""What trainers with promptable teachers share: the teacher report, its pictures, weights of organs made from it."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches
from nnunetv2_muduo.semisupervised.monitoring import (
    Monitor,
    told_judged_on_training_cases,
    told_not_judged,
    told_of_other_orders,
)
from nnunetv2_muduo.semisupervised.teacher_report import SOURCES, TeacherReport
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.training.processes import processes_of
from nnunetv2_muduo.training.seeding import Stream


class TaughtTrainer(SemiSupervisedTrainer):
    """Reports on its teachers while it trains; a subclass makes `teaching` and calls `start_monitor` when it has."""

    epoch_log_keys = ("reliability", "ct_share", "by_prompts", *(f"report_{source}" for source in SOURCES))
    teaching: Teaching
    organ_weights: Tensor | None = None  # [K], of the setting `reliability`
    ct_share: Tensor | None = None  # [K], weight of the CT teacher, of the setting `fusion`
    by_prompts: Tensor | None = None  # [K] bool, organs that the prompts label, of the setting `prompts_label`

    def own_answer(self, clean: Tensor) -> OwnAnswer | None:
        """What the averaged student says about clean patches [B, C, Z, Y, X], where it takes part in the teaching."""
        return None

    def start_monitor(self) -> None:
        self.monitor = Monitor(self)

    def seed_of_teaching(self) -> int | None:
        """Of points and mixtures: each process draws its own, and each epoch anew."""
        return self.seed_of_epoch(Stream.TEACHING)

    def patches_of(self, unlabelled: dict) -> Patches:
        """The batch of `UnlabelledDataLoader` as teachers see it, on the trainer's device."""
        return Patches(unlabelled["clean"], unlabelled["raw"], unlabelled["orientations"]).to(self.device)

    def get_tr_and_val_datasets(self):
        training, validation = super().get_tr_and_val_datasets()
        if self.settings.reliability != "none":
            told = told_judged_on_training_cases(training.identifiers, validation.identifiers)
            if told:
                self.print_to_log_file(f"WARNING: {told}")
        return training, validation

    def tell_of_orientations(self, stored: Mapping[str, str | None]) -> None:
        super().tell_of_orientations(stored)
        if told := told_of_other_orders(stored, self.teaching):
            self.print_to_log_file(f"WARNING: {told}")

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        report = None
        if self.current_epoch % self.settings.report_every == 0:
            with processes_of(self) as processes:  # one report: organs must weigh the same in every process
                report = processes.first_does(lambda: self.monitor.report(self.teaching))
            if self.settings.reliability != "none" and (told := told_not_judged(report)):
                self.print_to_log_file(f"WARNING: {told}")
        self._log_report(report)
        self._use_newest_report()
        if (seed := self.seed_of_teaching()) is not None:  # whatever the report or the teacher cache drew
            self.teaching.randomness.manual_seed(seed)
        self.network.train()

    def on_epoch_end(self) -> None:
        epoch = self.current_epoch
        super().on_epoch_end()
        if self.local_rank == 0:
            self.monitor.write_reports()
            if (epoch + 1) % self.save_every == 0 or epoch == 0:
                self.monitor.draw_unlabelled_patch(self.teaching, epoch)

    def synchronise(self) -> None:
        """Wait for the GPU, before a clock is read."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _log_report(self, report: TeacherReport | None) -> None:
        nothing = np.full(len(self.organs), np.nan)
        by_gates = self.settings.reliability == "gate"
        weights = None if report is None else report.gates() if by_gates else report.reliability()
        self.log_epoch("reliability", nothing if weights is None else weights)
        for key in ("ct_share", "by_prompts"):
            chosen = None if report is None else getattr(report, key)
            self.log_epoch(key, nothing if chosen is None else chosen.astype(float))
        for source in SOURCES:
            self.log_epoch(f"report_{source}", nothing if report is None else report.dice[source])

    def _use_newest_report(self) -> None:
        """What settings take from it, found in the log so that a resumed training knows it too."""
        if self.settings.reliability != "none":
            self.organ_weights = self._newest("reliability")
        if self.settings.fusion == "report":
            self.ct_share = self._newest("ct_share")
        if self.settings.prompts_label and (by_prompts := self._newest("by_prompts")) is not None:
            self.by_prompts = by_prompts > 0.5

    def _newest(self, key: str) -> Tensor | None:
        """[K] last values that were logged; None where none were."""
        logged = [np.asarray(value) for value in self.logger.get_value(key, step=None)]
        newest = next((value for value in reversed(logged) if np.isfinite(value).all()), None)
        return None if newest is None else torch.as_tensor(newest, dtype=torch.float32, device=self.device)
