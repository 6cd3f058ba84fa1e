"""Fine-tune a promptable teacher on nnU-Net datasets."""

from nnunetv2_muduo.finetuning.finetune import FineTuning, finetune_teacher

__all__ = ["FineTuning", "finetune_teacher"]
