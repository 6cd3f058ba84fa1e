"""MuDuo's ablations are settings: each changes what it names, in a training step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fabricated_training import PATCH, batch, trainers_in
from stub_teachers import EchoTeacher
from torch import Tensor, nn

from nnunetv2_muduo.distillation import distil
from nnunetv2_muduo.distillation.spatial_view import spatial_view
from nnunetv2_muduo.semisupervised.answers import Patches, TeacherLabels
from nnunetv2_muduo.semisupervised.teacher_report import SOURCES, TeacherReport
from nnunetv2_muduo.trainers import nnUNetTrainerMuDuo as module
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo

BOX = (slice(2, 6), slice(4, 12), slice(3, 11))


class Generator(nn.Module):
    """Finds organ 1 in a box of every patch, organ 2 nowhere."""

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.full((len(image), 3, *PATCH), -4.0)
        logits[:, 0] = 4.0
        logits[:, 0][(slice(None), *BOX)] = -4.0
        logits[:, 1][(slice(None), *BOX)] = 4.0
        return logits


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_trainer = trainers_in(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "prompt_generator_of", lambda student, trainer_class: Generator())

    def made(*, prepared: bool = True, **settings) -> nnUNetTrainerMuDuo:
        given = {"ramp_fraction": 0, "consistency_weight": 1.0} | settings
        trainer = make_trainer(trainer_class=nnUNetTrainerMuDuo, **given)
        trainer.ct_teacher, trainer.pet_teacher = (
            None if getattr(trainer.settings, f"{key}_teacher") is None else EchoTeacher() for key in ("ct", "pet")
        )
        if prepared:
            trainer.prepare_consistency()
        return trainer

    return made


def points_of(trainer: nnUNetTrainerMuDuo) -> tuple[Tensor, Tensor]:
    """Points of organ 1 in the first patch: (z, y, x) in its voxels, and their labels."""
    given = trainer.pet_teacher.prompts[0]
    voxels = (given["coords"][0, 0].flip(-1) + 0.5) * torch.tensor(PATCH) / 16 - 0.5
    return voxels, given["labels"][0, 0]


def test_teachers_are_told_how_the_plans_transpose_scans(make):
    trainer = make(prepared=False)
    trainer.plans_manager.plans["transpose_forward"] = [1, 0, 2]
    trainer.prepare_consistency()
    assert trainer.teaching.axes == (1, 0, 2)
    assert make().teaching.axes == (0, 1, 2)


@pytest.mark.parametrize(("reliability", "times"), [("none", 1), ("report", 0)])
def test_lesions_taught_by_teachers_that_nobody_judges_are_warned_of(make, reliability: str, times: int):
    trainer = make(prepared=False, reliability=reliability)
    trainer.organs = ("liver", "lesion")
    trainer.prepare_consistency()
    assert Path(trainer.log_file).read_text().count("WARNING: lesion: teachers made for organs") == times


def test_ct_teacher_off(make):
    trainer = make(ct_teacher=None)
    assert trainer.train_step(batch())["consistency_losses"] > 0
    assert trainer.teaching.dual.ct is None
    assert len(trainer.pet_teacher.prompts) == 1


def test_pet_teacher_off_needs_no_prompt_generator(make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "prompt_generator_of", None)
    trainer = make(pet_teacher=None)
    assert trainer.train_step(batch())["consistency_losses"] > 0
    assert trainer.teaching.dual.pet is None
    assert trainer.teaching.prompt_generator is None


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 0.5),
        ({"keep_fraction": 1.0}, 1.0),
        ({"keep_fraction": 1.0, "min_iou": 0.001}, 1.0),
        ({"keep_fraction": 1.0, "min_iou": 1.0}, 0.0),
    ],
    ids=["published", "no filter", "threshold below", "threshold above"],
)
def test_consensus_filter_and_its_alternatives(make, settings: dict, share: float):
    kept = make(**settings).train_step(batch())["share_kept"]
    assert kept.tolist() == [share, 0.0]


def test_a_threshold_keeps_what_the_teachers_agree_on(make):
    agreement = make(keep_fraction=1.0).train_step(batch())["teacher_agreement"][0]
    for threshold, share in ((agreement * 0.5, 1.0), (min(1.0, agreement * 2), 0.0)):
        outcome = make(keep_fraction=1.0, min_iou=float(threshold)).train_step(batch())
        assert outcome["share_kept"][0] == share


@pytest.mark.parametrize("points", [1, 3])
def test_number_of_points(make, points: int):
    trainer = make(points=points)
    trainer.train_step(batch())
    assert points_of(trainer)[1].tolist() == [1] * points


@pytest.mark.parametrize("strategy", ["spread", "random", "uptake", "centroid", "components", "first"])
def test_every_strategy_places_points_in_the_generators_mask(make, strategy: str):
    trainer = make(point_strategy=strategy)
    assert np.isfinite(trainer.train_step(batch())["consistency_losses"])
    voxels, labels = points_of(trainer)
    assert labels.tolist() == ([1, -1, -1] if strategy in ("centroid", "components") else [1, 1, 1])
    for z, y, x in voxels[labels == 1].round().tolist():
        assert all(edge.start <= value < edge.stop for edge, value in zip(BOX, (z, y, x), strict=True))


@pytest.mark.parametrize("source", ["student", "generator"])
def test_source_of_the_ct_prompt(make, source: str):
    trainer = make(ct_prompt=source)
    trainer.train_step(batch())
    (prompt,) = (given["masks"][0, 0] for given in trainer.ct_teacher.prompts)
    inside = torch.zeros(PATCH)
    inside[BOX] = 1
    on_cube = nn.functional.interpolate(inside.permute(2, 1, 0)[None, None], size=(16, 16, 16))[0, 0] > 0.5
    is_the_box = ((prompt > 0) == on_cube).float().mean() > 0.95
    assert bool(is_the_box) is (source == "generator")


@pytest.mark.parametrize("cached", [False, True])
def test_pseudo_labels_are_mixed_as_the_report_chose_with_and_without_the_cache(
    make, monkeypatch: pytest.MonkeyPatch, cached: bool
):
    given = []
    monkeypatch.setattr(
        module, "distil", lambda *tensors, **options: given.append(tensors) or distil(*tensors, **options)
    )
    trainer, patches = make(fusion="report"), batch()
    if cached:
        trainer.cache_folder = Path("somewhere")
        evidence = trainer.teaching.gather(trainer.patches_of(patches["unlabelled"]))
        monkeypatch.setattr(module, "from_stored", lambda *_: evidence)
        patches["unlabelled"]["evidence"] = None
    trainer.ct_share, trainer.by_prompts = torch.tensor([0.0, 1.0]), torch.tensor([True, False])
    trainer.train_step(patches)
    _, p_ct, p_pet, _, mix = given[0]
    assert mix.tolist() == [[0.0, 1.0]] * len(patches["unlabelled"]["clean"])
    for answers in (p_ct, p_pet):  # prompts are masks, teachers answer with probabilities
        assert [bool(((organ == 0) | (organ == 1)).all()) for organ in answers.unbind(1)] == [True, False]


def test_the_averaged_student_votes_on_the_pseudo_label(make, monkeypatch: pytest.MonkeyPatch):
    given = []
    monkeypatch.setattr(
        module, "distil", lambda *tensors, **options: given.append(options) or distil(*tensors, **options)
    )
    trainer = make(student_share=0.4)
    assert trainer.ema is not None
    expected = trainer.ema_logits(batch()["unlabelled"]["clean"]).softmax(1)[:, 1:]
    trainer.train_step(batch())
    assert torch.equal(given[0]["vote"].probabilities, expected)
    assert given[0]["vote"].share == pytest.approx(0.4)
    make().train_step(batch())
    assert given[1]["vote"] is None


def test_the_students_vote_grows_with_the_ramp(make):
    trainer = make(student_share=0.4, ramp_fraction=1.0)  # over 20 iterations
    clean, shares = batch()["unlabelled"]["clean"], []
    for trainer.iteration in (0, 10, 20):
        shares.append(trainer.own_answer(clean).label_share)
    assert shares == pytest.approx([0.4 * np.exp(-5.0), 0.4 * np.exp(-1.25), 0.4])


def test_the_students_vote_in_a_step_has_the_ramp_of_that_steps_loss(make, monkeypatch: pytest.MonkeyPatch):
    given = []
    monkeypatch.setattr(
        module, "distil", lambda *tensors, **options: given.append(options) or distil(*tensors, **options)
    )
    trainer = make(student_share=0.4, ramp_fraction=1.0)  # over 20 iterations
    trainer.iteration = 10
    assert trainer.consistency_weight_now() == pytest.approx(np.exp(-1.25))
    trainer.train_step(batch())
    assert given[0]["vote"].share == pytest.approx(0.4 * np.exp(-1.25))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_averaged_student_has_its_share_in_both_teachers_prompts(make, share: float):
    """It finds organ 1 everywhere, the generator in a box: half of each is the box's probability and one elsewhere."""
    trainer = make(student_prompt_share=share, ct_prompt="generator", point_strategy="random", points=20)
    trainer.ema_logits = lambda clean: torch.tensor([-20.0, 20.0, -20.0]).view(1, 3, 1, 1, 1).expand(2, 3, *PATCH)
    trainer.train_step(batch())
    (mask,) = (given["masks"][0, 0] for given in trainer.ct_teacher.prompts)
    voxels, labels = points_of(trainer)
    inside = [
        all(edge.start <= value < edge.stop for edge, value in zip(BOX, voxel, strict=True))
        for voxel in voxels[labels == 1].round().tolist()
    ]
    outside = 0.5 * (mask[0, 0, 0].sigmoid().item() + mask[-1, -1, -1].sigmoid().item())
    assert outside == pytest.approx(share, abs=0.01)
    assert all(inside) is (share == 0)


