"""A simulated user: clicks where the mask is wrong, stops when it is right."""

import pytest
import torch

from nnunetv2_muduo.interactive.clicked_dice import clicked_dice, clicks_generator

SHAPE = (6, 7, 8)


class Painter:
    """Answers the first click with a box, later ones by setting the clicked voxel right; remembers all clicks."""

    def __init__(self, box: tuple[slice, ...]) -> None:
        self.mask = torch.zeros(SHAPE, dtype=torch.bool)
        self.box = box
        self.logits: dict = {}
        self.clicks: list[tuple[list[float], int]] = []

    def click(self, coords: torch.Tensor, labels: torch.Tensor) -> None:
        self.clicks += zip(coords.tolist(), labels.tolist(), strict=True)
        if len(self.clicks) == 1:
            self.mask[self.box] = True
        else:
            self.mask[tuple((coords[0] - 0.5).long())] = bool(labels[0])
        self.logits[(0, 0, len(self.logits))] = torch.zeros(1)

    def result(self):
        part = (slice(1, 6), slice(0, 7), slice(1, 8))
        return self.mask[part].float() - 0.5, part


def box(*edges: tuple[int, int]) -> torch.Tensor:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[tuple(slice(*edge) for edge in edges)] = True
    return mask


TRUTH = box((2, 5), (2, 5), (2, 5))


def run(truth=TRUTH, *, answer=((2, 5), (2, 5), (3, 6)), clicks=(1, 2, 5), seed=0, counted=None):
    painter = Painter(tuple(slice(*edge) for edge in answer))
    begun = []

    def begin(position):
        begun.append(position.tolist())
        return painter

    generator = torch.Generator().manual_seed(seed)
    results = clicked_dice(begin, truth, clicks=clicks, generator=generator, counted=counted)
    return results, painter, begun


def test_first_click_is_inside_later_ones_are_where_the_mask_is_wrong_and_say_how():
    seen = set()
    for seed in range(20):
        _, painter, begun = run(seed=seed)
        (first, label), *later = painter.clicks
        assert begun == [first]
        assert label == 1
        assert TRUTH[tuple(int(at) for at in first)]
        answer = box((2, 5), (2, 5), (3, 6))
        for position, label in later:
            voxel = tuple(int(at) for at in position)
            assert position == [at + 0.5 for at in voxel]
            assert TRUTH[voxel] != answer[voxel]
            assert label == int(TRUTH[voxel])
            seen.add(label)
    assert seen == {0, 1}


def test_dice_and_windows_are_those_after_the_asked_numbers_of_clicks():
    results, painter, _ = run()
    assert [result.clicks for result in results] == [1, 2, 5]
    assert [result.windows for result in results] == [1, 2, 5]
    mask = box((2, 5), (2, 5), (3, 6))
    expected = []
    for number in range(5):
        if number:
            position, label = painter.clicks[number]
            mask[tuple(int(at) for at in position)] = bool(label)
        expected.append(float(2 * (mask & TRUTH).sum() / (mask.sum() + TRUTH.sum())))
    assert [result.dice for result in results] == pytest.approx([expected[n - 1] for n in (1, 2, 5)])
    assert results[0].seconds <= results[1].seconds <= results[2].seconds


def test_clicks_are_those_drawn_from_the_whole_scan():
    counted = ~box((3, 4), (0, 7), (0, 8))
    for seed in range(10):
        _, painter, _ = run(seed=seed, counted=counted)
        generator = torch.Generator().manual_seed(seed)
        mask, truth = torch.zeros_like(TRUTH), TRUTH & counted
        expected = []
        for number in range(5):
            wrong = (mask ^ truth).nonzero()
            voxel = wrong[torch.randint(len(wrong), (1,), generator=generator)][0]
            expected.append(([at + 0.5 for at in voxel.tolist()], int(truth[tuple(voxel)])))
            if number:
                mask[tuple(voxel)] = truth[tuple(voxel)]
            else:
                mask = box((2, 5), (2, 5), (3, 6)) & counted
        assert painter.clicks == expected


def test_a_user_with_nothing_left_to_correct_stops():
    results, painter, _ = run(answer=((2, 5), (2, 5), (2, 5)))
    assert len(painter.clicks) == 1
    assert [result.dice for result in results] == [1.0, 1.0, 1.0]


def test_voxels_that_do_not_count_are_neither_clicked_on_nor_compared():
    counted = ~box((0, 6), (0, 7), (5, 8))  # all false positives
    for seed in range(10):
        results, painter, _ = run(seed=seed, counted=counted)
        assert all(counted[tuple(int(at) for at in position)] for position, _ in painter.clicks)
        assert results[0].dice == pytest.approx(2 * 18 / (18 + 27))


def test_a_target_without_a_voxel_that_counts_is_an_error():
    with pytest.raises(ValueError, match="no voxel"):
        run(counted=~TRUTH)


def test_randomness_belongs_to_seed_case_and_organ():
    def drawn(*key) -> float:
        return float(torch.rand(1, generator=clicks_generator(*key)))

    assert drawn(0, "a", "liver") == drawn(0, "a", "liver")
    keys = [(0, "a", "liver"), (1, "a", "liver"), (0, "b", "liver"), (0, "a", "spleen"), (0, "al", "iver")]
    assert len({drawn(*key) for key in keys}) == len(keys)
