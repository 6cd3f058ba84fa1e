import contextlib
import errno
import json
import os
import pickle
import tempfile
from copy import deepcopy

import numpy as np
import pytest
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.cases import unlabelled
from nnunetv2_muduo.errors import UserError

SCHEMES = ("CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization")


def load(dataset, case):
    image, mask, _, properties = nnUNetDatasetBlosc2(str(dataset.unlabelled)).load_case(case)
    return image[:], mask[:], properties


def touch(file, seconds: int = 5):
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


def test_cases_are_what_nnunets_preprocessor_makes_of_them(tiny_dataset):
    tiny_dataset.configuration["spacing"] = [4.0, 3.0, 3.0]
    tiny_dataset.plans["transpose_forward"], tiny_dataset.plans["transpose_backward"] = [2, 0, 1], [1, 2, 0]
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    plans = PlansManager(deepcopy(tiny_dataset.plans))
    expected, expected_mask, _ = DefaultPreprocessor(verbose=False).run_case(
        [str(tiny_dataset.raw / "imagesUn" / f"a_000{channel}.nii.gz") for channel in (0, 1)],
        None,
        plans,
        plans.get_configuration("3d_fullres"),
        tiny_dataset.dataset_json,
    )
    image, mask, _ = load(tiny_dataset, "a")
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(mask, expected_mask)


def test_names_with_spaces_and_dots_and_other_file_endings(tiny_dataset):
    tiny_dataset.dataset_json["file_ending"] = ".nrrd"
    tiny_dataset.write_scan("pat 1.v2")
    tiny_dataset.write_scan("pat 1")
    assert tiny_dataset.preprocess().identifiers == ("pat 1", "pat 1.v2")
    assert load(tiny_dataset, "pat 1.v2")[0].shape == (2, 16, 18, 20)
    assert tiny_dataset.preprocess().skipped == ("pat 1", "pat 1.v2")


@pytest.mark.parametrize("ct_scheme", SCHEMES)
@pytest.mark.parametrize("pet_scheme", SCHEMES)
def test_raw_intensities_are_recovered_for_every_scheme(tiny_dataset, ct_scheme, pet_scheme):
    tiny_dataset.set_schemes(ct_scheme, pet_scheme)
    tiny_dataset.plans["transpose_forward"] = [1, 0, 2]
    tiny_dataset.configuration["spacing"] = [2.0, 3.0, 2.5]  # the scan's own, so that nothing is resampled
    arrays = tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    image, _, properties = load(tiny_dataset, "a")
    for raw, normalised, (scale, shift) in zip(arrays, image, properties["raw_intensity"], strict=True):
        np.testing.assert_allclose(normalised * scale + shift, raw.transpose(1, 0, 2), atol=1e-3)


def test_of_runs_that_are_started_together_one_does_the_work(tiny_dataset, monkeypatch):
    tiny_dataset.write_scan("a")
    tiny_dataset.write_scan("b")
    by_the_other = []

    @contextlib.contextmanager
    def after_another_run(folder, log):
        monkeypatch.undo()
        by_the_other.extend(tiny_dataset.preprocess().done)
        yield

    monkeypatch.setattr(unlabelled, "take_turns", after_another_run)
    summary = tiny_dataset.preprocess()
    assert by_the_other == ["a", "b"]
    assert (summary.identifiers, summary.done, summary.skipped) == (("a", "b"), (), ("a", "b"))


def test_a_scheme_that_cannot_be_undone_is_refused_before_any_work(tiny_dataset):
    tiny_dataset.set_schemes("CTNormalization", "RGBTo01Normalization")
    tiny_dataset.write_scan("a")
    with pytest.raises(UserError, match=r"1.*PET.*RGBTo01Normalization"):
        tiny_dataset.preprocess()
    assert not tiny_dataset.unlabelled.exists()


