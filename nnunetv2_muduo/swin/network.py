"""MONAI's SwinUNETR-v2 with its output layer where nnU-Net looks for it. Imports MONAI: see `build_swin`."""

from typing import Any

import torch
from monai.networks.nets import SwinUNETR
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nnunetv2_muduo.swin_sizes import HEADS, SwinSize


class SwinUNETRv2(SwinUNETR):
    """SwinUNETR with a residual convolution block before each stage (He et al., MICCAI 2023), one output.

    Tensors have MONAI's names, but for the output layer's: `decoder.seg_layers.0.*` instead of `out.*`, since nnU-Net
    leaves `.seg_layers.` alone when it takes over pretrained weights.

    Args:
        size: see `SIZES`.
        input_channels, output_channels: of images and logits (or reconstructions).

    Shape:
        [B, C, Z, Y, X] -> [B, outputs, Z, Y, X], every edge a multiple of 32 voxels.
    """

    def __init__(self, size: SwinSize, *, input_channels: int, output_channels: int) -> None:
        with _NumbersOnCPU():
            super().__init__(
                in_channels=input_channels,
                out_channels=output_channels,
                depths=size.depths,
                num_heads=HEADS,
                feature_size=size.features,
                use_v2=True,
            )
        self.add_module("out", nn.Identity())
        self.decoder = OutputLayer(size.features, output_channels)

    def forward(self, image: Tensor) -> Tensor:
        return self.decoder(super().forward(image))


class OutputLayer(nn.Module):
    """The 1x1x1 convolution on top, under the names that nnU-Net's own decoders have.

    Attributes:
        seg_layers: holds the one layer.
        deep_supervision: set by nnU-Net's loop; there is one output whatever it says.
    """

    def __init__(self, features: int, output_channels: int) -> None:
        super().__init__()
        self.seg_layers = nn.ModuleList([nn.Conv3d(features, output_channels, kernel_size=1)])
        self.deep_supervision = False

    def forward(self, features: Tensor) -> Tensor:
        return self.seg_layers[0](features)


class _NumbersOnCPU(TorchFunctionMode):
    """Lets the network be built on the meta device, too: MONAI reads drop rates off a tensor, which has none there."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        on_cpu = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**(kwargs or {}), **on_cpu})
