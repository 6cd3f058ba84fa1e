import pytest
import torch
from label_methods import METHODS
from label_training import jitter_weights
from rounding import BUDGET, repeats, spreads, table_rows


def record(method: str, liver: float, prostate: float, *, seed: int = 0, budget: int = BUDGET) -> dict:
    return {"method": method, "seed": seed, "budget": budget, "dice": {"liver": [liver], "prostate": [prostate]}}


def test_repeats_are_the_method_itself_and_the_same_with_other_roundings():
    methods = repeats("supervised", 2)
    assert list(methods) == ["supervised", "supervised-jitter-1", "supervised-jitter-2"]
    assert methods["supervised"] == METHODS["supervised"]
    assert [method.jitter for method in methods.values()] == [0, 1, 2]


def test_jitter_moves_each_weight_by_no_more_than_rounding_does_and_by_its_number_alone():
    torch.manual_seed(0)
    drawn = torch.nn.Linear(50, 50)
    weights = drawn.weight.detach().clone()
    changed = {}
    for number in (1, 2, 1):
        with torch.no_grad():
            drawn.weight.copy_(weights)
        jitter_weights(drawn, number)
        again = changed.get(number)
        changed[number] = drawn.weight.detach().clone()
        assert again is None or torch.equal(again, changed[number])
    relative = (changed[1] / weights - 1).abs()
    assert 1e-7 < relative.mean() < 2e-6
    assert relative.max() < 1e-5
    assert not torch.equal(changed[1], changed[2])


def test_spread_is_of_runs_of_a_method_and_seed_that_have_several():
    records = [
        record("muduo", 0.9, 0.1),
        record("supervised-jitter-2", 0.6, 0.0),
        record("supervised", 0.7, 0.5),
        record("supervised", 0.7, 0.5, seed=1),
        record("supervised-jitter-1", 0.9, 0.3, budget=2),
    ]
    (found,) = spreads(records)
    assert (found["method"], found["seed"]) == ("supervised", 0)
    assert found["dice"] == pytest.approx([0.6, 0.3])
    assert found["dice without the prostate"] == pytest.approx([0.7, 0.6])
    (row,) = table_rows([found])
    assert row == ["supervised", "0", "2", "0.450 ± 0.212", "0.300 to 0.600", "0.650 ± 0.071", "0.600 to 0.700"]
