"""Simulated clicks: where a user, or a prompt generator that errs now and then, would point.

All masks are bool [P, X, Y, Z] for P prompts, all coordinates voxels [P, ..., 3] in the axis order of the masks.
Randomness comes from the generator passed in; None uses torch's own.
"""

import torch
from torch import Tensor

_CANDIDATES = 32  # random voxels of a target that points far apart are chosen from


def random_voxels(masks: Tensor, count: int = 1, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Voxels drawn uniformly, with replacement, from each mask.

    Returns:
        coords float [P, count, 3], and found bool [P]: False where the mask is empty (its coords are 0 then).
    """
    drawn = torch.zeros(len(masks), count, dtype=torch.int64)
    found = torch.zeros(len(masks), dtype=torch.bool)
    for prompt, mask in enumerate(masks.flatten(1)):
        voxels = mask.nonzero().cpu()
        found[prompt] = len(voxels) > 0
        if found[prompt]:
            drawn[prompt] = voxels[torch.randint(len(voxels), (count,), generator=generator), 0]
    coords = torch.stack(torch.unravel_index(drawn, masks.shape[1:]), dim=-1)
    return coords.float().to(masks.device), found.to(masks.device)


def first_click(targets: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """A random voxel inside each target: coords [P, 3] and labels [P] (1; -1 for an empty target)."""
    coords, found = random_voxels(targets, generator=generator)
    return coords[:, 0], torch.where(found, 1, -1)


def next_click(
    targets: Tensor, predictions: Tensor, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The next click of a correcting user: random in the union of false negatives and false positives.

    This is the scheme the public SAM-Med3D code trains and evaluates with (METHODS.md, section 2).

    Args:
        targets: bool [P, X, Y, Z] truth.
        predictions: bool [P, X, Y, Z] current masks.
        generator: source of randomness.

    Returns:
        coords [P, 3] and labels [P]: 1 on a false negative, 0 on a false positive, -1 where nothing is wrong.
    """
    drawn, found = random_voxels(targets ^ predictions, generator=generator)
    coords = drawn[:, 0]
    missed = values_at(targets, coords)
    return coords, torch.where(found, missed.long(), -1)


def spread_clicks(targets: Tensor, points: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Several clicks inside each target, far apart: farthest-point sampling among random candidate voxels.

    Args:
        targets: bool [P, X, Y, Z].
        points: clicks for each target.
        generator: source of randomness.

    Returns:
        coords [P, points, 3] and labels [P, points] (1; -1 for an empty target).
    """
    pool, found = random_voxels(targets, max(_CANDIDATES, points), generator=generator)
    chosen = [pool[:, 0]]
    distance = torch.full(pool.shape[:2], float("inf"), device=pool.device)
    prompt = torch.arange(len(pool), device=pool.device)
    for _ in range(points - 1):
        distance = torch.minimum(distance, (pool - chosen[-1][:, None]).square().sum(-1))
        chosen.append(pool[prompt, distance.argmax(1)])
    labels = torch.where(found, 1, -1)[:, None].expand(-1, points).clone()
    return torch.stack(chosen, dim=1), labels


def stray_click(targets: Tensor, reach: int, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """A point just outside each target, as an imperfect prompt generator sets it, still labelled as foreground.

    From a random voxel of the target straight in a random direction: the first voxel outside, or up to `reach` voxels
    beyond it where that is outside too.

    Args:
        targets: bool [P, X, Y, Z].
        reach: how far beyond the border it may lie, in voxels.
        generator: source of randomness.

    Returns:
        coords [P, 3] and labels [P] (1; -1 where the target is empty or the way leads out of the volume).
    """
    start, found = random_voxels(targets, generator=generator)
    direction = torch.randn(len(targets), 1, 3, generator=generator).to(start)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    way = torch.arange(max(targets.shape[1:]) + reach, device=start.device)[None, :, None]
    path = (start + way * direction).round()
    size = torch.tensor(targets.shape[1:], device=start.device)
    within = ((path >= 0) & (path < size)).all(-1)
    outside = within & ~values_at(targets, path.clamp(min=0).minimum(size - 1))
    left = outside.any(1) & found
    first = outside.int().argmax(1)
    further = first + torch.randint(reach, (len(targets),), generator=generator).to(first)
    prompt = torch.arange(len(targets), device=start.device)
    chosen = torch.where(outside[prompt, further.clamp(max=path.shape[1] - 1)], further, first)
    return path[prompt, chosen], torch.where(left, 1, -1)


def values_at(volumes: Tensor, coords: Tensor) -> Tensor:
    """What volumes [P, X, Y, Z] hold at whole coords [P, ..., 3] -> [P, ...]."""
    prompt = torch.arange(len(volumes), device=volumes.device).view(-1, *[1] * (coords.ndim - 2))
    return volumes[(prompt, *coords.long().unbind(-1))]
