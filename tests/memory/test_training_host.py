"""What a training holds on the host, against numbers by hand."""

import pytest

from nnunetv2_muduo.memory.training_host import (
    CUDA_CONTEXT,
    TRAINING_LIBRARIES,
    WORKER_LIBRARIES,
    CpuSteps,
    LoadedPatches,
    labelled_worker,
    queued_bytes,
    training_bytes,
    unlabelled_worker,
    validation_worker,
)

# 10 cubed from 20 cubed, two channels: an image of 8 000 bytes, a target of 2 250 at two scales
PATCHES = LoadedPatches(
    patch=(10, 10, 10),
    initial_patch=(20, 20, 20),
    scan=(100, 10, 20),
    channels=2,
    batch=2,
    unlabelled_batch=3,
    target_voxels=1125,
)
BATCH = 2 * (8_000 + 2_250)
UNLABELLED_BATCH = 3 * 3 * 8_000


def test_labelled_worker_holds_most_while_it_cuts_the_second_patch():
    grid = 3 * 4 * 1_000
    patch_before = 8_000 + 2_250
    cut_before = 8_000 * (8 + 2)  # image and labels in their initial size
    from_disk = 4_000 * 8  # the scan is narrower than the patch
    padded = 8_000 * 8
    assert labelled_worker(PATCHES).held == BATCH + grid + patch_before + cut_before + from_disk + padded


def test_labelled_worker_with_one_patch_a_batch_holds_most_while_it_turns():
    single = LoadedPatches((10, 10, 10), (20, 20, 20), (10, 10, 10), 1, 1, 0, 1000)
    grid = 3 * 4 * 1_000
    cut = 8_000 * (4 + 2)
    labels_in_float32 = 2 * 4 * 8_000
    assert labelled_worker(single).held == (4_000 + 2_000) + 2 * grid + cut + 4_000 + 2_000 + labels_in_float32


def test_validation_worker_pads_only_what_is_smaller_than_the_patch():
    held = BATCH + (8_000 + 2_250) + 8_000 + 2_000 + 2_250
    assert validation_worker(PATCHES).held == held
    smaller = LoadedPatches((10, 10, 10), (20, 20, 20), (5, 10, 10), 2, 2, 0, 1125)
    assert validation_worker(smaller).held == held + 8 * 500


def test_unlabelled_worker_holds_its_patches_twice():
    assert unlabelled_worker(PATCHES).held == 2 * UNLABELLED_BATCH


def test_places_are_kept_unless_arrays_are_large():
    for worker in (labelled_worker, validation_worker, unlabelled_worker):
        assert worker(PATCHES).held < worker(PATCHES).kept < 4 * worker(PATCHES).held
    large = LoadedPatches((300, 300, 300), (300, 300, 300), (400, 400, 400), 2, 2, 2, 300**3)  # the least array: 54 MB
    for worker in (labelled_worker, validation_worker, unlabelled_worker):
        assert worker(large).kept == worker(large).held


def test_queues_hold_batches_on_both_sides():
    sizes = (100, 30)
    loader = {"workers": 8, "cached": 6}
    assert queued_bytes(sizes, **loader, seeded=False, on_cuda=False) == 130 * (6 + 6 + 2)
    assert queued_bytes(sizes, **loader, seeded=True, on_cuda=False) == 130 * (8 + 4 + 2)


def test_pinned_batches_are_rounded_up_to_powers_of_two():
    pinned = 128 + 32
    found = queued_bytes((100, 30), workers=8, cached=6, seeded=False, on_cuda=True)
    assert found == 130 * (6 + 1) + pinned * (6 + 2)
    assert queued_bytes((64,), workers=1, cached=1, seeded=False, on_cuda=True) == 64 * 2 + 64 * 3


def test_training_adds_up_its_loaders():
    found = training_bytes(PATCHES, workers=4, seeded=False, on_cuda=False, gives_back=True)
    assert found.main == TRAINING_LIBRARIES
    assert found.batches == BATCH * ((6 + 6 + 2) + (3 + 3 + 2)) + UNLABELLED_BATCH * (3 + 3 + 2)
    arrays = 4 * labelled_worker(PATCHES).held + 2 * validation_worker(PATCHES).held
    assert found.workers == 8 * WORKER_LIBRARIES + arrays + 2 * unlabelled_worker(PATCHES).held
    assert found.total == found.main + found.batches + found.workers


def test_step_on_a_gpu_leaves_the_context_alone():
    found = training_bytes(PATCHES, workers=1, seeded=False, on_cuda=True)
    assert found.main == TRAINING_LIBRARIES + CUDA_CONTEXT


def test_supervised_training_has_no_third_loader():
    supervised = LoadedPatches((10, 10, 10), (20, 20, 20), (100, 10, 20), 2, 2, 0, 1125)
    found = training_bytes(supervised, workers=1, seeded=False, on_cuda=False)
    assert found.batches == BATCH * (14 + 8)
    assert found.workers == 2 * WORKER_LIBRARIES + labelled_worker(PATCHES).kept + validation_worker(PATCHES).kept


@pytest.mark.parametrize("on_cuda", [True, False])
def test_without_workers_there_are_no_queues(on_cuda: bool):
    found = training_bytes(PATCHES, workers=0, seeded=False, on_cuda=on_cuda)
    assert found.batches == 2 * BATCH + UNLABELLED_BATCH
    assert found.workers == labelled_worker(PATCHES).kept


def test_steps_on_the_cpu_count_and_so_does_what_workers_keep_of_a_training_before():
    usual, more = (
        training_bytes(PATCHES, workers=4, seeded=False, on_cuda=False, steps=steps)
        for steps in (CpuSteps(), CpuSteps(1_000, kept_when_forked=300))
    )
    assert more.main == usual.main + 1_300
    assert (more.batches, more.workers) == (usual.batches, usual.workers)


def test_without_workers_nobody_keeps_a_training_before():
    without = training_bytes(PATCHES, workers=0, seeded=False, on_cuda=False, steps=CpuSteps(1_000, 300))
    assert without.main == TRAINING_LIBRARIES + 1_000
