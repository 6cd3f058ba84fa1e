"""Small layers that several boxes of Sam3D share."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation over the channels of [B, C, X, Y, Z], with the released epsilon."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, X, Y, Z] -> the same shape, each voxel normalised over C."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class TwoLayerMlp(nn.Module):
    """The feed-forward part of a transformer block: widen, activate, narrow."""

    def __init__(self, width: int, hidden_width: int, *, activation: nn.Module) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden_width)
        self.lin2 = nn.Linear(hidden_width, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        return self.lin2(self.activation(self.lin1(x)))


class ReluMlp(nn.Module):
    """Three linear layers with ReLU in between, as the heads of the mask decoder have them."""

    def __init__(self, in_width: int, hidden_width: int, out_width: int) -> None:
        super().__init__()
        widths = [in_width, hidden_width, hidden_width, out_width]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_width] -> [..., out_width]."""
        *hidden, last = self.layers
        for layer in hidden:
            x = functional.relu(layer(x))
        return last(x)
