"""The two-way transformer against its plain twin, and what it computes once for all targets."""

import pytest
import torch
from plain_sam3d import plain_two_way
from torch.testing import assert_close

from nnunetv2_muduo.teachers.sam3d.transformer import TwoWayTransformer

WIDTH, HEADS = 16, 4


@pytest.fixture
def transformer() -> TwoWayTransformer:
    torch.manual_seed(0)
    module = TwoWayTransformer(WIDTH, depth=2, heads=HEADS, mlp_width=24).requires_grad_(False)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module


def test_transformer_agrees_with_its_plain_twin(transformer):
    tokens, image, positions = torch.randn(1, 1, 6, WIDTH), torch.randn(1, WIDTH, 2, 2, 2), torch.randn(8, WIDTH)
    expected_tokens, expected_image = plain_two_way(
        dict(transformer.state_dict()), tokens[:, 0], image, positions=positions[None], heads=HEADS
    )
    flat = image.flatten(2).transpose(1, 2)[:, None]
    actual_tokens, actual_image = transformer(tokens, flat, image_positions=positions, usable=None)
    assert_close(actual_tokens[:, 0], expected_tokens, atol=1e-5, rtol=1e-5)
    assert_close(actual_image[:, 0], expected_image.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_one_image_for_all_targets_gives_what_copies_of_it_give(transformer):
    tokens, image, positions = torch.randn(2, 3, 5, WIDTH), torch.randn(2, 1, 8, WIDTH), torch.randn(8, WIDTH)
    shared = transformer(tokens, image, image_positions=positions, usable=None)
    copied = transformer(tokens, image.repeat(1, 3, 1, 1), image_positions=positions, usable=None)
    for actual, expected in zip(shared, copied, strict=True):
        assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_unusable_tokens_have_no_influence(transformer):
    tokens, image, positions = torch.randn(1, 1, 5, WIDTH), torch.randn(1, 1, 8, WIDTH), torch.randn(8, WIDTH)
    usable = torch.tensor([[[True, True, False, True, False]]])
    with_slots = transformer(tokens, image, image_positions=positions, usable=usable)
    without = transformer(tokens[:, :, usable[0, 0]], image, image_positions=positions, usable=None)
    assert_close(with_slots[0][:, :, usable[0, 0]], without[0], atol=1e-5, rtol=1e-5)
    assert_close(with_slots[1], without[1], atol=1e-5, rtol=1e-5)
