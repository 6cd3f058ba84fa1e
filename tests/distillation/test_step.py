import math

import numpy as np
import pytest
import torch

from nnunetv2_muduo.distillation import StudentVote, distil
from nnunetv2_muduo.distillation.losses import consistency_loss
from nnunetv2_muduo.distillation.spatial_view import spatial_view


def plain_twin(student, p_ct, p_pet, valid, mix, *, keep_fraction, min_iou, organ_weights, vote=None):
    """The formulas of arXiv 2606.15611 one patch and one organ at a time, in double precision."""
    batch, organs = valid.shape
    student, p_ct, p_pet = (tensor.detach().numpy().astype(np.float64) for tensor in (student, p_ct, p_pet))
    iou, kept = np.full((batch, organs), -1.0), np.zeros((batch, organs), bool)
    pseudo_label, organ_loss = np.zeros(student.shape, bool), np.full(organs, np.nan)
    for k in range(organs):
        for b in range(batch):
            weight = 0.5 if mix is None else float(mix[b, k])
            teachers = weight * p_ct[b, k] + (1 - weight) * p_pet[b, k]
            said = teachers
            if vote is not None:
                said = vote.share * vote.probabilities[b, k].numpy() + (1 - vote.share) * teachers
            pseudo_label[b, k] = said > 0.5
            if valid[b, k]:
                both = (p_ct[b, k] * p_pet[b, k]).sum()
                iou[b, k] = both / (p_ct[b, k].sum() + p_pet[b, k].sum() - both)
        ranked = sorted((b for b in range(batch) if valid[b, k] and iou[b, k] >= min_iou), key=lambda b: -iou[b, k])
        chosen = ranked[: max(1, int(batch * keep_fraction))]
        kept[chosen, k] = True
        losses = []
        for b in chosen:
            s, t = student[b, k], pseudo_label[b, k]
            losses.append(1 - (2 * s[t].sum() + 1e-5) / (s.sum() + t.sum() + 1e-5))
        if losses:
            organ_loss[k] = sum(losses) / len(losses)
    with_patches = ~np.isnan(organ_loss)
    weights = np.ones(organs) if organ_weights is None else organ_weights.numpy().astype(np.float64)
    loss = (organ_loss * weights)[with_patches].sum() / max(with_patches.sum(), 1)
    return loss, iou, kept, pseudo_label


def draw(seed, *, batch=4, organs=3, size=6):
    generator = torch.Generator().manual_seed(seed)
    student, p_ct, p_pet = torch.rand(3, batch, organs, size, size + 1, size + 2, generator=generator)
    valid = torch.rand(batch, organs, generator=generator) < 0.6
    return student, p_ct, p_pet, valid, torch.rand(batch, organs, generator=generator)


def test_agrees_with_the_published_code(shared):
    golden = {name: torch.from_numpy(array) for name, array in np.load(shared / "golden/consensus_seed5.npz").items()}
    result = distil(golden["student"][:, 1:], golden["ct"], golden["pet"], golden["valid"], golden["alpha"])
    assert torch.allclose(result.iou, golden["iou"], atol=1e-4, rtol=0)
    assert torch.equal(result.kept, golden["kept"])
    assert abs(result.loss - golden["loss"]) < 1e-4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("mixed", "options"),
    [
        (True, {"keep_fraction": 0.5, "min_iou": 0.0, "organ_weights": None}),
        (False, {"keep_fraction": 1.0, "min_iou": 0.335, "organ_weights": None}),
        (True, {"keep_fraction": 0.3, "min_iou": 0.0, "organ_weights": torch.tensor([0.0, 2.0, 0.5])}),
    ],
)
def test_agrees_with_plain_loops(seed, mixed, options):
    *tensors, mix = draw(seed, batch=2 + seed)
    tensors.append(mix if mixed else None)
    loss, iou, kept, pseudo_label = plain_twin(*tensors, **options)
    result = distil(*tensors, **options)
    assert math.isclose(result.loss.item(), loss, abs_tol=1e-6)
    assert np.allclose(result.iou, iou, atol=1e-6)
    assert np.array_equal(result.kept, kept)
    assert np.array_equal(result.pseudo_label, pseudo_label)


@pytest.mark.parametrize("seed", range(3))
def test_the_students_vote_agrees_with_plain_loops_and_changes_labels_alone(seed):
    tensors, own = draw(seed), draw(seed + 100)[0]
    options = {"keep_fraction": 0.5, "min_iou": 0.0, "organ_weights": None}
    loss, _, _, pseudo_label = plain_twin(*tensors, **options, vote=StudentVote(own.double(), 0.4))
    voted, alone = distil(*tensors, vote=StudentVote(own, 0.4)), distil(*tensors)
    assert math.isclose(voted.loss.item(), loss, abs_tol=1e-6)
    assert np.array_equal(voted.pseudo_label, pseudo_label)
    assert torch.equal(voted.kept, alone.kept)
    assert not torch.equal(voted.pseudo_label, alone.pseudo_label)


