import math
import pickle

import blosc2
import numpy as np
import pytest
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.augmentation import intensity_transforms
from nnunetv2_muduo.semisupervised.loading import UnlabelledDataLoader, build_unlabelled_loader, crop_and_place
from nnunetv2_muduo.semisupervised.paired_loading import PairedLoader

PATCH_SIZE = (8, 10, 12)
PADDING = (-1024.0, 0.0)


def loader_of(dataset, *, patch_size=PATCH_SIZE, batch_size=2, **options) -> UnlabelledDataLoader:
    data = nnUNetDatasetBlosc2(str(dataset.unlabelled))
    return UnlabelledDataLoader(data, batch_size, patch_size=patch_size, raw_padding=PADDING, **options)


def build(dataset, **options):
    cases = ["pat 1.v2", "a", "b"]
    arguments = {"batch_size": 2, "patch_size": PATCH_SIZE, "raw_padding": PADDING, **options}
    return build_unlabelled_loader(dataset.unlabelled, cases, **arguments)


def nnunet_augmentation(*, masked: bool = False):
    return intensity_transforms(
        nnUNetTrainer.get_training_transforms(
            PATCH_SIZE, (-0.5, 0.5), None, (0, 1, 2), False, use_mask_for_norm=[False, masked]
        )
    )


def position_of(crop: np.ndarray, volume: np.ndarray) -> tuple[int, ...]:
    """Where the crop's corner lies in the volume; fails where it is not in it."""
    windows = np.lib.stride_tricks.sliding_window_view(volume, crop.shape)
    (place,) = np.argwhere(np.abs(windows - crop).max(axis=(3, 4, 5)) < 1e-2)
    return tuple(place)


def test_a_batch_has_three_views_of_the_same_patches(prepared):
    batch = next(loader_of(prepared))
    assert set(batch) == {"image", "clean", "raw", "keys", "orientations"}
    for view in ("image", "clean", "raw"):
        assert batch[view].shape == (2, 2, *PATCH_SIZE)
        assert batch[view].dtype == torch.float32
    assert torch.equal(batch["image"], batch["clean"])
    assert [type(key) for key in batch["keys"]] == [str, str]


def test_a_batch_tells_how_its_scans_are_stored(tiny_dataset):
    stored = {"a": "LPS", "b": "RAS", "c": "LAS"}
    for case, orientation in stored.items():
        tiny_dataset.write_scan(case, orientation=orientation)
    tiny_dataset.preprocess()
    loader = loader_of(tiny_dataset)
    for batch in (next(loader), next(loader), loader.central_patch()):
        assert batch["orientations"] == [stored[key] for key in batch["keys"]]


def test_the_raw_patch_is_a_crop_of_the_scan_in_hu_and_suv(prepared):
    loader = loader_of(prepared)
    for _ in range(5):
        batch = next(loader)
        for raw, key in zip(batch["raw"].numpy(), batch["keys"], strict=True):
            place = position_of(raw[0], prepared.arrays[key][0])
            region = (slice(None), *(slice(p, p + size) for p, size in zip(place, PATCH_SIZE, strict=True)))
            np.testing.assert_allclose(raw, prepared.arrays[key][region], atol=1e-3)


def test_the_clean_patch_is_the_raw_patch_normalised(prepared):
    batch = next(loader_of(prepared))
    for raw, clean, key in zip(batch["raw"], batch["clean"], batch["keys"], strict=True):
        intensities = prepared_properties(prepared, key)["raw_intensity"]
        for channel, (scale, shift) in enumerate(intensities):
            torch.testing.assert_close(clean[channel], (raw[channel] - shift) / scale, atol=1e-4, rtol=0)


def prepared_properties(dataset, key) -> dict:
    return nnUNetDatasetBlosc2(str(dataset.unlabelled)).load_case(key)[3]


def test_only_the_students_view_is_augmented(prepared):
    torch.manual_seed(0)
    np.random.seed(0)
    plain, augmented = loader_of(prepared, seed=5), loader_of(prepared, seed=5, transforms=nnunet_augmentation())
    changed = 0
    for _ in range(10):
        expected, batch = next(plain), next(augmented)
        assert torch.equal(batch["clean"], expected["clean"])
        assert torch.equal(batch["raw"], expected["raw"])
        changed += not torch.equal(batch["image"], expected["image"])
    assert changed >= 5


def test_patches_are_centred_on_the_body(prepared):
    """The body is a long ellipse; its border never reaches a corner of the scan."""
    loader = loader_of(prepared, patch_size=(3, 3, 3))
    for _ in range(20):
        centres = next(loader)["raw"][:, 1, 1, 1, 1]
        assert (centres > 0.5).all(), "uptake of the body, not of the room"


def test_patches_differ_from_step_to_step(prepared):
    loader = loader_of(prepared, patch_size=(3, 3, 3))
    assert not torch.equal(next(loader)["raw"], next(loader)["raw"])


def test_a_batch_shows_each_case_once_while_there_are_enough(prepared):
    loader = loader_of(prepared, batch_size=3)
    assert all(set(next(loader)["keys"]) == {"a", "b", "pat 1.v2"} for _ in range(5))
    assert len(next(loader_of(prepared, batch_size=5))["keys"]) == 5


def test_a_patch_larger_than_the_scan_is_padded_with_air(prepared):
    batch = next(loader_of(prepared, patch_size=(20, 10, 24), batch_size=1))
    raw, clean = batch["raw"][0], batch["clean"][0]
    inside = (slice(2, 18), slice(None), slice(2, 22))
    outside = torch.ones(20, 10, 24, dtype=torch.bool)
    outside[inside] = False
    assert (raw[0][outside] == -1024).all()
    assert (raw[1][outside] == 0).all()
    assert (clean[:, outside] == 0).all()
    scan = prepared.arrays[batch["keys"][0]]
    assert position_of(raw[0][inside].numpy(), scan[0])[::2] == (0, 0)


