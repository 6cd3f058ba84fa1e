"""The two-way transformer of the mask decoder: tokens attend to the image, the image attends to the tokens.

Everything is [B, K, length, C], K targets of B images. What does not depend on the target yet has K = 1 and is computed
once for all targets of an image; broadcasting takes care of it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnunetv2_muduo.teachers.sam3d.layers import TwoLayerMlp


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than that of its tokens."""

    def __init__(self, width: int, heads: int, *, inner_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, inner_width)
        self.k_proj = nn.Linear(width, inner_width)
        self.v_proj = nn.Linear(width, inner_width)
        self.out_proj = nn.Linear(inner_width, width)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, usable: Tensor | None = None) -> Tensor:
        """Attend for every image and target.

        Args:
            queries: [B, K or 1, Q, C].
            keys, values: [B, K or 1, L, C].
            usable: [B, K, L] bool, False for keys without influence; None if all count.

        Returns:
            [B, K or 1, Q, C].
        """
        batch = torch.broadcast_shapes(queries.shape[:2], keys.shape[:2], values.shape[:2])
        attended = functional.scaled_dot_product_attention(
            self._split_heads(self.q_proj(queries), batch),
            self._split_heads(self.k_proj(keys), batch),
            self._split_heads(self.v_proj(values), batch),
            attn_mask=None if usable is None else usable.flatten(end_dim=1)[:, None, None, :],
        )
        return self.out_proj(attended.transpose(1, 2).flatten(start_dim=2).unflatten(0, batch))

    def _split_heads(self, tokens: Tensor, batch: torch.Size) -> Tensor:
        """[B, K or 1, L, C] -> [B * K, heads, L, C / heads]."""
        per_head = tokens.unflatten(-1, (self.heads, -1)).expand(*batch, -1, -1, -1)
        return per_head.flatten(end_dim=1).transpose(1, 2)


class TwoWayBlock(nn.Module):
    """Tokens to tokens, tokens to image, feed-forward, image to tokens; each added to its input and normalised."""

    def __init__(self, width: int, heads: int, *, mlp_width: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(width, heads, inner_width=width)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, heads, inner_width=width // 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TwoLayerMlp(width, mlp_width, activation=nn.ReLU())
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, heads, inner_width=width // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, *, token_positions: Tensor, image_positions: Tensor, usable: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Update tokens [B, K, T, C] and image [B, K or 1, g^3, C]; `usable` [B, K, T] says which tokens count."""
        if self.is_first:
            # the released first block sees no positions here and does not add its input
            tokens = self.self_attn(tokens, tokens, tokens, usable)
        else:
            placed = tokens + token_positions
            tokens = tokens + self.self_attn(placed, placed, tokens, usable)
        tokens = self.norm1(tokens)

        placed_image = image + image_positions
        tokens = tokens + self.cross_attn_token_to_image(tokens + token_positions, placed_image, image)
        tokens = self.norm2(tokens)
        tokens = self.norm3(tokens + self.mlp(tokens))

        placed = tokens + token_positions
        image = image + self.cross_attn_image_to_token(placed_image, placed, tokens, usable)
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """A stack of two-way blocks and one last look of the tokens at the image."""

    def __init__(self, width: int, *, depth: int, heads: int, mlp_width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(width, heads, mlp_width=mlp_width, is_first=index == 0) for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(width, heads, inner_width=width // 2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, image: Tensor, *, image_positions: Tensor, usable: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens [B, K, T, C] and image [B, K or 1, g^3, C] -> both, refined, with K targets.

        Args:
            tokens: output and prompt tokens; they are their own positions throughout.
            image: embedding plus dense prompt.
            image_positions: [g^3, C].
            usable: [B, K, T] bool, tokens without influence are False; None if all count.
        """
        positions = tokens
        for layer in self.layers:
            tokens, image = layer(
                tokens, image, token_positions=positions, image_positions=image_positions, usable=usable
            )
        last_look = self.final_attn_token_to_image(tokens + positions, image + image_positions, image)
        return self.norm_final_attn(tokens + last_look), image
