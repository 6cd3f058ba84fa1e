import multiprocessing

import pytest
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader, build_unlabelled_loader
from nnunetv2_muduo.semisupervised.paired_loading import PairedLoader

PATCH_SIZE = (8, 10, 12)


def build(dataset):
    return build_unlabelled_loader(
        dataset.unlabelled, ["pat 1.v2", "a", "b"], batch_size=2, patch_size=PATCH_SIZE, raw_padding=(-1024.0, 0.0)
    )


class Labelled:
    """Stands in for nnU-Net's loader of labelled patches."""

    infinite = True

    def __next__(self):
        return {"data": torch.zeros(2, 2, *PATCH_SIZE), "target": [torch.ones(2, 1, *PATCH_SIZE)], "keys": ["x", "y"]}

    def set_thread_id(self, thread_id):
        pass


def test_a_paired_batch_is_nnunets_with_an_unlabelled_one_in_it(prepared, monkeypatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    unlabelled = build(prepared)
    loader = PairedLoader(SingleThreadedAugmenter(Labelled(), None), unlabelled)
    batch = next(iter(loader))
    assert set(batch) == {"data", "target", "keys", "unlabelled"}
    assert set(batch["unlabelled"]) == {"image", "clean", "raw", "keys", "orientations"}
    assert loader.unlabelled_patches is unlabelled.data_loader
    loader.finish()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_finishing_leaves_no_worker_and_no_noise(prepared, monkeypatch, capfd):
    monkeypatch.setenv("nnUNet_n_proc_DA", "4")
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    labelled = NonDetMultiThreadedAugmenter(Labelled(), None, num_processes=1, num_cached=2, wait_time=0.002)
    loader = PairedLoader(labelled, build(prepared))
    for _ in range(3):
        batch = next(loader)
    assert batch["unlabelled"]["image"].shape == (2, 2, *PATCH_SIZE)
    assert isinstance(loader.unlabelled_patches, UnlabelledDataLoader)
    assert len(multiprocessing.active_children()) == 3
    loader.finish()
    loader.finish()
    assert multiprocessing.active_children() == []
    assert capfd.readouterr() == ("", "")