def test_the_student_sees_patches_turned_teachers_see_them_as_they_are(make, monkeypatch: pytest.MonkeyPatch):
    trainer = make(spatial_augmentation=True, seed=None)
    turned = spatial_view([[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]], np.ones((2, 3)), extent_in_mm=trainer.views.extent_in_mm)
    monkeypatch.setattr(trainer.views, "draw", lambda patches: turned)
    given, asked, seen = [], [], []
    monkeypatch.setattr(
        module, "distil", lambda *tensors, **options: given.append((tensors, options)) or distil(*tensors, **options)
    )
    label = trainer.teaching.label

    def watched(patches: Patches, *rest: object, **named: object) -> TeacherLabels:
        asked.append((patches, *rest))
        return label(patches, *rest, **named)

    monkeypatch.setattr(trainer.teaching, "label", watched)
    trainer.network.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0]))
    patches = batch()
    trainer.train_step(patches)
    image = patches["unlabelled"]["image"]
    assert torch.equal(seen[0][2:], turned.of(image))
    assert not torch.equal(seen[0][2], image[0])
    (student, *_), options = given[0]
    assert options["view"] is turned
    assert torch.equal(asked[0][0].clean, patches["unlabelled"]["clean"])
    assert torch.equal(asked[0][1], turned.undone(student.detach()))


