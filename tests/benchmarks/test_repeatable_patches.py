import numpy as np
import torch
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from repeatable_patches import repeatable


class Draws:
    """Endless random numbers from numpy's and torch's global streams."""

    def __next__(self) -> tuple[float, float]:
        return np.random.rand(), torch.rand(1).item()


def stream(seed: int):
    return repeatable(SingleThreadedAugmenter(Draws(), None), seed)


def test_a_repeatable_stream_keeps_its_course_whatever_others_draw():
    undisturbed = [next(patches) for patches in [stream(3)] for _ in range(4)]
    disturbed, patches = [], stream(3)
    for _ in range(4):
        np.random.rand(5)
        torch.rand(7)
        disturbed.append(next(patches))
    assert disturbed == undisturbed
    assert len(set(undisturbed)) == 4
    assert next(stream(4)) != undisturbed[0]


def test_a_repeatable_stream_leaves_the_global_streams_alone():
    np.random.seed(0)
    torch.manual_seed(0)
    expected = np.random.rand(), torch.rand(1).item()
    np.random.seed(0)
    torch.manual_seed(0)
    next(stream(1))
    assert (np.random.rand(), torch.rand(1).item()) == expected


def test_streams_of_workers_are_left_as_they_are():
    workers = object()
    assert repeatable(workers, 0) is workers
