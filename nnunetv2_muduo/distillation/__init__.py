"""Distillation as pure tensor functions: that of arXiv 2606.15611, and the losses of the baselines beside it."""

from nnunetv2_muduo.distillation.agreement import prompt_agreement, soft_iou
from nnunetv2_muduo.distillation.choice import ct_share_of_best, without_the_unfit
from nnunetv2_muduo.distillation.consensus import consensus_filter
from nnunetv2_muduo.distillation.fusion import StudentVote, both_streams, fuse
from nnunetv2_muduo.distillation.generalist import generalist_loss
from nnunetv2_muduo.distillation.losses import consistency_loss
from nnunetv2_muduo.distillation.mean_teacher import (
    clipped_noise,
    entropy_threshold,
    mean_where,
    predictive_entropy,
    softmax_mse,
)
from nnunetv2_muduo.distillation.schedules import consistency_weight
from nnunetv2_muduo.distillation.step import DistillationResult, distil

__all__ = [
    "DistillationResult",
    "StudentVote",
    "both_streams",
    "clipped_noise",
    "consensus_filter",
    "consistency_loss",
    "consistency_weight",
    "ct_share_of_best",
    "distil",
    "entropy_threshold",
    "fuse",
    "generalist_loss",
    "mean_where",
    "predictive_entropy",
    "prompt_agreement",
    "soft_iou",
    "softmax_mse",
    "without_the_unfit",
]
