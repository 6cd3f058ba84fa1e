import pytest
import torch
from stub_teachers import EchoTeacher
from tiny_teachers import small_sam, small_unet
from torch import Tensor

from nnunetv2_muduo.teachers import DualTeacher

SIZE = 8


class ModeTeacher(EchoTeacher):
    """An EchoTeacher that remembers in which mode it was asked."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.dropout = torch.nn.Dropout(0.5)
        self.modes: list[tuple[bool, bool]] = []

    def encode(self, image: Tensor) -> Tensor:
        self.modes.append((self.training, torch.is_inference_mode_enabled()))
        return super().encode(image)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 1, SIZE, SIZE, SIZE)


@pytest.fixture
def masks() -> Tensor:
    return torch.rand(2, 3, SIZE, SIZE, SIZE)


def points(present: list[list[bool]]) -> tuple[Tensor, Tensor]:
    """One point at (k, 1, 2) for each organ that is present, and one unused slot."""
    labels = torch.tensor([[[1, -1] if there else [-1, -1] for there in row] for row in present])
    coords = torch.zeros(*labels.shape, 3)
    coords[..., 0, :] = torch.tensor([0.0, 1.0, 2.0])
    coords[..., 0, 0] = torch.arange(labels.shape[1])
    return coords, labels


def test_each_image_is_encoded_once_whatever_the_number_of_organs(image, masks):
    ct, pet = EchoTeacher(SIZE), EchoTeacher(SIZE)
    DualTeacher(ct, pet).label(image, image + 1, masks, *points([[True] * 3] * 2))
    assert [len(given) for given in ct.images + pet.images] == [2, 2]
    assert torch.equal(ct.images[0], image)
    assert torch.equal(pet.images[0], image + 1)
    assert len(ct.prompts) == len(pet.prompts) == 1


def test_masks_go_as_logits_unless_probabilities_are_asked_for(image, masks):
    masks[0, 0], masks[0, 1] = 0, 1
    ct = EchoTeacher(SIZE)
    DualTeacher(ct, None).ct_logits(image, masks)
    DualTeacher(ct, None, mask_prompt="probabilities").ct_logits(image, masks)
    logits, probabilities = (prompt["masks"] for prompt in ct.prompts)
    assert torch.equal(probabilities, masks)
    assert torch.allclose(logits.sigmoid(), masks, atol=2e-4)
    assert logits.abs().max() < 9.3
    assert all(prompt["coords"] is None and prompt["labels"] is None for prompt in ct.prompts)


def test_masks_of_the_cube_are_averaged_to_the_mask_grid_before_they_become_logits():
    ct = small_sam()
    masks = torch.rand(1, 2, 32, 32, 32)
    averaged = torch.nn.functional.avg_pool3d(masks, 2)
    dual = DualTeacher(ct, None)
    image = torch.randn(1, 1, 32, 32, 32)
    assert torch.allclose(dual.ct_logits(image, masks), dual.ct_logits(image, averaged), atol=1e-5)


def test_points_go_with_a_zero_mask_unless_none_is_asked_for(image):
    pet = EchoTeacher(SIZE)
    coords, labels = points([[True] * 3] * 2)
    DualTeacher(None, pet).pet_logits(image, coords, labels)
    DualTeacher(None, pet, point_mask="none").pet_logits(image, coords, labels)
    zeros, none = (prompt["masks"] for prompt in pet.prompts)
    assert zeros.shape == (2, 3, SIZE, SIZE, SIZE)
    assert (zeros == 0).all()
    assert none is None
    assert torch.equal(pet.prompts[0]["coords"], coords)
    assert torch.equal(pet.prompts[0]["labels"], labels)


def test_an_absent_organ_is_not_sent_and_gets_minus_ten(image):
    pet = EchoTeacher(SIZE)
    coords, labels = points([[True, False, True], [True, False, True]])
    logits = DualTeacher(None, pet).pet_logits(image, coords, labels)
    assert pet.prompts[0]["coords"][:, :, 0, 0].tolist() == [[0, 2], [0, 2]]
    assert (logits[:, 1] == -10).all()
    assert logits[0, 2].argmax() == 2 * SIZE**2 + 1 * SIZE + 2


def test_organs_absent_in_one_image_only_are_put_back_in_their_places(image):
    pet = EchoTeacher(SIZE)
    present = [[False, False, True], [True, False, True]]
    logits = DualTeacher(None, pet).pet_logits(image, *points(present))
    assert pet.prompts[0]["labels"].shape[:2] == (2, 2)
    for row, organs in enumerate(present):
        for organ, there in enumerate(organs):
            if there:
                assert logits[row, organ].argmax() == organ * SIZE**2 + 1 * SIZE + 2
            else:
                assert (logits[row, organ] == -10).all()


def test_an_image_without_organs_is_not_even_encoded(image):
    pet = EchoTeacher(SIZE)
    dual = DualTeacher(None, pet)
    logits = dual.pet_logits(image, *points([[False] * 3, [True, False, False]]))
    assert torch.equal(pet.images[0], image[1:])
    assert (logits[0] == -10).all()
    assert logits[1, 0].max() == 3
    nothing = dual.pet_logits(image, *points([[False] * 3] * 2))
    assert (nothing == -10).all()
    assert len(pet.images) == 1


def test_organs_that_are_not_valid_are_not_asked_of_the_ct_teacher(image, masks):
    ct = EchoTeacher(SIZE)
    valid = torch.tensor([[False, True, False], [False, True, False]])
    logits = DualTeacher(ct, None, mask_prompt="probabilities").ct_logits(image, masks, valid=valid)
    assert ct.prompts[0]["masks"].shape[1] == 1
    assert torch.equal(logits[:, 1], masks[:, 1])
    assert (logits[:, [0, 2]] == -10).all()


@pytest.mark.parametrize("make", [small_sam, small_unet])
def test_asking_for_some_organs_changes_nothing_for_the_others(make):
    dual = DualTeacher(make(), make(1))
    size, mask_size = dual.ct.spec.cube_size, dual.ct.spec.mask_size
    image, masks = torch.randn(2, 1, size, size, size), torch.rand(2, 4, mask_size, mask_size, mask_size)
    coords = torch.rand(2, 4, 3, 3) * size
    labels = torch.tensor([1, 0, -1]).expand(2, 4, 3)
    everything = dual.ct_logits(image, masks), dual.pet_logits(image, coords, labels)
    valid = torch.tensor([[True, False, False, True], [False, True, False, False]])
    some = (
        dual.ct_logits(image, masks, valid=valid),
        dual.pet_logits(image, coords, torch.where(valid[..., None], labels, -1)),
    )
    for all_of_them, few in zip(everything, some, strict=True):
        assert torch.allclose(few[valid], all_of_them[valid], atol=1e-4)
        assert (few[~valid] == -10).all()


def test_probabilities_are_interpolated_logits_of_the_plain_teacher():
    ct, pet = small_sam(), small_sam(1)
    image, masks = torch.randn(1, 1, 32, 32, 32), torch.rand(1, 2, 16, 16, 16)
    coords, labels = torch.rand(1, 2, 3, 3) * 32, torch.ones(1, 2, 3, dtype=torch.int64)
    p_ct, p_pet = DualTeacher(ct, pet, bfloat16=False).label(image, image, masks, coords, labels)
    with torch.no_grad():
        by_mask = ct.decode(ct.encode(image), masks=masks.logit(eps=1e-4))[0]
        by_points = pet.decode(pet.encode(image), coords, labels, torch.zeros(1, 2, 16, 16, 16))[0]
    assert p_ct.shape == p_pet.shape == (1, 2, 32, 32, 32)
    for probabilities, logits in ((p_ct, by_mask), (p_pet, by_points)):
        expected = torch.nn.functional.interpolate(logits, scale_factor=2, mode="trilinear").sigmoid()
        assert torch.allclose(probabilities, expected, atol=1e-4)


def test_a_switched_off_teacher_gives_none(image, masks):
    only_ct = DualTeacher(EchoTeacher(SIZE), None)
    assert only_ct.label(image, image, masks, *points([[True] * 3] * 2))[1] is None
    with pytest.raises(ValueError, match="PET teacher is switched off"):
        only_ct.pet_logits(image, *points([[True] * 3] * 2))
    with pytest.raises(ValueError, match="CT teacher is switched off"):
        DualTeacher(None, EchoTeacher(SIZE)).ct_logits(image, masks)


def test_teachers_are_frozen_and_stay_in_eval_mode(image, masks):
    ct = ModeTeacher().train()
    dual = DualTeacher(ct, None)
    assert not any(parameter.requires_grad for parameter in dual.parameters())
    torch.nn.Sequential(dual).train()
    dual.ct_logits(image, masks)
    assert ct.modes == [(False, True)]
    assert not ct.dropout.training


def test_the_answers_may_be_used_in_a_loss(image, masks):
    dual = DualTeacher(EchoTeacher(SIZE), EchoTeacher(SIZE))
    p_ct, p_pet = dual.label(image, image, masks.requires_grad_(), *points([[True] * 3] * 2))
    student = torch.rand_like(p_ct, requires_grad=True)
    (student * p_ct * p_pet * dual.ct_logits(image, masks)).sum().backward()
    assert student.grad is not None
    assert masks.grad is None


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_callers_autocast_changes_nothing(bfloat16):
    dual = DualTeacher(small_unet(), None, bfloat16=bfloat16)
    image, masks = torch.randn(1, 1, 16, 16, 16), torch.rand(1, 2, 16, 16, 16)
    expected = dual.ct_logits(image, masks)
    with torch.autocast("cpu", torch.bfloat16, enabled=not bfloat16):
        assert torch.equal(dual.ct_logits(image, masks), expected)
    assert dual.ct_logits(image, masks.bfloat16()).isfinite().all()


@pytest.mark.parametrize("make", [small_sam, small_unet])
def test_bfloat16_agrees_with_full_precision(make):
    exact, fast = (DualTeacher(make(), make(1), bfloat16=fast) for fast in (False, True))
    size, mask_size = exact.ct.spec.cube_size, exact.ct.spec.mask_size
    image, masks = torch.randn(1, 1, size, size, size), torch.rand(1, 2, mask_size, mask_size, mask_size)
    coords, labels = torch.rand(1, 2, 3, 3) * size, torch.ones(1, 2, 3, dtype=torch.int64)
    for expected, given in (
        (exact.ct_logits(image, masks), fast.ct_logits(image, masks)),
        (exact.pet_logits(image, coords, labels), fast.pet_logits(image, coords, labels)),
    ):
        assert given.dtype == torch.float32
        assert not torch.equal(given, expected)
        assert torch.allclose(given, expected, atol=0.05 * float(expected.abs().max()))


def test_unknown_ways_of_prompting_are_refused():
    with pytest.raises(ValueError, match="mask_prompt must be one of logits, probabilities, not 'softmax'"):
        DualTeacher(None, None, mask_prompt="softmax")
    with pytest.raises(ValueError, match="point_mask must be one of zeros, none, not 'ones'"):
        DualTeacher(None, None, point_mask="ones")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_bfloat16_on_a_gpu_agrees_with_the_cpu():
    image, masks = torch.randn(1, 1, 32, 32, 32), torch.rand(1, 2, 16, 16, 16)
    expected = DualTeacher(small_sam(), None, bfloat16=False).ct_logits(image, masks)
    given = DualTeacher(small_sam(), None).cuda().ct_logits(image.cuda(), masks.cuda())
    assert given.dtype == torch.float32
    assert torch.allclose(given.cpu(), expected, atol=0.05 * float(expected.abs().max()))


@pytest.mark.parametrize("make", [small_sam, small_unet])
def test_encoding_and_asking_apart_equal_both_at_once(make):
    dual = DualTeacher(make(), None)
    size, mask_size = dual.ct.spec.cube_size, dual.ct.spec.mask_size
    image, masks = torch.randn(3, 1, size, size, size), torch.rand(3, 2, mask_size, mask_size, mask_size)
    valid = torch.tensor([[True, False], [False, False], [True, True]])
    expected = dual.ct_logits(image, masks, valid=valid)
    assert torch.equal(dual.ct_logits_of(dual.encode_ct(image, valid.any(1)), masks, valid=valid), expected)
    everything = dual.encode_ct(image)
    assert everything.images.tolist() == [0, 1, 2]
    assert torch.allclose(dual.ct_logits_of(everything, masks, valid=valid), expected, atol=1e-5)
    assert torch.equal(dual.ct_logits_of(everything, masks), dual.ct_logits(image, masks))
    last = valid & torch.tensor([[False], [False], [True]])
    of_some = dual.ct_logits_of(dual.encode_ct(image, torch.tensor([False, True, True])), masks, valid=last)
    assert torch.allclose(of_some[2], expected[2], atol=1e-5)


def test_images_that_nothing_is_asked_of_are_not_encoded_apart_either(image, masks):
    ct = EchoTeacher(SIZE)
    dual = DualTeacher(ct, None)
    nothing = dual.encode_ct(image, torch.zeros(2, dtype=torch.bool))
    assert ct.images == []
    assert (dual.ct_logits_of(nothing, masks, valid=torch.zeros(2, 3, dtype=torch.bool)) == -10).all()
