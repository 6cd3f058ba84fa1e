"""A teacher's cubes laid over a whole scan: windows at the teacher's own spacing, half a cube apart, encoded once."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.intensity import normalise_for_teacher
from nnunetv2_muduo.teachers.mosaic import Window, blend, bounds
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.tiling import SeparableMap, resampling_weights
from nnunetv2_muduo.teachers.view import ABSENT_LOGIT


class ScanWindows:
    """Cuts windows out of a scan, encodes each at most once while it is remembered, and puts answers back.

    The published protocol of both teachers (METHODS: 1.5 mm, 128-cubed, z-normalised) is one window centred on the
    prompts; the others are for targets that do not fit into it. Positions are in voxels of the scan, (z, y, x),
    measured from the near edge of the first voxel: its centre lies at 0.5.

    Args:
        teacher: frozen, in eval mode, on `device`.
        volume: [Z, Y, X] raw intensities (HU or SUV), axes growing as `teacher.spec.orientation` has it, in array order
            (the reverse of x, y, z). It may be of any real dtype; windows are converted one at a time.
        spacing_in_mm: (z, y, x).
        centre: the middle of the window (0, 0, 0), (z, y, x).
        clamp: range that intensities are clamped to first (CT: -1000 to 1000 HU).
        device: where the teacher computes.
        bfloat16: autocast the teacher.
        remembered: so many embeddings are kept; the least recently used ones are forgotten and computed again.

    Attributes:
        encoded: how many windows have been encoded so far.
    """

    def __init__(
        self,
        teacher: PromptableTeacher,
        volume: Tensor,
        spacing_in_mm: Sequence[float],
        *,
        centre: Sequence[float],
        clamp: tuple[float, float] | None = None,
        device: torch.device | None = None,
        bfloat16: bool = False,
        remembered: int = 64,
    ) -> None:
        self.teacher, self.spec, self.volume, self.clamp = teacher, teacher.spec, volume, clamp
        self.device = device or torch.device("cpu")
        self.bfloat16, self.remembered = bfloat16, remembered
        edge_in_mm = self.spec.cube_size * self.spec.spacing_in_mm
        self.extent = tuple(edge_in_mm / spacing for spacing in spacing_in_mm)  # edge of a window in voxels
        self.origin = tuple(at - extent / 2 for at, extent in zip(centre, self.extent, strict=True))
        self.encoded = 0
        self._floor: float | None = None
        self._embeddings: OrderedDict[Window, Tensor] = OrderedDict()

    def start(self, window: Window) -> tuple[float, ...]:
        """The near corner of a window."""
        return tuple(
            origin + step * extent / 2 for origin, step, extent in zip(self.origin, window, self.extent, strict=True)
        )

    def nearest(self, position: Sequence[float]) -> Window:
        """The window whose middle is nearest to a position, which lies at most a quarter of its edge off the middle."""
        z, y, x = (
            math.floor((at - origin) / (extent / 2) - 0.5)
            for at, origin, extent in zip(position, self.origin, self.extent, strict=True)
        )
        return z, y, x

    def covering(self, mask: Tensor) -> list[Window]:
        """All windows that are nearest to voxels of a mask, bool [Z, Y, X] of the scan.

        The inner halves of the lattice's windows touch and do not overlap, so every voxel lies in just one of them, at
        least a quarter of a window away from its faces.
        """
        where = mask.nonzero()
        steps = []
        for axis, (origin, extent) in enumerate(zip(self.origin, self.extent, strict=True)):
            centres = torch.arange(mask.shape[axis], dtype=torch.float64) + 0.5
            step = ((centres - origin) / (extent / 2) - 0.5).floor().long()
            steps.append(step[where[:, axis]])
        z, y, x = torch.stack(steps).unique(dim=1) if len(where) else torch.zeros(3, 0, dtype=torch.int64)
        return list(zip(z.tolist(), y.tolist(), x.tolist(), strict=True))

    def distance(self, window: Window, position: Sequence[float]) -> float:
        """How far a position lies from the middle of a window, in edges of a window."""
        middle = [start + extent / 2 for start, extent in zip(self.start(window), self.extent, strict=True)]
        return math.dist(
            *([at / extent for at, extent in zip(p, self.extent, strict=True)] for p in (middle, position))
        )

    def reaches_into_scan(self, window: Window) -> bool:
        """Whether any part of the scan lies in the window."""
        return all(
            start < length and start + extent > 0
            for start, extent, length in zip(self.start(window), self.extent, self.volume.shape, strict=True)
        )

    def points(self, window: Window, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions [N, 3] in the scan -> voxels [N, 3] of the window's S-cube, (x, y, z), and bool [N]: inside it."""
        start, extent = torch.tensor(self.start(window)), torch.tensor(self.extent)
        share = (positions - start) / extent
        voxels = (share * self.spec.cube_size - 0.5).flip(-1)
        return voxels, ((share >= 0) & (share <= 1)).all(-1)

    def image(self, window: Window) -> Tensor:
        """What the teacher sees of a window: [1, 1, S, S, S] (x, y, z), clamped, z-normalised over its voxels > 0.

        Beyond the scan lies the scan's minimum, or 0 if that is lower, so that padding is never among the voxels > 0.
        """
        if self._floor is None:
            self._floor = min(float(self.volume.min()), 0.0)
            if not math.isfinite(self._floor + float(self.volume.max())):
                raise UserError("The scan holds voxels that are no numbers (NaN or infinite); replace them first.")
        raw = self._cut(window, self.volume, self.spec.cube_size, fill=self._floor)
        return normalise_for_teacher(raw[None, None].to(self.device), self.clamp)

    def mask(self, window: Window, mask: Tensor) -> Tensor:
        """A mask [Z, Y, X] of the scan, in [0, 1] -> its means on the window's M-grid, [M, M, M] (z, y, x)."""
        return self._cut(window, mask, self.spec.mask_size, fill=0.0).permute(2, 1, 0)

    def embedding(self, window: Window) -> Tensor:
        """The teacher's embedding of a window, remembered for the next target."""
        if window in self._embeddings:
            self._embeddings.move_to_end(window)
            return self._embeddings[window]
        image = self.image(window)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            embedding = self.teacher.encode(image)
        self.encoded += 1
        self._embeddings[window] = embedding
        while len(self._embeddings) > self.remembered:
            self._embeddings.popitem(last=False)
        return embedding

    def decode(self, window: Window, coords: Tensor | None, labels: Tensor | None, masks: Tensor | None) -> Tensor:
        """Ask for K targets of a window at once.

        Args:
            window: where.
            coords: [K, N, 3] voxels of its S-cube (x, y, z), or None.
            labels: [K, N] 1 foreground, 0 background, -1 unused slot, or None.
            masks: [K, M, M, M] mask prompts (logits), axes (z, y, x); zeros are "no hint". None: points without a mask,
                for which SAM-Med3D has a learned vector of its own.

        Returns:
            logits [K, M, M, M], float32, on the CPU, axes (z, y, x).
        """
        embedding = self.embedding(window)
        points = None if coords is None else coords[None].to(self.device)
        kinds = None if labels is None else labels[None].to(self.device)
        hints = None if masks is None else masks.permute(0, 3, 2, 1)[None].to(self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits, _ = self.teacher.decode(embedding, points, kinds, hints)
        return logits[0].permute(0, 3, 2, 1).float().cpu()

    def to_scan(self, logits: Mapping[Window, Tensor]) -> tuple[Tensor, tuple[slice, slice, slice]]:
        """The windows' logits, blended and brought to the scan's grid.

        Args:
            logits: window -> [M, M, M] (z, y, x).

        Returns:
            logits [z, y, x] of the part of the scan that the windows' bounding box covers (-10 where no window is), and
            which part that is. Interpolated linearly as logits, as the published teachers are.

        Raises:
            ValueError: if there is no window.
        """
        low, high = bounds(logits)
        mosaic, covered = blend(logits, low=low, high=high)
        mosaic = torch.where(covered, mosaic, ABSENT_LOGIT)
        near = self.start(low)
        matrices, part = [], []
        for axis in range(3):
            step = self.extent[axis] / self.spec.mask_size
            far = near[axis] + mosaic.shape[axis] * step
            first = max(0, math.ceil(near[axis] - 0.5))
            last = max(first, min(self.volume.shape[axis], math.floor(far - 0.5) + 1))
            centres = torch.arange(first, last, dtype=torch.float64) + 0.5
            weights = resampling_weights((centres - near[axis]) / step, 1 / step, count=mosaic.shape[axis])
            matrices.append(weights.float())
            part.append(slice(first, last))
        return SeparableMap(matrices)(mosaic), (part[0], part[1], part[2])

    def _cut(self, window: Window, volume: Tensor, size: int, *, fill: float) -> Tensor:
        """A window of a volume on a grid of `size` voxels, float32 [size, size, size] (x, y, z)."""
        matrices, part, inside = [], [], []
        for start, extent, length in zip(self.start(window), self.extent, volume.shape, strict=True):
            first = min(max(math.floor(start) - 1, 0), length - 1)
            last = max(first + 1, min(math.ceil(start + extent) + 1, length))
            step = extent / size
            centres = start + (torch.arange(size, dtype=torch.float64) + 0.5) * step
            weights = resampling_weights(centres - first, step, count=last - first).float()
            weights[(centres < 0) | (centres > length)] = 0.0
            matrices.append(weights)
            part.append(slice(first, last))
            inside.append(weights.sum(1) > 0)
        values = SeparableMap(matrices)(volume[tuple(part)].float())
        z, y, x = inside
        within = z[:, None, None] & y[:, None] & x
        return torch.where(within, values, fill).permute(2, 1, 0).contiguous()
