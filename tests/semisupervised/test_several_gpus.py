"""Training on several GPUs, with two processes on the CPU in place of two GPUs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fabricated_training import batch, fabricated_trainer, trainers_in
from joint_training import FULL_WEIGHT, gradients, muduo_trainer, steps_of_every_kind, train_and_resume, wait_and_fail
from torch import Tensor
from torch.multiprocessing.spawn import ProcessRaisedException
from trainable_dataset import SETTINGS, TrainableDataset
from two_processes import in_two_processes

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised

CLIPPED_AT = 12  # the norm at which nnU-Net clips gradients; those compared here are smaller


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("steps")
    with pytest.MonkeyPatch.context() as patch:
        trainers_in(folder, patch)
        yield in_two_processes(steps_of_every_kind, folder / "processes")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_def_n_proc", "1")
        yield TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)


@pytest.fixture(scope="module")
def trained(dataset: TrainableDataset):
    shutil.rmtree(dataset.unlabelled)
    settings = {"num_epochs": 2, "report_every": 1, "predict_with": "ema", "reliability": "report", "fusion": "report"}
    cache = {"teacher_cache": True, "cache_tiles": 2}
    arguments = dataset.plans, dataset.dataset_json, SETTINGS | settings | cache
    return in_two_processes(train_and_resume, dataset.folder / "processes", *arguments)


class TestSteps:
    """One step of each kind, with patches of its own in each process; the second process finds no organ to learn."""

    @pytest.mark.parametrize("batch_dice", [False, True])
    def test_gradients_are_those_of_one_process_with_all_patches_at_once(self, seen, batch_dice: bool):
        trainer = as_in_ddp(fabricated_trainer(batch_dice=batch_dice, **FULL_WEIGHT))
        trainer.train_step(together(batch(0), batch(1)))
        for rank in (0, 1):
            assert_same_gradients(seen[rank][f"pull, batch_dice {batch_dice}"], gradients(trainer))

    def test_consensus_is_found_in_each_process_and_its_gradients_are_averaged(self, seen):
        expected = []
        for rank in (0, 1):
            trainer = as_in_ddp(muduo_trainer(finds=rank == 0))
            trainer.train_step(batch(rank))
            expected.append(gradients(trainer))
        for rank in (0, 1):
            assert_same_gradients(seen[rank]["muduo"], sum(expected) / 2)

    def test_a_process_without_a_valid_organ_keeps_up(self, seen):
        assert seen[0]["share kept"] == [[0.5, 0.0]] * 3
        assert seen[1]["share kept"] == [[0.0, 0.0]] * 3

    def test_student_and_average_stay_the_same_in_all_processes(self, seen):
        for key in ("student", "average"):
            assert torch.equal(seen[0][key], seen[1][key])
        assert not torch.equal(seen[0]["student"], seen[0]["average"])

    def test_both_students_of_cps_stay_the_same_in_all_processes_and_apart_from_each_other(self, seen):
        for first, second in zip(seen[0]["cps"], seen[1]["cps"], strict=True):
            assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
            assert not torch.allclose(*first, atol=1e-2)
        assert not torch.equal(seen[0]["cps"][0][1], seen[0]["cps"][1][1]), "the second one learns, too"

    def test_teachers_are_outside_ddps_wrapper(self, seen):
        assert not any(process["teachers are inside"] for process in seen)

    @pytest.mark.parametrize("draws", ["points", "noise"])
    def test_each_process_draws_its_own(self, seen, draws: str):
        assert not torch.equal(seen[0][draws], seen[1][draws])


@pytest.mark.slow
class TestTraining:
    """MuDuo from raw scans to the last checkpoint, stopped and resumed, with a teacher cache."""

    def test_one_process_preprocesses_for_all(self, trained):
        assert len(trained[0]["scans"].done) == 2
        assert trained[0]["scans"] == trained[1]["scans"]

    def test_both_have_the_same_prompt_generator_trained_once(self, trained):
        assert torch.equal(trained[0]["generator"], trained[1]["generator"])
        folder = trained[0]["folder"].parents[1] / "nnUNetTrainerMuDuoPrompt__nnUNetPlans__3d_fullres" / "fold_0"
        assert (folder / "checkpoint_final.pth").is_file()
        assert sum(log.read_text().count(" Epoch 0") for log in folder.glob("training_log_*.txt")) == 1

    def test_patches_are_shared_out_and_no_process_nor_epoch_sees_anothers(self, trained):
        assert [process["batch sizes"] for process in trained] == [(1, 2), (1, 2)]
        for kind in (0, 1):  # labelled, unlabelled
            patches = [process["patches"][kind + 2 * resumed] for process in trained for resumed in (0, 1)]
            for index, patch in enumerate(patches):
                assert not any(torch.equal(patch, other) for other in patches[:index])

    def test_a_resumed_training_goes_on_where_it_was_in_all_processes(self, trained):
        for process in trained:
            for network in ("student", "average"):
                assert torch.equal(process["before"][network], process["after"][network])
                assert torch.equal(process["final"][network], trained[0]["final"][network])
                assert not torch.equal(process["final"][network], process["after"][network])

    def test_logs_and_weights_of_organs_are_the_same_everywhere(self, trained):
        for key, values in trained[0]["logged"].items():
            assert len(values) == 2
            assert np.isfinite(values).any()
            assert np.array_equal(values, trained[1]["logged"][key], equal_nan=True)
        assert torch.equal(trained[0]["organ weights"], trained[1]["organ weights"])

    def test_the_first_process_writes_everything_once(self, trained):
        folder = trained[0]["folder"]
        stored = torch.load(folder / "checkpoint_final.pth", weights_only=False)
        once = {tensor.data_ptr(): tensor.flatten() for tensor in stored["network_weights"].values()}  # of many names
        assert stored["current_epoch"] == 2
        assert torch.equal(torch.cat(list(once.values())), trained[0]["final"]["average"])
        assert len(list(folder.glob("training_log_*.txt"))) == 2, "one of each start"
        for name in ("teacher_report.md", "progress_muduo.png", "unlabelled_patch_epoch_0001.png"):
            assert (folder / name).stat().st_size > 100


def test_long_work_is_waited_for_failures_are_told_and_a_death_ends_all(tmp_path: Path, monkeypatch):
    trainers_in(tmp_path, monkeypatch)
    folder = tmp_path / "told"
    folder.mkdir()
    with pytest.raises(ProcessRaisedException) as ended:
        in_two_processes(wait_and_fail, tmp_path / "processes", folder)
    assert str(ended.value).strip().splitlines()[-1] == "OSError: No space left on device", "below all tracebacks"
    first, second = (torch.load(folder / f"told_{rank}.pt") for rank in (0, 1))
    assert first == ["done by 0", ("UserError", "imagesUn is empty"), ("OSError", "imagesUn is empty")]
    failed = ("RuntimeError", "The first process failed: imagesUn is empty")
    assert second == ["done by 0", ("UserError", "imagesUn is empty"), failed]


def test_processes_that_nobody_connects_are_refused(tmp_path: Path, monkeypatch):
    make = trainers_in(tmp_path, monkeypatch)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UserError, match=r"4 processes were started together, .* -num_gpus N"):
        make(trainer_class=nnUNetTrainerMuDuoSupervised)
    monkeypatch.setenv("WORLD_SIZE", "1")
    make(trainer_class=nnUNetTrainerMuDuoSupervised)


def as_in_ddp(trainer: SemiSupervisedTrainer) -> SemiSupervisedTrainer:
    """With the loss that nnU-Net builds for DDP: the smallest output counts for a millionth instead of nothing."""
    trainer.is_ddp = True
    trainer.loss = trainer._build_loss()
    trainer.is_ddp = trainer.loss.loss.dc.ddp = False
    return trainer


def together(*batches: dict) -> dict:
    unlabelled = [given["unlabelled"] for given in batches]
    return {
        "data": torch.cat([given["data"] for given in batches]),
        "target": [torch.cat(scales) for scales in zip(*(given["target"] for given in batches), strict=True)],
        "unlabelled": {key: _joined([given[key] for given in unlabelled]) for key in unlabelled[0]},
    }


def _joined(parts: list) -> Tensor | list:
    return torch.cat(parts) if isinstance(parts[0], Tensor) else [entry for part in parts for entry in part]


def assert_same_gradients(given: Tensor, expected: Tensor) -> None:
    assert 0.01 < expected.norm() < CLIPPED_AT
    assert torch.allclose(given, expected, atol=1e-5 * float(expected.norm()), rtol=0)