def test_views_are_drawn_only_where_wanted_anew_each_epoch_and_alike_when_resumed(make):
    assert make().views is None
    drawn = {}
    for name, epoch in (("first", 0), ("again", 0), ("next", 1)):
        trainer = make(spatial_augmentation=True, report_every=100)
        trainer.monitor.report = lambda teaching: None
        trainer.current_epoch = epoch
        trainer.on_train_epoch_start()
        drawn[name] = trainer.views.draw(20).matrices
    assert np.array_equal(drawn["first"], drawn["again"])
    assert not np.array_equal(drawn["first"], drawn["next"])


def test_a_gate_is_logged_and_used_as_weights(make, monkeypatch: pytest.MonkeyPatch):
    """The student is perfect on the first organ and knows nothing of the second; the teachers are fair on both."""
    dice = dict.fromkeys(SOURCES, np.array([0.5, 0.5])) | {"student": np.array([1.0, 0.0])}
    for reliability, weights in (("gate", [0.0, 1.0]), ("report", [0.0, 0.5])):
        trainer = make(reliability=reliability)
        monkeypatch.setattr(trainer.monitor, "report", lambda teaching: TeacherReport(("a", "b"), dice))
        trainer.on_train_epoch_start()
        assert trainer.organ_weights.tolist() == weights
        assert trainer.logger.get_value("reliability", step=None) == [weights]


def test_mean_fusion_draws_nothing(make):
    for fusion in ("mean", "random"):
        trainers = [make(fusion=fusion, seed=0) for _ in range(2)]  # the same students
        for number, trainer in enumerate(trainers):
            trainer.teaching.randomness.manual_seed(number)
        first, second = (trainer.train_step(batch())["consistency_losses"] for trainer in trainers)
        assert (first == second) is (fusion == "mean")
