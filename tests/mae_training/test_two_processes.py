"""Pretraining on several GPUs, with two processes on the CPU in place of two GPUs."""

import shutil

import numpy as np
import pytest
import torch
from joint_pretraining import pretrain_and_resume
from trainable_dataset import PRETRAINING, TrainableDataset
from two_processes import in_two_processes

MAE = PRETRAINING | {"batch_size": 3, "report_every": 1}  # which two cannot share evenly; and a seed is drawn


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory):
    """What both processes tell of a pretraining in two epochs, between which it was stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_def_n_proc", "1")
        dataset = TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)
        shutil.rmtree(dataset.unlabelled)
        yield in_two_processes(
            pretrain_and_resume, dataset.folder / "processes", dataset.plans, dataset.dataset_json, MAE
        )


def test_both_learn_the_same_from_patches_of_their_own(pretrained):
    first, second = pretrained
    assert torch.equal(first["final"], second["final"])
    assert not torch.equal(first["final"], first["after"])
    for ours, theirs in zip(first["patches"], second["patches"], strict=True):
        assert not torch.equal(ours[:1], theirs)


def test_the_batch_is_shared_out_whole(pretrained):
    assert [told["batch size"] for told in pretrained] == [2, 1]
    assert [len(patches) for told in pretrained for patches in told["patches"]] == [2] * 4 + [1] * 4


def test_scans_are_dealt_alike(pretrained):
    first, second = pretrained
    assert first["cases"] == second["cases"]


def test_a_seed_that_was_drawn_is_shared_and_kept(pretrained):
    assert len({seed for told in pretrained for seed in told["seeds"]}) == 1


def test_a_resumed_training_goes_on_where_it_was(pretrained):
    for told in pretrained:
        assert torch.equal(told["before"], told["after"])


def test_losses_of_both_are_logged_and_pictures_drawn_once(pretrained):
    first, second = pretrained
    means = np.mean([first["losses"], second["losses"]], axis=0).reshape(2, 2).mean(1)
    np.testing.assert_allclose(first["logged"], means, rtol=1e-4)
    assert {file.name for file in first["folder"].glob("reconstruction_*.png")} == {
        "reconstruction_epoch_0000.png",
        "reconstruction_epoch_0001.png",
    }
    assert (first["folder"] / "checkpoint_final.pth").is_file()
