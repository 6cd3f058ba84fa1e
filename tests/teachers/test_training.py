"""The training recipe learns, stops and continues as it says."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_teachers import SAM3D

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers import training
from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.crops import CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.sam3d import Sam3D
from nnunetv2_muduo.teachers.training import train_teacher
from nnunetv2_muduo.teachers.training_losses import dice_and_cross_entropy
from nnunetv2_muduo.teachers.training_settings import TrainingSettings, learning_rate_at
from nnunetv2_muduo.teachers.training_steps import mixed_step

TARGETS = {"bright": (1,), "brighter": (2,)}
CROPS = CropSettings(size=16, spacing_range_in_mm=(7.0, 9.0), min_voxels=8)
TINY = ClickUNetConfig(
    cube_size=16,
    features_per_stage=(8, 16),
    strides=(2, 2),
    convs_per_stage=(1, 1),
    convs_per_decoder_stage=(1,),
    click_radius_in_voxels=1.5,
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def case(seed: int) -> TrainingCase:
    rng = np.random.default_rng(seed)
    labels = np.zeros((18, 18, 18), np.uint8)
    labels[3:8, 3:9, 3:10] = 1
    labels[10:15, 8:14, 6:12] = 2
    image = rng.normal(10, 3, labels.shape).astype(np.float32) + 40 * (labels == 1) + 80 * (labels == 2)
    return TrainingCase(image, labels, (8.0, 8.0, 8.0), low_quality=seed == 1)


def tiny_teacher() -> ClickUNet:
    torch.manual_seed(0)
    return ClickUNet(TINY)


def run(folder: Path, teacher: ClickUNet | None = None, **settings: object) -> list[float]:
    numbers = {"steps": 6, "progress": False, "save_every": 3, "decay_share": 1.0, "warmup_steps": 2, **settings}
    state = train_teacher(
        tiny_teacher() if teacher is None else teacher,
        [case(0), case(1)],
        targets=TARGETS,
        settings=TrainingSettings(**numbers),  # type: ignore[arg-type]
        crop_settings=CROPS,
        folder=folder,
    )
    return state.losses


def test_thirty_steps_lower_the_loss(tmp_path: Path) -> None:
    losses = run(tmp_path, steps=30, learning_rate=2e-2)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_a_stopped_training_continues_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", decay_share=0.0)
    run(tmp_path / "parts", decay_share=0.0, steps=3)
    teacher = ClickUNet(TINY)  # other weights: they must come from the checkpoint
    assert run(tmp_path / "parts", teacher, decay_share=0.0) == whole


@pytest.mark.parametrize("cpcl", ["off", "ensemble"])
def test_a_published_training_continues_as_if_it_had_not_stopped(tmp_path: Path, cpcl: str) -> None:
    numbers = {
        "scheme": "published",
        "clicks_per_round": 5,
        "decoder_rate_share": 0.1,
        "accumulate": 2,
        "crops_per_step": 1,
        "cpcl": cpcl,
        "decay_share": 0.0,
    }
    torch.manual_seed(0)
    whole_teacher = Sam3D(SAM3D)
    whole = run(tmp_path / "whole", whole_teacher, **numbers)
    torch.manual_seed(0)
    run(tmp_path / "parts", Sam3D(SAM3D), **{**numbers, "steps": 3})
    continued = Sam3D(SAM3D)  # other weights: they must come from the checkpoint
    assert run(tmp_path / "parts", continued, **numbers) == whole
    for name, tensor in continued.state_dict().items():
        assert torch.equal(tensor, whole_teacher.state_dict()[name]), name


def test_labels_are_doubted_only_after_the_steps_that_were_asked_for(tmp_path: Path) -> None:
    published = {"scheme": "published", "clicks_per_round": 5, "crops_per_step": 4}
    plain = run(tmp_path / "plain", **published)
    doubting = run(tmp_path / "doubting", cpcl="complement", cpcl_after=2, **published)
    assert doubting[:2] == plain[:2]
    assert doubting[2] != plain[2]


def test_a_published_training_lowers_the_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    losses = run(tmp_path, Sam3D(SAM3D), steps=30, scheme="published", clicks_per_round=5, learning_rate=3e-3)
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_the_checkpoint_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UserError, match="another network than this Sam3D"):
        run(tmp_path, Sam3D(SAM3D))


@pytest.mark.parametrize(
    "wrong", [{"step": "3"}, {"step": True}, {"losses": [None]}, {"validation": [3]}, {"seconds": []}]
)
def test_a_checkpoint_whose_state_is_none_is_refused(tmp_path: Path, wrong: dict) -> None:
    run(tmp_path, steps=3)
    checkpoint = torch.load(tmp_path / "training.pth", weights_only=True)
    checkpoint["state"] |= wrong
    torch.save(checkpoint, tmp_path / "training.pth")
    with pytest.raises(UserError, match="or of no training at all"):
        run(tmp_path, steps=4)


def test_a_checkpoint_from_before_a_setting_existed_had_its_default(tmp_path: Path) -> None:
    run(tmp_path, steps=3)
    checkpoint = torch.load(tmp_path / "training.pth", weights_only=True)
    for name in ("scheme", "accumulate", "cpcl"):
        del checkpoint["settings"][name]
    torch.save(checkpoint, tmp_path / "training.pth")
    assert len(run(tmp_path, steps=4)) == 4


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"scheme": "free"}, "published"),
        ({"accumulate": 2}, "mixed"),
        ({"cpcl": "ensemble"}, "mixed"),
        ({"steps": 0}, "steps"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(numbers: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TrainingSettings(**{"steps": 3, **numbers})


def test_the_published_schedule_falls_twice_to_a_tenth() -> None:
    settings = TrainingSettings(steps=200, warmup_steps=0, learning_rate=1.0, schedule="steps")
    rates = [learning_rate_at(step, settings) for step in (0, 119, 120, 179, 180, 199)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_checkpoint_is_data_only_and_no_partial_file_stays(tmp_path: Path) -> None:
    run(tmp_path)
    checkpoint = torch.load(tmp_path / "training.pth", weights_only=True)
    assert checkpoint["state"]["step"] == 6
    tiny_teacher().load_state_dict(checkpoint["model_state_dict"])
    assert not list(tmp_path.glob(".partial*"))
    with (tmp_path / "losses.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6


def test_other_settings_than_the_checkpoints_are_refused_by_name(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UserError, match="learning_rate"):
        run(tmp_path, learning_rate=1e-5)


def test_a_teacher_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="48-cubes"):
        run(tmp_path, ClickUNet())


def test_the_rate_warms_up_stays_and_falls_to_zero() -> None:
    settings = TrainingSettings(steps=100, warmup_steps=10, learning_rate=1.0, decay_share=0.4)
    rates = [learning_rate_at(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:61] == pytest.approx([1.0] * 51)
    assert rates[80] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much() -> None:
    targets = torch.zeros(1, 2, 8, 8, 8, dtype=torch.bool)
    targets[:, :, 2:5] = True
    perfect = 60.0 * (targets.float() - 0.5)
    assert dice_and_cross_entropy(perfect, targets) < 1e-3
    assert dice_and_cross_entropy(-perfect, targets) > 10


def test_a_checkpoint_that_is_cut_short_is_named(tmp_path: Path):
    run(tmp_path)
    checkpoint = tmp_path / "training.pth"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"training\.pth is cut short"):
        run(tmp_path)


class Lost:
    """A step whose loss is of no use at some numbers."""

    def __init__(self, numbers: range) -> None:
        self.numbers, self.taken = numbers, 0

    def __call__(self, teacher, crops, optimiser, *, settings, generator) -> float:
        self.taken += 1
        crops = replace(crops, images=crops.images * (float("nan") if self.taken in self.numbers else 1.0))
        return mixed_step(teacher, crops, optimiser, settings=settings, generator=generator)


def train_with(step: Lost, folder: Path, teacher: ClickUNet, steps: int) -> list[float]:
    settings = TrainingSettings(steps=steps, progress=False, save_every=5)
    return train_teacher(
        teacher, [case(0)], targets=TARGETS, settings=settings, crop_settings=CROPS, folder=folder, step=step
    ).losses


def test_a_loss_that_is_not_finite_spoils_no_weights(tmp_path: Path) -> None:
    teacher = tiny_teacher()
    losses = train_with(Lost(range(3, 4)), tmp_path, teacher, 6)
    assert [math.isfinite(loss) for loss in losses] == [True, True, False, True, True, True]
    assert all(parameter.isfinite().all() for parameter in teacher.parameters())


def test_losses_that_stay_not_finite_end_the_training_and_leave_its_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"last 20 losses, up to step 31.* not finite"):
        train_with(Lost(range(12, 99)), tmp_path, tiny_teacher(), 60)
    saved = torch.load(tmp_path / "training.pth", weights_only=True)
    assert all(value.isfinite().all() for value in saved["model_state_dict"].values())


def test_long_steps_are_saved_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LONGEST_UNSAVED_IN_S", -1.0)
    saved = []
    train_teacher(
        tiny_teacher(),
        [case(0)],
        targets=TARGETS,
        settings=TrainingSettings(steps=3, progress=False, save_every=100),
        crop_settings=CROPS,
        folder=tmp_path,
        after_saving=lambda state: saved.append(state.step),
    )
    assert saved == [1, 2, 3]


def test_a_step_that_is_the_best_so_far_and_due_to_be_saved_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = iter([0.1, 0.2, 0.15])  # after steps 2, 4 and 6, the last of which is not the best
    monkeypatch.setattr(
        training,
        "validate",
        lambda *_, **__: [{"target": "bright", "prompt": "1 click", "dice": next(dice), "count": 1}],
    )
    crops = CropSampler([case(0)], targets=TARGETS, settings=CROPS).draw(1, 1, generator=torch.Generator())
    written, told, save = [], [], torch.save

    def count(content: dict, file: Path) -> None:
        written.append((Path(file).name, content.get("step", content.get("state", {}).get("step"))))
        save(content, file)

    monkeypatch.setattr(torch, "save", count)
    settings = TrainingSettings(steps=6, progress=False, validate_every=2, save_every=4)
    train_teacher(
        tiny_teacher(),
        [case(0)],
        targets=TARGETS,
        settings=settings,
        crop_settings=CROPS,
        folder=tmp_path,
        validation=[crops],
        after_saving=lambda state: told.append(state.step),
    )
    assert written == [
        ("training.pth", 2), ("best.pth", 2), ("training.pth", 4), ("best.pth", 4), ("training.pth", 6),
    ]  # fmt: skip
    assert told == [4, 6]


def test_a_training_stopped_in_its_first_step_validates_its_beginning_once(tmp_path: Path) -> None:
    sampler = CropSampler([case(2)], targets=TARGETS, settings=CROPS)
    cubes = [sampler.draw(1, 2, generator=torch.Generator().manual_seed(0))]

    def stopped(*arguments: object, **keywords: object) -> float:
        raise KeyboardInterrupt

    def train(step: training.TrainingStep) -> training.TrainingState:
        return train_teacher(
            tiny_teacher(),
            [case(0)],
            targets=TARGETS,
            settings=TrainingSettings(steps=1, progress=False),
            crop_settings=CROPS,
            folder=tmp_path,
            validation=cubes,
            step=step,
            clicks=(1,),
            validate_first=True,
        )

    with pytest.raises(KeyboardInterrupt):
        train(stopped)
    rows = [(row["step"], row["target"], row["prompt"]) for row in train(mixed_step).validation]
    assert len(rows) == len(set(rows))
    assert {step for step, *_ in rows} == {0, 1}
