"""Sam3D as a promptable teacher: agreement with its plain twin, and the semantics of prompts."""

import pytest
import torch
from plain_sam3d import plain_decode
from torch.testing import assert_close

from nnunetv2_muduo.teachers.sam3d import Sam3D

GRID, MASK, CUBE = 4, 16, 24


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def draw_prompts(batch: int = 2, targets: int = 3, points: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "coords": torch.randint(CUBE, (batch, targets, points, 3), generator=generator).float(),
        "labels": torch.randint(2, (batch, targets, points), generator=generator),
        "masks": 3 * torch.randn(batch, targets, MASK, MASK, MASK, generator=generator),
    }


@pytest.fixture
def embedding() -> torch.Tensor:
    return draw(2, 48, GRID, GRID, GRID)


@pytest.fixture
def model(build) -> Sam3D:
    return build()


@pytest.mark.parametrize("given", [("coords", "labels"), ("masks",), ("coords", "labels", "masks")])
def test_decoding_all_targets_at_once_agrees_with_the_plain_twin(model, embedding, given):
    prompts = {name: value for name, value in draw_prompts().items() if name in given}
    logits, iou = model.decode(embedding, **prompts)
    assert logits.shape == (2, 3, MASK, MASK, MASK)
    for image in range(2):
        for target in range(3):
            expected_logits, expected_iou = plain_decode(
                model.state_dict(),
                embedding[image : image + 1],
                image_size=CUBE,
                heads=model.config.decoder_heads,
                points=prompts["coords"][image, target] if "coords" in given else None,
                labels=prompts["labels"][image, target] if "labels" in given else None,
                mask=prompts["masks"][image, target] if "masks" in given else None,
            )
            assert_close(logits[image, target], expected_logits, atol=1e-4, rtol=1e-4)
            assert_close(iou[image, target], expected_iou, atol=1e-4, rtol=1e-4)


def test_unused_slots_have_no_influence(model, embedding):
    prompts = draw_prompts(points=4)
    prompts["labels"][:, :, 2:] = -1
    prompts["coords"][:, :, 2:] = torch.nan
    padded = model.decode(embedding, **prompts)
    short = model.decode(embedding, prompts["coords"][:, :, :2], prompts["labels"][:, :, :2], prompts["masks"])
    assert_close(padded, short, atol=1e-5, rtol=1e-5)


def test_targets_with_different_numbers_of_points_do_not_touch(model, embedding):
    prompts = draw_prompts(points=3)
    prompts["labels"][0] = torch.tensor([[1, -1, -1], [1, 0, -1], [-1, 1, 1]])
    together = model.decode(embedding, **prompts)
    for target in range(3):
        used = prompts["labels"][0, target] != -1
        alone = model.decode(
            embedding[:1],
            prompts["coords"][:1, target : target + 1, used],
            prompts["labels"][:1, target : target + 1, used],
            prompts["masks"][:1, target : target + 1],
        )
        assert_close(together[0][0, target], alone[0][0, 0], atol=1e-5, rtol=1e-5)
        assert_close(together[1][0, target], alone[1][0, 0], atol=1e-5, rtol=1e-5)


def test_a_target_whose_slots_are_all_unused_is_decoded_from_its_mask_alone(model, embedding):
    prompts = draw_prompts()
    prompts["labels"][:, 1] = -1
    logits, iou = model.decode(embedding, **prompts)
    expected_logits, expected_iou = model.decode(embedding, masks=prompts["masks"])
    assert_close(logits[:, 1], expected_logits[:, 1], atol=1e-5, rtol=1e-5)
    assert_close(iou[:, 1], expected_iou[:, 1], atol=1e-5, rtol=1e-5)


def test_a_target_without_any_prompt_stays_finite(model, embedding):
    prompts = draw_prompts()
    logits, iou = model.decode(embedding, prompts["coords"], torch.full_like(prompts["labels"], -1))
    assert logits.isfinite().all()
    assert iou.isfinite().all()


def test_the_padding_point_counts_when_points_are_given(model, embedding):
    prompts = draw_prompts()
    before, _ = model.decode(embedding, prompts["coords"], prompts["labels"])
    model.prompt_encoder.not_a_point_embed.weight += 1
    after, _ = model.decode(embedding, prompts["coords"], prompts["labels"])
    assert (before - after).abs().max() > 1e-3


def test_a_mask_alone_comes_without_any_point_token(model, embedding):
    masks = draw_prompts()["masks"]
    before, _ = model.decode(embedding, masks=masks)
    model.prompt_encoder.not_a_point_embed.weight += 1
    assert torch.equal(before, model.decode(embedding, masks=masks)[0])


