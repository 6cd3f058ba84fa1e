"""Small models with weights drawn from a seed, large enough that every term of the attention matters."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nnunetv2_muduo.teachers.sam3d import Sam3D, Sam3DConfig

SMALL = Sam3DConfig(
    image_size=24,
    patch_size=6,
    encoder_width=24,
    encoder_depth=3,
    encoder_heads=3,
    encoder_mlp_width=32,
    window_size=6,
    global_blocks=(1,),
    prompt_width=48,
    mask_width=8,
    decoder_heads=4,
    decoder_mlp_width=64,
    iou_head_width=16,
)


def draw_weights(module: torch.nn.Module, seed: int = 0) -> None:
    """Replace every tensor by normal numbers of a size that keeps activations and attention logits near 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        fan_in = tensor[0].numel() if tensor.ndim > 1 and "rel_pos" not in name else 4
        offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        tensor.copy_(offset + torch.randn(tensor.shape, generator=generator) / fan_in**0.5)


@pytest.fixture
def small_config() -> Sam3DConfig:
    """A 4 x 4 x 4 grid in windows of 6: the released relation of padding and grid, in miniature."""
    return SMALL


@pytest.fixture
def build() -> Callable[..., Sam3D]:
    """Build a small model of given differences to `small_config`, with random weights."""

    def build_model(**differences) -> Sam3D:
        model = Sam3D(replace(SMALL, **differences)).eval().requires_grad_(False)
        draw_weights(model)
        return model

    return build_model
