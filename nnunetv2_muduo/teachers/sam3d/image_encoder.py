"""The image encoder of SAM-Med3D: a vision transformer on a cubic grid of tokens, exact and without its waste.

The released model pads an 8 x 8 x 8 grid to 14 x 14 x 14 tokens in its windowed blocks and lets the padding take part
in the attention. Here the padded keys are one virtual key (`relative_position.padded_keys_bias`): the same numbers
from 512 queries on 513 keys instead of 2,744 on 2,744.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnunetv2_muduo.teachers.sam3d.layers import ChannelLayerNorm, TwoLayerMlp
from nnunetv2_muduo.teachers.sam3d.relative_position import axis_terms, padded_keys_bias, real_key_bias

NORM_EPSILON = 1e-6


class PatchEmbedding(nn.Module):
    """Cut the volume into cubes and project each to a token."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv3d(1, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 1, S, S, S] -> [B, g, g, g, width]; a convolution without overlap is one matrix product."""
        grid_size, patch_size = image.shape[-1] // self.patch_size, self.patch_size
        cubes = image.reshape(len(image), grid_size, patch_size, grid_size, patch_size, grid_size, patch_size)
        cubes = cubes.permute(0, 1, 3, 5, 2, 4, 6).flatten(start_dim=4)
        return functional.linear(cubes, self.proj.weight.flatten(start_dim=1), self.proj.bias)


class RelativeAttention(nn.Module):
    """Multi-head attention with the released relative-position term, over windows of tokens."""

    def __init__(self, width: int, heads: int, *, window_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.window_size = window_size
        self.rel_pos_d = nn.Parameter(torch.zeros(2 * window_size - 1, width // heads))
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * window_size - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * window_size - 1, width // heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, g, g, g, width] -> the same shape; a window that exceeds the grid is the grid and its padding."""
        grid_size = tokens.shape[1]
        qkv = self.qkv(tokens)
        if self.window_size >= grid_size:
            return self.proj(self._attend(qkv))
        return self.proj(self._attend_within_windows(qkv))

    def _attend(self, qkv: Tensor) -> Tensor:
        """Queries, keys and values [n, g, g, g, 3 * width] -> [n, g, g, g, width], padding up to the window counted."""
        n, grid_size = qkv.shape[:2]
        # [3, n, heads, g^3, c]
        queries, keys, values = qkv.view(n, grid_size**3, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        tables = (self.rel_pos_d, self.rel_pos_h, self.rel_pos_w)
        grid_of_queries = queries.reshape(n * self.heads, grid_size, grid_size, grid_size, -1)
        terms = axis_terms(grid_of_queries, tables, window_size=self.window_size)
        bias = real_key_bias(terms)
        if self.window_size > grid_size:
            padded_query, padded_key, padded_value = self.qkv.bias.to(qkv.dtype).view(3, self.heads, -1)
            padded_bias = padded_keys_bias(terms, padded_query, tables, window_size=self.window_size)
            bias = torch.cat([bias, padded_bias.to(bias.dtype)[:, :, None]], dim=-1)
            keys = torch.cat([keys, padded_key[:, None].expand(n, -1, -1, -1)], dim=2)
            values = torch.cat([values, padded_value[:, None].expand(n, -1, -1, -1)], dim=2)
        bias = bias.unflatten(0, (n, self.heads)).to(queries.dtype)
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        return attended.transpose(1, 2).reshape(n, grid_size, grid_size, grid_size, -1)

    def _attend_within_windows(self, qkv: Tensor) -> Tensor:
        """As `_attend`, for a grid that exceeds the window: zero tokens at its far ends make whole windows."""
        n, grid_size, window_size = len(qkv), qkv.shape[1], self.window_size
        n_windows = -(-grid_size // window_size)
        padded_size = n_windows * window_size
        # a zero token's queries, keys and values are the bias
        padded = self.qkv.bias.to(qkv.dtype).expand(n, padded_size, padded_size, padded_size, -1).clone()
        padded[:, :grid_size, :grid_size, :grid_size] = qkv
        windows = padded.view(n, n_windows, window_size, n_windows, window_size, n_windows, window_size, -1)
        windows = windows.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(
            -1, window_size, window_size, window_size, 3 * self.width
        )
        attended = self._attend(windows)
        attended = attended.view(n, n_windows, n_windows, n_windows, window_size, window_size, window_size, -1)
        attended = attended.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(n, padded_size, padded_size, padded_size, -1)
        return attended[:, :grid_size, :grid_size, :grid_size]

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.proj.in_features


class EncoderBlock(nn.Module):
    """Pre-norm transformer block: attention, then the feed-forward part, each added to its input."""

    def __init__(self, width: int, heads: int, *, mlp_width: int, window_size: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = RelativeAttention(width, heads, window_size=window_size)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mlp = TwoLayerMlp(width, mlp_width, activation=nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, g, g, g, width] -> the same shape."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class ImageEncoder(nn.Module):
    """Volume -> embedding on the grid of tokens."""

    def __init__(self, patch_embedding: PatchEmbedding, blocks: list[EncoderBlock], *, grid_size: int, out_width: int):
        super().__init__()
        width = patch_embedding.proj.out_channels
        self.patch_embed = patch_embedding
        self.pos_embed = nn.Parameter(torch.zeros(1, grid_size, grid_size, grid_size, width))
        self.blocks = nn.ModuleList(blocks)
        self.neck = nn.Sequential(
            nn.Conv3d(width, out_width, kernel_size=1, bias=False),
            ChannelLayerNorm(out_width),
            nn.Conv3d(out_width, out_width, kernel_size=3, padding=1, bias=False),
            ChannelLayerNorm(out_width),
        )

    def forward(self, image: Tensor) -> Tensor:
        """[B, 1, S, S, S] z-normalised, axes (x, y, z) -> [B, out_width, g, g, g]."""
        tokens = self.patch_embed(image) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return self.neck(tokens.movedim(-1, 1))
