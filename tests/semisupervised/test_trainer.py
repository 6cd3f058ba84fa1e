"""The shared training step on fabricated batches: no scans, no teachers, a tiny network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fabricated_training import PATCH, batch, nnUNetTrainerPull, trainers_in, weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from planned_dataset import DATASET, DATASET_JSON

from nnunetv2_muduo.cases.unlabelled import UnlabelledSummary
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised import trainer as semisupervised_trainer
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    return trainers_in(tmp_path, monkeypatch)


def test_consistency_sees_the_unlabelled_patches_alone_at_full_resolution(make):
    trainer = make()
    trainer.train_step(batch(unlabelled=3))
    assert trainer.seen.shape == (3, 3, *PATCH)
    assert trainer.seen.requires_grad


def test_without_weight_the_step_is_nnunets_own(make):
    ours, stock = make(consistency_weight=0), make(warmup_epochs=9)
    assert torch.equal(weights(ours), weights(stock))
    outcome = ours.train_step(batch())
    expected = stock.train_step(batch())
    assert outcome["loss"] == pytest.approx(float(expected["loss"]), abs=1e-5)
    assert torch.allclose(weights(ours), weights(stock), atol=1e-6)


def test_with_weight_the_student_is_pulled(make):
    trainer = make(consistency_weight=100, ramp_fraction=0)
    pulls = [trainer.train_step(batch())["pulls"] for _ in range(8)]
    assert pulls[-1] < pulls[0] - 0.1


def test_warm_up_leaves_unlabelled_patches_alone(make):
    trainer = make(warmup_epochs=1)
    trainer.train_step(batch())
    assert not hasattr(trainer, "seen")
    trainer.iteration = trainer.num_iterations_per_epoch
    trainer.train_step(batch())
    assert hasattr(trainer, "seen")


def test_loss_of_nnunet_is_in_place_again_after_a_step(make):
    trainer = make()
    before = trainer.loss
    trainer.train_step(batch())
    assert trainer.loss is before


def test_weight_ramps_up_over_the_training_after_the_warm_up(make):
    trainer = make(warmup_epochs=2, consistency_weight=0.3)
    seen = []
    for epoch in range(10):
        trainer.iteration = epoch * 2
        seen.append(trainer.consistency_weight_now())
    assert seen[:2] == [None, None]
    assert seen[2] == pytest.approx(0.3 * np.exp(-5))
    assert all(np.diff(seen[2:]) > 0)
    trainer.iteration = 20
    assert trainer.consistency_weight_now() == pytest.approx(0.3)


def test_every_key_is_logged_once_an_epoch_and_averaged_without_gaps(make):
    trainer = make()
    trainer.current_epoch = 0
    outputs = [trainer.train_step(batch(seed)) for seed in range(3)]
    trainer.on_train_epoch_end(outputs)
    logged = trainer.logger.get_checkpoint()
    assert logged["pulls"] == pytest.approx([np.mean([o["pulls"] for o in outputs])])
    assert logged["organ_pulls"][0][0] == 1.0
    assert np.isnan(logged["organ_pulls"][0][1])
    assert len(logged["consistency_weights"]) == len(logged["supervised_losses"]) == 1


def test_a_stock_checkpoint_without_our_numbers_can_be_continued(make, tmp_path: Path):
    trainer = make(continues=True)
    trainer.current_epoch = 3
    for key, values in trainer.logger.get_checkpoint().items():
        values.extend([0.5] * 4 if key != "organ_pulls" else [[0.5, 0.5]] * 4)
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    stored = torch.load(tmp_path / "checkpoint.pth", weights_only=False)
    for key in ("pulls", "organ_pulls", "consistency_weights", "supervised_losses"):
        del stored["logging"][key]
    torch.save(stored, tmp_path / "stock.pth")
    trainer.load_checkpoint(str(tmp_path / "stock.pth"))
    trainer.on_train_epoch_start()
    assert trainer.iteration == 4 * 2
    assert len(trainer.logger.get_checkpoint()["pulls"]) == 4


@pytest.mark.parametrize("kept", [[1.0], [1.0] * 9, "text", None])  # of another trainer in between, or damaged
def test_curves_of_other_lengths_are_brought_to_that_of_nnunets(make, tmp_path: Path, kept: object):
    trainer, path = make(), str(tmp_path / "checkpoint.pth")
    for values in trainer.logger.get_checkpoint().values():
        values.extend([1.0] * 3)
    trainer.logger.get_checkpoint()["pulls"] = kept
    trainer.save_checkpoint(path)
    trainer.load_checkpoint(path)
    assert {len(values) for values in trainer.logger.get_checkpoint().values()} == {3}
    trainer.current_epoch = 3
    trainer.log_epoch("pulls", 2.0)
    assert trainer.logger.get_value("pulls", step=3) == 2.0


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(make, tmp_path: Path, monkeypatch):
    trainer, file = make(), tmp_path / "checkpoint_latest.pth"
    trainer.save_checkpoint(str(file))

    def save_half(_, path: str) -> None:
        Path(path).write_bytes(b"half a check")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(str(file))
    assert torch.load(file, weights_only=False)["trainer_name"] == "nnUNetTrainerPull"
    assert list(tmp_path.glob("*checkpoint*")) == [file]


def test_disabled_checkpoints_stay_disabled(make, tmp_path: Path):
    trainer = make()
    trainer.disable_checkpointing = True
    trainer.save_checkpoint(str(tmp_path / "checkpoint_latest.pth"))
    assert not list(tmp_path.glob("*checkpoint*"))


def test_continuing_with_a_changed_schedule_is_refused(make, tmp_path: Path):
    make().save_checkpoint(str(tmp_path / "checkpoint.pth"))
    with pytest.raises(UserError, match="num_epochs"):
        make(continues=True, num_epochs=20).load_checkpoint(str(tmp_path / "checkpoint.pth"))
    make(num_epochs=20).load_checkpoint(str(tmp_path / "checkpoint.pth"))


def test_ignore_label_adds_no_organ_and_no_head(make):
    labels = {**DATASET_JSON["labels"], "ignore": 3}
    trainer = make(dataset_json={**DATASET_JSON, "labels": labels})
    assert trainer.organs == ("liver", "spleen")
    step = batch()
    step["target"][0][:, :, :4] = 3
    step["target"][1][:, :, :2] = 3
    assert np.isfinite(trainer.train_step(step)["loss"])
    assert trainer.seen.shape[1] == 3


def test_a_label_alone_in_a_list_is_an_organ_like_others(make):
    trainer = make(dataset_json=DATASET_JSON | {"labels": {"background": 0, "liver": 1, "spleen": [2]}})
    assert trainer.organs == ("liver", "spleen")


def test_dataset_without_pet_is_refused_by_its_channel_names(make):
    with pytest.raises(UserError, match="T1"):
        make(dataset_json={**DATASET_JSON, "channel_names": {"0": "CT", "1": "T1"}})


def test_unknown_setting_is_refused_by_name(make):
    with pytest.raises(UserError, match="consistency_wait"):
        make(consistency_wait=1)


@pytest.mark.parametrize(("mirroring", "unlabelled", "warned"), [
    (False, "LPS", False), (False, "RAS", True), (True, "RAS", False), (True, "PSL", True),
])  # fmt: skip
def test_scans_that_the_student_sees_lying_otherwise_are_told_of(make, mirroring: bool, unlabelled: str, warned: bool):
    trainer = make(mirroring=mirroring)
    trainer.tell_of_orientations({"a": "LPS", "b": "LPS", "c": unlabelled})
    told = f"2 as LPS; 1 as {unlabelled}, such as c"
    assert (told in Path(trainer.log_file).read_text()) is warned


def test_one_unlabelled_patch_a_step_is_refused(make):
    with pytest.raises(UserError, match="unlabelled_batch_size"):
        make(unlabelled_batch_size=1)


def test_refusals_leave_no_results_folder_behind(make, tmp_path: Path):
    with pytest.raises(UserError):
        make(consistency_wait=1)
    assert not (tmp_path / "nnUNet_results" / DATASET).exists()


def test_the_optimiser_is_nnunets_unless_the_settings_say_otherwise(make):
    stock = make().optimizer
    assert type(stock) is torch.optim.SGD
    assert (stock.param_groups[0]["lr"], stock.param_groups[0]["momentum"]) == (0.01, 0.99)
    slower = make(initial_lr=0.002)
    assert slower.optimizer.param_groups[0]["lr"] == 0.002
    slower.lr_scheduler.step(5)  # the poly schedule starts from it, half of the 10 epochs later
    assert slower.optimizer.param_groups[0]["lr"] == pytest.approx(0.002 * 0.5**0.9)


def test_adamw_brings_its_own_learning_rate(make):
    for settings, rate in (({}, 0.001), ({"initial_lr": 0.003}, 0.003)):
        optimizer = make(optimizer="adamw", **settings).optimizer
        assert type(optimizer) is torch.optim.AdamW
        assert optimizer.param_groups[0]["lr"] == rate


def test_the_prompt_generator_and_the_baseline_use_the_same_optimiser(make):
    for trainer_class in (nnUNetTrainerMuDuoPrompt, nnUNetTrainerMuDuoSupervised):
        trainer = make(trainer_class=trainer_class, optimizer="adamw", prompt_epochs=3)
        assert type(trainer.optimizer) is torch.optim.AdamW
        assert trainer.num_epochs == (3 if trainer_class is nnUNetTrainerMuDuoPrompt else 10)


def test_mirroring_can_be_switched_off_in_training_and_prediction(make):
    for settings, axes in (({}, (0, 1, 2)), ({"mirroring": False}, None)):
        trainer = make(**settings)
        *_, mirror_axes = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        assert mirror_axes == trainer.inference_allowed_mirroring_axes == axes


def test_a_warm_up_does_not_have_the_training_compiled_for_batches_of_any_size(make):
    has_symbols: list[bool] = []

    def note(graph: torch.fx.GraphModule, inputs: list) -> Callable:
        has_symbols.append(any(isinstance(value, torch.SymInt) for value in inputs))
        return graph

    trainer = make(warmup_epochs=1)
    trainer.network = torch.compile(trainer.network, backend=note)
    for step in range(3):  # two of the warm-up
        trainer.train_step(batch(step))
    assert len(has_symbols) == 2
    assert not any(has_symbols)


@pytest.mark.parametrize("predict_with", ["student", "ema"])  # with entries of our own in the checkpoint and without
def test_a_checkpoint_that_cannot_be_written_is_told_and_the_one_before_stays(
    make, tmp_path, monkeypatch, predict_with
):
    trainer, file = make(predict_with=predict_with), tmp_path / "checkpoint_latest.pth"
    trainer.save_checkpoint(str(file))
    before = file.read_bytes()

    def refused(**_) -> None:
        raise OSError(28, "No space left on device")

    def fail(content, target) -> None:
        raise RuntimeError("unexpected pos 576 vs 534")  # torch's words for it

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    save = torch.save
    monkeypatch.setattr(
        torch, "save", lambda content, target: (save if hasattr(target, "write") else fail)(content, target)
    )
    with pytest.raises(UserError, match=r"latest.pth cannot be written \(No space left on device\); make room.* --c"):
        trainer.save_checkpoint(str(file))
    assert file.read_bytes() == before


def test_a_damaged_checkpoint_is_told_before_anything_is_loaded(make, tmp_path: Path):
    trainer, file = make(), tmp_path / "checkpoint_latest.pth"
    trainer.save_checkpoint(str(file))
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"latest.pth is damaged; move it away and run the same command again"):
        make(continues=True).load_checkpoint(str(file))


def test_what_a_kill_left_of_a_checkpoint_is_cleared_away_when_training_starts(make, monkeypatch):
    monkeypatch.setattr(nnUNetTrainer, "on_train_start", lambda self: None)  # here is nothing to train on
    trainer = make(trainer_class=nnUNetTrainerMuDuoSupervised)
    left = Path(trainer.output_folder) / ".partial-1-checkpoint_latest.pth"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"half")
    trainer.on_train_start()
    assert not left.exists()


@pytest.mark.parametrize(("labelled", "warned"), [(("a",), False), (("a", "c"), True)])
def test_unlabelled_scans_that_the_fold_labels_are_told(make, monkeypatch, labelled: tuple[str, ...], warned: bool):
    monkeypatch.setattr(nnUNetTrainer, "on_train_start", lambda self: None)  # here is nothing to train on
    monkeypatch.setattr(semisupervised_trainer, "read_properties", lambda folder, case: {})
    scans = UnlabelledSummary(Path("nowhere"), ("b", "c"), (), (), {})
    monkeypatch.setattr(nnUNetTrainerPull, "prepare_unlabelled_scans", lambda self: scans)
    trainer = make()
    trainer.labelled_cases = labelled
    trainer.on_train_start()
    told = "WARNING: 1 of 2 unlabelled scan(s) are labelled cases of this fold (the first: c)"
    assert (told in Path(trainer.log_file).read_text()) is warned
