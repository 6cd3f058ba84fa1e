"""Encoder and decoder learn at rates of their own, and no parameter is forgotten."""

import pytest
import torch
from tiny_teachers import CLICK_UNET, SAM3D
from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.parameter_groups import parameter_groups
from nnunetv2_muduo.teachers.sam3d import Sam3D


@pytest.mark.parametrize("teacher", [ClickUNet(CLICK_UNET), Sam3D(SAM3D)], ids=["ClickUNet", "Sam3D"])
def test_every_parameter_is_in_one_group_and_the_encoder_in_the_first(teacher: nn.Module) -> None:
    encoder = teacher.image_encoder if isinstance(teacher, Sam3D) else teacher.network
    groups = parameter_groups(teacher, decoder_rate_share=0.1)
    assert [group["rate_share"] for group in groups] == [1.0, 0.1]
    ids = [[id(parameter) for parameter in group["params"]] for group in groups]
    assert set(ids[0]) == {id(parameter) for parameter in encoder.parameters()}
    assert sorted(ids[0] + ids[1]) == sorted(id(parameter) for parameter in teacher.parameters())


def test_with_equal_rates_any_network_has_one_group() -> None:
    (group,) = parameter_groups(nn.Linear(2, 2), decoder_rate_share=1)
    assert len(group["params"]) == 2


def test_an_unknown_network_with_two_rates_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="Linear"):
        parameter_groups(nn.Linear(2, 2), decoder_rate_share=0.1)


def test_an_optimiser_keeps_the_shares_with_its_state() -> None:
    groups = parameter_groups(ClickUNet(CLICK_UNET), decoder_rate_share=0.1)
    optimiser = torch.optim.AdamW(groups, lr=1e-3)
    assert [group["rate_share"] for group in optimiser.state_dict()["param_groups"]] == [1.0, 0.1]
