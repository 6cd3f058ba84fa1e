"""The mask decoder of SAM-Med3D: prompt tokens and image embedding -> a mask and its predicted IoU."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnunetv2_muduo.teachers.sam3d.layers import ReluMlp
from nnunetv2_muduo.teachers.sam3d.transformer import TwoWayTransformer


class CellDivision(nn.ConvTranspose3d):
    """A transposed convolution of kernel and stride 2, as one matrix product that gives every cell its eight children.

    Everything between two of them is local, so the children stay beside each other until only logits are left to sort.
    """

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__(in_width, out_width, kernel_size=2, stride=2)

    def forward(self, cells: Tensor) -> Tensor:  # type: ignore[override]  # no output_size: it is always doubled
        """[..., C] -> [..., 8, C'], the 2 x 2 x 2 children of each cell, last axis fastest."""
        weight = self.weight.permute(2, 3, 4, 1, 0).flatten(end_dim=3)
        bias = None if self.bias is None else self.bias.repeat(8)
        return functional.linear(cells, weight, bias).unflatten(-1, (8, -1))


class MaskDecoder(nn.Module):
    """Two-way transformer, upscaling by 4, and a small network that turns a mask token into a linear classifier."""

    def __init__(self, transformer: TwoWayTransformer, *, width: int, mask_tokens: int, iou_head_width: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(mask_tokens, width)
        self.output_upscaling = nn.Sequential(
            CellDivision(width, width // 4),
            nn.LayerNorm(width // 4, eps=1e-6),
            nn.GELU(),
            CellDivision(width // 4, width // 8),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(ReluMlp(width, width, width // 8) for _ in range(mask_tokens))
        self.iou_prediction_head = ReluMlp(width, iou_head_width, mask_tokens)

    def forward(
        self, image: Tensor, *, image_positions: Tensor, prompt_tokens: Tensor | None, usable: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Decode K targets of B images; only the mask of token 0 is made, the others ask several masks of one click.

        Args:
            image: [B, K or 1, g^3, C], embedding plus dense prompt; K if there are no prompt tokens.
            image_positions: [g^3, C].
            prompt_tokens: [B, K, P, C], or None for prompts without points.
            usable: [B, K, P] bool, which prompt tokens count.

        Returns:
            logits [B, K, M, M, M] with M = 4 g, and predicted IoU [B, K], both float32.
        """
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        if prompt_tokens is None or usable is None:
            tokens = output_tokens.expand(*image.shape[:2], -1, -1)
        else:
            output_tokens = output_tokens.expand(*prompt_tokens.shape[:2], -1, -1)
            tokens = torch.cat([output_tokens, prompt_tokens.to(output_tokens.dtype)], dim=2)
            usable = functional.pad(usable, (output_tokens.shape[2], 0), value=True)
        tokens, image = self.transformer(tokens, image, image_positions=image_positions, usable=usable)
        classifier = self.output_hypernetworks_mlps[0](tokens[:, :, 1])
        return self._mask(image, classifier).float(), self.iou_prediction_head(tokens[:, :, 0])[..., 0].float()

    def _mask(self, image: Tensor, classifier: Tensor) -> Tensor:
        """Upscale image tokens [B, K, g^3, C], classify with [B, K, C / 8] -> logits [B, K, M, M, M]."""
        grandchildren = self.output_upscaling(image).flatten(start_dim=2, end_dim=4)
        logits = torch.matmul(grandchildren, classifier[..., None])
        edge = round(image.shape[2] ** (1 / 3))
        # dimensions: target, x, y, z of the cell, of its child, of its grandchild
        logits = logits.reshape(-1, edge, edge, edge, 2, 2, 2, 2, 2, 2).permute(0, 1, 4, 7, 2, 5, 8, 3, 6, 9)
        return logits.reshape(*image.shape[:2], 4 * edge, 4 * edge, 4 * edge)
