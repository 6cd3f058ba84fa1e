"""The numbers that make a Sam3D; the defaults are those of the released checkpoints."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nnunetv2_muduo.teachers.config_fields import refuse_impossible


@dataclass(frozen=True)
class Sam3DConfig:
    """Size of every part of a Sam3D; the defaults are the released "vit_b_ori" (100.5 M parameters).

    Attributes:
        image_size: edge length of the cubic input, in voxels.
        patch_size: edge length of one token of the image encoder, in voxels.
        encoder_width: channels of the image encoder's tokens.
        encoder_depth: number of transformer blocks of the image encoder.
        encoder_heads: attention heads of each of those blocks.
        encoder_mlp_width: hidden channels of each of those blocks.
        window_size: edge length of the attention window of the blocks that are not global, in tokens; where it
            exceeds the grid of tokens, zero tokens pad the grid and take part in the attention, as released.
        global_blocks: indices of the blocks that attend over the whole grid without padding.
        prompt_width: channels of the embedding and of every prompt token.
        mask_width: hidden channels of the mask prompt's convolutions.
        decoder_depth: number of two-way blocks of the mask decoder.
        decoder_heads: attention heads of the mask decoder.
        decoder_mlp_width: hidden channels of its blocks.
        iou_head_width: hidden channels of the head that predicts the IoU.
        mask_tokens: number of mask tokens; token 0 makes the one mask that is returned.
        spacing_in_mm: isotropic working spacing.
        orientation: which way x, y and z grow in the patient; training flipped all axes, the published scripts use RAS.

    Raises:
        ValueError: if the numbers do not fit each other.
    """

    image_size: int = 128
    patch_size: int = 16
    encoder_width: int = 768
    encoder_depth: int = 12
    encoder_heads: int = 12
    encoder_mlp_width: int = 3072
    window_size: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    prompt_width: int = 384
    mask_width: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_width: int = 2048
    iou_head_width: int = 256
    mask_tokens: int = 4
    spacing_in_mm: float = 1.5
    orientation: str = "RAS"

    def __post_init__(self) -> None:
        refuse_impossible(self)
        self._must_divide("patch_size", self.patch_size, "image_size", self.image_size)
        self._must_divide("encoder_heads", self.encoder_heads, "encoder_width", self.encoder_width)
        self._must_divide("4", 4, "mask_width", self.mask_width)
        # 3: sine, cosine and sine of the point encoding; 8: channels left after the second upscaling
        self._must_divide("24", 24, "prompt_width", self.prompt_width)
        # the attention between tokens and image works on half the channels
        self._must_divide("twice decoder_heads", 2 * self.decoder_heads, "prompt_width", self.prompt_width)
        outside = [block for block in self.global_blocks if not 0 <= block < self.encoder_depth]
        if outside:
            raise ValueError(f"global_blocks {outside} do not exist; encoder_depth is {self.encoder_depth}")

    @staticmethod
    def _must_divide(divisor_name: str, divisor: int, name: str, value: int) -> None:
        if value % divisor:
            raise ValueError(f"{name} is {value}; {divisor_name} ({divisor}) must divide it")

    @property
    def grid_size(self) -> int:
        """Edge length of the cubic grid of image tokens."""
        return self.image_size // self.patch_size

    @property
    def mask_size(self) -> int:
        """Edge length of the cubic grid of mask prompts and logits, in voxels."""
        return 4 * self.grid_size

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain numbers and lists, as it travels inside a checkpoint."""
        return {**asdict(self), "global_blocks": list(self.global_blocks)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Sam3DConfig":
        """Rebuild a configuration from `to_dict`; missing keys keep their defaults.

        Raises:
            ValueError: if a key is unknown, or the numbers do not fit each other.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown keys in a Sam3D configuration: {', '.join(unknown)}")
        values = dict(values)
        if "global_blocks" in values:
            values["global_blocks"] = tuple(values["global_blocks"])
        return cls(**values)
