"""Configurations of teachers that train in a moment, on cubes of 16 voxels."""

from nnunetv2_muduo.teachers.click_unet import ClickUNetConfig
from nnunetv2_muduo.teachers.sam3d import Sam3DConfig

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
