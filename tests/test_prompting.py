import itertools
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from nnunetv2_muduo.prompting import points_from_masks

STRATEGIES = ["spread", "random", "uptake", "centroid", "components", "first"]
ONE_A_COMPONENT = ("centroid", "components")  # of masks in one piece
SHAPE = (18, 24, 33)


def ball(centre, radius, shape=SHAPE):
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    return torch.from_numpy(((grid - np.array(centre)) ** 2).sum(-1) <= radius**2)


def box(*bounds, shape=SHAPE):
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tuple(slice(*pair) for pair in bounds)] = True
    return mask


def assorted_masks():
    """[2, 5, *SHAPE]: a ball, a long box, a hollow ball, a single voxel, nothing; mirrored in the second image."""
    hollow = ball((9, 12, 16), 8) & ~ball((9, 12, 16), 5)
    masks = [ball((6, 8, 20), 5), box((3, 6), (4, 8), (2, 30)), hollow, box((5, 6), (7, 8), (9, 10))]
    one = torch.stack([*masks, torch.zeros(SHAPE, dtype=torch.bool)])
    return torch.stack([one, one.flip(1, 2, 3)])


def place(masks, **options):
    options.setdefault("uptake", torch.rand(masks.shape[0], 1, *masks.shape[2:]))
    return points_from_masks(masks, **options)


def of_one(mask, **options):
    """The used points [n, 3] of a single mask."""
    coords, labels = place(mask[None, None], **options)
    return coords[0, 0][labels[0, 0] == 1]


def least_distance(points):
    return min(math.dist(a, b) for a, b in itertools.combinations(points.tolist(), 2))


@pytest.mark.parametrize("points", [1, 3, 7])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_points_lie_inside_their_mask_and_differ(strategy, points):
    masks = assorted_masks()
    coords, labels = place(masks, points=points, strategy=strategy)
    assert coords.shape == (2, 5, points, 3)
    assert labels.shape == (2, 5, points)
    assert coords.dtype == torch.float32
    assert labels.dtype == torch.int64
    for b, k in itertools.product(range(2), range(4)):
        used = [tuple(int(v) for v in c) for c, label in zip(coords[b, k], labels[b, k], strict=True) if label == 1]
        assert len(used) == len(set(used)) == min(1 if strategy in ONE_A_COMPONENT else points, int(masks[b, k].sum()))
        assert all(masks[b, k][voxel] for voxel in used)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_absent_organ_has_unused_slots_only(strategy):
    coords, labels = place(assorted_masks(), points=3, strategy=strategy)
    assert (labels[:, 4] == -1).all()
    assert (coords[:, 4] == 0).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_batch_without_any_organ_is_no_problem(strategy):
    _, labels = place(torch.zeros(2, 3, *SHAPE, dtype=torch.bool), points=4, strategy=strategy)
    assert (labels == -1).all()


@pytest.mark.parametrize("strategy", ["spread", "random", "uptake", "first"])
def test_a_mask_with_fewer_voxels_than_points_gets_one_on_each(strategy):
    mask = box((4, 5), (6, 7), (8, 11))
    coords, labels = place(mask[None, None], points=5, strategy=strategy)
    assert labels[0, 0].tolist() == [1, 1, 1, -1, -1]
    assert sorted(coords[0, 0, :3].tolist()) == [[4, 6, 8], [4, 6, 9], [4, 6, 10]]


def test_first_is_the_published_raster_order():
    mask = ball((9, 12, 16), 6)
    assert of_one(mask, points=3, strategy="first").tolist() == mask.nonzero()[:3].tolist()


def test_random_draws_every_voxel_equally_often():
    mask = box((0, 1), (0, 2), (0, 5), shape=(2, 3, 6))
    generator = torch.Generator().manual_seed(0)
    coords, _ = points_from_masks(
        mask.expand(1, 4000, -1, -1, -1), points=3, strategy="random", generator=generator
    )  # 12,000 points on 10 voxels: 1,200 each, standard deviation 29
    counts = np.unique(coords.reshape(-1, 3).numpy(), axis=0, return_counts=True)[1]
    assert len(counts) == 10
    assert abs(counts - 1200).max() < 5 * 29


