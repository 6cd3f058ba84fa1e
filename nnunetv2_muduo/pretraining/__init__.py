"""The masked autoencoder for PET/CT as pure tensor functions: masks, loss, schedule, zoom (arXiv 2605.21835)."""

from nnunetv2_muduo.pretraining.losses import reconstruction_loss
from nnunetv2_muduo.pretraining.masking import block_mask, impute
from nnunetv2_muduo.pretraining.schedules import cosine_rate
from nnunetv2_muduo.pretraining.zoom import size_before_zoom, zoomed

__all__ = ["block_mask", "cosine_rate", "impute", "reconstruction_loss", "size_before_zoom", "zoomed"]
