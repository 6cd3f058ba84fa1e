"""What a user sees of a training with teachers: the teacher report, a picture of one patch, warnings."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from torch import Tensor

from nnunetv2_muduo.cases.labelled_intensities import labelled_raw_intensities
from nnunetv2_muduo.cases.raw_intensities import outside_is_zero
from nnunetv2_muduo.datasets.stored_orientations import REMEDY
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.evaluation.figures import draw_patch
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.semisupervised.answers import Patches, organ_masks
from nnunetv2_muduo.semisupervised.report_patches import draw_report_patches
from nnunetv2_muduo.semisupervised.teacher_choice import choose_teachers
from nnunetv2_muduo.semisupervised.teacher_report import SOURCES, TeacherReport, make_teacher_report
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.training.wrapped_network import unwrapped

if TYPE_CHECKING:
    from nnunetv2_muduo.semisupervised.taught_trainer import TaughtTrainer


def told_judged_on_training_cases(training: Collection[str], validation: Collection[str]) -> str:
    """What to tell where `reliability` judges on cases (names) that the student is trained on; "" where it does not."""
    if not (both := {*training} & {*validation}):
        return ""
    return (
        f"The setting 'reliability' compares teachers and student on validation cases, and the student is trained on "
        f"{len(both)} of these {len(validation)}: it will look better there than it is, and the teachers lose their "
        "weight with time; train a fold that holds cases out, or set reliability=none."
    )


def told_of_other_orders(stored: Mapping[str, str | None], teaching: Teaching) -> str:
    """What to tell where scans have their axes in another order than a teacher knows; "" where none has.

    Args:
        stored: which way x, y and z of each scan grow, by case.
        teaching: of the teachers.
    """
    others = [case for case, orientation in stored.items() if teaching.in_other_order(orientation)]
    if not others:
        return ""
    return (
        f"{len(others)} of {len(stored)} scan(s) are not stored in axial slices (the first: {others[0]}, "
        f"{stored[others[0]]}), and teachers see these patients lying on a side; {REMEDY}."
    )


def told_not_judged(report: TeacherReport) -> str:
    """What to tell where `reliability` has no labelled patch of some organs to judge on; "" where it has of all."""
    unseen = [organ for organ, dice in zip(report.organs, report.dice["student"], strict=True) if np.isnan(dice)]
    if not unseen:
        return ""
    return (
        f"No labelled patch of the teacher report shows {', '.join(unseen)}, so the setting 'reliability' gives the "
        "teachers no weight there and unlabelled scans teach nothing of it; train a fold whose validation cases do."
    )


class Monitor:
    """Looks at a trainer and its teachers; changes neither. With several GPUs, in the first process alone."""

    def __init__(self, trainer: "TaughtTrainer") -> None:
        self.trainer = trainer
        self.folder = Path(trainer.output_folder)
        self.report_patches: list[tuple[Patches, Tensor]] | None = None
        self.training_patches: list[tuple[Patches, Tensor]] | None = None
        self.pictured: dict | None = None

    def report(self, teaching: Teaching) -> TeacherReport:
        """Make the teacher report of this moment on labelled patches of the validation cases; print and save it."""
        trainer = self.trainer
        if self.report_patches is None:
            self.report_patches = self._draw_patches(trainer.dataset_val)
        report = make_teacher_report(
            teaching,
            self._student,
            self._on_device(self.report_patches),
            organs=trainer.organs,
            ignore_label=trainer.label_manager.ignore_label,
            own_answer=trainer.own_answer,
            ct_share=self._choice(teaching, self.report_patches) if teaching.chooses else None,
            prompts_label=trainer.settings.prompts_label,
        )
        trainer.print_to_log_file(f"Teacher report before epoch {trainer.current_epoch}:\n{report.as_table()}\n")
        write_text(self.folder / "teacher_report.md", report.as_table() + "\n")
        return report

    def write_reports(self) -> None:
        """The numbers of all reports so far as teacher_report.json."""
        logged = self.trainer.logger.get_checkpoint()
        keys = {source: f"report_{source}" for source in SOURCES}
        keys |= {key: key for key in ("ct_share", "by_prompts") if getattr(self.trainer, key) is not None}
        reports = [
            {"epoch": epoch, **{name: self._by_organ(logged[key][epoch]) for name, key in keys.items()}}
            for epoch, dice in enumerate(logged["report_student"])
            if np.isfinite(np.asarray(dice, dtype=float)).any()
        ]
        write_text(self.folder / "teacher_report.json", json.dumps(reports, indent=2) + "\n")

    def draw_unlabelled_patch(self, teaching: Teaching, epoch: int) -> None:
        """What the teachers, their fusion and the student say about one unlabelled patch, always the same."""
        trainer = self.trainer
        if self.pictured is None:
            self.pictured = trainer.dataloader_train.unlabelled_patches.central_patch()
        unlabelled = self.pictured
        patches = trainer.patches_of(unlabelled)
        with torch.inference_mode():
            logits = self._student(patches.clean).float()
            own = trainer.own_answer(patches.clean)
            answers = teaching.ask(patches, logits.softmax(1)[:, 1:], own)
            said = teaching.judge(answers, own, ct_share=trainer.ct_share, by_prompts=trainer.by_prompts)
            found = said.valid[:, :, None, None, None]
            masks = {
                "CT teacher": None if answers.p_ct is None else (answers.p_ct > 0.5) & found,
                "PET teacher": None if answers.p_pet is None else (answers.p_pet > 0.5) & found,
                "pseudo-label": said.fused,
                "student": organ_masks(logits.argmax(1), logits.shape[1] - 1),
            }
        case, raw = unlabelled["keys"][0], unlabelled["raw"][0].numpy()
        stored = unlabelled["orientations"][0]
        turn = Turn.of_patch(stored, "LPS", axes=teaching.axes)
        seen = {name: mask[0].cpu().numpy() for name, mask in masks.items() if mask is not None}
        draw_patch(
            self.folder / f"unlabelled_patch_epoch_{epoch:04d}.png",
            turn.there(raw[trainer.ct_channel]),
            turn.there(raw[trainer.pet_channel]),
            {name: np.stack([turn.there(organ) for organ in organs]) for name, organs in seen.items()},
            title=f"unlabelled case {case}, after epoch {epoch}",
            spacing_in_mm=turn.spacing(trainer.configuration_manager.spacing),
            oriented=stored is not None,
        )

    def _choice(self, teaching: Teaching, held_out: list[tuple[Patches, Tensor]]) -> Tensor:
        """[K] weight of the CT teacher, by who is best on held-out patches or, where these do not tell, on others.

        Prompts are better on training cases than on unlabelled ones, and whoever needs good prompts looks better there.
        """
        trainer = self.trainer
        if self.training_patches is None:
            self.training_patches = self._draw_patches(trainer.dataset_tr)
        on_held_out, on_training = (
            choose_teachers(
                teaching,
                self._student,
                self._on_device(patches),
                organs=len(trainer.organs),
                ignore_label=trainer.label_manager.ignore_label,
                own_answer=trainer.own_answer,
            )
            for patches in (held_out, self.training_patches)
        )
        chosen = np.nan_to_num(np.where(np.isnan(on_held_out), on_training, on_held_out), nan=0.5)
        return torch.as_tensor(chosen, dtype=torch.float32, device=trainer.device)

    def _on_device(self, batches: list[tuple[Patches, Tensor]]) -> Iterator[tuple[Patches, Tensor]]:
        device = self.trainer.device
        return ((patches.to(device), labels.to(device)) for patches, labels in batches)

    def _draw_patches(self, dataset: nnUNetBaseDataset) -> list[tuple[Patches, Tensor]]:
        trainer = self.trainer
        return draw_report_patches(
            dataset,
            number=trainer.settings.report_patches,
            batch_size=trainer.unlabelled_batch_size,
            patch_size=trainer.configuration_manager.patch_size,
            label_manager=trainer.label_manager,
            raw_intensities=labelled_raw_intensities(dataset.identifiers, **trainer.data_source),
            outside_is_zero=outside_is_zero(trainer.configuration_manager),
            raw_padding=trainer.raw_padding,
        )

    def _student(self, clean: Tensor) -> Tensor:
        """The student as it would predict: evaluation mode, full resolution only.

        Without DDP's wrapper, whose forward pass may wait for the other processes, and without torch.compile's: the
        first report comes before the first step, and batches of two sizes would have the training compiled for any.
        """
        network = unwrapped(self.trainer.network)
        was_training = network.training
        network.eval()
        with torch.autocast(clean.device.type, enabled=clean.device.type == "cuda"):
            output = network(clean)
        network.train(was_training)
        return output if isinstance(output, Tensor) else output[0]

    def _by_organ(self, values: list[float]) -> dict[str, float | None]:
        pairs = zip(self.trainer.organs, values, strict=True)
        return {organ: round(value, 4) if np.isfinite(value) else None for organ, value in pairs}
