"""A published round sends what it should, and its gradients are those of one plain sum of losses."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_teachers import CLICK_UNET, SAM3D
from torch import Tensor, nn

from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.cpcl import Ensemble, rectified_labels
from nnunetv2_muduo.teachers.crops import IGNORED, Crops
from nnunetv2_muduo.teachers.sam3d import Sam3D
from nnunetv2_muduo.teachers.training_losses import dice_and_cross_entropy, target_losses
from nnunetv2_muduo.teachers.training_settings import TrainingSettings
from nnunetv2_muduo.teachers.training_steps import (
    add_gradients,
    mixed_step,
    published_round,
    published_step,
    round_loss,
)

SETTINGS = TrainingSettings(steps=1, scheme="published", clicks_per_round=5, crops_per_step=2)
TEACHERS = {"ClickUNet": lambda: ClickUNet(CLICK_UNET), "Sam3D": lambda: Sam3D(SAM3D)}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=sorted(TEACHERS))
def teacher(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    network = TEACHERS[request.param]()
    for parameter in network.parameters():  # a ClickUNet's head begins as zeros, which hides mistakes
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return network


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cubes(count: int = 2, *, low_quality: Tensor | None = None) -> Crops:
    """Cubes with a bright box and a dark one."""
    targets = torch.zeros(count, 2, 16, 16, 16, dtype=torch.bool)
    targets[:, 0, 3:9, 4:12, 4:12] = True
    targets[:, 1, 10:14, 4:12, 4:12] = True
    noise = torch.randn(count, 1, 16, 16, 16, generator=generator(1))
    images = noise + 3 * targets[:, :1] - 3 * targets[:, 1:]
    labels = (targets[:, 0] + 2 * targets[:, 1].int()).to(torch.uint8)
    return Crops(images, targets, targets.flip(1), [["bright", "dark"]] * count, labels, low_quality)


def gradients(teacher: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in teacher.named_parameters() if p.grad is not None}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, gradient in first.items():
        torch.testing.assert_close(gradient, second[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_round_is_one_click_with_a_zero_mask_then_errors_and_two_masks_alone(teacher: nn.Module) -> None:
    crops = cubes()
    with torch.no_grad():
        answers = list(published_round(teacher, teacher.encode(crops.images), crops, clicks=11, generator=generator()))
    sent = [prompt for prompt, _ in answers]
    assert len(sent) == 11
    assert (sent[0].labels == 1).all()
    assert not sent[0].masks.any()
    alone = [number for number, prompt in enumerate(sent) if (prompt.labels == -1).all()]
    assert len(alone) == 2
    assert alone[1] == 10
    assert 2 <= alone[0] <= 9
    assert all(prompt.masks.any() for prompt in sent[1:])


def test_the_mask_alone_comes_anywhere_from_the_third_to_the_second_last(teacher: nn.Module) -> None:
    crops, seen = cubes(1), set()
    with torch.no_grad():
        embedding = teacher.encode(crops.images)
        for seed in range(12):
            answers = published_round(teacher, embedding, crops, clicks=6, generator=generator(seed))
            seen |= {number for number, (prompt, _) in enumerate(answers) if (prompt.labels == -1).all()}
    assert seen == {2, 3, 4, 5}


def test_gradients_are_those_of_the_plain_mean_loss_over_all_prompts(teacher: nn.Module) -> None:
    crops = cubes()
    loss = add_gradients(teacher, crops, settings=SETTINGS, generator=generator())
    frugal = gradients(teacher)
    teacher.zero_grad(set_to_none=True)
    answers = published_round(teacher, teacher.encode(crops.images), crops, clicks=5, generator=generator())
    plain = torch.stack([dice_and_cross_entropy(logits, crops.targets) for _, logits in answers]).mean()
    plain.backward()
    assert loss == pytest.approx(plain.item(), rel=1e-5)
    same(frugal, gradients(teacher))


def test_gradients_reach_every_part_of_the_teacher(teacher: nn.Module) -> None:
    add_gradients(teacher, cubes(), settings=SETTINGS, generator=generator())
    unused = ("no_mask_embed", "iou_", "output_hypernetworks_mlps.1", "output_hypernetworks_mlps.2")
    unused += ("output_hypernetworks_mlps.3",)  # neither sent nor asked for
    for name, parameter in teacher.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        constant = name.endswith("conv.bias") or name.endswith("k_proj.bias")  # norms and softmax take them away
        assert reached or constant or any(part in name for part in unused), name


def test_accumulated_gradients_equal_those_of_one_large_batch(teacher: nn.Module) -> None:
    crops = cubes(4)  # two prompts: a click and a mask alone, drawn in the same order either way
    settings = replace(SETTINGS, clicks_per_round=2)
    seen = []
    for size in (4, 2, 1):
        optimiser = torch.optim.SGD(teacher.parameters(), lr=0.0)
        step = replace(settings, crops_per_step=size, largest_gradient=1e9)
        loss = published_step(teacher, crops, optimiser, settings=step, generator=generator())
        seen.append((loss, gradients(teacher)))
    for loss, accumulated in seen[1:]:
        assert loss == pytest.approx(seen[0][0], rel=1e-5)
        same(accumulated, seen[0][1])


def test_cpcl_leaves_good_labels_to_the_plain_formula(teacher: nn.Module) -> None:
    good = cubes(low_quality=torch.tensor([False, False]))
    plain = add_gradients(teacher, good, settings=SETTINGS, generator=generator())
    doubting = replace(SETTINGS, cpcl="ensemble")
    assert add_gradients(teacher, good, settings=doubting, generator=generator()) == plain
    logits = torch.randn(2, 2, 16, 16, 16, generator=generator())
    mixed = cubes(low_quality=torch.tensor([False, True]))
    rectified = ~mixed.targets
    given, other = target_losses(logits, mixed.targets), target_losses(logits, rectified)
    expected = torch.cat([given[:1], (2 * given[1:] + other[1:]) / 3]).mean()
    torch.testing.assert_close(round_loss(logits, mixed, rectified), expected)
    replaced = torch.cat([given[:1], other[1:]]).mean()
    torch.testing.assert_close(round_loss(logits, mixed, rectified, rectified_share=1.0), replaced)
    torch.testing.assert_close(round_loss(logits, mixed, None), dice_and_cross_entropy(logits, mixed.targets))


@pytest.mark.parametrize("reading", ["complement", "ensemble"])
def test_gradients_on_doubted_labels_are_those_of_the_plain_two_thirds_and_one_third(
    teacher: nn.Module, reading: str
) -> None:
    crops = cubes(low_quality=torch.tensor([True, True]))
    settings = replace(SETTINGS, cpcl=reading)
    loss = add_gradients(teacher, crops, settings=settings, generator=generator())
    frugal = gradients(teacher)
    teacher.zero_grad(set_to_none=True)
    embedding = teacher.encode(crops.images)
    answers = [a for _, a in published_round(teacher, embedding, crops, clicks=5, generator=generator())]
    ensemble = Ensemble()
    for logits in answers:
        ensemble.add(logits.sigmoid())
    rectified = rectified_labels(crops.targets, ensemble.mean, ensemble.variance, reading=reading)
    assert not torch.equal(rectified, crops.targets)
    plain = sum(
        (2 * dice_and_cross_entropy(logits, crops.targets) + dice_and_cross_entropy(logits, rectified)) / 3
        for logits in answers
    ) / len(answers)
    plain.backward()
    assert loss == pytest.approx(plain.item(), rel=1e-5)
    same(frugal, gradients(teacher))


def test_voxels_nobody_knows_cost_nothing_and_get_no_click(teacher: nn.Module) -> None:
    crops = cubes()
    crops.labels[:, :, :8] = IGNORED
    targets = crops.targets & crops.known
    crops = replace(crops, targets=targets)
    logits = torch.randn(2, 2, 16, 16, 16, generator=generator())
    elsewhere = torch.where(crops.known, logits, 5.0)
    torch.testing.assert_close(
        target_losses(logits, targets, crops.known), target_losses(elsewhere, targets, crops.known)
    )
    with torch.no_grad():
        answers = list(published_round(teacher, teacher.encode(crops.images), crops, clicks=6, generator=generator()))
    sent = answers[3][0]
    assert (sent.coords[sent.labels >= 0][:, 1] >= 8).all()


def test_a_frozen_encoder_stays_as_it_is(teacher: nn.Module) -> None:
    encoder = teacher.image_encoder if isinstance(teacher, Sam3D) else teacher.network
    encoder.requires_grad_(False)
    add_gradients(teacher, cubes(), settings=SETTINGS, generator=generator())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert gradients(teacher)


class FixedAnswers(nn.Module):
    """Gives the same logits [B, K, 16, 16, 16] whatever it is asked."""

    spec = SimpleNamespace(mask_size=16)

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, embedding: Tensor, *prompts: Tensor) -> tuple[Tensor, None]:
        return self.logits + 0 * embedding.mean(), None


def test_answers_where_nobody_knows_are_no_reason_for_doubt() -> None:
    crops = cubes(low_quality=torch.tensor([True, True]))
    crops.labels[:, :, :, 13:] = IGNORED  # beyond all targets
    answers = torch.where(crops.targets, 8.0, -8.0)
    answers[:, 0, 9, 4:12, 4:12] = 8.0  # a bit more than the label, in voxels that are known
    settings = replace(SETTINGS, cpcl="confident", rectified_share=1.0)
    losses = []
    for elsewhere in (-8.0, 8.0):
        logits = torch.where(crops.known, answers, elsewhere)
        losses.append(add_gradients(FixedAnswers(logits), crops, settings=settings, generator=generator()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_in_half_precision_each_mixed_round_sees_the_weights_that_the_one_before_left(teacher: nn.Module) -> None:
    crops, seen, fresh = cubes(), [], []
    encode, optimiser = teacher.encode, torch.optim.AdamW(teacher.parameters(), lr=0.05)

    def watched(images: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            fresh.append(encode(images))
        seen.append(encode(images))
        return seen[-1]

    teacher.encode = watched
    settings = replace(SETTINGS, bfloat16=True, max_rounds=3)
    seed = next(seed for seed in range(99) if int(torch.randint(3, (), generator=generator(seed))) == 2)  # all rounds
    mixed_step(teacher, crops, optimiser, settings=settings, generator=generator(seed))
    assert len(seen) == 3
    for number in (1, 2):
        learnt = (fresh[number] - fresh[number - 1]).abs().mean()
        assert (seen[number] - fresh[number]).abs().mean() < 0.1 * learnt


@pytest.mark.parametrize("cpcl", ["off", "ensemble"])
def test_half_precision_reaches_all_weights_in_much_the_same_direction(teacher: nn.Module, cpcl: str) -> None:
    crops = cubes(low_quality=torch.tensor([True, True]))
    found = {}
    for bfloat16 in (False, True):
        teacher.zero_grad(set_to_none=True)
        settings = replace(SETTINGS, bfloat16=bfloat16, cpcl=cpcl)
        add_gradients(teacher, crops, settings=settings, generator=generator())
        found[bfloat16] = gradients(teacher)
    assert found[True].keys() == found[False].keys()
    exact, half = (torch.cat([g.flatten() for g in found[key].values()]) for key in (False, True))
    assert torch.nn.functional.cosine_similarity(exact, half, dim=0) > 0.95