def test_body_locations_are_in_the_body_of_the_resampled_scan(tiny_dataset):
    tiny_dataset.plans["foreground_intensity_properties_per_channel"]["0"]["percentile_00_5"] = 0.0  # hides air
    tiny_dataset.plans["transpose_forward"] = [2, 0, 1]
    tiny_dataset.configuration["spacing"] = [2.5, 1.5, 2.0]
    _, pet = tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    image, _, properties = load(tiny_dataset, "a")
    locations = properties["body_locations"]
    uptake = image[1] * properties["raw_intensity"][1][0] + properties["raw_intensity"][1][1]
    assert len(locations) >= (pet > 0.5).sum() / 8
    assert (uptake[tuple(locations.T)] > 0.3).all()
    assert uptake.min() < 0.1


def test_lungs_that_reach_both_ends_of_the_scan_are_body_whatever_the_order_of_axes(tiny_dataset):
    tiny_dataset.plans["transpose_forward"] = [2, 0, 1]
    tiny_dataset.configuration["spacing"] = [2.5, 3.0, 2.0]  # the scan's own, so that nothing is resampled
    ct = np.full((16, 18, 20), -1000, dtype=np.float32)
    ct[:, 2:16, 2:18] = 40
    ct[:, 6:12, 6:14] = -850
    tiny_dataset.write_scan("a", channels=[ct, np.abs(ct)])
    tiny_dataset.preprocess()
    x, _, y = load(tiny_dataset, "a")[2]["body_locations"].T
    assert ((y >= 6) & (y < 12) & (x >= 6) & (x < 14)).any()


@pytest.mark.parametrize("transpose", [[0, 1, 2], [2, 0, 1]])
def test_lungs_that_reach_both_ends_of_a_scan_in_coronal_slices_are_body(tiny_dataset, transpose: list[int]):
    tiny_dataset.plans["transpose_forward"] = transpose
    tiny_dataset.configuration["spacing"] = [(3.0, 2.0, 2.5)[axis] for axis in transpose]  # the scan's own
    ct = np.full((16, 18, 20), -1000, dtype=np.float32)  # y, z, x
    ct[2:14, :, 2:18] = 40
    ct[5:11, :, 6:14] = -850
    tiny_dataset.write_scan("a", channels=[ct, np.abs(ct)], orientation="LSP")
    tiny_dataset.preprocess()
    found = load(tiny_dataset, "a")[2]["body_locations"]
    y, x = found[:, transpose.index(0)], found[:, transpose.index(2)]
    assert ((y >= 5) & (y < 11) & (x >= 6) & (x < 14)).any()


@pytest.mark.parametrize("transpose", [[0, 1, 2], [1, 0, 2]])
def test_bodies_that_were_looked_for_across_another_axis_are_looked_for_again_and_no_others(tiny_dataset, transpose):
    tiny_dataset.plans["transpose_forward"] = transpose
    for case, orientation in (("axial", "LPS"), ("coronal", "LSP"), ("mirrored", "RAI"), ("sagittal", "SPL")):
        tiny_dataset.write_scan(case, orientation=orientation)
    tiny_dataset.preprocess()
    for file in tiny_dataset.unlabelled.glob("*.pkl"):  # as earlier versions wrote it
        properties = pickle.loads(file.read_bytes())
        del properties["body_axis"]
        file.write_bytes(pickle.dumps(properties))
    assert tiny_dataset.preprocess().done == ("coronal", "sagittal")
    assert tiny_dataset.preprocess().done == ()


def test_body_locations_are_the_same_every_time(tiny_dataset):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    first = load(tiny_dataset, "a")[2]["body_locations"]
    touch(tiny_dataset.raw / "imagesUn" / "a_0000.nii.gz")
    assert tiny_dataset.preprocess().done == ("a",)
    np.testing.assert_array_equal(load(tiny_dataset, "a")[2]["body_locations"], first)


