"""The real teachers at sizes that tests can afford."""

import torch

from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig, Sam3D, Sam3DConfig

CLICK_UNET = ClickUNetConfig(
    cube_size=16, features_per_stage=(4, 8), strides=(2, 2), convs_per_stage=(1, 1), convs_per_decoder_stage=(1,)
)
SAM3D = Sam3DConfig(
    image_size=16,
    patch_size=4,
    encoder_width=24,
    encoder_depth=2,
    encoder_heads=2,
    encoder_mlp_width=32,
    window_size=5,
    global_blocks=(1,),
    prompt_width=48,
    decoder_heads=2,
    decoder_mlp_width=32,
    iou_head_width=16,
    spacing_in_mm=8.0,
)


def small_sam(seed: int = 0) -> Sam3D:
    """A Sam3D of 32-cubes that answers on 16-cubes, with seeded random weights."""
    torch.manual_seed(seed)
    config = Sam3DConfig(
        image_size=32, patch_size=8, encoder_width=24, encoder_depth=2, encoder_heads=2, encoder_mlp_width=48,
        window_size=6, global_blocks=(1,), prompt_width=48, decoder_heads=2, decoder_mlp_width=64, iou_head_width=16,
    )  # fmt: skip
    return Sam3D(config)


def small_unet(seed: int = 0) -> ClickUNet:
    """A ClickUNet of 16-cubes, with seeded random weights."""
    torch.manual_seed(seed)
    return ClickUNet(CLICK_UNET)
