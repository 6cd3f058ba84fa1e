import numpy as np
import pytest
import torch

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.answers import Evidence
from nnunetv2_muduo.teacher_cache.evidence import TileLayout, from_stored, to_stored
from nnunetv2_muduo.teachers.dual import Encoded

LAYOUT = TileLayout(
    {
        "generator": ((4, 4, 4), np.dtype(np.uint8)),
        "ct_embedding": ((3, 5, 2), np.dtype(np.float16)),
        "pet_logits": ((2, 2, 8, 8, 8), np.dtype(np.float16)),
        "pet_asked": ((2, 2), np.dtype(np.bool_)),
    }
)


def evidence(**changes) -> Evidence:
    given = {
        "generator": torch.randint(0, 3, (1, 4, 4, 4)),
        "ct": Encoded(torch.randn(2, 5, 2), torch.tensor([0, 2])),
        "pet_logits": torch.randn(2, 2, 8, 8, 8) * 6,
        "pet_asked": torch.tensor([[True, False], [False, True]]),
    }
    return Evidence(**given | changes)


def there_and_back(*given: Evidence) -> Evidence:
    stored = [to_stored(one, LAYOUT) for one in given]
    for arrays in stored:
        assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == dict(LAYOUT.arrays)
    batch = {name: torch.from_numpy(np.stack([arrays[name] for arrays in stored])) for name in LAYOUT.arrays}
    return from_stored(batch, torch.device("cpu"))


def test_a_batch_of_patches_comes_back_in_its_order():
    first, second = evidence(), evidence()
    back = there_and_back(first, second)
    assert torch.equal(back.generator, torch.cat([first.generator, second.generator]).byte())
    assert torch.equal(back.pet_asked, torch.cat([first.pet_asked, second.pet_asked]))
    assert back.pet_logits.shape == (4, 2, 8, 8, 8)
    assert back.ct.images.tolist() == list(range(6))
    expected = torch.cat([first.ct.embedding, second.ct.embedding])
    assert torch.allclose(back.ct.of(torch.tensor([0, 2, 3, 5])), expected, rtol=1e-3)
    assert (back.ct.of(torch.tensor([1, 4])) == 0).all()
    assert back.ct.embedding.dtype == back.pet_logits.dtype == torch.float32


def test_an_embedding_in_bfloat16_comes_back_as_bfloat16_would_round_it():
    layout = TileLayout({"ct_embedding": ((3, 5, 2), np.dtype(np.int16))})
    embedding = torch.randn(2, 5, 2) * 1e30
    stored = to_stored(Evidence(ct=Encoded(embedding, torch.tensor([0, 2]))), layout)["ct_embedding"]
    assert stored.dtype == np.int16
    back = from_stored({"ct_embedding": torch.from_numpy(stored[None])}, torch.device("cpu")).ct
    assert torch.equal(back.of(torch.tensor([0, 2])), embedding.bfloat16().float())


def test_rounded_logits_keep_their_sign_and_their_probability():
    given = evidence()
    back = there_and_back(given)
    assert torch.equal(back.pet_logits > 0, given.pet_logits > 0)
    assert (back.pet_logits.sigmoid() - given.pet_logits.sigmoid()).abs().max() < 2e-3
    relative = (back.pet_logits - given.pet_logits).abs() / given.pet_logits.abs()
    assert relative.max() < 2**-7 * 1.1


def test_logits_beyond_half_precision_stay_finite_and_tiny_ones_zero():
    logits = torch.full((2, 2, 8, 8, 8), 1e9)
    logits[0], logits[1, 0] = -torch.inf, 1e-12
    back = there_and_back(evidence(pet_logits=logits)).pet_logits
    assert back.isfinite().all()
    assert (back[0] < -9000).all()
    assert (back[1, 1] > 9000).all()
    assert (back[1, 0] == 0).all()


def test_nothing_encoded_is_stored_as_zeros():
    nothing = Encoded(torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert (there_and_back(evidence(ct=nothing)).ct.embedding == 0).all()


def test_an_embedding_beyond_half_precision_is_refused():
    with pytest.raises(UserError, match="teacher_cache=false"):
        to_stored(evidence(ct=Encoded(torch.full((1, 5, 2), 1e5), torch.tensor([0]))), LAYOUT)


def test_bytes_of_a_tile_are_counted():
    assert LAYOUT.bytes_per_tile == 64 + 30 * 2 + 4 * 512 * 2 + 4
