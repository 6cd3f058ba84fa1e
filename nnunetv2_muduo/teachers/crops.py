"""Draw what a teacher trains on: a random cube out of a case, at a random scale, with several targets in it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.intensity import normalise_for_teacher

LOCATIONS_KEPT_PER_LABEL = 2000  # at least, where there are more
MOST_TRIES = 300  # cubes that are drawn until one holds enough of a target
IGNORED = 255  # label of voxels of which nobody knows what they are


class TrainingCase(NamedTuple):
    """One scan: raw image [Z, Y, X] (HU or SUV), label map uint8 [Z, Y, X], spacing (z, y, x) in mm.

    Image and labels are NumPy arrays, or anything that gives NumPy arrays when it is sliced (so that a file on disk is
    read box by box). Labels of `low_quality` are not to be trusted voxel by voxel.
    """

    image: np.ndarray
    labels: np.ndarray
    spacing_in_mm: tuple[float, float, float]
    low_quality: bool = False


@dataclass(frozen=True)
class CropSettings:
    """How cubes are drawn.

    Attributes:
        size: edge length S of the cube in voxels.
        spacing_range_in_mm: the cube's voxel spacing, drawn log-uniformly.
        largest_anisotropy: each axis' spacing is multiplied by a factor of its own, drawn log-uniformly between this
            and its inverse, because patches are resized to the cube anisotropically.
        flips: mirror each axis at random, as the published teachers were trained; without, a teacher can learn left
            from right and needs its images in one orientation.
        jitter: how far from a labelled voxel the centre may lie, as a share of the cube's extent.
        padding_other_than_air: share of cubes padded with some value between air and the image's mean positive one.
        min_voxels: a target with fewer voxels in the cube is not asked for.
        clamp: raw intensities are clamped to this range first (CT: -1000, 1000).
    """

    size: int
    spacing_range_in_mm: tuple[float, float] = (5.5, 10.0)
    largest_anisotropy: float = 1.3
    flips: bool = True
    jitter: float = 0.35
    padding_other_than_air: float = 0.25
    min_voxels: int = 30
    clamp: tuple[float, float] | None = None


@dataclass(frozen=True)
class Crops:
    """B cubes with K targets each, axes (x, y, z).

    images [B, 1, S, S, S] z-normalised; targets bool [B, K, S, S, S]; others bool [B, K, S, S, S]: every labelled voxel
    that is not the target's; names [B][K]: what each target is called; labels uint8 [B, S, S, S]: the label maps;
    low_quality bool [B]: whose labels are not to be trusted (None: all are good).
    """

    images: Tensor
    targets: Tensor
    others: Tensor
    names: list[list[str]]
    labels: Tensor
    low_quality: Tensor | None = None

    @property
    def known(self) -> Tensor:
        """Bool [B, 1, S, S, S]: where the label is not `IGNORED`, so that an answer can be right or wrong."""
        return (self.labels != IGNORED)[:, None]

    def to(self, device: torch.device) -> "Crops":
        """The same cubes on a device."""
        return Crops(
            self.images.to(device),
            self.targets.to(device),
            self.others.to(device),
            self.names,
            self.labels.to(device),
            None if self.low_quality is None else self.low_quality.to(device),
        )

    def split(self, size: int) -> list["Crops"]:
        """Parts of at most `size` cubes, in order."""
        parts = (slice(start, start + size) for start in range(0, len(self.images), size))
        return [
            Crops(
                self.images[part],
                self.targets[part],
                self.others[part],
                self.names[part],
                self.labels[part],
                None if self.low_quality is None else self.low_quality[part],
            )
            for part in parts
        ]


class CropSampler:
    """Draws `Crops` from cases.

    Args:
        cases: the scans; anything indexable that gives `TrainingCase`s (so they may live on disk).
        targets: name -> the labels that are united to this target ("kidneys": (7, 39)).
        settings: how cubes are drawn.

    Raises:
        UserError: if no case holds any of the targets.
    """

    def __init__(
        self, cases: Sequence[TrainingCase], *, targets: Mapping[str, tuple[int, ...]], settings: CropSettings
    ) -> None:
        self.cases = cases
        self.targets = dict(targets)
        self.settings = settings
        wanted = {label for labels in self.targets.values() for label in labels}
        self._positive_means: dict[int, float | None] = {}
        self._locations = [_locations(cases[index].labels, wanted) for index in range(len(cases))]
        self._usable = [index for index, found in enumerate(self._locations) if found]
        if not self._usable:
            raise UserError(f"none of the {len(cases)} training cases holds any of: {', '.join(self.targets)}")

    def draw(self, crops: int, targets_per_crop: int, *, generator: torch.Generator) -> Crops:
        """`crops` cubes with `targets_per_crop` targets each; a target is repeated where a cube holds too few."""
        drawn = [self._draw_one(targets_per_crop, generator=generator) for _ in range(crops)]
        images, targets, others, names, labels, low_quality = zip(*drawn, strict=True)
        normalised = normalise_for_teacher(torch.stack(images)[:, None], self.settings.clamp)
        return Crops(
            normalised,
            torch.stack(targets),
            torch.stack(others),
            list(names),
            torch.stack(labels),
            torch.tensor(low_quality),
        )

    def _draw_one(
        self, count: int, *, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, list[str], Tensor, bool]:
        """A cube that holds at least one target: image, targets [K], others [K], names [K], label map, low quality."""
        for _ in range(MOST_TRIES):
            index = self._usable[_below(len(self._usable), generator)]
            case, centre = self.cases[index], self._centre(index, generator)
            image, labels = self._cut(case, centre, generator, index=index)
            voxels = torch.bincount(labels.flatten().long(), minlength=256)
            present = [
                name for name, wanted in self.targets.items() if voxels[list(wanted)].sum() >= self.settings.min_voxels
            ]
            if present:
                break
        else:
            raise UserError(
                f"in {MOST_TRIES} random cubes no target had {self.settings.min_voxels} voxels; lower --min-voxels, or "
                "leave out targets as small as that"
            )
        order = torch.randperm(len(present), generator=generator).tolist()
        names = [present[order[slot % len(order)]] for slot in range(count)]
        members = torch.tensor(sorted({label for wanted in self.targets.values() for label in wanted}))
        labelled = torch.isin(labels, members.to(labels.dtype))
        chosen = torch.stack([torch.isin(labels, torch.tensor(self.targets[name]).to(labels.dtype)) for name in names])
        return image, chosen, labelled & ~chosen, names, labels, case.low_quality

    def _centre(self, index: int, generator: torch.Generator) -> np.ndarray:
        """A voxel (z, y, x) of a random target of this case, as likely in a small organ as in a large one."""
        found = self._locations[index]
        names = [name for name, labels in self.targets.items() if any(label in found for label in labels)]
        labels = [label for label in self.targets[names[_below(len(names), generator)]] if label in found]
        voxels = found[labels[_below(len(labels), generator)]]
        return voxels[_below(len(voxels), generator)].astype(np.float64)

    def _cut(
        self, case: TrainingCase, centre: np.ndarray, generator: torch.Generator, *, index: int
    ) -> tuple[Tensor, Tensor]:
        """A cube of random spacing and flips around `centre`: image float32, labels uint8 [S, S, S] (x, y, z)."""
        settings = self.settings
        low, high = (math.log(value) for value in settings.spacing_range_in_mm)
        scale, *stretch = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        stretching = math.log(settings.largest_anisotropy) * (2 * np.array(stretch) - 1)
        spacing = np.exp(low + (high - low) * scale + stretching)
        steps = spacing / np.asarray(case.spacing_in_mm)  # in voxels of the case
        shift = (2 * torch.rand(3, generator=generator, dtype=torch.float64).numpy() - 1) * settings.jitter
        signs = np.where((torch.rand(3, generator=generator).numpy() < 0.5) & settings.flips, -1.0, 1.0)
        ramp = np.arange(settings.size) - (settings.size - 1) / 2
        positions = [
            centre[axis] + steps[axis] * (shift[axis] * settings.size + signs[axis] * ramp) for axis in range(3)
        ]
        image, labels = resample_box(case, positions, fill=self._padding(index, case.image, generator))
        return torch.from_numpy(image).permute(2, 1, 0).contiguous(), torch.from_numpy(labels).permute(2, 1, 0)

    def _padding(self, index: int, image: np.ndarray, generator: torch.Generator) -> float:
        """What lies outside the image: air, or sometimes anything up to the mean of its positive voxels.

        nnU-Net pads normalised patches with 0, which is no air once it is turned back to raw intensities.
        """
        air = float(image[0, 0, 0])
        chance, share = torch.rand(2, generator=generator).tolist()
        if chance >= self.settings.padding_other_than_air:
            return air
        if index not in self._positive_means:  # the image may lie on disk
            sample = np.asarray(image[::4, ::4, ::4]).astype(np.float32)
            positive = sample[sample > 0]
            self._positive_means[index] = float(positive.mean()) if positive.size else None
        mean = self._positive_means[index]
        return air if mean is None else air + share * (mean - air)


def resample_box(case: TrainingCase, positions: Sequence[np.ndarray], *, fill: float) -> tuple[np.ndarray, np.ndarray]:
    """Image (linear) and labels (nearest) of a case at the given voxel positions along z, y and x.

    Returns:
        float32 and uint8 arrays of shape (len(z), len(y), len(x)); outside the case they hold `fill` and 0.
    """
    lasts = [length - 1 for length in case.image.shape]
    clipped = [np.clip(where, 0, last) for where, last in zip(positions, lasts, strict=True)]
    starts = [min(int(inside.min()), max(last - 1, 0)) for inside, last in zip(clipped, lasts, strict=True)]
    box = tuple(slice(start, int(inside.max()) + 2) for start, inside in zip(starts, clipped, strict=True))
    image: np.ndarray = np.asarray(case.image[box])  # all that is needed of a scan that may lie on disk
    labels: np.ndarray = np.asarray(case.labels[box])
    outside = np.zeros(tuple(len(where) for where in positions), dtype=bool)
    for axis, where in enumerate(positions):
        last, inside, start = lasts[axis], clipped[axis], starts[axis]
        lower = np.minimum(inside.astype(np.int64), max(last - 1, 0))
        shape = [1, 1, 1]
        shape[axis] = len(where)
        weight = (inside - lower).astype(np.float32).reshape(shape)
        upper = np.minimum(lower + 1, last)
        image = (1 - weight) * np.take(image, lower - start, axis) + weight * np.take(image, upper - start, axis)
        labels = np.take(labels, np.rint(inside).astype(np.int64) - start, axis)
        outside |= ((where < -0.5) | (where > last + 0.5)).reshape(shape)
    return (
        np.where(outside, np.float32(fill), image).astype(np.float32),
        np.where(outside, 0, labels).astype(np.uint8),
    )


def _locations(labels: np.ndarray, wanted: set[int]) -> dict[int, np.ndarray]:
    """Evenly chosen voxels [n, 3] (z, y, x) of each wanted label that is there: all, or 2,000 to 4,000 of more."""
    found = {}
    labels = np.asarray(labels[...])  # a scan that lies on disk is read once
    for label in np.unique(labels).tolist():
        if label in wanted:
            voxels = np.argwhere(labels == label).astype(np.int32)
            found[label] = voxels[:: max(1, len(voxels) // LOCATIONS_KEPT_PER_LABEL)]
    return found


def _below(count: int, generator: torch.Generator) -> int:
    """A random integer below `count`."""
    return int(torch.randint(count, (), generator=generator))
