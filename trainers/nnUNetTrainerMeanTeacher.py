"""-tr nnUNetTrainerMeanTeacher: the student agrees with the average of its own weights."""

from torch import Tensor

from nnunetv2_muduo.distillation import softmax_mse
from nnunetv2_muduo.semisupervised.mean_teacher_trainer import MeanTeacherTrainer
from nnunetv2_muduo.semisupervised.trainer import Consistency
from nnunetv2_muduo.training.ignored_settings import OF_ANY_TEACHER


class nnUNetTrainerMeanTeacher(MeanTeacherTrainer):
    """Mean Teacher (Tarvainen and Valpola, arXiv 1703.01780), as segmentation compares with it (SSL4MIS).

    Loss on unlabelled patches: squared difference of the softmaxes of the student, on the augmented patch, and of its
    average (decay min(1 - 1/(step + 1), 0.99)), on the clean patch plus Gaussian noise of 0.1 clipped to +-0.2.

    Its weight follows the ramp that all our trainers have. Published scripts ramp over the whole training, as ours does
    by default, to 0.1, in stairs of 150 iterations; their student sees the patch that the teacher's noise is added to.
    """

    scalar_log_keys = ("consistency_losses",)
    ignored_settings = ("uncertainty_passes", *OF_ANY_TEACHER)

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        loss = softmax_mse(logits.softmax(1), self.teacher_probabilities(unlabelled)).mean()
        return Consistency(loss, {"consistency_losses": float(loss.detach())})
