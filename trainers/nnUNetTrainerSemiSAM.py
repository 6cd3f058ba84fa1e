"""-tr nnUNetTrainerSemiSAM: Mean Teacher, and one promptable generalist that the student prompts."""

from time import perf_counter

from torch import Tensor

from nnunetv2_muduo.distillation import generalist_loss, softmax_mse
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.generalist_teaching import GeneralistTeaching
from nnunetv2_muduo.semisupervised.mean_teacher_trainer import MeanTeacherTrainer
from nnunetv2_muduo.semisupervised.taught_trainer import TaughtTrainer
from nnunetv2_muduo.semisupervised.trainer import Consistency
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers.weights import load_teacher
from nnunetv2_muduo.training.ignored_settings import OF_TWO_TEACHERS


class nnUNetTrainerSemiSAM(MeanTeacherTrainer, TaughtTrainer):
    """SemiSAM (arXiv 2312.06316) and SemiSAM+ (arXiv 2502.20749): a specialist and a generalist.

    To Mean Teacher's loss is added the squared difference of the student's probability of an organ and the generalist's
    mask of it, where the student sees that organ at all; the student's own mask, or points inside it, are the prompt.
    Settings: `generalist`, `generalist_prompt` and those of how teachers are asked.

    Both losses share the ramp that all our trainers have. The published script of SemiSAM+ lets the generalist's weight
    fall instead, and divides that loss by itself, so that it is a constant without gradients; it simulates ten clicks
    against the student's mask, weights voxels by their spread, and reloads the generalist in every step.
    """

    scalar_log_keys = ("consistency_losses", "generalist_losses", "teacher_seconds")
    organ_log_keys = ("share_prompted",)
    ignored_settings = ("uncertainty_passes", *OF_TWO_TEACHERS)

    @classmethod
    def named_teachers(cls, settings: Settings) -> dict[str, str | None]:
        return {"CT": settings.ct_teacher} if settings.generalist == "ct" else {"PET": settings.pet_teacher}

    def load_teachers(self) -> None:
        ((modality, name),) = self.named_teachers(self.settings).items()
        if name is None:
            chosen = self.settings.generalist
            raise UserError(
                f"Setting 'generalist' is \"{chosen}\", but '{chosen}_teacher' is null; name a teacher there "
                "with muduo plan, or choose the other one as the generalist."
            )
        self.generalist = load_teacher(name, shown=modality, log=self.print_to_log_file)

    def prepare_consistency(self) -> None:
        self.teaching = self.make_teaching()
        self.start_monitor()

    def make_teaching(self) -> GeneralistTeaching:
        """The generalist that was loaded, at work on this trainer's patches."""
        return GeneralistTeaching(
            self.generalist,
            settings=self.settings,
            patch_size=self.configuration_manager.patch_size,
            spacing_in_mm=self.configuration_manager.spacing,
            channels=(self.ct_channel, self.pet_channel),
            device=self.device,
            seed=self.seed_of_teaching(),
            axes=self.plans_manager.transpose_forward,
        )

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        probabilities = logits.softmax(1)
        by_average = softmax_mse(probabilities, self.teacher_probabilities(unlabelled)).mean()
        start = perf_counter()
        said = self.teaching.label(self.patches_of(unlabelled), probabilities[:, 1:].detach())
        self.synchronise()
        seconds = perf_counter() - start
        by_generalist = generalist_loss(probabilities[:, 1:], said.streams[0], said.valid, self.organ_weights)
        log: dict = {
            "consistency_losses": float(by_average.detach()),
            "generalist_losses": float(by_generalist.detach()),
            "teacher_seconds": seconds,
            "share_prompted": said.valid.float().mean(0).cpu().numpy(),
        }
        return Consistency(by_average + by_generalist, log)
