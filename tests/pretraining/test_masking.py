import itertools

import numpy as np
import pytest
import torch

from nnunetv2_muduo.pretraining import block_mask, impute, reconstruction_loss


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_block_mask(shape, block, ratio, generator):
    """Block by block, with the same noise."""
    counts = [-(-edge // size) for edge, size in zip(shape[2:], block, strict=True)]
    noise = torch.rand(*shape[:2], *counts, generator=generator)
    mask = torch.zeros(shape, dtype=torch.bool)
    for b, c, z, y, x in itertools.product(*map(range, noise.shape)):
        place = tuple(slice(i * size, (i + 1) * size) for i, size in zip((z, y, x), block, strict=True))
        mask[(b, c, *place)] = noise[b, c, z, y, x] < ratio
    return mask


@pytest.mark.parametrize("size", [(8, 12, 10), (7, 13, 11), (1, 3, 2)])
def test_masks_are_made_of_whole_blocks_the_last_of_which_are_cut(size):
    shape, block = (2, 2, *size), (4, 3, 5)
    assert torch.equal(
        block_mask(shape, block, 0.5, seeded()), plain_block_mask(shape, block, ratio=0.5, generator=seeded())
    )


def test_every_block_is_hidden_with_the_chance_asked_for_in_each_channel_by_itself():
    mask = block_mask((64, 2, 8, 8, 8), (2, 2, 2), 0.3, seeded())
    assert float(mask.float().mean()) == pytest.approx(0.3, abs=0.01)
    both = (mask[:, 0] & mask[:, 1]).float().mean()
    assert float(both) == pytest.approx(0.09, abs=0.01)  # dependent channels would give 0.3


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_nothing_and_everything_can_be_hidden(ratio):
    assert (block_mask((1, 2, 5, 5, 5), (2, 2, 2), ratio) == bool(ratio)).all()


def test_the_published_block_and_ratio_are_the_default():
    mask = block_mask((1, 2, 24, 32, 32), generator=seeded())
    assert torch.equal(mask, block_mask((1, 2, 24, 32, 32), (12, 16, 16), 0.5, seeded()))


def test_same_seed_same_mask():
    masks = [block_mask((2, 2, 24, 32, 32), generator=seeded(seed)) for seed in (3, 3, 4)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize(
    ("shape", "block", "ratio"),
    [((2, 8, 8, 8), (2, 2, 2), 0.5), ((1, 2, 8, 8, 8), (2, 0, 2), 0.5), ((1, 2, 8, 8, 8), (2, 2, 2), 1.5)],
)
def test_senseless_masks_are_refused(shape, block, ratio):
    with pytest.raises(ValueError, match="must"):
        block_mask(shape, block, ratio)


def test_what_is_hidden_never_reaches_the_network_not_even_by_its_gradient():
    image = torch.randn(2, 2, 8, 8, 8, generator=seeded(), requires_grad=True)
    mask = block_mask(image.shape, (4, 4, 4), 0.5, seeded(1))
    network = torch.nn.Conv3d(2, 2, 3, padding=1)
    network(impute(image, mask)).square().sum().backward()
    assert (image.grad[mask] == 0).all()
    assert (image.grad[~mask] != 0).all()


def test_the_published_input_is_reproduced(shared):
    path = shared / "golden" / "mae_seed6.npz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    golden = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
    masked = impute(golden["image"], golden["mask"])
    assert torch.allclose(masked, golden["masked_input"], atol=1e-5)
    loss = reconstruction_loss(golden["reconstruction"], golden["image"], golden["mask"])
    assert float(loss) == pytest.approx(float(golden["loss"]), abs=1e-5)
    blocks = golden["mask"][:, :, ::12, ::16, ::16]
    assert torch.equal(
        blocks.repeat_interleave(12, 2).repeat_interleave(16, 3).repeat_interleave(16, 4), golden["mask"]
    )