def test_the_same_generator_gives_the_same_points():
    masks = assorted_masks()
    first, again, other = (
        points_from_masks(masks, points=3, strategy="random", generator=torch.Generator().manual_seed(seed))[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("strategy", ["spread", "uptake", "centroid", "components", "first"])
def test_only_random_draws_random_numbers(strategy):
    masks, uptake, before = assorted_masks(), torch.rand(2, 1, *SHAPE), torch.get_rng_state()
    one = points_from_masks(masks, points=3, strategy=strategy, uptake=uptake)[0]
    assert torch.equal(one, points_from_masks(masks, points=3, strategy=strategy, uptake=uptake)[0])
    assert torch.equal(before, torch.get_rng_state())


def test_centroid_is_the_mask_voxel_nearest_to_the_centre_of_mass():
    for mask in assorted_masks()[0, :4]:
        voxels = mask.nonzero().double()
        nearest = (voxels - voxels.mean(0)).norm(dim=1).min()
        point = of_one(mask, points=1, strategy="centroid")[0].double()
        assert torch.isclose((point - voxels.mean(0)).norm(), nearest)


def test_centroid_of_a_large_mask_is_its_middle():
    assert of_one(ball((30, 33, 40), 27, (64, 70, 80)), points=1, strategy="centroid").tolist() == [[30, 33, 40]]


@pytest.mark.parametrize("points", [2, 3, 4])
def test_spread_covers_a_long_organ_in_equal_steps(points):
    length = 60
    mask = box((4, 9), (5, 10), (3, 3 + length), shape=(14, 15, 70))
    chosen = of_one(mask, points=points, strategy="spread")
    ideal = 2.5 + length * (np.arange(points) + 0.5) / points
    assert np.allclose(sorted(chosen[:, 2].tolist()), ideal, atol=3)
    assert ((chosen[:, :2] - torch.tensor([6.0, 7.0])).abs() <= 1).all()


def test_spread_leaves_no_part_of_an_organ_far_from_a_point():
    def mean_gap(mask, points):
        return torch.cdist(mask.nonzero().float(), points).min(1).values.mean()

    for mask in assorted_masks()[0, :3]:
        generator = torch.Generator().manual_seed(0)
        random = [mean_gap(mask, of_one(mask, points=3, strategy="random", generator=generator)) for _ in range(20)]
        assert mean_gap(mask, of_one(mask, points=3, strategy="spread")) < 0.85 * np.mean(random)


def test_spread_keeps_off_the_edge_of_a_mask():
    mask = ball((9, 12, 16), 4)
    for point in of_one(mask, points=4, strategy="spread").long():
        for axis, step in itertools.product(range(3), (-1, 1)):
            neighbour = point.clone()
            neighbour[axis] += step
            assert mask[tuple(neighbour)]


def test_the_border_of_the_patch_is_no_edge_of_a_mask():
    slab = box((16, 18), (0, 24), (0, 33))  # only the layer at the border has all its neighbours
    assert (of_one(slab, points=3, strategy="spread")[:, 0] == 17).all()


def test_a_mask_that_is_all_edge_still_gets_points():
    assert len(of_one(box((3, 4), (4, 20), (5, 30)), points=3, strategy="spread")) == 3


def test_spread_ignores_a_small_stray_component():
    mask = ball((20, 20, 20), 9, (40, 40, 80)) | box((3, 6), (3, 6), (74, 77), shape=(40, 40, 80))
    assert (of_one(mask, points=3, strategy="spread")[:, 2] < 40).all()


def scattered(seed):
    """Balls and boxes of several sizes that may touch, cut by the border or not: [*SHAPE] bool."""
    rng = np.random.default_rng(seed)
    balls = [ball(rng.integers(SHAPE), rng.uniform(0, 3)) for _ in range(7)]
    return torch.stack(balls).any(0)


def plainly_in_components(mask, points):
    """The middle of each component (18 neighbours), the largest first."""
    labels, number = ndimage.label(mask.numpy(), ndimage.generate_binary_structure(3, 2))
    components = sorted((np.argwhere(labels == k + 1) for k in range(number)), key=len, reverse=True)
    chosen = []
    for voxels in components[:points]:
        distances = [math.dist(voxel, voxels.mean(0)) for voxel in voxels]
        chosen.append(voxels[int(np.argmin(distances))].tolist())
    return chosen


@pytest.mark.parametrize("points", [1, 3, 10])
def test_components_are_those_of_a_plain_search(points):
    masks = torch.stack([torch.stack([scattered(2 * b + k) for k in range(2)]) for b in range(3)])
    coords, labels = points_from_masks(masks, points=points, strategy="components")
    for b, k in itertools.product(range(3), range(2)):
        expected = plainly_in_components(masks[b, k], points)
        assert labels[b, k].tolist() == [1] * len(expected) + [-1] * (points - len(expected))
        assert coords[b, k, : len(expected)].tolist() == expected


def test_every_lesion_gets_a_point_however_small_or_cool():
    lesions = [ball((9, 12, 6), 4), ball((4, 4, 16), 1), ball((14, 20, 29), 2)]
    mask, hot = torch.stack(lesions).any(0), lesions[0].float()[None, None]

    def reached(strategy):
        chosen = of_one(mask, points=3, strategy=strategy, uptake=hot).long()
        return sum(any(lesion[tuple(point)] for point in chosen) for lesion in lesions)

    assert (reached("spread"), reached("uptake"), reached("components")) == (2, 1, 3)


def test_components_of_transposed_masks_are_the_same():
    mask = scattered(5)
    coords = of_one(mask, points=10, strategy="components")
    turned = points_from_masks(mask.transpose(0, 2)[None, None], points=10, strategy="components")[0][0, 0]
    assert {tuple(point) for point in turned.flip(-1).tolist()} >= {tuple(point) for point in coords.tolist()}


def test_uptake_chooses_hot_voxels_that_are_not_all_adjacent():
    mask = ball((9, 12, 16), 8)
    hot = ball((9, 12, 12), 2) | ball((9, 12, 20), 2)
    uptake = torch.rand(1, 1, *SHAPE) + 5 * hot
    chosen = of_one(mask, points=2, strategy="uptake", uptake=uptake)
    assert all(hot[tuple(point)] for point in chosen.long())
    assert least_distance(chosen) > 4


def test_uptake_is_that_of_the_points_own_image():
    masks = ball((9, 12, 16), 8).expand(2, 2, -1, -1, -1)
    spots = [ball((9, 12, 12), 2), ball((9, 12, 20), 2)]
    coords, _ = points_from_masks(masks, points=1, strategy="uptake", uptake=torch.stack(spots)[:, None].float())
    assert (coords[0, ..., 2] < 15).all()
    assert (coords[1, ..., 2] > 17).all()


def test_the_masks_are_left_alone():
    masks = assorted_masks()
    before = masks.clone()
    for strategy in STRATEGIES:
        place(masks, points=3, strategy=strategy)
    assert torch.equal(masks, before)


def test_autocast_does_not_move_points():
    mask = ball((30, 33, 140), 25, (64, 70, 190))
    outside = of_one(mask, points=3, strategy="spread")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(outside, of_one(mask, points=3, strategy="spread"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategy": "middle"}, "spread, random"),
        ({"points": 0}, "at least 1"),
        ({"masks": torch.zeros(1, 1, 4, 4, 4)}, "bool"),
        ({"strategy": "uptake"}, "uptake"),
        ({"strategy": "uptake", "uptake": torch.zeros(1, 2, 4, 4, 4)}, "uptake"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"masks": torch.zeros(1, 1, 4, 4, 4, dtype=torch.bool), "points": 3, "strategy": "spread"} | change
    with pytest.raises(ValueError, match=message):
        points_from_masks(arguments.pop("masks"), **arguments)