def test_what_is_up_to_date_is_skipped_without_being_touched(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    first = tiny_dataset.preprocess()
    before = tiny_dataset.state()
    second = tiny_dataset.preprocess()
    assert (first.done, first.skipped) == (("a", "b"), ())
    assert (second.done, second.skipped) == ((), ("a", "b"))
    assert tiny_dataset.state() == before
    assert sorted(before) == ["a.b2nd", "a.pkl", "a_seg.b2nd", "b.b2nd", "b.pkl", "b_seg.b2nd"]


def test_a_folder_that_must_not_be_written_to_will_do_where_everything_is_up_to_date(tiny_dataset, monkeypatch):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()

    def read_only(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    assert tiny_dataset.preprocess().skipped == ("a",)


def test_a_changed_scan_is_done_again(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    tiny_dataset.preprocess()
    changed = tiny_dataset.write_scan("a", seed=7)
    touch(tiny_dataset.raw / "imagesUn" / "a_0001.nii.gz")
    summary = tiny_dataset.preprocess()
    assert (summary.done, summary.skipped) == (("a",), ("b",))
    image, _, properties = load(tiny_dataset, "a")
    scale, shift = properties["raw_intensity"][0]
    np.testing.assert_allclose(image[0] * scale + shift, changed[0], atol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing": [3.0, 2.5, 2.5]},
        {"normalization_schemes": ["CTNormalization", "NoNormalization"]},
        {"use_mask_for_norm": [False, True]},
        {"resampling_fn_data_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}},
    ],
)
def test_plans_that_change_preprocessing_make_every_case_stale(tiny_dataset, change):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    tiny_dataset.configuration.update(change)
    assert tiny_dataset.preprocess().done == ("a",)


def test_new_intensity_statistics_make_every_case_stale(tiny_dataset):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    tiny_dataset.plans["foreground_intensity_properties_per_channel"]["0"]["mean"] = 31.0
    assert tiny_dataset.preprocess().done == ("a",)


def test_plans_that_change_training_alone_make_nothing_stale(tiny_dataset):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    tiny_dataset.configuration.update(batch_size=5, patch_size=[16, 16, 16], architecture={"depth": 3})
    tiny_dataset.plans["muduo"] = {"points": 5}
    assert tiny_dataset.preprocess().skipped == ("a",)


def test_a_swap_of_the_channels_makes_every_case_stale(tiny_dataset):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    tiny_dataset.plans["muduo"] = {"ct_channel": 1, "pet_channel": 0}
    assert tiny_dataset.preprocess().done == ("a",)


def test_a_case_whose_scan_vanished_is_removed(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    tiny_dataset.preprocess()
    for file in (tiny_dataset.raw / "imagesUn").glob("a_*"):
        file.unlink()
    messages: list[str] = []
    assert tiny_dataset.preprocess(log=messages.append).identifiers == ("b",)
    assert sorted(tiny_dataset.state()) == ["b.b2nd", "b.pkl", "b_seg.b2nd"]
    assert any("gone: a" in message for message in messages)


def write_bad_scans(dataset):
    dataset.write_scan("one channel", channels=[np.ones((4, 4, 4), np.float32)])
    ct, pet = dataset.write_scan("two.grids")
    dataset.write_channel(pet[:-1], dataset.raw / "imagesUn" / "two.grids_0001.nii.gz")
    dataset.write_scan("nan", channels=[np.where(ct > 30, np.nan, ct).astype(np.float32), pet])
    dataset.write_scan("zero", channels=[ct, np.zeros_like(pet)])
    dataset.write_scan("text")
    (dataset.raw / "imagesUn" / "text_0000.nii.gz").write_text("no image")


def test_bad_scans_are_listed_together_and_do_not_stop_the_good(tiny_dataset):
    write_bad_scans(tiny_dataset)
    tiny_dataset.write_scan("good")
    messages: list[str] = []
    summary = tiny_dataset.preprocess(log=messages.append)
    assert summary.identifiers == ("good",)
    assert set(summary.bad) == {"one channel", "two.grids", "nan", "zero", "text"}
    (listed,) = [message for message in messages if "left out" in message]
    for name, told in {
        "one channel": "1 (PET)",
        "two.grids": "different grids",
        "nan": "NaN",
        "zero": "PET is 0 everywhere",
        "text": "cannot be read",
    }.items():
        assert any(name in line and told in line for line in listed.splitlines())


def test_no_good_scan_is_an_error_that_lists_them_all(tiny_dataset):
    write_bad_scans(tiny_dataset)
    with pytest.raises(UserError) as caught:
        tiny_dataset.preprocess()
    assert all(name in str(caught.value) for name in ("one channel", "two.grids", "nan", "zero", "text"))


def test_a_scan_that_became_bad_loses_its_preprocessed_case(tiny_dataset):
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    tiny_dataset.preprocess()
    (tiny_dataset.raw / "imagesUn" / "a_0000.nii.gz").write_text("no image")
    assert tiny_dataset.preprocess().identifiers == ("b",)
    assert sorted(tiny_dataset.state()) == ["b.b2nd", "b.pkl", "b_seg.b2nd"]


def test_a_labelled_case_that_no_fold_uses_may_serve_as_unlabelled(tiny_dataset):
    for seed, case in enumerate("abc"):
        tiny_dataset.write_labelled(case, seed=seed)
        tiny_dataset.write_scan(case, seed=seed)
    tiny_dataset.preprocessed.mkdir(parents=True, exist_ok=True)
    splits = [{"train": ["a"], "val": ["b"]}]
    (tiny_dataset.preprocessed / "splits_final.json").write_text(json.dumps(splits))
    summary = tiny_dataset.preprocess()
    assert summary.identifiers == ("c",)
    assert set(summary.bad) == {"a", "b"}


def test_a_labelled_case_is_not_used_as_unlabelled(tiny_dataset):
    tiny_dataset.write_labelled("a")
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    summary = tiny_dataset.preprocess()
    assert summary.identifiers == ("b",)
    assert "already labelled" in summary.bad["a"]


def test_a_labelled_case_of_a_list_is_not_used_as_unlabelled(tiny_dataset):
    tiny_dataset.dataset_json["dataset"] = {"a": {"images": ["elsewhere.nii.gz"], "label": "label.nii.gz"}}
    for case in ("a", "b"):
        tiny_dataset.write_scan(case)
    assert tiny_dataset.preprocess().identifiers == ("b",)


@pytest.mark.parametrize("prepare", ["missing", "empty", "other files"])
def test_no_scans_is_an_error_that_says_where_to_put_them(tiny_dataset, prepare):
    if prepare != "missing":
        (tiny_dataset.raw / "imagesUn").mkdir(parents=True)
    if prepare == "other files":
        (tiny_dataset.raw / "imagesUn" / "a_0000.mha").write_text("")
    with pytest.raises(UserError, match="nnUNetTrainer") as caught:
        tiny_dataset.preprocess()
    for told in (str(tiny_dataset.raw / "imagesUn"), "{case}_0000.nii.gz (CT)", "{case}_0001.nii.gz (PET)"):
        assert told in str(caught.value)
    assert not tiny_dataset.unlabelled.exists()


def test_an_unknown_configuration_is_named_with_the_known(tiny_dataset):
    arguments = {**tiny_dataset.arguments(), "configuration": "3d_ful"}
    with pytest.raises(UserError, match=r"3d_ful'.*3d_fullres"):
        unlabelled.preprocess_unlabelled("Dataset900_Tiny", num_processes=1, **arguments)


def test_plans_and_dataset_are_not_changed(tiny_dataset):
    plans, dataset_json = deepcopy(tiny_dataset.plans), deepcopy(tiny_dataset.dataset_json)
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    assert tiny_dataset.plans == plans
    assert tiny_dataset.dataset_json == dataset_json


def test_progress_is_shown(tiny_dataset, capsys):
    tiny_dataset.write_scan("a")
    tiny_dataset.preprocess()
    assert "Preprocessing unlabelled scans: 100%" in capsys.readouterr().err


@pytest.mark.slow  # each worker imports nnU-Net
def test_several_processes_give_the_same(tiny_dataset):
    for seed, case in enumerate(("a", "pat 1.v2", "c")):
        tiny_dataset.write_scan(case, seed=seed)
    write_bad_scans(tiny_dataset)
    summary = tiny_dataset.preprocess(num_processes=2)
    assert summary.identifiers == ("a", "c", "pat 1.v2")
    parallel = {case: load(tiny_dataset, case) for case in summary.identifiers}
    for case in summary.identifiers:
        (tiny_dataset.unlabelled / f"{case}.b2nd").unlink()
    assert tiny_dataset.preprocess().done == summary.identifiers
    for case, (image, mask, properties) in parallel.items():
        again_image, again_mask, again_properties = load(tiny_dataset, case)
        np.testing.assert_array_equal(image, again_image)
        np.testing.assert_array_equal(mask, again_mask)
        np.testing.assert_array_equal(properties["body_locations"], again_properties["body_locations"])
