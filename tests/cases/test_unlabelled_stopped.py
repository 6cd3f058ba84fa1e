"""Preprocessing of unlabelled scans that is interrupted, killed, overtaken, or out of room."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_muduo.cases import unlabelled, unlabelled_case
from nnunetv2_muduo.errors import UserError


def test_the_work_goes_on_after_an_interrupt(tiny_dataset, monkeypatch):
    for case in ("a", "b", "c"):
        tiny_dataset.write_scan(case)
    save_case = nnUNetDatasetBlosc2.save_case

    def save_half_a_case(data, seg, properties, output_filename_truncated, **options):
        if output_filename_truncated.endswith("b"):
            np.save(output_filename_truncated + ".b2nd", data)
            raise KeyboardInterrupt
        save_case(data, seg, properties, output_filename_truncated, **options)

    monkeypatch.setattr(unlabelled_case, "nnUNetDatasetBlosc2", SimpleNamespace(save_case=save_half_a_case))
    with pytest.raises(KeyboardInterrupt):
        tiny_dataset.preprocess()
    assert sorted(tiny_dataset.state()) == ["a.b2nd", "a.pkl", "a_seg.b2nd"]
    monkeypatch.undo()
    summary = tiny_dataset.preprocess()
    assert (summary.done, summary.skipped) == (("b", "c"), ("a",))


def test_what_a_killed_run_left_behind_is_cleared_away_after_a_day(tiny_dataset):
    tiny_dataset.write_scan("a")
    old, young = (tiny_dataset.unlabelled / f".partial-{age}" for age in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "a.b2nd").write_text("half")
    os.utime(old, (0, 0))
    tiny_dataset.preprocess()
    assert not old.exists()
    assert young.exists()


def test_a_case_that_another_run_finished_meanwhile_is_kept(tiny_dataset, monkeypatch):
    tiny_dataset.write_scan("a")
    other_run = unlabelled.preprocess_case

    def be_late(job):
        other_run(job)
        before = tiny_dataset.state()
        outcome = other_run(job)
        assert tiny_dataset.state() == before
        return outcome

    monkeypatch.setattr(unlabelled, "preprocess_case", be_late)
    assert tiny_dataset.preprocess().done == ("a",)


def test_a_full_disk_is_no_fault_of_the_scan(tiny_dataset, monkeypatch):
    tiny_dataset.write_scan("a")

    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unlabelled_case, "nnUNetDatasetBlosc2", SimpleNamespace(save_case=no_space))
    with pytest.raises(UserError, match=r"a into .*No space left"):
        tiny_dataset.preprocess()
