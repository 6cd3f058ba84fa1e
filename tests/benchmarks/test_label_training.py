import numpy as np
import pytest
import torch
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from label_efficiency import chosen_methods
from label_methods import METHODS, SIZES
from label_training import missing_trainer, repeatable

from nnunetv2_muduo.settings import Settings


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


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_every_method_of_a_known_trainer_has_settings_that_are_accepted(size):
    for method in METHODS.values():
        if missing_trainer(method) is None:
            Settings.from_dict({**size.schedule(seed=0), **method.settings})


def test_a_method_without_its_trainer_is_told_and_left_out(capsys, monkeypatch):
    monkeypatch.setattr(
        "label_efficiency.missing_trainer", lambda method: method.trainer if "CPS" in method.title else None
    )
    assert chosen_methods(["supervised", "cps", "muduo", "muduo"]) == ["supervised", "muduo"]
    assert "CPS" in capsys.readouterr().out


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(SystemExit, match="muduoo"):
        chosen_methods(["muduoo"])
