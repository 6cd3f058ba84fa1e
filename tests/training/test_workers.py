"""Workers that draw differently, and with a seed always the same."""

import multiprocessing
import os
import random
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.training.workers import (
    SeededInWorkers,
    loader_inside,
    start_nnunets_loaders,
    start_workers,
)


class Drawing:
    """Hands out what it draws, and which worker it is in."""

    def __init__(self) -> None:
        self.worker: int | None = None

    def set_thread_id(self, thread_id: int) -> None:
        self.worker = thread_id

    def __next__(self) -> dict:
        drawn = [torch.rand(1).item(), np.random.rand(), random.random()]
        return {"data": torch.tensor(drawn, dtype=torch.float64), "worker": self.worker}


@contextmanager
def at_work(number: int, seed: int | None):
    augmenter = start_workers(Drawing(), number, cached=3, seed=seed)
    try:
        yield augmenter
    finally:
        augmenter._finish()


def drawn(number: int, seed: int | None, batches: int = 6) -> tuple[torch.Tensor, list[int]]:
    with at_work(number, seed) as augmenter:
        given = [next(augmenter) for _ in range(batches)]
    return torch.stack([batch["data"] for batch in given]), [batch["worker"] for batch in given]


def test_with_a_seed_workers_take_turns_and_every_run_is_the_same():
    first, workers = drawn(3, seed=5)
    again, _ = drawn(3, seed=5)
    assert workers == [1, 2, 0, 1, 2, 0], "the very first batch was drawn to start them"
    assert torch.equal(first, again)
    assert not torch.equal(first, drawn(3, seed=6)[0])


@pytest.mark.parametrize("seed", [None, 5])
def test_no_two_workers_draw_the_same(seed: int | None):
    torch.manual_seed(0)  # what forked workers would all go on from
    given: list[dict] = []
    with at_work(2, seed) as augmenter:
        while min(Counter({0: 0, 1: 0} | Counter(batch["worker"] for batch in given)).values()) < 3:
            given.append(next(augmenter))
    for generator in torch.stack([batch["data"] for batch in given]).T:
        assert len(set(generator.tolist())) == len(given)


def test_runs_without_a_seed_differ():
    torch.manual_seed(0)
    first, _ = drawn(1, None)
    torch.manual_seed(0)
    assert not (first == drawn(1, None)[0]).any()


def test_nnunets_loaders_are_made_without_workers_and_then_get_as_many_as_it_allows(monkeypatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    asked = []

    def make() -> tuple:
        asked.append(os.environ["nnUNet_n_proc_DA"])
        return tuple(SingleThreadedAugmenter(Drawing(), None) for _ in range(2))

    loaders = start_nnunets_loaders(make, seeds=(1, 2), pin_memory=False)
    try:
        assert asked == ["0"]
        assert [loader.num_processes for loader in loaders] == [2, 1]
        assert all(isinstance(loader.generator, SeededInWorkers) for loader in loaders)
        assert all(isinstance(loader_inside(loader), Drawing) for loader in loaders)
    finally:
        for loader in loaders:
            loader._finish()


def test_in_this_process_nnunets_loaders_stay_as_they_are_and_follow_the_seed(monkeypatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    made = (SingleThreadedAugmenter(Drawing(), None), SingleThreadedAugmenter(Drawing(), None))
    values = []
    for _ in range(2):
        loaders = start_nnunets_loaders(lambda: made, seeds=(1, 2), pin_memory=False)
        assert loaders is made
        values.append(next(loaders[0])["data"])
    assert torch.equal(*values)


@pytest.mark.parametrize("seed", [None, 5])
def test_a_worker_that_is_killed_is_one_sentence(monkeypatch, seed: int | None):
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")
    with at_work(2, seed) as augmenter:
        augmenter._processes[1].kill()
        batches = (next(augmenter) for _ in range(1000))
        with pytest.raises(UserError, match=r"died: .*memory ran out; set nnUNet_n_proc_DA to less \(it is 2\).* --c"):
            list(batches)


@pytest.mark.skipif(sys.version_info >= (3, 14) or os.name == "nt", reason="takes another folder by itself")
def test_a_folder_whose_name_is_too_long_for_sockets_is_refused_as_workers_would_wait_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    configured = {k: v for k, v in multiprocessing.current_process()._config.items() if k != "tempdir"}
    monkeypatch.setattr(multiprocessing.current_process(), "_config", configured)
    with pytest.raises(UserError, match=f"hand them over in {folder}.*set TMPDIR"):
        start_workers(Drawing(), 1, cached=3)
