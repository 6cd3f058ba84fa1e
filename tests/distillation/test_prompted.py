import numpy as np
import pytest
import torch
from torch import Tensor

from nnunetv2_muduo.distillation import grown_from_prompts, prompt_agreement

PATCH = (8, 10, 12)
ORGAN, NEIGHBOUR = (slice(1, 5), slice(2, 8), slice(1, 7)), (slice(5, 8), slice(2, 8), slice(1, 7))


def mask(*boxes: tuple[slice, ...]) -> Tensor:
    """One patch, a box for each organ, bool [1, K, Z, Y, X]."""
    masks = torch.zeros(1, len(boxes), *PATCH, dtype=torch.bool)
    for organ, box in enumerate(boxes):
        masks[0, organ][box] = True
    return masks


def part_of(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """One voxel each way, at the box's beginning."""
    return tuple(slice(edge.start, edge.start + 1) for edge in box)


def test_agreement_with_the_prompt_tells_an_organ_from_a_stray_voxel():
    said = mask(ORGAN, ORGAN).float()
    prompted = mask(ORGAN, part_of(ORGAN))
    given = prompt_agreement(said, None, prompted)
    assert given[0].tolist() == pytest.approx([1.0, 1 / (4 * 6 * 6)])
    unsure = prompt_agreement(said, torch.zeros_like(said), prompted)
    assert unsure[0, 0] == pytest.approx(0.5)


def test_an_answer_may_grow_from_a_part_of_its_organ_but_not_into_another_organs_prompt():
    said = mask(ORGAN, NEIGHBOUR).float()
    assert grown_from_prompts(said, said, mask(part_of(ORGAN), NEIGHBOUR)).tolist() == [[True, True]]
    stray = mask(ORGAN, part_of(ORGAN))  # the second organ's prompt lies in the first organ ...
    stray[0, 0] &= ~stray[0, 1]
    outlined = mask(ORGAN, ORGAN).float()  # ... which both teachers outline twice
    assert grown_from_prompts(outlined, outlined, stray).tolist() == [[True, False]]


def test_teachers_that_disagree_or_lose_their_prompt_have_not_grown_from_it():
    said, prompted = mask(ORGAN).float(), mask(part_of(ORGAN))
    assert grown_from_prompts(said, said, prompted).item()
    assert not grown_from_prompts(said, mask(NEIGHBOUR).float(), prompted).item()
    assert not grown_from_prompts(said, said, mask(part_of(NEIGHBOUR))).item()
    assert not grown_from_prompts(0 * said, 0 * said, prompted).item()


def test_agrees_with_sums_voxel_by_voxel():
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(40):
        ct = rng.random((2, 3, *PATCH), np.float32) ** rng.uniform(0.2, 3)
        pet = np.clip(ct + rng.normal(0, rng.uniform(0, 0.6), ct.shape).astype(np.float32), 0, 1)
        labels = rng.choice(5, (2, *PATCH), p=[0.5, *rng.dirichlet((1, 1, 1, 1)) / 2])  # organs 1 to 3; 4 is background
        prompted = np.stack([labels == organ for organ in (1, 2, 3)], 1)
        given = grown_from_prompts(*map(torch.from_numpy, (ct, pet, prompted)))
        for image, organ in np.ndindex(2, 3):
            a, b, own = (array[image, organ] for array in (ct, pet, prompted))
            other = prompted[image].any(0) & ~own
            mean = (a + b) / 2
            agreed = (a * b).sum() / (a + b - a * b).sum()
            expected = agreed >= 0.3 and mean[own].mean() >= 0.5 and mean[other].sum() / mean.sum() <= 0.3
            assert bool(given[image, organ]) == expected
            found.add(expected)
    assert found == {True, False}
