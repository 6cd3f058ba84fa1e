"""The one place that knows both grids: nnU-Net's patch (z, y, x) and the cube (x, y, z) that a teacher expects."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from nnunetv2_muduo.teachers.intensity import normalise_for_teacher
from nnunetv2_muduo.teachers.mixed_views import MixedViews
from nnunetv2_muduo.teachers.orientation import mirrored_axes
from nnunetv2_muduo.teachers.protocol import TeacherSpec
from nnunetv2_muduo.teachers.tiling import SeparableMap, TiledAxis, lay_cubes, weights_from_cubes, weights_to_cubes

ABSENT_LOGIT = -10.0  # what a teacher that was not asked is taken to say: a probability of 5e-5
LEAST_OVERLAP = 0.25  # of neighbouring cubes, as a share of their edge
GRIDS = ("patch", "1.5mm")


class TeacherView:
    """Maps a patch, masks and points to a teacher's cubes, and logits back.

    With grid "patch" the whole patch is resized to one cube of S voxels, as published for 128-cubed patches. With
    "1.5mm" it is brought to the teacher's own spacing (`spec.spacing_in_mm`) and covered by overlapping cubes; an axis
    shorter than a cube is centred in it and padded. Images and masks are averaged where they shrink and interpolated
    where they grow; a cube of the patch's own grid holds exactly the patch's values.

    The n cubes of image b are the entries b * n to (b + 1) * n - 1 of every batch of cubes. Nothing here is random, and
    results are on the device of the input, in its dtype if that is a floating one and in float32 otherwise.

    Args:
        spec: of the teacher.
        patch_size: (z, y, x) in voxels.
        spacing_in_mm: (z, y, x) of the patch.
        grid: "patch" or "1.5mm".
        clamp: range that raw intensities are clamped to (CT: -1000 to 1000 HU); None for PET.
        axes: which of a scan's axes (z, y, x) each axis of the patch is: `transpose_forward` of nnU-Net's plans, which
            puts the axis of the largest spacing first. Wherever it says (z, y, x) here, patches, points and sizes have
            this order; cubes are (x, y, z) all the same.
        mirrored: those of the scan's axes (z, y, x) that grow against `spec.orientation`: the teacher sees the patch
            straight.

    Attributes:
        n_cubes: cubes per patch, 1 for grid "patch".

    Raises:
        ValueError: for another grid, sizes that are not three positive numbers, or axes that are no order of three.
    """

    def __init__(
        self,
        spec: TeacherSpec,
        *,
        patch_size: Sequence[int],
        spacing_in_mm: Sequence[float],
        grid: str = "patch",
        clamp: tuple[float, float] | None = None,
        axes: Sequence[int] = (0, 1, 2),
        mirrored: Sequence[int] = (),
    ) -> None:
        if sorted(axes) != [0, 1, 2]:
            raise ValueError(f"axes must be an order of 0, 1, 2, not {list(axes)}")
        if grid not in GRIDS:
            raise ValueError(f"grid must be one of {', '.join(GRIDS)}, not {grid!r}")
        for name, values in (("patch_size", patch_size), ("spacing_in_mm", spacing_in_mm)):
            if len(values) != 3 or min(values) <= 0:
                raise ValueError(f"{name} must be three positive numbers (z, y, x), not {list(values)}")
        self.spec = spec
        self.patch_size = tuple(int(length) for length in patch_size)
        self.clamp = clamp
        self._to_network = tuple(int(axis) for axis in axes)
        self._to_scan = tuple(self._to_network.index(axis) for axis in range(3))
        size, spacing = [self.patch_size[axis] for axis in self._to_scan], [spacing_in_mm[a] for a in self._to_scan]
        self._axes = _tile(size, spacing, spec=spec, grid=grid)
        self._tiles = tuple(len(axis.starts) for axis in self._axes)
        self.n_cubes = math.prod(self._tiles)
        sizes = (spec.cube_size, spec.mask_size)
        self._mirrored = tuple(int(axis) for axis in mirrored)
        self._to_cubes = {size: self._map(weights_to_cubes, size, patch_is=1) for size in sizes}
        self._to_patch = {size: self._map(weights_from_cubes, size, patch_is=0) for size in sizes}
        self._view_mirrored = partial(
            TeacherView, spec, patch_size=patch_size, spacing_in_mm=spacing_in_mm, grid=grid, clamp=clamp, axes=axes
        )
        self._mirrored_views: dict[tuple[int, ...], TeacherView] = {self._mirrored: self}

    def of_scans(self, orientations: Sequence[str | None] | None) -> "TeacherView | MixedViews":
        """This view of a batch of patches whose scans are stored so: those that lie mirrored are shown straight.

        Args:
            orientations: of the scan of each patch, which way its x, y and z grow (see `TeacherSpec.orientation`); None
                where nobody knows. Such a patch is shown as it is, and so is one whose axes are in another order.
        """
        if orientations is None:
            return self
        views = [self._of_scan(stored) for stored in orientations]
        return views[0] if len(set(views)) == 1 else MixedViews(views)

    def _of_scan(self, orientation: str | None) -> "TeacherView":
        mirrored = () if orientation is None else mirrored_axes(orientation, self.spec.orientation) or ()
        if mirrored not in self._mirrored_views:
            with torch.inference_mode(False):  # kept for later calls, which may want gradients
                self._mirrored_views[mirrored] = self._view_mirrored(mirrored=mirrored)
        return self._mirrored_views[mirrored]

    def images(self, raw: Tensor) -> Tensor:
        """Raw intensities [B, 1, Z, Y, X] (HU or SUV) -> what the teacher encodes, [B*n, 1, S, S, S] (x, y, z).

        Each cube is clamped and then z-normalised by itself over its voxels > 0 (see `normalise_for_teacher`). Beyond
        the patch lies the patch's minimum, or 0 if that is lower, so that padding is never among the voxels > 0.
        """
        self._check("raw", raw)
        if not any(axis.padded for axis in self._axes):
            cubes = self._cut(raw, self.spec.cube_size)
        else:
            fill = raw.float().amin(dim=(1, 2, 3, 4), keepdim=True).clamp(max=0)
            cubes = self._cut(raw.float() - fill, self.spec.cube_size)
            cubes += fill.repeat_interleave(self.n_cubes, dim=0)
        return _as(normalise_for_teacher(cubes, self.clamp), raw)

    def masks(self, masks: Tensor) -> Tensor:
        """Masks or probabilities [B, K, Z, Y, X] in [0, 1] -> [B*n, K, S, S, S] (x, y, z), 0 beyond the patch."""
        self._check("masks", masks)
        return _as(self._cut(masks, self.spec.cube_size), masks)

    def low_resolution_masks(self, masks: Tensor) -> Tensor:
        """Masks or probabilities [B, K, Z, Y, X] in [0, 1] -> [B*n, K, M, M, M] (x, y, z), the grid of mask prompts.

        Each voxel is the mean over what it covers: an organ of a few patch voxels stays, as a small probability.
        """
        self._check("masks", masks)
        return _as(self._cut(masks, self.spec.mask_size), masks)

    def as_seen(self, masks: Tensor) -> Tensor:
        """Masks [B, K, Z, Y, X] -> the same voxels in the order in which the teacher sees them, [B, K, z, y, x]."""
        self._check("masks", masks)
        return _reordered(masks, self._to_scan).flip([axis + 2 for axis in self._mirrored])

    def points(self, coords: Tensor, labels: Tensor, *, as_seen: bool = False) -> tuple[Tensor, Tensor]:
        """Points on the patch -> points in each cube.

        Args:
            coords: [B, K, N, 3] patch voxels (z, y, x); the centre of the first voxel is 0.
            labels: [B, K, N] 1 foreground, 0 background, -1 unused slot.
            as_seen: the coordinates are those of what `as_seen` returns.

        Returns:
            coords float32 [B*n, K, N, 3] voxels of the S-cube (x, y, z), not rounded, and labels [B*n, K, N]. A point
            outside a cube is an unused slot there: label -1, coordinates 0.
        """
        if coords.ndim != 4 or coords.shape != (*labels.shape, 3):
            raise ValueError(
                f"expected coords [B, K, N, 3] and labels [B, K, N], got {coords.shape} and {labels.shape}"
            )
        size = self.spec.cube_size
        starts = torch.cartesian_prod(*[torch.tensor(axis.starts) for axis in self._axes]).to(coords.device)
        steps = torch.tensor([axis.extent / size for axis in self._axes], device=coords.device)
        if not as_seen:
            coords = coords[..., list(self._to_scan)]
            for axis in self._mirrored:  # `coords` is a copy by now
                coords[..., axis] = self._axes[axis].length - 1 - coords[..., axis]
        edges = coords.float()[:, None] + 0.5 - starts[:, None, None]  # [B, n, K, N, 3] from the cube's near corner
        mapped = (edges / steps - 0.5).flip(-1).flatten(0, 1)
        repeated = labels.repeat_interleave(self.n_cubes, dim=0)
        used = ((mapped >= -0.5) & (mapped <= size - 0.5)).all(-1) & (repeated >= 0)
        return torch.where(used[..., None], mapped, 0.0), torch.where(used, repeated, -1)

    def back(self, logits: Tensor, valid: Tensor | None = None) -> Tensor:
        """Logits of the cubes -> logits on the patch; overlapping cubes are blended with Gaussian weights.

        Args:
            logits: [B*n, K, M, M, M] as decoded, or [B*n, K, S, S, S]; axes (x, y, z).
            valid: [B*n, K] bool, False where the teacher was not asked: that cube says -10 everywhere.

        Returns:
            [B, K, Z, Y, X].
        """
        size = logits.shape[-1]
        if logits.ndim != 5 or size not in self._to_patch or logits.shape[2:] != (size,) * 3:
            raise ValueError(f"expected logits [B*n, K, s, s, s] with s in {list(self._to_patch)}, got {logits.shape}")
        if len(logits) % self.n_cubes:
            raise ValueError(f"{len(logits)} cubes are not a multiple of the {self.n_cubes} cubes of a patch")
        if valid is not None:
            logits = torch.where(valid[:, :, None, None, None], logits, ABSENT_LOGIT)
        tiles = logits.unflatten(0, (-1, *self._tiles))  # [B, nz, ny, nx, K, X, Y, Z]
        z, y, x = (count * size for count in self._tiles)
        mosaic = tiles.permute(0, 4, 1, 7, 2, 6, 3, 5).reshape(len(tiles), logits.shape[1], z, y, x)
        return _as(_reordered(self._to_patch[size](mosaic), self._to_network), logits)

    def _cut(self, volumes: Tensor, size: int) -> Tensor:
        """Patches [B, C, Z, Y, X] -> cubes float32 [B*n, C, size, size, size] (x, y, z), 0 beyond the patch."""
        mosaic = self._to_cubes[size](_reordered(volumes, self._to_scan))
        z, y, x = self._tiles
        tiles = mosaic.reshape(*volumes.shape[:2], z, size, y, size, x, size)
        return tiles.permute(0, 2, 4, 6, 1, 7, 5, 3).flatten(0, 3).contiguous()

    def _map(self, weights: Callable[[TiledAxis, int], Tensor], size: int, *, patch_is: int) -> SeparableMap:
        """Between the patch and cubes of this size; `patch_is` is the axis of the matrices that counts patch voxels."""
        matrices = [weights(axis, size) for axis in self._axes]
        for axis in self._mirrored:
            matrices[axis] = matrices[axis].flip(patch_is)
        return SeparableMap(matrices)

    def _check(self, name: str, volumes: Tensor) -> None:
        if volumes.ndim != 5 or tuple(volumes.shape[2:]) != self.patch_size:
            raise ValueError(
                f"expected {name} [B, C, {', '.join(map(str, self.patch_size))}], got {list(volumes.shape)}"
            )


def _tile(
    patch_size: Sequence[int], spacing_in_mm: Sequence[float], *, spec: TeacherSpec, grid: str
) -> list[TiledAxis]:
    """The cubes along z, y and x."""
    if grid == "patch":
        return [TiledAxis(length, (0.0,), float(length)) for length in patch_size]
    edge_in_mm = spec.cube_size * spec.spacing_in_mm
    return [
        lay_cubes(length, edge_in_mm / spacing, least_overlap=LEAST_OVERLAP)
        for length, spacing in zip(patch_size, spacing_in_mm, strict=True)
    ]


def _reordered(volumes: Tensor, axes: Sequence[int]) -> Tensor:
    """[B, C, *spatial] with its spatial axes in this order."""
    return volumes.permute(0, 1, *(axis + 2 for axis in axes))


def _as(result: Tensor, given: Tensor) -> Tensor:
    """`result` in the dtype of `given`, unless that is no floating one."""
    return result.to(given.dtype) if given.is_floating_point() else result
