"""ClickUNet: a small convolutional promptable teacher that a CPU can train and run.

One `PlainConvUNet` sees the image and its prompts as channels from the first layer on ("early prompting"): image,
foreground clicks, background clicks, previous mask. There is no image embedding to share between targets; a pass over a
48-cube is so cheap that this does not matter.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn

from nnunetv2_muduo.teachers.protocol import TeacherSpec

PROMPT_CHANNELS = 3  # foreground clicks, background clicks, previous mask
PROMPTS_PER_PASS = 32  # bounds memory where many organs are asked for at once


@dataclass(frozen=True)
class ClickUNetConfig:
    """Shape of a ClickUNet; travels in its checkpoint.

    Attributes:
        cube_size: edge length S of the input cube in voxels, divisible by the product of `strides`.
        mask_size: edge length M of mask prompts and logits: S, or S divided by the first stride.
        spacing_in_mm: isotropic spacing it was trained around.
        features_per_stage: channels of each stage of the U-Net.
        strides: stride of each stage; a first stride of 2 makes the network eight times cheaper.
        convs_per_stage, convs_per_decoder_stage: 3x3x3 convolutions of each stage.
        click_radius_in_voxels: standard deviation of the Gaussian ball drawn for a click.
    """

    cube_size: int = 48
    mask_size: int = 48
    spacing_in_mm: float = 8.0
    features_per_stage: tuple[int, ...] = (16, 32, 64, 96)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    convs_per_stage: tuple[int, ...] = (2, 2, 2, 2)
    convs_per_decoder_stage: tuple[int, ...] = (1, 1, 1)
    click_radius_in_voxels: float = 2.0

    def __post_init__(self) -> None:
        """Refuse shapes the U-Net cannot take.

        Raises:
            ValueError: if the sizes, strides and stages do not fit each other.
        """
        shrink = 1
        for stride in self.strides:
            shrink *= stride
        if self.cube_size % shrink:
            raise ValueError(f"cube_size {self.cube_size} is not divisible by the product of the strides, {shrink}")
        if self.mask_size not in (self.cube_size, self.cube_size // self.strides[0]):
            raise ValueError(f"mask_size {self.mask_size} is neither cube_size nor cube_size over the first stride")
        if not len(self.features_per_stage) == len(self.strides) == len(self.convs_per_stage):
            raise ValueError("features_per_stage, strides and convs_per_stage must be equally long")

    @property
    def logits_per_cell(self) -> int:
        """Edge length of the block of logits that one voxel of the U-Net's first stage stands for."""
        return self.mask_size * self.strides[0] // self.cube_size

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, for a checkpoint or JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ClickUNetConfig":
        """The inverse of `to_dict`.

        Raises:
            ValueError: naming keys that no ClickUNet has.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown ClickUNet settings: {', '.join(unknown)}")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


class ClickUNet(nn.Module):
    """A promptable teacher (see `protocol.PromptableTeacher`), axes (x, y, z).

    Where the first stage has stride 2 and `mask_size` equals `cube_size`, the last layer predicts the 2x2x2 logits of
    each of its voxels ("sub-voxel" output): full resolution at the price of half resolution.
    """

    def __init__(self, config: ClickUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClickUNetConfig()
        self.spec = TeacherSpec(self.config.cube_size, self.config.mask_size, self.config.spacing_in_mm)
        self.network = PlainConvUNet(
            input_channels=1 + PROMPT_CHANNELS,
            n_stages=len(self.config.features_per_stage),
            features_per_stage=self.config.features_per_stage,
            conv_op=nn.Conv3d,
            kernel_sizes=3,
            strides=self.config.strides,
            n_conv_per_stage=self.config.convs_per_stage,
            num_classes=self.config.logits_per_cell**3,
            n_conv_per_stage_decoder=self.config.convs_per_decoder_stage,
            conv_bias=True,
            norm_op=nn.InstanceNorm3d,  # per sample: K prompts in one batch equal one at a time
            norm_op_kwargs={"affine": True, "eps": 1e-5},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
        )

    def encode(self, image: Tensor) -> Tensor:
        """Image [B, 1, S, S, S], z-normalised -> the same through asinh, so that air and hot spots stay in range.

        Raises:
            ValueError: if the image is not a batch of one-channel S-cubes.
        """
        size = self.spec.cube_size
        if image.ndim != 5 or tuple(image.shape[1:]) != (1, size, size, size):
            raise ValueError(f"expected an image [B, 1, {size}, {size}, {size}], got {list(image.shape)}")
        return torch.asinh(image)

    def decode(
        self,
        embedding: Tensor,
        coords: Tensor | None = None,
        labels: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode K targets of each image in one pass.

        Args:
            embedding: [B, 1, S, S, S] from `encode`.
            coords: [B, K, N, 3] points in voxels of the S-cube, axis order (x, y, z).
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot (no influence, whatever its coordinates).
            masks: [B, K, M, M, M] mask prompts (logits); None or zeros mean "no hint".

        Returns:
            logits [B, K, M, M, M], and the predicted IoU [B, K] of `expected_iou`: no trained head, only the network's
            own confidence.

        Raises:
            ValueError: if neither points nor masks are given, or shapes do not fit.
        """
        batch, targets = _check_prompts(embedding, coords, labels, masks, mask_size=self.spec.mask_size)
        prompts = [None if given is None else given.flatten(0, 1) for given in (coords, labels, masks)]
        images = embedding[:, None].expand(-1, targets, -1, -1, -1, -1).flatten(0, 1)
        logits = torch.cat(
            [
                self._pass(images[chunk], *[None if given is None else given[chunk] for given in prompts])
                for chunk in (
                    slice(start, start + PROMPTS_PER_PASS) for start in range(0, len(images), PROMPTS_PER_PASS)
                )
            ]
        )
        logits = logits.unflatten(0, (batch, targets))
        return logits, expected_iou(logits)

    def _pass(self, images: Tensor, coords: Tensor | None, labels: Tensor | None, masks: Tensor | None) -> Tensor:
        """One pass: images [P, 1, S, S, S] and their prompts -> logits [P, M, M, M]."""
        clicks = images.new_zeros(len(images), 2, *images.shape[2:])
        if coords is not None and labels is not None:
            clicks = draw_clicks(coords, labels, size=self.spec.cube_size, radius=self.config.click_radius_in_voxels)
        hint = torch.zeros_like(images)
        if masks is not None:
            hint = torch.tanh(masks[:, None].to(images) / 4)  # keeps the difference between 2 % and 10 % visible
            if self.spec.mask_size != self.spec.cube_size:
                hint = nn.functional.interpolate(hint, size=images.shape[2:], mode="trilinear")
        logits = self.network(torch.cat([images, clicks.to(images), hint], dim=1)).float()
        return _unfold_cells(logits, self.config.logits_per_cell)