@pytest.mark.parametrize(
    ("centre", "size", "patch", "source", "destination"),
    [
        (10, 20, 8, (6, 14), (0, 8)),
        (1, 20, 8, (0, 8), (0, 8)),
        (19, 20, 8, (12, 20), (0, 8)),
        (2, 8, 8, (0, 8), (0, 8)),
        (2, 5, 8, (0, 5), (1, 6)),
        (10, 20, 7, (7, 14), (0, 7)),
    ],
)
def test_a_patch_keeps_within_the_scan_where_it_can(centre, size, patch, source, destination):
    assert crop_and_place([centre], [size], [patch]) == (
        (slice(None), slice(*source)),
        (slice(None), slice(*destination)),
    )


def test_the_outside_of_masked_scans_is_zero_in_raw_and_in_the_students_view(tiny_dataset):
    tiny_dataset.set_schemes("NoNormalization", "ZScoreNormalization")
    tiny_dataset.configuration["use_mask_for_norm"] = [False, True]
    grid = np.meshgrid(*(np.linspace(-1, 1, size) for size in (16, 18, 20)), indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.8
    noise = np.random.default_rng(0).uniform(1, 9, (2, 16, 18, 20))
    tiny_dataset.write_scan("a", channels=list(np.where(inside, noise, 0).astype(np.float32)))
    tiny_dataset.preprocess()
    loader = loader_of(tiny_dataset, patch_size=(20, 20, 20), batch_size=1, transforms=nnunet_augmentation(masked=True))
    for _ in range(5):
        batch = next(loader)
        outside = batch["raw"][0, 0] <= 0
        assert (batch["raw"][0, 1][outside] == 0).all()
        assert (batch["raw"][0, 1][~outside] > 0.9).all()
        assert (batch["image"][0, 1][outside] == 0).all()


def test_the_central_patch_is_always_the_same(prepared):
    first, second = (loader_of(prepared, transforms=nnunet_augmentation()).central_patch() for _ in range(2))
    assert first["keys"] == second["keys"] == ["a"]
    assert first["raw"].shape == (1, 2, *PATCH_SIZE)
    assert torch.equal(first["raw"], second["raw"])
    assert torch.equal(first["image"], first["clean"])


def test_a_seed_makes_cases_and_crops_reproducible_in_one_process(prepared, monkeypatch):
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")

    def three_batches(seed):
        loader = build(prepared, seed=seed)
        return torch.stack([next(loader)["raw"] for _ in range(3)])

    assert torch.equal(three_batches(1), three_batches(1))
    assert not torch.equal(three_batches(1), three_batches(2))
    assert not torch.equal(three_batches(None), three_batches(None))


@pytest.mark.parametrize("file", ["a.b2nd", "a_seg.b2nd"])
def test_what_cannot_be_decompressed_is_told_by_its_file(prepared, file):
    path = prepared.unlabelled / file
    array = np.arange(math.prod(shape := blosc2.open(str(path)).shape), dtype=np.float32).reshape(shape)
    blosc2.asarray(array, urlpath=str(path), mode="w", chunks=shape, blocks=shape)
    content = bytearray(path.read_bytes())
    content[300:-400] = b"\xff" * (len(content) - 700)  # most of the one chunk
    path.write_bytes(content)
    loader = loader_of(prepared, batch_size=3)  # one patch of each case
    with pytest.raises(UserError, match=f"{file} is damaged"):
        next(loader)


@pytest.mark.parametrize("file", ["a.b2nd", "a_seg.b2nd", "a.pkl"])
def test_a_scan_that_another_training_took_away_is_told_by_its_name(prepared, file):
    loader = loader_of(prepared, batch_size=1)
    (prepared.unlabelled / file).unlink()
    with pytest.raises(UserError, match=r"/a\.b2nd is gone, .*imagesUn.* --c"):
        loader.open_case("a")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e38])
def test_numbers_that_would_spoil_a_network_are_told_by_their_file(prepared, value):
    file = prepared.unlabelled / "a.b2nd"
    image = blosc2.open(str(file))[:]
    image[1, 8, 9, 10] = value
    blosc2.asarray(image, urlpath=str(file), mode="w")
    loader = loader_of(prepared, patch_size=image.shape[1:], batch_size=3)
    with pytest.raises(UserError, match=r"/a\.b2nd is damaged"):
        next(loader)


def test_a_loader_travels_to_a_worker_light(prepared):
    content = pickle.dumps(loader_of(prepared, transforms=nnunet_augmentation()))
    assert len(content) < 10_000
    assert next(pickle.loads(content))["raw"].shape == (2, 2, *PATCH_SIZE)


def test_workers_draw_patches_of_their_own(prepared):
    first, second = loader_of(prepared, seed=3), loader_of(prepared, seed=3)
    first.set_thread_id(0)
    second.set_thread_id(1)
    assert not torch.equal(next(first)["raw"], next(second)["raw"])


@pytest.mark.parametrize(("allowed", "workers"), [("4", 2), ("1", 1)])
def test_the_unlabelled_stream_gets_half_of_nnunets_workers(prepared, monkeypatch, allowed, workers):
    monkeypatch.setenv("nnUNet_n_proc_DA", allowed)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    loader = build(prepared)
    try:
        assert isinstance(loader, NonDetMultiThreadedAugmenter)
        assert loader.num_processes == workers
    finally:
        PairedLoader(SingleThreadedAugmenter(loader_of(prepared), None), loader).finish()
