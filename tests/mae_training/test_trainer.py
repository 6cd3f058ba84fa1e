"""The pretraining trainer for real, on a few phantoms of 20 mm: cases, steps, resuming, refusals."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgenerators.utilities.file_and_folder_operations import load_pickle, save_pickle

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.mae_training.trainer import MAETrainer


def weights(trainer: MAETrainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.network.parameters()])


def test_labelled_and_unlabelled_cases_are_trained_on_alike_and_one_is_held_out(dataset):
    trainer = dataset.trainer()
    trainer.initialize()
    assert trainer.cases.counts() == {"labelled": 2, "unlabelled": 2, "held_out": 1}
    assert len(trainer.cases.training) == 3


def test_versions_are_written_down_beside_what_nnunet_writes_down(started):
    told = json.loads(Path(started.output_folder, "debug.json").read_text())
    assert told["muduo_version"] == version("nnunetv2-muduo")
    assert told["nnunet_version"] == version("nnunetv2")


def log_of(trainer: MAETrainer) -> str:
    return Path(trainer.log_file).read_text()


def test_a_pool_that_lies_in_several_ways_is_told_of(dataset):
    alike = dataset.trainer()
    alike.on_train_start()
    assert "stored in several ways" not in log_of(alike)
    file = min((dataset.preprocessed / "nnUNetPlans_3d_fullres").glob("*.pkl"))
    properties = load_pickle(str(file))
    properties["sitk_stuff"]["direction"] = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    save_pickle(properties, str(file))
    mixed = dataset.trainer()
    mixed.on_train_start()
    assert "WARNING: Scans are stored in several ways" in log_of(mixed)
    assert f"1 as RAS, such as {file.stem}" in log_of(mixed)
    assert mixed.orientations == ["LPS", "RAS"]


def test_no_label_is_ever_read(dataset):
    for file in dataset.preprocessed.rglob("*_seg.b2nd"):
        shutil.copyfile(file.with_name(file.name.replace("_seg", "")), file)  # images where labels were
    dataset.trainer().run_training()


def test_labelled_cases_can_be_left_out(dataset):
    trainer = dataset.trainer(use_labelled=False)
    trainer.initialize()
    assert trainer.cases.counts() == {"labelled": 0, "unlabelled": 2, "held_out": 1}


def test_a_labelled_case_that_also_serves_as_an_unlabelled_one_counts_once(dataset):
    """Such as `muduo split --rest-unlabelled` leaves; it could be learnt from and held out at once."""
    names = [path.stem for path in sorted((dataset.preprocessed / "nnUNetPlans_3d_fullres").glob("*.pkl"))]
    (dataset.preprocessed / "splits_final.json").write_text(json.dumps([{"train": names[:1], "val": []}]))
    for image in (dataset.raw / "imagesTr").glob(f"{names[1]}_*"):
        (dataset.raw / "imagesUn" / image.name).symlink_to(image)
    trainer = dataset.trainer()
    trainer.initialize()
    assert trainer.cases.counts() == {"labelled": 2, "unlabelled": 2, "held_out": 1}


def test_scans_of_a_patient_are_held_out_together(dataset):
    for number, file in enumerate(sorted((dataset.raw / "imagesUn").iterdir())):
        file.rename(file.with_name(f"fdg_001_{number // 2}_{number % 2:04d}.nii.gz"))
    trainer = dataset.trainer(held_out=0.5)
    trainer.initialize()
    studies = {f"fdg_001_{number}" for number in range(2)}
    parts = [studies & {case.name for case in part} for part in (trainer.cases.training, trainer.cases.held_out)]
    assert sorted(map(len, parts)) == [0, 2]


def test_labelled_cases_that_are_not_preprocessed_are_named_with_the_command(dataset):
    shutil.rmtree(dataset.preprocessed / "nnUNetPlans_3d_fullres")
    with pytest.raises(UserError, match="nnUNetv2_preprocess -d 21 -plans_name nnUNetPlans -c 3d_fullres"):
        dataset.trainer().initialize()


def test_labelled_cases_that_came_later_are_told_and_not_trained_on(dataset):
    first, *_ = sorted((dataset.raw / "labelsTr").iterdir())
    (dataset.raw / "labelsTr" / "later.nii.gz").symlink_to(first)
    trainer = dataset.trainer()
    trainer.initialize()
    assert trainer.cases.counts()["labelled"] == 2
    log = next(Path(trainer.output_folder).glob("training_log_*.txt")).read_text()
    assert "WARNING: 1 labelled case(s), such as later, are not preprocessed" in log
    assert "nnUNetv2_preprocess -d 21 -plans_name nnUNetPlans -c 3d_fullres" in log


def test_scans_without_any_label_are_enough(without_labels):
    trainer = without_labels.trainer()
    trainer.run_training()
    trainer.perform_actual_validation(save_probabilities=True)
    folder = Path(trainer.output_folder)
    assert (folder / "checkpoint_final.pth").is_file()
    assert not (folder / "validation").exists()
    log = next(folder.glob("training_log_*.txt")).read_text()
    assert "segments nothing" in log
    assert "--npz" in log
    assert "`muduo import-mae` fits its checkpoint_final.pth" in log


def test_cases_never_trained_on_are_told_better_than_by_their_mean(without_labels):
    settings = {"num_epochs": 5, "iterations_per_epoch": 30, "initial_lr": 0.005, "report_every": 9}
    trainer = without_labels.trainer(**settings)
    trainer.run_training()
    trained = trainer.logger.get_checkpoint()["val_losses"][-1]
    with torch.no_grad():
        for parameter in trainer.network.parameters():
            parameter.zero_()  # tells 0 everywhere
        trainer.on_validation_epoch_start()
        loader = trainer.get_dataloaders()[1]
        untold = np.mean([trainer.validation_step(next(loader))["loss"] for _ in range(2)])
    assert trained < 0.5 * untold


def test_a_step_learns_from_hidden_voxels_it_does_not_see(started, monkeypatch):
    seen = []
    forward = started.network.forward
    monkeypatch.setattr(started.network, "forward", lambda image: seen.append(image) or forward(image))
    image = torch.randn(2, 2, 16, 16, 16, generator=torch.Generator().manual_seed(1)) + 5
    before = weights(started)
    outcome = started.train_step({"data": image, "keys": ["a", "b"]})
    hidden = seen[0] == 0
    assert 0.2 < float(hidden.float().mean()) < 0.8
    assert torch.equal(seen[0][~hidden], image[~hidden])
    blocks = hidden[:, :, ::4, ::4, ::4]
    assert not torch.equal(blocks[:, 0], blocks[:, 1])
    assert outcome["loss"] > 1
    assert not torch.equal(weights(started), before)


def test_a_channel_alone_is_shown_and_told_and_the_weights_still_fit(dataset, monkeypatch):
    trainer = dataset.trainer(channels=[1], ratio=0.5)
    trainer.on_train_start()
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    seen = []
    forward = trainer.network.forward
    monkeypatch.setattr(trainer.network, "forward", lambda image: seen.append(image) or forward(image))
    image = torch.ones(2, 2, 16, 16, 16)
    trainer.train_step({"data": image, "keys": []})
    assert (seen[0][:, 0] == 0).all()
    assert (seen[0][:, 1] == 1).any()
    head = trainer.network.decoder.seg_layers[-1].bias.grad
    assert head[0] == 0
    assert head[1] != 0


def test_gradients_are_clipped_at_the_published_norm(started):
    norms = []
    step = started.optimizer.step
    started.optimizer.step = lambda: (norms.append(_norm(started)), step())
    started.train_step({"data": 100 * torch.randn(2, 2, 16, 16, 16), "keys": []})
    assert norms[0] == pytest.approx(1.0, abs=1e-3)


def _norm(trainer: MAETrainer) -> float:
    return float(torch.cat([p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None]).norm())


def test_the_optimiser_is_as_published_and_the_rate_falls_by_epoch(dataset):
    trainer = dataset.trainer(num_epochs=4)
    trainer.initialize()
    group = trainer.optimizer.param_groups[0]
    assert type(trainer.optimizer) is torch.optim.AdamW
    assert (group["lr"], group["weight_decay"]) == (5e-4, 1e-5)
    trainer.lr_scheduler.step(2)
    assert group["lr"] == pytest.approx((5e-4 + 1e-6) / 2)


def test_training_leaves_curves_pictures_and_checkpoints(dataset):
    trainer = dataset.trainer(num_epochs=3, report_every=2)
    trainer.run_training()
    folder = Path(trainer.output_folder)
    for picture in ("progress.png", "reconstruction_epoch_0000.png", "reconstruction_epoch_0002.png"):
        assert (folder / picture).stat().st_size > 10_000
    assert not (folder / "reconstruction_epoch_0001.png").exists()
    assert sorted(path.name for path in folder.glob("*.pth")) == ["checkpoint_best.pth", "checkpoint_final.pth"]
    logged = trainer.logger.get_checkpoint()
    assert len(logged["train_losses"]) == len(logged["val_losses"]) == 3
    best = torch.load(folder / "checkpoint_best.pth", weights_only=False)
    assert best["mae_state"]["best_validation_loss"] == min(logged["val_losses"])
    assert best["current_epoch"] == int(np.argmin(logged["val_losses"])) + 1


def test_the_validation_loss_is_on_the_same_hidden_voxels_every_time(dataset):
    losses = []
    for seed in (0, 1):
        trainer = dataset.trainer(seed=seed)
        trainer.on_train_start()
        with torch.no_grad():
            for parameter in trainer.network.parameters():
                parameter.zero_()
            for _ in range(2):
                trainer.on_validation_epoch_start()
                outputs = [trainer.validation_step(next(trainer.dataloader_val)) for _ in range(2)]
                losses.append([output["loss"] for output in outputs])
    assert losses[0] == losses[1] == losses[2] == losses[3]
    assert losses[0][0] != losses[0][1]


def test_a_training_that_is_resumed_ends_as_the_uninterrupted_one(dataset, tmp_path):
    straight = dataset.trainer(num_epochs=4)
    straight.run_training()
    expected, losses = weights(straight).clone(), list(straight.logger.get_checkpoint()["val_losses"])
    shutil.move(straight.output_folder_base, tmp_path / "straight")

    interrupted = dataset.trainer(num_epochs=4)
    interrupted.on_train_start()
    _epochs(interrupted, 2)

    resumed = dataset.trainer(num_epochs=4, continues=True)
    resumed.load_checkpoint(str(Path(interrupted.output_folder, "checkpoint_latest.pth")))
    assert resumed.current_epoch == 2
    resumed.run_training()
    assert torch.equal(weights(resumed), expected)
    assert resumed.logger.get_checkpoint()["val_losses"] == losses


def test_a_seed_that_was_drawn_is_kept_for_resuming(dataset, tmp_path):
    first, second = dataset.trainer(seed=None), dataset.trainer(seed=None, continues=True)
    assert first.seed != second.seed
    first.initialize()
    first.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    second.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert first.seed == second.seed


def _epochs(trainer: MAETrainer, number: int) -> None:
    """nnU-Net's loop, for some epochs."""
    for _ in range(number):
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        outputs = [trainer.train_step(next(trainer.dataloader_train)) for _ in range(trainer.num_iterations_per_epoch)]
        trainer.on_train_epoch_end(outputs)
        with torch.no_grad():
            trainer.on_validation_epoch_start()
            steps = range(trainer.num_val_iterations_per_epoch)
            trainer.on_validation_epoch_end([trainer.validation_step(next(trainer.dataloader_val)) for _ in steps])
        trainer.on_epoch_end()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fold": 0}, UnsupportedError, "Use the fold 'all' instead of 0"),
        ({"configuration": "2d"}, UnsupportedError, "'2d' is 2d"),
        ({"configuration": "3d_other"}, UserError, "no configuration '3d_other'"),
        ({"channels": [2]}, UserError, "has 2 channel"),
        ({"blok": 1}, UserError, "did you mean 'block'"),
    ],
)
def test_what_is_not_supported_is_refused_before_anything_is_written(dataset, options, error, message):
    with pytest.raises(error, match=message):
        dataset.trainer(**options)
    assert not list(dataset.preprocessed.parents[1].glob("nnUNet_results/*"))


def test_a_cascade_is_refused(dataset):
    dataset.plans["configurations"]["3d_cascade"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_fullres"}
    with pytest.raises(UnsupportedError, match="does not support cascades"):
        dataset.trainer(configuration="3d_cascade")