def test_gradients_reach_the_student_and_nobody_else():
    student, p_ct, p_pet, _, mix = (tensor.clone() for tensor in draw(1))
    for tensor in (student, p_ct, p_pet, mix):
        tensor.requires_grad_(True)
    valid = torch.ones(4, 3, dtype=torch.bool)
    result = distil(student, p_ct, p_pet, valid, mix)
    result.loss.backward()
    assert p_ct.grad is p_pet.grad is mix.grad is None
    touched = student.grad.flatten(2).abs().sum(2) > 0
    assert torch.equal(touched, result.kept)
    assert not result.iou.requires_grad


def test_what_teachers_said_under_inference_mode_can_be_trained_on():
    student = draw(1)[0].requires_grad_(True)
    with torch.inference_mode():
        _, p_ct, p_pet, valid, mix = draw(1)
    distil(student, p_ct, p_pet, valid, mix).loss.backward()
    assert student.grad.abs().sum() > 0


def test_gradient_is_that_of_the_formula():
    student, p_ct, p_pet, _, mix = (tensor.double() for tensor in draw(2, batch=2, organs=2, size=2))
    valid = torch.tensor([[True, True], [True, False]])
    student.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda s: distil(s, p_ct, p_pet, valid, mix).loss, student)


def test_nothing_kept_is_a_zero_that_can_be_trained_on():
    student, p_ct, p_pet, _, mix = draw(3)
    student.requires_grad_(True)
    result = distil(student, p_ct, p_pet, torch.zeros(4, 3, dtype=torch.bool), mix)
    result.loss.backward()
    assert result.loss.item() == 0
    assert torch.equal(student.grad, torch.zeros_like(student))
    assert not result.kept.any()
    assert (result.iou == -1).all()


def test_half_precision_inside_autocast_is_computed_in_full_precision():
    student, p_ct, p_pet, valid, mix = draw(6, size=20)
    student, p_ct, p_pet = (tensor.bfloat16() for tensor in (student, p_ct, p_pet))
    expected = distil(student.float(), p_ct.float(), p_pet.float(), valid, mix)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = distil(student, p_ct, p_pet, valid, mix)
    assert result.loss.dtype == result.iou.dtype == torch.float32
    assert torch.equal(result.iou, expected.iou)


def test_a_teacher_that_gives_nan_is_not_followed():
    student, p_ct, p_pet, _, mix = draw(7)
    p_ct[1, 0] = torch.nan
    result = distil(student, p_ct, p_pet, torch.ones(4, 3, dtype=torch.bool), mix, keep_fraction=1.0)
    assert not result.kept[1, 0]
    assert result.kept.sum() == 11
    assert result.loss.isfinite()


def test_a_single_teacher_is_followed_where_it_is_surest():
    student, p_ct, _, _, mix = draw(8, batch=2)
    p_ct[1] = p_ct[1].round()
    valid = torch.ones(2, 3, dtype=torch.bool)
    for teachers in ((p_ct, None), (None, p_ct)):
        result = distil(student, *teachers, valid, mix)
        assert result.kept.tolist() == [[False] * 3, [True] * 3]
        assert torch.equal(result.pseudo_label[1], p_ct[1] > 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p_ct": None, "p_pet": None}, "at least one teacher"),
        ({"p_ct": torch.rand(4, 3, 2, 2, 2)}, "differ in shape"),
        ({"valid": torch.ones(4, 3)}, "valid"),
        ({"mix": torch.rand(3)}, "mix"),
        ({"organ_weights": torch.ones(4)}, "organ_weights"),
        ({"vote": StudentVote(torch.rand(4, 3, 2, 2, 2), 0.5)}, "vote differ in shape"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = dict(zip(("student", "p_ct", "p_pet", "valid", "mix"), draw(9), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        distil(**arguments)


def test_the_pseudo_label_is_turned_with_what_the_student_saw():
    student, p_ct, p_pet, valid, _ = draw(3)
    angles = [[0, 0, 0.4], [0, 0, 0], [0.3, 0, 0], [0, -0.2, 0.1]]
    view = spatial_view(angles, np.ones((4, 3)), extent_in_mm=student.shape[2:])
    result = distil(student, p_ct, p_pet, valid, None, keep_fraction=1.0, view=view)
    label = (p_ct + p_pet) / 2 > 0.5
    assert torch.equal(result.pseudo_label, label)
    losses = consistency_loss(student, view.of(label.float()) > 0.5)
    expected = [losses[valid[:, organ], organ].mean() for organ in range(3) if valid[:, organ].any()]
    assert float(result.loss) == pytest.approx(float(sum(expected) / len(expected)), abs=1e-6)
    as_they_are = distil(student, p_ct, p_pet, valid, None, keep_fraction=1.0)
    assert torch.equal(result.iou, as_they_are.iou)
    assert float(result.loss) != pytest.approx(float(as_they_are.loss), abs=1e-4)