def draw_clicks(coords: Tensor, labels: Tensor, *, size: int, radius: float) -> Tensor:
    """Draw clicks as Gaussian balls of height 1.

    Args:
        coords: [P, N, 3] voxels of the size-cube (x, y, z); a click may lie outside.
        labels: [P, N] 1 foreground, 0 background, anything else draws nothing.
        size: edge length of the cube in voxels.
        radius: standard deviation of the ball in voxels.

    Returns:
        [P, 2, size, size, size] in [0, 1]: foreground clicks, background clicks; where balls overlap, the higher
        counts.
    """
    used = (labels == 0) | (labels == 1)
    coords = torch.where(used[..., None], coords, 0).float()  # an unused slot may hold anything, NaN included
    voxels = torch.arange(size, device=coords.device, dtype=torch.float32)
    profiles = torch.exp(-0.5 * ((voxels - coords[..., None]) / radius) ** 2)  # [P, N, 3, size]: the ball is separable
    maps = coords.new_zeros(len(coords), 2, size, size, size)
    for slot in range(coords.shape[1]):
        x, y, z = profiles[:, slot].unbind(1)
        ball = x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]
        weights = torch.stack([labels[:, slot] == 1, labels[:, slot] == 0], dim=1).float()
        maps = torch.maximum(maps, ball[:, None] * weights[:, :, None, None, None])
    return maps


def expected_iou(logits: Tensor) -> Tensor:
    """Predicted IoU [...] of masks `logits` [..., X, Y, Z] > 0, from their own confidence.

    With p the probability of each voxel, the mask p > 0.5 is expected to share sum(p inside) voxels with the truth, and
    their union is expected to hold all voxels inside plus sum(p outside). It is as honest as the probabilities are
    calibrated; an empty mask gets 0.
    """
    probabilities = torch.sigmoid(logits.float())
    inside = (logits > 0).float()
    shared = (probabilities * inside).flatten(-3).sum(-1)
    union = (inside + probabilities * (1 - inside)).flatten(-3).sum(-1)
    return shared / union.clamp(min=1e-6)


def _unfold_cells(logits: Tensor, edge: int) -> Tensor:
    """Logits [P, edge**3, m, m, m] -> [P, edge*m, edge*m, edge*m]: channels become the voxels of each cell."""
    count, _, x, y, z = logits.shape
    cells = logits.view(count, edge, edge, edge, x, y, z).permute(0, 4, 1, 5, 2, 6, 3)
    return cells.reshape(count, x * edge, y * edge, z * edge)


def _check_prompts(
    embedding: Tensor, coords: Tensor | None, labels: Tensor | None, masks: Tensor | None, *, mask_size: int
) -> tuple[int, int]:
    """The numbers (B, K) of images and targets.

    Raises:
        ValueError: if neither points nor masks are given, or shapes do not fit.
    """
    if (coords is None) != (labels is None):
        raise ValueError("points need both coords and labels")
    given = masks if coords is None else coords
    if given is None:
        raise ValueError("give points (coords and labels), masks, or both")
    batch, targets = len(embedding), given.shape[1]
    if coords is not None and labels is not None:
        expected = (batch, targets, coords.shape[2], 3) if coords.ndim == 4 else (batch, targets, -1, 3)
        if tuple(coords.shape) != expected or labels.shape != coords.shape[:3]:
            raise ValueError(
                f"expected coords [{batch}, K, N, 3] and labels [{batch}, K, N], "
                f"got {list(coords.shape)} and {list(labels.shape)}"
            )
    if masks is not None and tuple(masks.shape) != (batch, targets, mask_size, mask_size, mask_size):
        expected_masks = [batch, targets, mask_size, mask_size, mask_size]
        raise ValueError(f"expected mask prompts {expected_masks}, got {list(masks.shape)}")
    return batch, targets
