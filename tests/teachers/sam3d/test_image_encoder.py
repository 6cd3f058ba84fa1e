"""The fast image encoder against its plain twin."""

import pytest
import torch
from plain_sam3d import plain_block, plain_encode, relative_term_by_index

from nnunetv2_muduo.teachers.sam3d.image_encoder import EncoderBlock, PatchEmbedding


def draw_image(config, batch: int = 2) -> torch.Tensor:
    size = config.image_size
    return torch.randn(batch, 1, size, size, size, generator=torch.Generator().manual_seed(1))


def encode_plainly(model, image: torch.Tensor, **keywords) -> torch.Tensor:
    config = model.config
    return plain_encode(
        model.state_dict(),
        image,
        heads=config.encoder_heads,
        window_size=config.window_size,
        global_blocks=config.global_blocks,
        **keywords,
    )


@pytest.mark.parametrize(
    ("grid", "window"),
    [
        pytest.param(4, 6, id="window_exceeds_grid"),
        pytest.param(3, 7, id="window_more_than_twice_the_grid"),
        pytest.param(4, 4, id="window_is_grid"),
        pytest.param(4, 2, id="window_divides_grid"),
        pytest.param(5, 3, id="window_does_not_divide_grid"),
        pytest.param(1, 3, id="one_token"),
    ],
)
def test_block_agrees_with_its_plain_twin(grid, window):
    torch.manual_seed(0)
    block = EncoderBlock(12, 3, mlp_width=16, window_size=window)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(2, grid, grid, grid, 12)
    state = dict(block.state_dict())
    expected = plain_block(state, tokens, heads=3, window_size=window, relative_term=relative_term_by_index)
    torch.testing.assert_close(block(tokens), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [6, 4, 3])
def test_encoder_agrees_with_its_plain_twin(build, window):
    model = build(window_size=window)
    image = draw_image(model.config)
    expected = encode_plainly(model, image, relative_term=relative_term_by_index)
    torch.testing.assert_close(model.encode(image), expected, atol=1e-5, rtol=1e-5)


def test_padding_matters(build):
    # else agreement with the twin would not show that padded keys are counted
    image = draw_image(build().config)
    padded, exact = build(global_blocks=(0, 1)), build(global_blocks=(0, 1))
    exact.image_encoder.blocks[2].attn.window_size = 4
    for axis in "dhw":
        parameter = getattr(exact.image_encoder.blocks[2].attn, f"rel_pos_{axis}")
        parameter.data = parameter.data[2:-2]  # the rows that a grid of 4 uses of a table for 6
    assert (padded.encode(image) - exact.encode(image)).abs().max() > 0.01


def test_images_of_a_batch_do_not_touch(build):
    model = build()
    image = draw_image(model.config, batch=3)
    alone = torch.cat([model.encode(one[None]) for one in image])
    torch.testing.assert_close(model.encode(image), alone, atol=1e-5, rtol=1e-5)


def test_patch_embedding_is_the_convolution_it_replaces():
    embedding = PatchEmbedding(3, 7)
    image = torch.randn(2, 1, 12, 12, 12)
    torch.testing.assert_close(embedding(image), embedding.proj(image).permute(0, 2, 3, 4, 1))


def test_every_weight_of_the_encoder_learns(build):
    model = build().requires_grad_(True)
    model.encode(draw_image(model.config)).square().sum().backward()
    silent = [name for name, tensor in model.image_encoder.named_parameters() if not tensor.grad.abs().sum() > 0]
    assert silent == []


def test_gradients_agree_with_the_plain_twin(build):
    model = build().requires_grad_(True)
    image = draw_image(model.config)
    state = {name: tensor.detach().clone().requires_grad_(True) for name, tensor in model.state_dict().items()}
    config = model.config
    plain_encode(
        state,
        image,
        heads=config.encoder_heads,
        window_size=config.window_size,
        global_blocks=config.global_blocks,
    ).square().mean().backward()
    model.encode(image).square().mean().backward()
    for name, tensor in model.image_encoder.named_parameters():
        torch.testing.assert_close(tensor.grad, state[f"image_encoder.{name}"].grad, atol=1e-5, rtol=1e-3)


def test_bfloat16_stays_close(build):
    model = build()
    image = draw_image(model.config)
    exact = model.encode(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.encode(image).float()
    assert (rounded - exact).abs().mean() < 0.02 * exact.abs().mean()
