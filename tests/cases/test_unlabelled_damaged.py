"""Preprocessed unlabelled cases that are damaged are done again."""

import math
import pickle
import shutil

import blosc2
import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_muduo.cases.preprocessed import case_files


def arrays_of(dataset):
    """Image and mask of case a."""
    image, mask, *_ = nnUNetDatasetBlosc2(str(dataset.unlabelled)).load_case("a")
    return image[:], mask[:]


@pytest.mark.parametrize("missing", ["a.b2nd", "a_seg.b2nd", "a.pkl"])
def test_half_a_case_is_done_again(tiny_dataset, missing):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    (tiny_dataset.unlabelled / missing).unlink()
    assert tiny_dataset.preprocess().done == ("a",)
    assert len(tiny_dataset.state()) == 3


def test_a_broken_properties_file_is_done_again(tiny_dataset):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    (tiny_dataset.unlabelled / "a.pkl").write_bytes(b"")
    assert tiny_dataset.preprocess().done == ("a",)
    pickle.loads((tiny_dataset.unlabelled / "a.pkl").read_bytes())


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.b2nd", "a_seg.b2nd", "a.pkl"])
def test_a_file_that_is_cut_short_is_done_again(tiny_dataset, name, share):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    file = tiny_dataset.unlabelled / name
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert tiny_dataset.preprocess().done == ("a",)
    assert tiny_dataset.preprocess().skipped == ("a",)


def _other_properties(**changed):
    """Puts other entries, None for none, into a case's properties."""

    def damage(image, mask, properties):
        entries = pickle.loads(properties.read_bytes()) | changed
        properties.write_bytes(pickle.dumps({key: value for key, value in entries.items() if value is not None}))

    return damage


def _other_array(of_mask, change):
    """Writes another array in place of the mask, or the image."""

    def damage(image, mask, properties):
        file = mask if of_mask else image
        array = change(blosc2.open(str(file))[:])
        file.unlink()
        blosc2.asarray(np.ascontiguousarray(array), urlpath=str(file), mode="w")

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        *(_other_properties(body_locations=odd) for odd in (None, [[1, 1, 1]], np.ones((3, 3)))),
        *(_other_properties(body_locations=np.array(odd, "i4")) for odd in ([], [[1, 1]], [[16, 0, 0]], [[-1] * 3])),
        *(_other_properties(raw_intensity=odd) for odd in (None, [(1.0, 0)], [(math.nan, 0)] * 2, [(0.0, 1)] * 2)),
        *(_other_properties(outside_is_zero=odd) for odd in (None, [True], [0.0, 0.0], "no")),
        *(_other_array(of_mask, lambda a: a[:, 1:]) for of_mask in (False, True)),
        *(_other_array(of_mask, lambda a: a.astype(np.float64)) for of_mask in (False, True)),
        *(_other_array(of_mask, lambda a: np.concatenate([a, a])) for of_mask in (False, True)),
        *(_other_array(of_mask, lambda a: a[0]) for of_mask in (False, True)),
        lambda image, mask, properties: shutil.copyfile(mask, image),
    ],
)  # fmt: skip
def test_a_case_whose_files_do_not_fit_together_is_done_again(tiny_dataset, damage):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    expected, (mask, properties, image) = arrays_of(tiny_dataset), case_files(tiny_dataset.unlabelled, "a")
    damage(image, mask, properties)
    assert tiny_dataset.preprocess().done == ("a",)
    for array, again in zip(expected, arrays_of(tiny_dataset), strict=True):
        np.testing.assert_array_equal(array, again)
