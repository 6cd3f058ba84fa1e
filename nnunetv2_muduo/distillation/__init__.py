"""Mutual distillation as pure tensor functions: agreement, consensus, fusion, loss and schedule (arXiv 2606.15611)."""

from nnunetv2_muduo.distillation.agreement import soft_iou
from nnunetv2_muduo.distillation.consensus import consensus_filter
from nnunetv2_muduo.distillation.fusion import both_streams, fuse
from nnunetv2_muduo.distillation.losses import consistency_loss
from nnunetv2_muduo.distillation.schedules import consistency_weight
from nnunetv2_muduo.distillation.step import DistillationResult, distil

__all__ = [
    "DistillationResult",
    "both_streams",
    "consensus_filter",
    "consistency_loss",
    "consistency_weight",
    "distil",
    "fuse",
    "soft_iou",
]
