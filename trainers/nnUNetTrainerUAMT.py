"""-tr nnUNetTrainerUAMT: Mean Teacher where the teacher is certain."""

from torch import Tensor

from nnunetv2_muduo.distillation import entropy_threshold, mean_where, predictive_entropy, softmax_mse
from nnunetv2_muduo.semisupervised.mean_teacher_trainer import MeanTeacherTrainer
from nnunetv2_muduo.semisupervised.trainer import Consistency
from nnunetv2_muduo.training.ignored_settings import OF_ANY_TEACHER


class nnUNetTrainerUAMT(MeanTeacherTrainer):
    """Uncertainty-aware Mean Teacher (Yu et al., MICCAI 2019, arXiv 1907.07034).

    As nnUNetTrainerMeanTeacher, but only where the mean of `uncertainty_passes` (published: 8) further answers of the
    teacher, each to noise of its own, has an entropy below (0.75 + 0.25 * ramp) * log(classes). The published script
    has log(2) for any number of classes, and takes the ramp of the threshold over the whole training; ours is the ramp
    of the loss, which is the same unless `ramp_fraction` or `warmup_epochs` are set. Published networks add dropout to
    the noise; nnU-Net's plans have none, so what varies is the noise alone.
    """

    scalar_log_keys = ("consistency_losses", "certain_shares")
    ignored_settings = OF_ANY_TEACHER

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        squares = softmax_mse(logits.softmax(1), self.teacher_probabilities(unlabelled))
        certain = self._certain(unlabelled)
        loss = mean_where(squares, certain)
        log: dict = {"consistency_losses": float(loss.detach()), "certain_shares": float(certain.float().mean())}
        return Consistency(loss, log)

    def _certain(self, unlabelled: dict) -> Tensor:
        """[B, Z, Y, X] bool."""
        passes, ramp = self.settings.uncertainty_passes, self.ramp_now() or 0.0
        total = self.teacher_probabilities(unlabelled)
        for _ in range(passes - 1):  # one after the other: as many at once would need as many times the memory
            total += self.teacher_probabilities(unlabelled)
        return predictive_entropy(total / passes) < entropy_threshold(total.shape[1], ramp)
