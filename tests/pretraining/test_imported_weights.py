"""Names, input channels and shapes of pretrained weights, on networks of dynamic-network-architectures."""

import pytest
import torch
from pretrained_files import pretrained_network
from torch import Tensor, nn

from nnunetv2_muduo.checkpoint_files import not_finite
from nnunetv2_muduo.pretraining.imported_weights import (
    input_tensors,
    misfits,
    network_weights,
    with_input_channels,
)

STEM = "encoder.stages.0.0.convs.0"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return pretrained_network()


def without_head(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if ".seg_layers." not in name}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "nnunet.", "module.nnunet.", "module._orig_mod.", "_orig_mod.nnunet."),
        *("nnunet._orig_mod.", "nnunet.module._orig_mod.", "module.nnunet._orig_mod.module."),
    ],
)
@pytest.mark.parametrize("key", ["network_weights", "model_state_dict", None])
def test_prefixes_and_head_are_gone_whatever_wrapped_the_network(network: nn.Module, prefix: str, key: str | None):
    state = {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}
    found = network_weights(state if key is None else {key: state, "epoch": 3})
    assert same(found, without_head(network))


def test_what_the_released_model_holds_beside_the_network_is_left_out(network: nn.Module):
    state = {f"nnunet.{name}": tensor for name, tensor in network.state_dict().items()}
    found = network_weights({"model_state_dict": {**state, "mean": torch.zeros(2)}})
    assert same(found, without_head(network))


@pytest.mark.parametrize("missing", ["encoder.", "decoder.encoder."])
def test_an_encoder_saved_under_one_of_its_names_gets_the_other(network: nn.Module, missing: str):
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(missing)}
    assert same(network_weights(state), without_head(network))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model_state_dict": {}}, {"model_state_dict": {"a": 1}}])
def test_a_checkpoint_without_a_network_is_refused(content: dict):
    with pytest.raises(ValueError, match="no network"):
        network_weights(content)


def test_tensors_at_the_input_are_found_under_all_their_names(network: nn.Module):
    found = input_tensors(network.state_dict(), pretrained_network(channels=3).state_dict())
    copies = [f"{STEM}.{copy}.weight" for copy in ("conv", "all_modules.0")]
    own_head = [name for name in network.state_dict() if ".seg_layers." in name]
    assert set(found) - set(own_head) == {*copies, *(f"decoder.{name}" for name in copies)}


def test_input_channels_are_rearranged_and_nothing_else(network: nn.Module):
    weights = network_weights(network.state_dict())
    before = {name: tensor.clone() for name, tensor in weights.items()}
    names = [f"{STEM}.conv.weight", f"decoder.{STEM}.conv.weight"]
    after = with_input_channels(weights, names, (1, None, 0))
    for name in names:
        assert torch.equal(after[name][:, 0], before[name][:, 1])
        assert torch.equal(after[name][:, 2], before[name][:, 0])
        assert not after[name][:, 1].any()
    assert same(weights, before)
    assert same({n: t for n, t in after.items() if n not in names}, {n: t for n, t in before.items() if n not in names})


def test_weights_that_fit_have_no_misfits(network: nn.Module):
    assert misfits(without_head(network), network_weights(network.state_dict())) == []


def test_every_tensor_of_another_shape_is_named_once(network: nn.Module):
    wider = without_head(pretrained_network(features=8))
    found = misfits(wider, without_head(network))
    assert f"{STEM}.conv.weight [4, 2, 3, 3, 3] instead of [8, 2, 3, 3, 3]" in found
    assert not [phrase for phrase in found if "all_modules" in phrase or phrase.startswith("decoder.encoder")]
    parameters = [tensor for tensor in pretrained_network(features=8).parameters() if tensor.shape[0] != 2]
    assert len(found) == len(parameters)  # each once, the head's aside


def test_missing_and_superfluous_tensors_are_named(network: nn.Module):
    deeper = without_head(pretrained_network(stages=7))
    missing = misfits(deeper, without_head(network))
    assert "encoder.stages.6.0.convs.0.conv.weight [32, 32, 3, 3, 3] is missing" in missing
    superfluous = misfits(without_head(network), deeper)
    assert "encoder.stages.6.0.convs.0.conv.weight [32, 32, 3, 3, 3] has no place" in superfluous


def test_tensors_with_nan_are_found(network: nn.Module):
    weights = without_head(network)
    assert not_finite(weights) == []
    assert not_finite({**weights, "a": torch.tensor([1.0, float("nan")])}) == ["a"]
