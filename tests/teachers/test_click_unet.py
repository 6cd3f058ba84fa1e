"""ClickUNet keeps the promises of the teacher protocol."""

from dataclasses import replace

import pytest
import torch

from nnunetv2_muduo.teachers.click_unet import (
    ClickUNet,
    ClickUNetConfig,
    draw_balls,
    expected_iou,
    fold_cells,
    tissue_under,
    unfold_cells,
)

SMALL = ClickUNetConfig(
    cube_size=16,
    embedding_channels=3,
    head_channels=4,
    features_per_stage=(4, 8, 8),
    strides=(2, 2, 2),
    convs_per_stage=(1, 1, 1),
    convs_per_decoder_stage=(1, 1),
)


@pytest.fixture
def teacher() -> ClickUNet:
    torch.manual_seed(0)
    teacher = ClickUNet(SMALL).eval()
    torch.nn.init.normal_(teacher.head[-1].weight)  # as a trained head: every prompt counts
    return teacher


def prompts(batch: int = 2, targets: int = 3, points: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    coords = 16 * torch.rand(batch, targets, points, 3, generator=generator)
    labels = torch.randint(2, (batch, targets, points), generator=generator)
    masks = 3 * torch.randn(batch, targets, 16, 16, 16, generator=generator)
    return coords, labels, masks


@torch.inference_mode()
def test_decodes_points_masks_and_both_to_logits_and_iou(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    coords, labels, masks = prompts()
    for given in ((coords, labels, None), (None, None, masks), (coords, labels, masks)):
        logits, iou = teacher.decode(embedding, *given)
        assert logits.shape == (2, 3, 16, 16, 16)
        assert iou.shape == (2, 3)
        assert ((iou >= 0) & (iou <= 1)).all()


@torch.inference_mode()
def test_every_prompt_matters(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    coords, labels, masks = prompts()
    logits, _ = teacher.decode(embedding, coords, labels, masks)
    for changed in ((coords.flip(-1), labels, masks), (coords, 1 - labels, masks), (coords, labels, -masks)):
        other, _ = teacher.decode(embedding, *changed)
        assert not torch.allclose(logits, other, atol=1e-4)


@torch.inference_mode()
def test_unused_slots_have_no_influence(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    coords, labels, masks = prompts()
    junk = torch.full((2, 3, 2, 3), float("nan"))
    padded = torch.cat([junk, coords], dim=2), torch.cat([torch.full((2, 3, 2), -1), labels], dim=2)
    for mask in (None, masks):
        expected, _ = teacher.decode(embedding, coords, labels, mask)
        logits, _ = teacher.decode(embedding, *padded, mask)
        assert torch.equal(logits, expected)


@torch.inference_mode()
def test_a_target_of_unused_slots_equals_no_points(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    coords, labels, masks = prompts()
    expected, _ = teacher.decode(embedding, masks=masks)
    logits, _ = teacher.decode(embedding, coords, torch.full_like(labels, -1), masks)
    assert torch.equal(logits, expected)


@torch.inference_mode()
def test_zero_masks_are_no_hint(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    coords, labels, masks = prompts()
    expected, _ = teacher.decode(embedding, coords, labels)
    logits, _ = teacher.decode(embedding, coords, labels, torch.zeros_like(masks))
    assert torch.equal(logits, expected)


@torch.inference_mode()
def test_targets_in_one_batch_equal_one_at_a_time(teacher: ClickUNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnunetv2_muduo.teachers.click_unet.PROMPTS_PER_PASS", 4)  # so that six prompts are cut in two
    image = torch.randn(2, 1, 16, 16, 16)
    coords, labels, masks = prompts()
    logits, iou = teacher.decode(teacher.encode(image), coords, labels, masks)
    for b in range(2):
        for k in range(3):
            one = slice(k, k + 1)
            alone, iou_alone = teacher.decode(
                teacher.encode(image[b : b + 1]), coords[b : b + 1, one], labels[b : b + 1, one], masks[b : b + 1, one]
            )
            torch.testing.assert_close(alone[0, 0], logits[b, k], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(iou_alone[0, 0], iou[b, k], atol=1e-5, rtol=1e-5)


def test_axes_are_kept_in_order() -> None:
    clicks = draw_balls(torch.tensor([[[3.0, 7.0, 11.0]]]), torch.tensor([[True]]), size=16, radius=1.5)
    assert clicks[0, 3, 7, 11] == 1
    assert clicks[0].argmax() == (3 * 16 + 7) * 16 + 11


def test_unused_clicks_are_not_drawn() -> None:
    coords = torch.tensor([[[3.0, 7.0, 11.0], [8.0, float("nan"), 8.0]]])
    clicks = draw_balls(coords, torch.tensor([[True, False]]), size=16, radius=1.5)
    assert torch.equal(clicks, draw_balls(coords[:, :1], torch.tensor([[True]]), size=16, radius=1.5))


@torch.inference_mode()
@pytest.mark.parametrize("given", ["foreground", "background", "mask", "clicks", "clicks and mask"])
def test_leaving_out_what_nobody_gave_equals_the_head_on_maps_of_zeros(teacher: ClickUNet, given: str) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    coords, labels, masks = prompts()
    labels = {"foreground": torch.ones_like(labels), "background": torch.zeros_like(labels)}.get(given, labels)
    logits, _ = teacher.decode(
        embedding,
        *((None, None) if given == "mask" else (coords, labels)),
        masks if "mask" in given else None,
    )
    expected = all_six_maps(
        teacher, embedding, coords, -torch.ones_like(labels) if given == "mask" else labels, masks * ("mask" in given)
    )
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def all_six_maps(
    teacher: ClickUNet, embedding: torch.Tensor, coords: torch.Tensor, labels: torch.Tensor, masks: torch.Tensor
) -> torch.Tensor:
    """`decode`, plainly: every kind of prompt, one target after the other."""
    near, wide = (
        [draw_balls(coords.flatten(0, 1), (labels == label).flatten(0, 1), size=16, radius=r) for label in (1, 0)]
        for r in (teacher.config.click_radius_in_voxels, teacher.config.click_reach_in_voxels)
    )
    hint = torch.tanh(masks / 4).flatten(0, 1)
    answers = []
    for target in range(masks.shape[0] * masks.shape[1]):
        image = embedding[target // masks.shape[1], None]
        under = torch.stack([near[0][target], near[1][target], hint[target].clamp_min(0)])
        tissues = tissue_under(image, under[None, None])[0, 0]
        meant = tissues[0] + tissues[2]
        shares = torch.einsum("mc,cxyz->mxyz", torch.stack([*tissues, meant / meant.sum().clamp_min(1e-6)]), image[0])
        maps = torch.cat([shares[:3], torch.stack([wide[0][target], wide[1][target], hint[target]])])
        correction = unfold_cells(teacher.head(fold_cells(maps[None], 2)), 2)[0, 0]
        answers.append(torch.logit(shares[3], eps=1e-3) + correction)
    return torch.stack(answers).unflatten(0, masks.shape[:2])


def test_sub_voxel_logits_land_in_their_cell() -> None:
    cells = torch.arange(2 * 8 * 27, dtype=torch.float32).view(2, 8, 3, 3, 3)
    logits = unfold_cells(cells, 2)
    assert logits.shape == (2, 1, 6, 6, 6)
    for x, y, z in ((0, 0, 0), (1, 2, 5), (4, 3, 1)):
        channel = 4 * (x % 2) + 2 * (y % 2) + z % 2
        assert logits[1, 0, x, y, z] == cells[1, channel, x // 2, y // 2, z // 2]


def test_folding_undoes_unfolding() -> None:
    maps = torch.randn(2, 3, 6, 4, 8)
    assert torch.equal(unfold_cells(fold_cells(maps, 2), 2), maps)


def test_tissue_under_a_click_is_the_one_there_even_near_a_border() -> None:
    tissue = torch.zeros(1, 3, 4, 4, 4)
    tissue[:, 1, :2], tissue[:, 2, 2:] = 1.0, 1.0
    weights = torch.zeros(1, 1, 2, 4, 4, 4)
    weights[0, 0, 0, 1, 1, 1], weights[0, 0, 0, 2, 1, 1] = 1.0, 0.5
    under = tissue_under(tissue, weights)
    assert under[0, 0, 0, 1] > 0.9
    assert under[0, 0, 0].sum() == pytest.approx(1)
    assert under[0, 0, 1].eq(0).all()  # nothing lies under a map of zeros


@torch.inference_mode()
def test_an_untrained_head_answers_with_the_tissue_under_the_click(teacher: ClickUNet) -> None:
    embedding = torch.full((1, 3, 16, 16, 16), 0.05)
    embedding[:, 1, :8], embedding[:, 2, 8:] = 0.9, 0.9
    logits, _ = ClickUNet(SMALL).decode(embedding, torch.tensor([[[[12.0, 3.0, 3.0]]]]), torch.ones(1, 1, 1))
    assert (logits[0, 0, 8:] > 0).all()
    assert (logits[0, 0, :8] < 0).all()


@torch.inference_mode()
def test_embedding_is_made_of_shares_of_tissues(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16))
    assert embedding.shape == (2, 3, 16, 16, 16)
    torch.testing.assert_close(embedding.sum(1), torch.ones(2, 16, 16, 16))


def test_configuration_survives_a_round_trip() -> None:
    assert ClickUNetConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match="kernels"):
        ClickUNetConfig.from_dict({"kernels": 3})


@pytest.mark.parametrize("wrong", [{"cube_size": 18}, {"strides": (2, 2)}])
def test_impossible_shapes_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(SMALL, **wrong)


def test_a_million_convolutions_are_refused_before_they_are_built() -> None:
    with pytest.raises(ValueError, match="100 convolutions at most"):
        ClickUNetConfig(
            cube_size=16,
            features_per_stage=(2, 4),
            strides=(1, 2),
            convs_per_stage=(10**6, 1),
            convs_per_decoder_stage=(1,),
        )


def test_prompts_that_do_not_fit_are_refused(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.zeros(2, 1, 16, 16, 16))
    *_, masks = prompts()
    with pytest.raises(
        ValueError, match="masks"
    ):  # all other misfits: tests of Sam3D, which checks with the same function
        teacher.decode(embedding, masks=masks[..., :8])
    with pytest.raises(ValueError, match="image has shape"):
        teacher.encode(torch.zeros(1, 1, 16, 16, 8))


def test_one_mask_for_all_targets_is_each_targets_mask(teacher: ClickUNet) -> None:
    embedding = teacher.encode(torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0)))
    coords, labels, masks = prompts()
    shared = masks[:, :1]
    for answer, expected in zip(
        teacher.decode(embedding, coords, labels, shared),
        teacher.decode(embedding, coords, labels, shared.expand_as(masks)),
        strict=True,
    ):
        assert torch.equal(answer, expected)


def test_expected_iou_is_one_for_a_sure_mask_and_lower_for_an_unsure_one() -> None:
    sure = torch.full((4, 4, 4), -20.0)
    sure[:2] = 20.0
    assert expected_iou(sure) == pytest.approx(1.0)
    assert expected_iou(sure / 20) == pytest.approx(0.731 / (1 + 0.269), abs=1e-3)
    assert expected_iou(torch.full((4, 4, 4), -20.0)) == 0
