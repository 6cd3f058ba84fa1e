"""Cross prompting confident learning doubts what it should, and nothing else."""

import pytest
import torch

from nnunetv2_muduo.teachers.cpcl import READINGS, Ensemble, doubtful_targets, rectified_labels, uncertain_voxels


def line(*values: float) -> torch.Tensor:
    """A volume [1, 1, n]."""
    return torch.tensor(values)[None, None]


def ensemble(*answers: torch.Tensor) -> Ensemble:
    collected = Ensemble()
    for answer in answers:
        collected.add(answer)
    return collected


def test_mean_and_variance_are_those_of_the_answers() -> None:
    answers = torch.rand(5, 2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    collected = ensemble(*answers)
    torch.testing.assert_close(collected.mean, answers.mean(0))
    torch.testing.assert_close(collected.variance, answers.var(0, unbiased=False))


def test_an_ensemble_without_answers_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no answer"):
        _ = Ensemble().mean


# the answers disagree about the second and the last voxel; most of them say yes to both
ANSWERS = (line(0.9, 0.9, 0.1, 0.9), line(0.9, 0.2, 0.1, 0.2), line(0.9, 0.9, 0.1, 0.9))
GIVEN = line(1, 1, 0, 0).bool()


@pytest.mark.parametrize(("reading", "expected"), [("complement", (1, 0, 0, 1)), ("ensemble", (1, 1, 0, 1))])
def test_doubted_voxels_turn_over_or_follow_the_ensemble(reading: str, expected: tuple[int, ...]) -> None:
    collected = ensemble(*ANSWERS)
    assert uncertain_voxels(collected.variance).tolist() == line(0, 1, 0, 1).bool().tolist()
    rectified = rectified_labels(GIVEN, collected.mean, collected.variance, reading=reading)
    assert rectified.int().tolist() == [[list(expected)]]


@pytest.mark.parametrize("reading", ["complement", "ensemble"])
def test_where_all_answers_agree_the_given_label_stays_even_against_them(reading: str) -> None:
    collected = ensemble(*[1 - GIVEN.float()] * 3)
    assert torch.equal(rectified_labels(GIVEN, collected.mean, collected.variance, reading=reading), GIVEN)


@pytest.mark.parametrize("reading", READINGS)
def test_equal_doubt_everywhere_is_no_doubt(reading: str) -> None:
    collected = ensemble(line(0.1, 0.1, 0.1, 0.1), line(0.8, 0.8, 0.8, 0.8))
    assert torch.equal(rectified_labels(GIVEN, collected.mean, collected.variance, reading=reading), GIVEN)


# a body of 4 voxels, of which the label lacks one half; the answers waver about its edge alone
WHOLE = (line(0, 0.9, 1, 1, 1, 0, 0, 0), line(0, 0.2, 1, 1, 1, 0, 0, 0), line(0, 0.9, 1, 1, 1, 0, 0, 0))
CUT = line(0, 1, 1, 0, 0, 0, 0, 0).bool()


def test_the_confident_reading_mends_what_all_answers_contradict_and_leaves_the_uncertain_edge() -> None:
    collected = ensemble(*WHOLE)
    edge_given_empty = line(0, 0, 1, 0, 0, 0, 0, 0).bool()
    for given in (CUT, edge_given_empty):
        rectified = rectified_labels(given, collected.mean, collected.variance, reading="confident")
        assert rectified.flatten().tolist() == [False, bool(given[0, 0, 1]), True, True, True, False, False, False]


def test_a_target_is_doubtful_where_answers_agree_better_with_one_another_than_with_its_label() -> None:
    mean = ensemble(*WHOLE).mean
    given = torch.stack([CUT, mean > 0.5])
    assert doubtful_targets(given, torch.stack([mean, mean])).tolist() == [True, False]
    wavering = torch.where(mean > 0.5, 0.55, 0.45)  # agrees with nothing, not even with itself
    assert not doubtful_targets(CUT, wavering)


def test_the_confident_reading_keeps_the_label_of_a_target_that_is_not_doubtful() -> None:
    given = line(1, 1, 1, 1, 1, 0, 0, 0).bool()  # one voxel too many, which all answers contradict
    collected = ensemble(*WHOLE)
    assert torch.equal(rectified_labels(given, collected.mean, collected.variance, reading="confident"), given)


def test_each_target_has_a_mean_uncertainty_of_its_own() -> None:
    variance = torch.stack([line(0.0, 0.2, 0.0, 0.0), line(0.0, 0.002, 0.0, 0.0)])
    assert uncertain_voxels(variance).flatten(1).tolist() == [[False, True, False, False]] * 2


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("seed", range(40))
def test_the_rectified_label_is_never_empty_where_the_given_one_is_not(reading: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    answers = torch.rand(3, 2, 4, 3, 3, 3, generator=generator) ** float(1 + seed % 7)
    given = torch.rand(2, 4, 3, 3, 3, generator=generator) < 0.04
    collected = ensemble(*answers)
    rectified = rectified_labels(given, collected.mean, collected.variance, reading=reading)
    assert (rectified.flatten(-3).any(-1) | ~given.flatten(-3).any(-1)).all()


@pytest.mark.parametrize("reading", READINGS)
def test_a_target_that_would_be_lost_keeps_its_given_label(reading: str) -> None:
    given = line(0, 1, 0, 0).bool()
    collected = ensemble(line(0, 0.7, 0, 0), line(0, 0.1, 0, 0))
    assert torch.equal(rectified_labels(given, collected.mean, collected.variance, reading=reading), given)


def test_another_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="complement, ensemble, confident"):
        rectified_labels(GIVEN, GIVEN.float(), GIVEN.float(), reading="union")


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("seed", range(5))
def test_voxels_that_nobody_knows_change_nothing_elsewhere_and_keep_their_label(reading: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    given = torch.rand(2, 3, 8, 4, 4, generator=generator) > 0.6
    mean, variance = (torch.rand(2, 3, 8, 4, 4, generator=generator) for _ in range(2))
    known = torch.zeros(2, 1, 8, 4, 4, dtype=torch.bool)
    known[:, :, :5] = True
    rectified = rectified_labels(given, mean, variance, reading=reading, known=known)
    alone = rectified_labels(given[:, :, :5], mean[:, :, :5], variance[:, :, :5], reading=reading)
    assert torch.equal(rectified[:, :, :5], alone)
    assert torch.equal(rectified[:, :, 5:], given[:, :, 5:])
    assert not torch.equal(alone, given[:, :, :5])
