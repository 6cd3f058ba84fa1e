"""-tr nnUNetTrainerCPS: two students teach each other."""

from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from nnunetv2_muduo.semisupervised.second_student import SecondStudent
from nnunetv2_muduo.semisupervised.trainer import Consistency, SemiSupervisedTrainer
from nnunetv2_muduo.training.ignored_settings import OF_ANY_TEACHER


class nnUNetTrainerCPS(SemiSupervisedTrainer):
    """Cross pseudo supervision (Chen et al., CVPR 2021, arXiv 2106.01226), as segmentation compares with it (SSL4MIS).

    Two networks of different initial weights. Each learns from the labelled patches as in nnU-Net, and on the augmented
    unlabelled ones by cross-entropy with the other's most probable labels of the same moment, all voxels alike. Both
    steps are nnU-Net's own: gradients are clipped and scaled network by network. The first student predicts.

    The weight follows the ramp that all our trainers have, to 0.1, as in the published medical script; the paper has
    1.5 or 6 without a ramp, and cross pseudo supervision on the labelled images as well.
    """

    scalar_log_keys = (
        "consistency_losses",
        "students_agree",
        "second_supervised_losses",
        "second_consistency_losses",
    )
    ignored_settings = ("uncertainty_passes", *OF_ANY_TEACHER)

    def initialize(self) -> None:
        super().initialize()
        self.second = SecondStudent(self)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.second.begin_epoch(self.current_epoch)

    def learn_from(self, batch: dict, weight: float | None) -> dict:
        if weight is not None:
            image = batch["unlabelled"]["image"].to(self.device, non_blocking=True)
            self.pseudo_label = self.second.labels(image)
        first = super().learn_from(batch, weight)
        if weight is not None:
            self.pseudo_label = self.said  # before the first student's step, as the second's were
        with self.second.in_place_of_the_first(self):
            second = super().learn_from(batch, weight)
        if weight is not None:
            del self.pseudo_label, self.said  # nothing of a step stays
        own = {f"second_{key}": second[key] for key in ("supervised_losses", "consistency_losses")}
        return {**first, **own}

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        self.said = logits.detach().argmax(1)
        loss = cross_entropy(logits, self.pseudo_label)
        agree = (self.said == self.pseudo_label).float().mean()
        return Consistency(loss, {"consistency_losses": float(loss.detach()), "students_agree": float(agree)})

    def state_to_save(self) -> dict[str, Any]:
        return {**super().state_to_save(), "second_student": self.second.state()}

    def restore_state(self, state: dict[str, Any]) -> None:
        super().restore_state(state)
        if "second_student" in state:
            self.second.restore(state["second_student"])
        else:
            self.print_to_log_file("The checkpoint holds no second student; it begins anew.")
