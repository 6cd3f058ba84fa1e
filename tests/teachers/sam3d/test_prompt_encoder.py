"""Points and masks as the prompt encoder embeds them."""

import pytest
import torch
from plain_sam3d import fourier, grid_positions

from nnunetv2_muduo.teachers.sam3d.prompt_encoder import FourierPositions, PromptEncoder


@pytest.fixture
def encoder() -> PromptEncoder:
    torch.manual_seed(0)
    return PromptEncoder(24, image_size=16, grid_size=4, mask_width=8).requires_grad_(False)


def test_grid_positions_swap_the_first_two_axes_as_released(encoder):
    matrix = encoder.pe_layer.positional_encoding_gaussian_matrix
    torch.testing.assert_close(encoder.grid_positions(), grid_positions(4, matrix)[0])
    cell_1_0_0 = encoder.grid_positions()[16]
    torch.testing.assert_close(cell_1_0_0, fourier(torch.tensor([0.125, 0.375, 0.125]), matrix))


def test_points_are_placed_at_voxel_centres_in_the_given_axis_order(encoder):
    tokens, _ = encoder.embed_points(torch.tensor([[[[3.0, 0.0, 15.0]]]]), torch.tensor([[[1]]]))
    matrix = encoder.pe_layer.positional_encoding_gaussian_matrix
    expected = fourier(torch.tensor([3.5, 0.5, 15.5]) / 16, matrix) + encoder.point_embeddings[1].weight[0]
    torch.testing.assert_close(tokens[0, 0, 0], expected)


def test_foreground_and_background_differ_by_their_learned_vectors(encoder):
    coords = torch.full((1, 1, 2, 3), 5.0)
    tokens, _ = encoder.embed_points(coords, torch.tensor([[[1, 0]]]))
    expected = encoder.point_embeddings[1].weight[0] - encoder.point_embeddings[0].weight[0]
    torch.testing.assert_close(tokens[0, 0, 0] - tokens[0, 0, 1], expected)


def test_one_padding_point_follows_the_points(encoder):
    tokens, usable = encoder.embed_points(torch.zeros(1, 1, 2, 3), torch.tensor([[[1, 1]]]))
    assert tokens.shape == (1, 1, 3, 24)
    assert torch.equal(tokens[0, 0, 2], encoder.not_a_point_embed.weight[0])
    assert usable.all()


def test_a_target_without_points_has_no_usable_token(encoder):
    _, usable = encoder.embed_points(torch.zeros(1, 2, 2, 3), torch.tensor([[[1, -1], [-1, -1]]]))
    assert usable[0].tolist() == [[True, False, True], [False, False, False]]


def test_unused_slots_may_hold_anything(encoder):
    coords = torch.full((1, 1, 2, 3), torch.nan)
    tokens, _ = encoder.embed_points(coords, torch.tensor([[[-1, -1]]]))
    assert tokens.isfinite().all()


def test_labels_may_be_floating_point(encoder):
    coords = torch.rand(1, 1, 3, 3)
    as_integers, _ = encoder.embed_points(coords, torch.tensor([[[1, 0, -1]]]))
    as_floats, _ = encoder.embed_points(coords, torch.tensor([[[1.0, 0.0, -1.0]]]))
    assert torch.equal(as_integers, as_floats)


def test_masks_of_several_targets_are_embedded_one_by_one(encoder):
    masks = torch.randn(2, 3, 16, 16, 16)
    alone = encoder.embed_masks(masks[1:, 2:])
    torch.testing.assert_close(encoder.embed_masks(masks)[1:, 2:], alone)


def test_positions_keep_float32_under_autocast():
    positions = FourierPositions(24)
    places = torch.rand(5, 3)
    exact = positions(places)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(positions(places), exact)
