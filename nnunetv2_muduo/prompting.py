"""From masks to the points that prompt a teacher."""

import math
from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
import torch
from torch import Tensor

_CANDIDATES = 2048  # voxels of a mask that are looked at; enough for a centre within a fraction of a voxel
_HOTTEST = 0.1  # share of a mask's voxels that "uptake" chooses from
_ROUNDS = 8  # of k-means; more moves a point by less than a voxel
_CONNECTIVITY: Final = 18  # voxels that share a face or an edge are one lesion, as autoPET counts them
_STRATEGIES = ("spread", "random", "uptake", "centroid", "components", "first")


@torch.no_grad()
def points_from_masks(
    masks: Tensor,
    *,
    points: int,
    strategy: str,
    uptake: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Place up to `points` different foreground points inside each mask.

    Strategies:
        spread: the mask is divided into `points` regions (k-means, begun at equal shares of its longest axis) and a
            point put in the middle of each: no part of the organ is far from a point, yet none sits on a tip or is
            drawn to a small stray component, as farthest-point sampling would have it.
        uptake: as spread, over the hottest tenth of the mask's voxels.
        random: drawn uniformly, without replacement.
        centroid: one point, at the mask voxel nearest to the centre of mass, however many points are asked for.
        components: one point in each connected component, be it a lesion or a stray voxel: at the component's voxel
            nearest to its centre of mass, and in the largest ones where there are more than `points`.
        first: the first voxels in raster order of `masks`, as the published code of arXiv 2606.15611 has it; all on one
            edge, and on another one where masks are turned.

    spread and uptake leave the mask's outermost layer of voxels aside where enough others remain, because the edge of
    a predicted mask is its least certain part; a mask cut by the border of the patch has no edge there. Distances are
    in voxels. Only `random` draws random numbers. Of a large mask, spread, uptake and centroid look at a fixed, evenly
    scattered sample of its voxels.

    Args:
        masks: [B, K, *spatial] bool.
        points: N, slots per mask.
        strategy: one of the above.
        uptake: [B, 1, *spatial], higher is hotter; needed by "uptake" only.
        generator: source of random numbers, on any device; None takes the CPU's global one.

    Returns:
        coords [B, K, N, 3] float32, in voxels, in the axis order of `masks` (0 in unused slots), and labels [B, K, N]
        int64, 1 for a point and -1 for an unused slot. An empty mask has unused slots only, a mask with fewer voxels
        (for "components": fewer components) than N a point on each.

    Raises:
        ValueError: for an unknown strategy, no slots, masks that are not bool, or a missing or mis-shaped `uptake`.
    """
    _check(masks, points, strategy, uptake)
    found = _Found.of(masks)
    with torch.autocast(masks.device.type, enabled=False):
        if strategy == "first":
            used = _slots(found.counts, points)
            coords = found.coords(torch.arange(points, device=masks.device).expand_as(used))
        elif strategy == "random":
            ranks, used = _draw(found.counts, points, generator)
            coords = found.coords(ranks)
        elif strategy == "components":
            coords, used = _middles_of_components(found, points)
        else:
            coords, used = _settle(found, strategy, points, uptake)
    slots = (*masks.shape[:2], points)
    coords = torch.where(used[..., None], coords.float(), 0.0)
    return coords.reshape(*slots, -1), torch.where(used, 1, -1).reshape(slots)


@dataclass(frozen=True)
class _Found:
    """The foreground voxels of M = B * K masks, one mask after the other, each in raster order.

    Attributes:
        masks: [M, *spatial] bool.
        voxels: [T] flat indices into `masks`.
        starts, counts: [M] where a mask's voxels begin in `voxels`, and how many there are.
    """

    masks: Tensor
    voxels: Tensor
    starts: Tensor
    counts: Tensor

    @classmethod
    def of(cls, masks: Tensor) -> "_Found":
        flat = masks.flatten(0, 1)
        voxels = flat.flatten().nonzero().squeeze(1)
        ends = torch.arange(flat.shape[0] + 1, device=masks.device) * math.prod(flat.shape[1:])
        bounds = torch.searchsorted(voxels, ends)
        return cls(flat, voxels, bounds[:-1], bounds.diff())

    def coords(self, ranks: Tensor) -> Tensor:
        """Coordinates [M, R, D] of each mask's voxels number `ranks` [M, R]; arbitrary where there is no such voxel."""
        if not len(self.voxels):
            return ranks.new_zeros(*ranks.shape, self.masks.ndim - 1)
        index = (self.starts[:, None] + ranks).clamp_max(len(self.voxels) - 1)
        return torch.stack(torch.unravel_index(self.voxels[index], self.masks.shape)[1:], -1)

    def look_up(self, volumes: Tensor, coords: Tensor) -> Tensor:
        """Values [M, R] at `coords` [M, R, D]; outside, those of the nearest voxel.

        `volumes` [M, *spatial], or [B, *spatial] to look all K masks of an image up in the same volume.
        """
        limits = torch.tensor(volumes.shape[1:], device=coords.device) - 1
        inside = coords.clamp_min(0).minimum(limits)
        owner = torch.arange(len(coords), device=coords.device) * len(volumes) // len(coords)
        return volumes[(owner[:, None], *inside.unbind(-1))]


def _slots(counts: Tensor, points: int) -> Tensor:
    """Which of the N slots of each of M masks can be used: [M, N] bool."""
    return torch.arange(points, device=counts.device) < counts[:, None]


def _draw(counts: Tensor, points: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draw different ranks below `counts` [M] -> ranks [M, N], used [M, N], by Floyd's algorithm (exactly uniform)."""
    source = generator.device if generator is not None else torch.device("cpu")
    noise = torch.rand(len(counts), points, dtype=torch.float64, generator=generator, device=source)
    noise = noise.to(counts.device)
    ranks = torch.full((len(counts), points), -1, device=counts.device)
    spare = (counts - points).clamp_min(0)
    for slot in range(points):
        last = spare + slot
        drawn = (noise[:, slot] * (last + 1)).long()
        taken = (ranks == drawn[:, None]).any(1)
        ranks[:, slot] = torch.where(taken, last, drawn)
    return ranks, _slots(counts, points)


def _settle(found: _Found, strategy: str, points: int, uptake: Tensor | None) -> tuple[Tensor, Tensor]:
    """Coordinates [M, N, D] and used slots [M, N] of the strategies that look at where voxels lie."""
    ranks, real = _scattered(found.counts)
    voxels = found.coords(ranks)
    if strategy == "centroid":
        middle = _means(voxels, real.float()[..., None])
        own = found.look_up(found.masks, middle.round().long())
        coords = torch.where(own[..., None], middle.round().long(), _nearest(voxels, real, middle))
        return coords.expand(-1, points, -1), _slots(found.counts.clamp_max(1), points)
    real = _enough(real & _interior(found, voxels), real, points)
    if strategy == "uptake" and uptake is not None:
        real = _hottest(found.look_up(uptake[:, 0], voxels).float(), real, points)
    return _nearest(voxels, real, _centres(voxels, real, points)), _slots(found.counts, points)


def _middles_of_components(found: _Found, points: int) -> tuple[Tensor, Tensor]:
    """Coordinates [M, N, D] and used slots [M, N]: the voxel in the middle of each of the N largest components."""
    coords = np.zeros((len(found.masks), points, found.masks.ndim - 1), np.int64)
    used = np.zeros((len(found.masks), points), bool)
    for m in found.counts.nonzero().squeeze(1).tolist():
        mask = found.masks[m].contiguous().cpu().numpy()
        voxels, component = np.argwhere(mask), cc3d.connected_components(mask, connectivity=_CONNECTIVITY)[mask]
        largest = np.argsort(-np.bincount(component)[1:], kind="stable")[:points] + 1
        for slot, number in enumerate(largest):
            own = voxels[component == number]
            coords[m, slot] = own[np.square(own - own.mean(0)).sum(1).argmin()]
            used[m, slot] = True
    return torch.from_numpy(coords).to(found.masks.device), torch.from_numpy(used).to(found.masks.device)


def _scattered(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Ranks [M, C] of an even sample of each mask's voxels, and which of them are real [M, C] (False fills up)."""
    step = torch.arange(_CANDIDATES, device=counts.device)
    golden = (step.double() * ((math.sqrt(5) - 1) / 2)).frac()  # no stride, which would follow the rows of the volume
    every, some = step.expand(len(counts), -1), (golden * counts[:, None]).long()
    few = (counts <= _CANDIDATES)[:, None]
    return torch.where(few, every, some), torch.where(few, step < counts[:, None], True)


def _enough(preferred: Tensor, real: Tensor, points: int) -> Tensor:
    """`preferred` [M, C] where it leaves a voxel for every point, else `real`."""
    return torch.where((preferred.sum(1) >= points)[:, None], preferred, real)


def _interior(found: _Found, voxels: Tensor) -> Tensor:
    """[M, C] bool: the voxel's face neighbours belong to its mask as well (beyond the border of the patch: as it)."""
    inside = torch.ones_like(voxels[..., 0], dtype=torch.bool)
    for axis in range(voxels.shape[-1]):
        for step in (-1, 1):
            neighbour = voxels.clone()
            neighbour[..., axis] += step
            inside &= found.look_up(found.masks, neighbour)
    return inside


def _hottest(uptake: Tensor, real: Tensor, points: int) -> Tensor:
    """[M, C] bool: the hottest tenth of the real voxels, no fewer than `points` of them."""
    number = (real.sum(1) * _HOTTEST).ceil().clamp_min(points)
    place = uptake.masked_fill(~real, -math.inf).argsort(dim=1, descending=True, stable=True).argsort(1)
    return real & (place < number[:, None])


def _centres(voxels: Tensor, real: Tensor, points: int) -> Tensor:
    """k-means of the real voxels [M, C, D] -> centres [M, N, D], begun at equal shares along the longest axis."""
    position = voxels.float()
    number = real.sum(1)
    spread = (position - _means(voxels, real.float()[..., None])).square().mul(real[..., None]).sum(1)
    along = position.gather(2, spread.argmax(1)[:, None, None].expand(-1, position.shape[1], 1)).squeeze(2)
    order = along.masked_fill(~real, math.inf).argsort(dim=1, stable=True)
    shares = (torch.arange(points, device=voxels.device) + 0.5) / points
    begin = order.gather(1, (shares * number[:, None]).long())
    centres = position.gather(1, begin[..., None].expand(-1, -1, position.shape[2]))
    for _ in range(_ROUNDS):
        region = _distances(position, centres).argmin(2, keepdim=True)
        member = (region == torch.arange(points, device=voxels.device)) & real[..., None]
        centres = torch.where(member.any(1)[..., None], _means(voxels, member.float()), centres)
    return centres


def _means(voxels: Tensor, weights: Tensor) -> Tensor:
    """Weighted means [M, N, D] of voxels [M, C, D] under weights [M, C, N]; zeros where all weights are zero."""
    total = weights.sum(1)[..., None].clamp_min(1)
    return torch.einsum("mcn,mcd->mnd", weights, voxels.float()) / total


def _nearest(voxels: Tensor, real: Tensor, centres: Tensor) -> Tensor:
    """The real voxel nearest to each centre, a different one for each while they last: [M, N, D]."""
    distances = _distances(voxels.float(), centres).masked_fill(~real[..., None], math.inf)
    chosen = []
    for slot in range(centres.shape[1]):
        index = distances[..., slot].argmin(1)
        chosen.append(index)
        distances.scatter_(1, index[:, None, None].expand(-1, 1, centres.shape[1]), math.inf)
    return voxels.gather(1, torch.stack(chosen, 1)[..., None].expand(-1, -1, voxels.shape[2]))


def _distances(voxels: Tensor, centres: Tensor) -> Tensor:
    """Squared distances [M, C, N] of voxels [M, C, D] and centres [M, N, D]."""
    return (voxels[:, :, None] - centres[:, None]).square().sum(3)


def _check(masks: Tensor, points: int, strategy: str, uptake: Tensor | None) -> None:
    if strategy not in _STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(_STRATEGIES)}, not {strategy!r}")
    if points < 1:
        raise ValueError(f"points must be at least 1, not {points}")
    if masks.dtype != torch.bool:
        raise ValueError(f"masks must be bool, not {masks.dtype}")
    if strategy == "uptake" and (uptake is None or uptake.shape != (masks.shape[0], 1, *masks.shape[2:])):
        raise ValueError(f"strategy 'uptake' needs uptake of shape {(masks.shape[0], 1, *masks.shape[2:])}")
