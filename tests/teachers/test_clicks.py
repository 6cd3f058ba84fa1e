"""Simulated clicks lie where they claim to lie."""

import torch

from nnunetv2_muduo.teachers.clicks import first_click, next_click, random_voxels, spread_clicks, stray_click, values_at


def two_targets() -> torch.Tensor:
    """A box on an asymmetric volume, and an empty mask."""
    targets = torch.zeros(2, 8, 10, 12, dtype=torch.bool)
    targets[0, 2:6, 3:5, 4:11] = True
    return targets


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_first_click_lies_inside_the_target() -> None:
    targets = two_targets()
    coords, labels = first_click(targets, generator=generator())
    assert labels.tolist() == [1, -1]
    assert values_at(targets, coords)[0]


def test_random_voxels_reach_the_whole_target() -> None:
    targets = two_targets()
    coords, found = random_voxels(targets, 2000, generator=generator())
    assert found.tolist() == [True, False]
    assert len(coords[0].unique(dim=0)) == targets[0].sum()


def test_next_click_lies_in_the_error_region_and_tells_misses_from_false_alarms() -> None:
    target = two_targets()[:1].expand(40, -1, -1, -1)
    predictions = torch.zeros_like(target)
    predictions[:, 4:8, 3:5, 4:11] = True  # half missed, half beside it
    coords, labels = next_click(target, predictions, generator=generator())
    missed, beside = values_at(target & ~predictions, coords), values_at(predictions & ~target, coords)
    assert (missed | beside).all()
    assert torch.equal(labels == 1, missed)
    assert torch.equal(labels == 0, beside)
    assert missed.any()
    assert beside.any()


def test_nothing_is_clicked_where_nothing_is_wrong() -> None:
    targets = two_targets()
    _, labels = next_click(targets, targets.clone(), generator=generator())
    assert labels.tolist() == [-1, -1]


def test_spread_clicks_lie_inside_and_far_apart() -> None:
    targets = two_targets()
    coords, labels = spread_clicks(targets, 3, generator=generator())
    assert labels.tolist() == [[1, 1, 1], [-1, -1, -1]]
    assert values_at(targets, coords)[0].all()
    random, _ = random_voxels(targets, 300, generator=generator())
    assert torch.pdist(coords[0]).min() > torch.pdist(random[0]).mean() / 2


def test_stray_clicks_lie_just_outside() -> None:
    targets = two_targets()[:1].expand(60, -1, -1, -1)
    coords, labels = stray_click(targets, 2, generator=generator())
    used = labels == 1
    assert used.sum() > 30
    assert not values_at(targets, coords)[used].any()
    box = torch.tensor([[2.0, 3.0, 4.0], [5.0, 4.0, 10.0]])
    beyond = torch.maximum(box[0] - coords, coords - box[1]).amax(-1)[used]
    assert ((beyond >= 1) & (beyond <= 3)).all()


def test_the_same_generator_gives_the_same_clicks() -> None:
    targets = two_targets()
    for draw in (first_click, lambda t, generator: spread_clicks(t, 3, generator=generator)):
        first, second = (draw(targets, generator=generator())[0] for _ in range(2))
        assert torch.equal(first, second)
