"""The network on patches of 32 x 32 x 64 voxels, the smallest that trains, against MONAI's own."""

import copy

import pytest
import torch
from monai_extra import needs_monai
from torch import Tensor, nn

from nnunetv2_muduo.swin.building import build_swin
from nnunetv2_muduo.swin_sizes import SIZES

pytestmark = needs_monai
PATCH = (32, 32, 64)
PARAMETERS = {"small": 18_347_708, "base": 74_648_708, "large": 319_207_556}  # as docs/pretraining.md says, rounded


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_swin("small", input_channels=2, output_channels=3)


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.randn(1, 2, *PATCH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_known_by_shape_alone(size: str):
    with torch.device("meta"):
        network = build_swin(size, input_channels=2, output_channels=2)
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[size]


def test_it_computes_what_monais_network_does(network: nn.Module, image: Tensor):
    from monai.networks.nets import SwinUNETR

    plain = SwinUNETR(in_channels=2, out_channels=3, feature_size=24, depths=(2, 2, 2, 2), use_v2=True)
    ours = network.state_dict()
    renamed = {name.replace("decoder.seg_layers.0", "out.conv.conv"): tensor for name, tensor in ours.items()}
    plain.load_state_dict(renamed)
    with torch.no_grad():
        assert torch.equal(network(image), plain(image))


def test_the_output_layer_alone_has_the_name_that_nnunet_does_not_take_over(network: nn.Module):
    heads = [name for name in network.state_dict() if ".seg_layers." in name]
    assert heads == ["decoder.seg_layers.0.weight", "decoder.seg_layers.0.bias"]
    assert not [name for name in network.state_dict() if name.startswith("out.")]
    wider = build_swin("small", input_channels=2, output_channels=5).state_dict()
    differing = {name for name, tensor in network.state_dict().items() if tensor.shape != wider[name].shape}
    assert differing == set(heads)


def test_a_step_reaches_every_parameter(network: nn.Module, image: Tensor):
    learner = copy.deepcopy(network)
    logits = learner(image)
    assert logits.shape == (1, 3, *PATCH)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in learner.parameters())  # DDP refuses the others
