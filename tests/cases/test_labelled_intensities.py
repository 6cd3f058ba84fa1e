import json

import numpy as np
import pytest
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.cases.labelled_intensities import labelled_raw_intensities
from nnunetv2_muduo.errors import UserError


def preprocess_labelled(dataset, case):
    """What nnUNetv2_preprocess does for one case."""
    plans = PlansManager(dataset.plans)
    folder = dataset.preprocessed / "nnUNetPlans_3d_fullres"
    folder.mkdir(parents=True, exist_ok=True)
    DefaultPreprocessor(verbose=False).run_case_save(
        str(folder / case),
        [str(dataset.raw / "imagesTr" / f"{case}_000{channel}.nii.gz") for channel in (0, 1)],
        str(dataset.raw / "labelsTr" / f"{case}.nii.gz"),
        plans,
        plans.get_configuration("3d_fullres"),
        dataset.dataset_json,
    )


@pytest.fixture
def labelled(tiny_dataset):
    """Two labelled cases, preprocessed, and their raw arrays."""
    arrays = {}
    for seed, case in enumerate(("a", "pat 1.v2")):
        arrays[case] = tiny_dataset.write_labelled(case, seed=seed)
        preprocess_labelled(tiny_dataset, case)
    return tiny_dataset, arrays


def undo(dataset, cases=("a", "pat 1.v2"), **options):
    arguments = {"log": lambda message: None, **options}
    return labelled_raw_intensities(cases, **dataset.arguments(), **arguments)


def assert_recovered(dataset, arrays, undone):
    data = nnUNetDatasetBlosc2(str(dataset.preprocessed / "nnUNetPlans_3d_fullres"))
    for case, raw in arrays.items():
        image = data.load_case(case)[0][:]
        for channel, (scale, shift) in enumerate(undone[case]):
            np.testing.assert_allclose(image[channel] * scale + shift, raw[channel], atol=1e-3)


def test_raw_intensities_of_labelled_cases_are_recovered(labelled):
    dataset, arrays = labelled
    assert_recovered(dataset, arrays, undo(dataset))


def test_the_second_time_nothing_is_read(labelled):
    dataset, arrays = labelled
    first = undo(dataset)
    for file in (dataset.raw / "imagesTr").iterdir():
        file.unlink()
    assert undo(dataset) == first
    assert_recovered(dataset, arrays, first)


def test_cases_of_another_fold_are_added_to_what_is_known(labelled):
    dataset, _ = labelled
    undo(dataset, ["a"])
    messages: list[str] = []
    undo(dataset, log=messages.append)
    assert len(messages) == 1
    assert "1 labelled" in messages[0]
    cache = dataset.preprocessed / "nnUNetPlans_3d_fullres_labelled_raw_intensities.json"
    assert set(json.loads(cache.read_text())) == {"a", "pat 1.v2"}


def test_a_case_that_is_preprocessed_anew_is_read_anew(labelled):
    dataset, _ = labelled
    undo(dataset)
    changed = {"a": dataset.write_labelled("a", seed=9)}
    (dataset.preprocessed / "nnUNetPlans_3d_fullres" / "a.b2nd").unlink()
    (dataset.preprocessed / "nnUNetPlans_3d_fullres" / "a_seg.b2nd").unlink()
    preprocess_labelled(dataset, "a")
    assert_recovered(dataset, changed, undo(dataset))


def test_plans_alone_are_enough_where_no_case_has_statistics_of_its_own(tiny_dataset):
    tiny_dataset.set_schemes("CTNormalization", "NoNormalization")
    assert undo(tiny_dataset, ["a"]) == {"a": [(60.0, 30.0), (1.0, 0.0)]}
    assert not tiny_dataset.preprocessed.exists()


@pytest.mark.parametrize("missing", ["imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz"])
def test_a_missing_raw_scan_is_named_with_the_remedy(labelled, missing):
    dataset, _ = labelled
    (dataset.raw / missing).unlink()
    with pytest.raises(UserError, match="put the scan back"):
        undo(dataset)


def test_a_missing_folder_is_named_with_the_remedy(labelled, tmp_path):
    dataset, _ = labelled
    (dataset.folder / "raw").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"imagesTr.*put the scan back"):
        undo(dataset)


def test_a_case_that_is_not_preprocessed_is_named(labelled):
    dataset, _ = labelled
    with pytest.raises(UserError, match=r"case b is not preprocessed.*nnUNetv2_preprocess"):
        undo(dataset, ["a", "b"])


def test_a_scheme_that_cannot_be_undone_is_refused(labelled):
    dataset, _ = labelled
    dataset.set_schemes("CTNormalization", "RGBTo01Normalization")
    with pytest.raises(UserError, match=r"1.*PET.*RGBTo01Normalization"):
        undo(dataset)


def test_a_labelled_scan_with_nan_of_which_nnunet_made_nothing_else_is_refused(labelled):
    """nnU-Net's readers with nibabel hand NaN on, and a z-score of an image with one is NaN everywhere."""
    dataset, arrays = labelled
    dataset.plans["image_reader_writer"] = "NibabelIO"
    broken = arrays["a"][1].copy()
    broken[0, 0, 0] = np.nan
    dataset.write_channel(broken, dataset.raw / "imagesTr" / "a_0001.nii.gz")
    for file in ("a.b2nd", "a_seg.b2nd"):
        (dataset.preprocessed / "nnUNetPlans_3d_fullres" / file).unlink()
    preprocess_labelled(dataset, "a")
    data = nnUNetDatasetBlosc2(str(dataset.preprocessed / "nnUNetPlans_3d_fullres"))
    assert np.isnan(data.load_case("a")[0][1]).all()
    with pytest.raises(UserError, match=r"scan a holds 1 voxel\(s\) that are NaN or infinite"):
        undo(dataset)
