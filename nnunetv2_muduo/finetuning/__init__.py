"""Fine-tune a promptable teacher on nnU-Net datasets."""

from nnunetv2_muduo.finetuning.finetune import finetune_teacher
from nnunetv2_muduo.finetuning.plan import FineTuning

__all__ = ["FineTuning", "finetune_teacher"]
