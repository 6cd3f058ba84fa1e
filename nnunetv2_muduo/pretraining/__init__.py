"""The masked autoencoder for PET/CT (arXiv 2605.21835) as pure functions of tensors: training it, and reusing it."""

from nnunetv2_muduo.pretraining.imported_weights import (
    input_tensors,
    misfits,
    network_weights,
    with_input_channels,
)
from nnunetv2_muduo.pretraining.losses import reconstruction_loss
from nnunetv2_muduo.pretraining.masking import block_mask, impute
from nnunetv2_muduo.pretraining.provenance import (
    NOT_PRETRAINED,
    PROVENANCE_KEY,
    RELEASED,
    Provenance,
    channel_sources,
    obstacles,
)
from nnunetv2_muduo.pretraining.schedules import cosine_rate
from nnunetv2_muduo.pretraining.zoom import size_before_zoom, zoomed

__all__ = [
    "NOT_PRETRAINED",
    "PROVENANCE_KEY",
    "RELEASED",
    "Provenance",
    "block_mask",
    "channel_sources",
    "cosine_rate",
    "impute",
    "input_tensors",
    "misfits",
    "network_weights",
    "obstacles",
    "reconstruction_loss",
    "size_before_zoom",
    "with_input_channels",
    "zoomed",
]
