"""Which parameters of a teacher encode images and which decode prompts, so that each can learn at a rate of its own."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from nnunetv2_muduo.errors import UserError

# architecture -> the names of the modules that encode the image; everything else decodes
ENCODERS: Mapping[str, tuple[str, ...]] = {
    "ClickUNet": ("network",),  # the rest is the head
    "Sam3D": ("image_encoder",),  # the rest is the prompt encoder and the mask decoder
}


def parameter_groups(teacher: nn.Module, *, decoder_rate_share: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser, each with its `rate_share` of the encoder's learning rate.

    Args:
        teacher: a ClickUNet, a Sam3D, or with a share of 1 any network.
        decoder_rate_share: the decoder's learning rate as a share of the encoder's; with 1 there is one group.

    Raises:
        UserError: if the share is not 1 and nobody knows which part of this network is its encoder.
    """
    if decoder_rate_share == 1:
        return [{"params": list(teacher.parameters()), "rate_share": 1.0}]
    architecture = type(teacher).__name__
    if architecture not in ENCODERS:
        raise UserError(
            f"Nobody knows which part of {architecture} encodes images; give its decoder the encoder's learning rate "
            f"(a share of 1), or use one of {', '.join(ENCODERS)}."
        )
    encoding: list[nn.Parameter] = []
    decoding: list[nn.Parameter] = []
    for name, parameter in teacher.named_parameters():
        (encoding if name.split(".")[0] in ENCODERS[architecture] else decoding).append(parameter)
    return [{"params": encoding, "rate_share": 1.0}, {"params": decoding, "rate_share": decoder_rate_share}]