def test_no_mask_is_the_learned_vector_and_not_a_mask_of_zeros(model, embedding):
    prompts = draw_prompts()
    points = {"coords": prompts["coords"], "labels": prompts["labels"]}
    without, _ = model.decode(embedding, **points)
    zeros, _ = model.decode(embedding, **points, masks=torch.zeros_like(prompts["masks"]))
    assert (without - zeros).abs().max() > 1e-3
    model.prompt_encoder.no_mask_embed.weight += 1
    assert (without - model.decode(embedding, **points)[0]).abs().max() > 1e-3
    assert torch.equal(zeros, model.decode(embedding, **points, masks=torch.zeros_like(prompts["masks"]))[0])


@pytest.mark.parametrize("expand", [False, True], ids=["one_mask", "expanded"])
def test_one_mask_for_all_targets_is_embedded_once(model, embedding, expand):
    prompts = draw_prompts()
    one = prompts["masks"][:, :1]
    expected = model.decode(embedding, prompts["coords"], prompts["labels"], one.repeat(1, 3, 1, 1, 1))
    embedded = []
    model.prompt_encoder.mask_downscaling.register_forward_pre_hook(lambda _, inputs: embedded.append(len(inputs[0])))
    masks = one.expand(-1, 3, -1, -1, -1) if expand else one
    assert_close(model.decode(embedding, prompts["coords"], prompts["labels"], masks), expected, atol=1e-5, rtol=1e-5)
    assert embedded == [len(embedding)]


def test_decoding_leaves_the_prompts_alone(model, embedding):
    prompts = draw_prompts()
    copies = {name: value.clone() for name, value in prompts.items()}
    model.decode(embedding, **prompts)
    assert all(torch.equal(prompts[name], copies[name]) for name in prompts)


def test_results_are_float32_under_autocast(model):
    prompts = draw_prompts(batch=1)
    image = draw(1, 1, CUBE, CUBE, CUBE)
    exact, _ = model.decode(model.encode(image), **prompts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, iou = model.decode(model.encode(image), **prompts)
    assert (logits.dtype, iou.dtype) == (torch.float32, torch.float32)
    assert (logits - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_every_weight_that_makes_the_mask_learns(build):
    model = build().requires_grad_(True)
    logits, iou = model.decode(model.encode(draw(2, 1, CUBE, CUBE, CUBE)), **draw_prompts())
    (logits.square().sum() + iou.square().sum()).backward()
    silent = {name for name, tensor in model.named_parameters() if tensor.grad is None}
    other_masks = {name for name in silent if ".output_hypernetworks_mlps." in name and "mlps.0" not in name}
    assert silent == other_masks | {"prompt_encoder.no_mask_embed.weight"}


def test_spec_tells_cube_and_mask_size(model):
    assert (model.spec.cube_size, model.spec.mask_size, model.spec.spacing_in_mm) == (CUBE, MASK, 1.5)


def test_nothing_to_decode_is_refused(model, embedding):
    with pytest.raises(ValueError, match="nothing to decode"):
        model.decode(embedding)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"labels": None}, "come together"),
        ({"coords": torch.zeros(2, 3, 4, 2)}, "coords"),
        ({"labels": torch.ones(2, 3)}, "labels"),
        ({"labels": torch.ones(2, 3, 5)}, "coords"),
        ({"masks": torch.zeros(2, 3, 8, 8, 8)}, "masks"),
        ({"masks": torch.zeros(2, 3, 16)}, "masks"),
        ({"masks": torch.zeros(16)}, "masks"),
        ({"masks": torch.zeros(2, 2, 16, 16, 16)}, "2 targets"),
        ({"masks": torch.zeros(1, 3, 16, 16, 16)}, "masks"),
    ],
)
def test_prompts_of_the_wrong_shape_are_refused_by_name(model, embedding, changes, named):
    with pytest.raises(ValueError, match=named):
        model.decode(embedding, **{**draw_prompts(), **changes})


def test_an_embedding_of_another_model_is_refused(model):
    with pytest.raises(ValueError, match="embedding"):
        model.decode(draw(2, 48, 8, 8, 8), **draw_prompts())


@pytest.mark.parametrize("shape", [(1, 2, 24, 24, 24), (1, 1, 24, 24, 32), (24, 24, 24)])
def test_an_image_that_is_not_the_cube_is_refused(model, shape):
    with pytest.raises(ValueError, match="image has shape"):
        model.encode(torch.zeros(shape))
