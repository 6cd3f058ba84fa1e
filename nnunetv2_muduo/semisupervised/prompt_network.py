"""The network of the prompt generator: nnU-Net's planned network on one channel of the patch."""

import torch
from torch import Tensor, nn


class SingleChannelNetwork(nn.Module):
    """Feeds one channel of the input to a network, so that stock nnU-Net predicts with it on all channels.

    The channel's number is a buffer and travels in the checkpoint.
    """

    channel: Tensor

    def __init__(self, network: nn.Module, channel: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("channel", torch.tensor([channel]))

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Image [B, C, Z, Y, X] -> logits [B, 1 + K, Z, Y, X], or a list of them with deep supervision."""
        return self.network(image.index_select(1, self.channel))

    @property
    def decoder(self) -> nn.Module:
        """nnU-Net switches deep supervision on and off here."""
        return self.network.get_submodule("decoder")
