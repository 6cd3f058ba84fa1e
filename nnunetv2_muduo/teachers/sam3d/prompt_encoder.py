"""The prompt encoder of SAM-Med3D: points and rough masks become tokens and a dense embedding."""

import math

import torch
from torch import Tensor, nn

from nnunetv2_muduo.teachers.sam3d.layers import ChannelLayerNorm

FOREGROUND, BACKGROUND = 1, 0


class FourierPositions(nn.Module):
    """Random Fourier features of positions in the unit cube, [sin, cos, sin] of one random projection."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(3, width // 3))

    def forward(self, positions: Tensor) -> Tensor:
        """[..., 3] in [0, 1] -> [..., width] in float32, whatever autocast says: bfloat16 would blur the phases."""
        with torch.autocast(positions.device.type, enabled=False):
            matrix = self.positional_encoding_gaussian_matrix.float()
            phases = 2 * math.pi * ((2 * positions.float() - 1) @ matrix)
            return torch.cat([phases.sin(), phases.cos(), phases.sin()], dim=-1)


class PromptEncoder(nn.Module):
    """Points -> one token each; masks -> one vector for each cell of the image encoder's grid."""

    def __init__(self, width: int, *, image_size: int, grid_size: int, mask_width: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.grid_size = grid_size
        self.pe_layer = FourierPositions(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in (BACKGROUND, FOREGROUND))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv3d(1, mask_width // 4, kernel_size=2, stride=2),
            ChannelLayerNorm(mask_width // 4),
            nn.GELU(),
            nn.Conv3d(mask_width // 4, mask_width, kernel_size=2, stride=2),
            ChannelLayerNorm(mask_width),
            nn.GELU(),
            nn.Conv3d(mask_width, width, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, width)

    def embed_points(self, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Points of K targets -> tokens, the released model's padding point appended to each target's.

        Args:
            coords: [B, K, N, 3] in voxels of the cube, axes (x, y, z); anything, even NaN, in unused slots.
            labels: [B, K, N] 1 foreground, 0 background, anything else an unused slot.

        Returns:
            tokens [B, K, N + 1, C] and which of them count, [B, K, N + 1] bool. The padding point (the embedding
            "not a point") counts for a target with at least one point: a mask alone comes without any point token.
        """
        is_foreground, is_background = labels == FOREGROUND, labels == BACKGROUND
        used = is_foreground | is_background
        index = torch.zeros_like(labels, dtype=torch.long)
        background, foreground = (embedding(index) for embedding in self.point_embeddings)
        kind = torch.where(is_foreground[..., None], foreground, background)
        points = self.pe_layer((coords.float() + 0.5) / self.image_size) + kind
        # selected, not multiplied by zero: an unused slot must not leak a NaN
        points = torch.where(used[..., None], points, self.not_a_point_embed.weight)
        padding_point = self.not_a_point_embed.weight.expand(*points.shape[:2], 1, -1)
        tokens = torch.cat([points, padding_point.to(points.dtype)], dim=2)
        return tokens, torch.cat([used, used.any(dim=-1, keepdim=True)], dim=-1)

    def embed_masks(self, masks: Tensor) -> Tensor:
        """Mask prompts [B, K, M, M, M] (logits) -> dense embeddings [B, K, g^3, C]."""
        dense = self.mask_downscaling(masks.flatten(end_dim=1)[:, None])
        return dense.flatten(start_dim=2).transpose(1, 2).unflatten(0, masks.shape[:2])

    def embed_no_mask(self) -> Tensor:
        """The learned vector that stands for "no mask" in every cell: [1, 1, 1, C]."""
        return self.no_mask_embed.weight[None, None]

    def grid_positions(self) -> Tensor:
        """Positional encoding of the cell centres: [g^3, C].

        The released code counts the first of the three encoded coordinates along the grid's second axis and the
        second along its first, so cells and points see the first two axes swapped; the weights expect it.
        """
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        centres = (torch.arange(self.grid_size, device=matrix.device) + 0.5) / self.grid_size
        first, second, third = torch.meshgrid(centres, centres, centres, indexing="ij")
        return self.pe_layer(torch.stack([second, first, third], dim=-1).flatten(end_dim=2))
