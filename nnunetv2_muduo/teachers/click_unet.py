"""ClickUNet: a small convolutional promptable teacher that a CPU can train and run.

A `PlainConvUNet` turns the image into an embedding once: for each voxel, its shares in a few kinds of tissue. What lies
under the clicks and under the mask prompt says which tissue is meant; a small convolutional head corrects the answer
where it is. Measured on simulated scans, feeding the prompts to the U-Net itself ("early prompting") stayed near a ball
around the click (Dice 0.35 to 0.45 at three points after 1,200 steps, from scratch and from a network that knew the
organs) and cost a pass per target.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn

from nnunetv2_muduo.teachers.config_fields import refuse_impossible
from nnunetv2_muduo.teachers.prompt_shapes import check_prompts, check_shape
from nnunetv2_muduo.teachers.protocol import TeacherSpec

FOREGROUND, BACKGROUND, MASK = range(3)  # kinds of prompts: clicks of either label, a mask
PROMPT_MAPS = 6  # of each kind: shares of the tissue under it, and how far it reaches
SHARPNESS = 4
PROMPTS_PER_PASS = 32  # bounds memory where many organs are asked for at once


_MOST_CONVS = 100  # of a stage; a million would take hours to build


@dataclass(frozen=True)
class ClickUNetConfig:
    """Shape of a ClickUNet; travels in its checkpoint.

    Attributes:
        cube_size: edge length S of the input cube in voxels, divisible by the product of `strides`.
        spacing_in_mm: isotropic spacing it was trained around.
        embedding_channels: kinds of tissue told apart for each voxel; the first is "anything else".
        features_per_stage: channels of each stage of the U-Net.
        strides: stride of each stage; a first stride of 2 makes the network eight times cheaper.
        convs_per_stage, convs_per_decoder_stage: 3x3x3 convolutions of each stage.
        head_channels: channels of the prompt head.
        click_radius_in_voxels: standard deviation of the Gaussian ball whose voxels a click stands for.
        click_reach_in_voxels: standard deviation of the wider ball that tells the head how far a click is.
        orientation: which way x, y and z grow in the patient; without flips in its training it knows no other.
    """

    cube_size: int = 48
    spacing_in_mm: float = 8.0
    embedding_channels: int = 11
    features_per_stage: tuple[int, ...] = (16, 32, 64, 96)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    convs_per_stage: tuple[int, ...] = (2, 2, 2, 2)
    convs_per_decoder_stage: tuple[int, ...] = (1, 1, 1)
    head_channels: int = 16
    click_radius_in_voxels: float = 1.0
    click_reach_in_voxels: float = 6.0
    orientation: str = "LPS"

    def __post_init__(self) -> None:
        """Refuse shapes the U-Net cannot take.

        Raises:
            ValueError: if the sizes, strides and stages do not fit each other.
        """
        refuse_impossible(self)
        if 0 in (*self.features_per_stage, *self.strides, *self.convs_per_stage, *self.convs_per_decoder_stage):
            raise ValueError("features, strides and convolutions of a stage must be greater than 0")
        if max((*self.convs_per_stage, *self.convs_per_decoder_stage), default=0) > _MOST_CONVS:
            raise ValueError(f"a stage has {_MOST_CONVS} convolutions at most")
        if self.cube_size % math.prod(self.strides):
            raise ValueError(
                f"cube_size {self.cube_size} is not divisible by the product of the strides, {math.prod(self.strides)}"
            )
        if not len(self.features_per_stage) == len(self.strides) == len(self.convs_per_stage):
            raise ValueError("features_per_stage, strides and convs_per_stage must be equally long")

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
    """A promptable teacher (see `protocol.PromptableTeacher`), axes (x, y, z); logits and mask prompts on the S-cube.

    U-Net and head work at the resolution of the U-Net's first stage: with a first stride of 2 each of their cells
    predicts the 2x2x2 voxels it stands for, full resolution at the price of half resolution.
    """

    config_class = ClickUNetConfig

    def __init__(self, config: ClickUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClickUNetConfig()
        size = self.config.cube_size
        self.spec = TeacherSpec(size, size, self.config.spacing_in_mm, self.config.orientation)
        self.cell = self.config.strides[0]
        self.network = PlainConvUNet(
            input_channels=1,
            n_stages=len(self.config.features_per_stage),
            features_per_stage=self.config.features_per_stage,
            conv_op=nn.Conv3d,
            kernel_sizes=3,
            strides=self.config.strides,
            n_conv_per_stage=self.config.convs_per_stage,
            num_classes=self.config.embedding_channels * self.cell**3,
            n_conv_per_stage_decoder=self.config.convs_per_decoder_stage,
            conv_bias=True,
            norm_op=nn.InstanceNorm3d,  # per sample: images in one batch equal one at a time
            norm_op_kwargs={"affine": True, "eps": 1e-5},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
        )
        channels = self.config.head_channels
        self.head = nn.Sequential(
            nn.Conv3d(PROMPT_MAPS * self.cell**3, channels, 3, padding=1),
            nn.LeakyReLU(inplace=True),
            nn.Conv3d(channels, channels, 3, padding=1),
            nn.LeakyReLU(inplace=True),
            nn.Conv3d(channels, self.cell**3, 3, padding=1),
        )
        for parameter in self.head[-1].parameters():
            nn.init.zeros_(parameter)  # the head begins as no correction

    def tissue_logits(self, image: Tensor) -> Tensor:
        """Image [B, 1, S, S, S], z-normalised -> logits [B, C, S, S, S] of the embedding's kinds of tissue.

        Raises:
            ValueError: if the image is not a batch of one-channel S-cubes.
        """
        check_shape("image", image, (None, 1, *3 * (self.spec.cube_size,)))
        return unfold_cells(self.network(torch.asinh(image)), self.cell)  # asinh keeps air and hot spots in range

    def encode(self, image: Tensor) -> Tensor:
        """Image [B, 1, S, S, S], z-normalised -> embedding [B, C, S, S, S]: shares of C kinds of tissue, summing to 1.

        Raises:
            ValueError: if the image is not a batch of one-channel S-cubes.
        """
        return self.tissue_logits(image).float().softmax(1)

    def decode(
        self,
        embedding: Tensor,
        coords: Tensor | None = None,
        labels: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode K targets of each image in one pass.

        Args:
            embedding: [B, C, S, S, S] from `encode`.
            coords: [B, K, N, 3] points in voxels of the S-cube, axis order (x, y, z).
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot (no influence, whatever its coordinates).
            masks: [B, K, S, S, S] mask prompts (logits); None or zeros mean "no hint".

        Returns:
            logits [B, K, S, S, S], and the predicted IoU [B, K] of `expected_iou`: no trained head, only the network's
            own confidence.

        Raises:
            ValueError: if neither points nor masks are given, or shapes do not fit.
        """
        targets = check_prompts(coords, labels, masks, images=len(embedding), mask_size=self.spec.mask_size)
        masks = None if masks is None else masks.expand(-1, targets, -1, -1, -1)
        at_once = max(1, PROMPTS_PER_PASS // len(embedding))
        parts = []
        for start in range(0, targets, at_once):
            some = slice(start, start + at_once)
            prompts = [None if given is None else given[:, some] for given in (coords, labels, masks)]
            parts.append(self._decode_some(embedding, min(at_once, targets - start), *prompts))
        logits = torch.cat(parts, dim=1)
        return logits, expected_iou(logits)

    def _decode_some(
        self, embedding: Tensor, targets: int, coords: Tensor | None, labels: Tensor | None, masks: Tensor | None
    ) -> Tensor:
        """Embeddings [B, C, S, S, S] and the prompts of K targets each -> logits [B, K, S, S, S].

        Kinds of prompts that nobody gave are maps of zeros, and are left out of the computation.
        """
        size = self.spec.cube_size
        kinds = self._prompt_kinds(embedding, targets, coords, labels, masks)
        near, wide = (torch.stack(maps, dim=2) for maps in zip(*kinds.values(), strict=True))
        tissues = tissue_under(embedding, near)
        asking = [slot for slot, kind in enumerate(kinds) if kind != BACKGROUND]
        meant = tissues[:, :, asking].sum(2, keepdim=True)  # foreground clicks and mask together
        meant = meant / meant.sum(3, keepdim=True).clamp_min(1e-6)
        shares = torch.cat([tissues, meant], dim=2).flatten(1, 2) @ embedding.flatten(2)
        shares = shares.unflatten(1, (targets, -1)).unflatten(3, (size, size, size))
        maps = torch.cat([shares[:, :, :-1], wide], dim=2).flatten(0, 1)
        correction = unfold_cells(self._correct(fold_cells(maps, self.cell), list(kinds)).float(), self.cell)[:, 0]
        return torch.logit(shares[:, :, -1].float(), eps=1e-3) + correction.unflatten(0, shares.shape[:2])

    def _prompt_kinds(
        self, embedding: Tensor, targets: int, coords: Tensor | None, labels: Tensor | None, masks: Tensor | None
    ) -> dict[int, tuple[Tensor, Tensor]]:
        """Kind of prompt -> maps [B, K, S, S, S] of what is right under it and of how far it reaches; where given."""
        batch, size = len(embedding), self.spec.cube_size
        kinds = {}
        for kind, label in ((FOREGROUND, 1), (BACKGROUND, 0)):
            if coords is not None and labels is not None and (labels == label).any():
                places, used = coords.flatten(0, 1), (labels == label).flatten(0, 1)
                near, wide = (
                    draw_balls(places, used, size=size, radius=radius).unflatten(0, (batch, targets)).to(embedding)
                    for radius in (self.config.click_radius_in_voxels, self.config.click_reach_in_voxels)
                )
                kinds[kind] = near, wide
        if masks is not None and masks.any():
            hint = torch.tanh(masks.to(embedding) / 4)  # keeps 2 % and 10 % apart
            kinds[MASK] = hint.clamp_min(0), hint
        if not kinds:
            kinds[MASK] = (embedding.new_zeros(batch, targets, size, size, size),) * 2
        return kinds

    def _correct(self, cells: Tensor, kinds: list[int]) -> Tensor:
        """The head on the maps of these kinds alone, [P, 2 * kinds * cell**3, m, m, m]: tissues, then reaches."""
        first = cast(nn.Conv3d, self.head[0])
        used = [*kinds, *(kind + PROMPT_MAPS // 2 for kind in kinds)]
        weight = first.weight.unflatten(1, (PROMPT_MAPS, -1))[:, used].flatten(1, 2)
        return self.head[1:](nn.functional.conv3d(cells, weight, first.bias, padding=first.padding))


def tissue_under(embedding: Tensor, weights: Tensor) -> Tensor:
    """Which tissue lies under each map of weights, with the most frequent one in favour.

    Args:
        embedding: [B, C, *spatial] shares of tissues, summing to 1; the first is "anything else" and never meant.
        weights: [B, K, M, *spatial], at least 0.

    Returns:
        [B, K, M, C] summing to 1: the weighted mean of the shares to the power of `SHARPNESS`, so that a click on a
        border or a mask that runs over still means one tissue; zeros under a map of zeros.
    """
    mean = weights.flatten(3).flatten(1, 2) @ embedding[:, 1:].flatten(2).transpose(1, 2)
    mean = mean / mean.sum(2, keepdim=True).clamp_min(1e-6)
    sharp = nn.functional.pad(mean**SHARPNESS, (1, 0))
    return (sharp / sharp.sum(2, keepdim=True).clamp_min(1e-6)).unflatten(1, weights.shape[1:3])


def draw_balls(coords: Tensor, used: Tensor, *, size: int, radius: float) -> Tensor:
    """Draw clicks as Gaussian balls of height 1.

    Args:
        coords: [P, N, 3] voxels of the size-cube (x, y, z); a click may lie outside.
        used: [P, N] bool, the clicks to draw; the coordinates of others may be anything, NaN included.
        size: edge length of the cube in voxels.
        radius: standard deviation of the ball in voxels.

    Returns:
        [P, size, size, size] in [0, 1]; where balls overlap, the higher counts.
    """
    coords = torch.where(used[..., None], coords, 0).float()
    voxels = torch.arange(size, device=coords.device, dtype=torch.float32)
    profiles = torch.exp(-0.5 * ((voxels - coords[..., None]) / radius) ** 2)  # [P, N, 3, size]: the ball is separable
    maps = coords.new_zeros(len(coords), size, size, size)
    for slot in range(coords.shape[1]):
        x, y, z = (profiles[:, slot] * used[:, slot, None, None]).unbind(1)
        maps = torch.maximum(maps, x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :])
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


def unfold_cells(cells: Tensor, edge: int) -> Tensor:
    """[P, C * edge**3, m, m, m] -> [P, C, edge*m, edge*m, edge*m]: groups of channels become a cell's voxels."""
    count, channels, x, y, z = cells.shape
    split = cells.view(count, channels // edge**3, edge, edge, edge, x, y, z)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(count, -1, x * edge, y * edge, z * edge)


def fold_cells(maps: Tensor, edge: int) -> Tensor:
    """The inverse of `unfold_cells`."""
    count, channels, x, y, z = maps.shape
    split = maps.view(count, channels, x // edge, edge, y // edge, edge, z // edge, edge)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(count, -1, x // edge, y // edge, z // edge)
