"""The real teachers at a size that tests can afford, with seeded random weights."""

import torch

from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig, Sam3D, Sam3DConfig


def small_sam(seed: int = 0) -> Sam3D:
    """A Sam3D of 32-cubes that answers on 16-cubes."""
    torch.manual_seed(seed)
    config = Sam3DConfig(
        image_size=32, patch_size=8, encoder_width=24, encoder_depth=2, encoder_heads=2, encoder_mlp_width=48,
        window_size=6, global_blocks=(1,), prompt_width=48, decoder_heads=2, decoder_mlp_width=64, iou_head_width=16,
    )  # fmt: skip
    return Sam3D(config)


def small_unet(seed: int = 0) -> ClickUNet:
    """A ClickUNet of 16-cubes."""
    torch.manual_seed(seed)
    config = ClickUNetConfig(
        cube_size=16, features_per_stage=(4, 8), strides=(2, 2), convs_per_stage=(1, 1), convs_per_decoder_stage=(1,)
    )
    return ClickUNet(config)
