"""What the masked autoencoder does not get to see."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = (12, 16, 16)  # published, in voxels of 3 x 2 x 2 mm: about 36 x 32 x 32 mm
RATIO = 0.5  # published


def block_mask(
    shape: Sequence[int],
    block: Sequence[int] = BLOCK,
    ratio: float = RATIO,
    generator: torch.Generator | None = None,
    *,
    device: torch.device | None = None,
) -> Tensor:
    """Hide whole blocks, drawn independently for each patch, channel and block: noise < ratio (arXiv 2605.21835).

    What CT hides at a place PET may show, so that each channel is also told from the other.

    Args:
        shape: (B, C, Z, Y, X) of the patches to mask.
        block: (Z, Y, X) voxels of a block; the blocks begin at the patch's first voxel, the last ones are cut where a
            patch is no multiple of them.
        ratio: chance of each block to be hidden, 0 to 1.
        generator: source of the draw, torch's own where None. The noise is drawn on the generator's device.
        device: of the mask; None: the generator's.

    Returns:
        [B, C, Z, Y, X] bool, True where hidden.

    Raises:
        ValueError: for a shape that is not 5d, a block that is not 3d or empty, or a ratio outside [0, 1].
    """
    if len(shape) != 5 or len(block) != 3 or min(block) < 1:
        raise ValueError(f"shape must be (B, C, Z, Y, X) and block (Z, Y, X), not {tuple(shape)} and {tuple(block)}")
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must lie between 0 and 1, not at {ratio}")
    blocks = [math.ceil(edge / size) for edge, size in zip(shape[2:], block, strict=True)]
    source = torch.device("cpu") if generator is None else generator.device
    noise = torch.rand(*shape[:2], *blocks, generator=generator, device=source)
    hidden = (noise < ratio).to(source if device is None else device)
    return _enlarged(hidden, block)[..., : shape[2], : shape[3], : shape[4]]


def impute(image: Tensor, mask: Tensor) -> Tensor:
    """The image as the network gets to see it: hidden voxels are 0, the mean of a z-scored channel; no mask token.

    Args:
        image: [B, C, Z, Y, X] z-scores.
        mask: the same shape, True where hidden.
    """
    return image.masked_fill(mask, 0.0)


def _enlarged(blocks: Tensor, size: Sequence[int]) -> Tensor:
    """[B, C, z, y, x] -> [B, C, z * Z, y * Y, x * X], each entry as a block of its own, in a single copy."""
    spread = blocks[:, :, :, None, :, None, :, None]
    batch, channels, *number = blocks.shape
    pairs = [edge for pair in zip(number, size, strict=True) for edge in pair]
    return spread.expand(batch, channels, *pairs).reshape(
        batch, channels, *(count * edge for count, edge in zip(number, size, strict=True))
    )
