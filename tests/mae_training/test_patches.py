"""Patches of hand-made preprocessed cases, whose voxels tell where they come from."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_muduo.cases.freshness import BODY_LOCATIONS_KEY
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_training.cases import PretrainingCase
from nnunetv2_muduo.mae_training.patches import PatchSpecification, PretrainingPatches, start_stream

SHAPE = (12, 14, 16)


@pytest.fixture
def cases(tmp_path: Path) -> list[PretrainingCase]:
    """Three unlabelled cases: the first channel is the place (0 to 1 along z), the second the case's number."""
    made = []
    for number in range(3):
        place = np.broadcast_to(np.linspace(0, 1, SHAPE[0])[:, None, None], SHAPE)
        image = np.stack([place, np.full(SHAPE, number + 1.0)]).astype(np.float32)
        properties = {BODY_LOCATIONS_KEY: np.array([[5, 5, 5], [9, 9, 9], [6, 7, 8]], np.int32)}
        _save(tmp_path, f"case{number}", image, properties)
        made.append(PretrainingCase(f"case{number}", tmp_path, labelled=False))
    return made


def _save(folder: Path, name: str, image: np.ndarray, properties: dict) -> None:
    seg = np.zeros((1, *image.shape[1:]), np.int16)
    chunks = {"chunks": image.shape, "blocks": image.shape, "chunks_seg": seg.shape, "blocks_seg": seg.shape}
    nnUNetDatasetBlosc2.save_case(image, seg, properties, str(folder / name), **chunks)


def loader(cases, batch_size: int = 2, patch_size=(8, 8, 8), *, zoom=None, **options) -> PretrainingPatches:
    zooming = {"zoom": zoom, "zoom_probability": 1.0} if zoom else {}
    specification = PatchSpecification(patch_size, (2.0, 2.0, 2.0), 0, **zooming)
    return PretrainingPatches(cases, batch_size, specification=specification, **{"seed": (0,), **options})


def test_a_batch_depends_on_the_seed_and_its_number_alone(cases):
    first, second = loader(cases), loader(cases, workers=3)
    next(second)
    assert torch.equal(first.batch(7)["data"], second.batch(7)["data"])
    assert not torch.equal(first.batch(7)["data"], first.batch(8)["data"])
    other = loader(cases, seed=(1,))
    assert any(not torch.equal(first.batch(n)["data"], other.batch(n)["data"]) for n in range(3))


def test_a_resumed_stream_goes_on_with_the_next_batch(cases):
    whole, rest = loader(cases), loader(cases, first=3)
    batches = [next(whole) for _ in range(5)]
    for expected in batches[3:]:
        assert torch.equal(next(rest)["data"], expected["data"])


@pytest.mark.parametrize(("cycle", "first"), [(None, 0), (3, 0), (None, 5)])
def test_workers_hand_out_the_same_batches_in_the_same_order_as_none(cases, cycle, first):
    def make(workers: int) -> PretrainingPatches:
        return loader(cases, zoom=(0.8, 1.2), cycle=cycle, first=first, workers=workers)

    alone = start_stream(make, workers=0, pin_memory=False)
    shared = start_stream(make, workers=2, pin_memory=False)
    try:
        for _ in range(7):
            assert torch.equal(next(alone)["data"], next(shared)["data"])
    finally:
        shared._finish()


def test_a_cycle_begins_anew(cases):
    stream = loader(cases, cycle=2)
    batches = [next(stream)["data"] for _ in range(4)]
    assert torch.equal(batches[0], batches[2])
    assert torch.equal(batches[1], batches[3])
    assert not torch.equal(batches[0], batches[1])


def test_a_batch_has_different_cases_where_there_are_enough(cases):
    assert len(set(loader(cases, batch_size=3).batch(0)["keys"])) == 3
    assert loader(cases, batch_size=5).batch(0)["data"].shape == (5, 2, 8, 8, 8)


def test_patches_lie_within_the_scan_and_around_the_body(cases):
    data = torch.cat([loader(cases).batch(number)["data"] for number in range(10)])
    assert (data[:, 1] != 0).all()
    step = 1 / (SHAPE[0] - 1)
    starts = {round(float(start) / step) for start in data[:, 0, 0, 0, 0]}
    assert starts == {1, 2, 4}  # z of the body less half a patch, moved back where the scan ends


def test_a_patch_larger_than_the_scan_is_padded_with_the_mean(cases):
    patch = loader(cases, patch_size=(16, 14, 16)).batch(0)["data"][0]
    assert (patch[:, :2] == 0).all()
    assert (patch[:, -2:] == 0).all()
    assert (patch[1, 2:-2] != 0).all()


def test_a_stream_travels_to_workers_that_are_no_forks_and_draws_the_same_there(cases):
    stream = loader(cases)
    here = stream.batch(3)
    there = pickle.loads(pickle.dumps(stream)).batch(3)
    assert there["keys"] == here["keys"]
    assert torch.equal(there["data"], here["data"])


@pytest.mark.parametrize("factor", [0.8, 1.6])
def test_zoomed_patches_show_a_larger_or_smaller_region(cases, factor):
    patch = loader(cases, zoom=(factor, factor)).batch(0)["data"][0, 0]
    slope = float(patch[3:5, 0, 0].diff()) * (SHAPE[0] - 1)
    assert slope == pytest.approx(1 / factor, rel=0.05)


def test_labelled_cases_are_cropped_inside_the_body_too(tmp_path: Path):
    image = np.full((2, 20, 20, 20), -1.5, np.float32)
    image[0, 10:, 12:, 12:] = 0.5
    _save(tmp_path, "labelled", image, {"class_locations": {}})
    stream = loader([PretrainingCase("labelled", tmp_path, labelled=True)], batch_size=1, patch_size=(4, 4, 4))
    assert all((stream.batch(number)["data"][0, 0] == 0.5).any() for number in range(20))


@pytest.mark.parametrize("labelled", [False, True])
def test_nan_in_a_case_is_told_by_its_file(tmp_path: Path, labelled: bool):
    properties = {"class_locations": {}} if labelled else {BODY_LOCATIONS_KEY: np.full((1, 3), 5, np.int32)}
    _save(tmp_path, "spoilt", np.full((2, 10, 10, 10), np.nan, np.float32), properties)
    with pytest.raises(UserError, match=r"spoilt\.b2nd is damaged"):
        loader([PretrainingCase("spoilt", tmp_path, labelled=labelled)]).batch(0)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_lungs_of_labelled_cases_are_body_in_coronal_slices_too(tmp_path: Path, axes: tuple[int, ...]):
    image = np.full((2, 20, 20, 20), -1.5, np.float32)  # y, z, x: lungs go on at both ends of the scan
    image[0, 4:16, :, 4:16] = 0.5
    image[0, 7:13, :, 7:13] = -1.2
    properties = {"class_locations": {}, "sitk_stuff": {"direction": (1, 0, 0, 0, 0, 1, 0, 1, 0)}}
    _save(tmp_path, "labelled", image.transpose(0, *(axis + 1 for axis in axes)), properties)
    case = PretrainingCase("labelled", tmp_path, labelled=True)
    specification = PatchSpecification((4, 4, 4), (2.0, 2.0, 2.0), 0, axes=axes)
    stream = PretrainingPatches([case], 1, specification=specification, seed=(0,))
    assert any((stream.batch(number)["data"][0, 0] == np.float32(-1.2)).all() for number in range(40))
