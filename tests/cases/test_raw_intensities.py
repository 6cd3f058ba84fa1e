import numpy as np
import pytest
from nnunetv2.preprocessing.normalization import default_normalization_schemes as nnunet_schemes
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.cases.raw_intensities import (
    check_schemes,
    crop_as_nnunet_does,
    needs_scan,
    outside_is_zero,
    raw_intensities_of_case,
    raw_intensities_of_plans,
    raw_padding,
)
from nnunetv2_muduo.errors import UserError

SCHEMES = ["CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization"]


def managers(dataset):
    plans = PlansManager(dataset.plans)
    return plans, plans.get_configuration("3d_fullres")


def scan_with_empty_borders(seed: int = 0) -> np.ndarray:
    """[2, 16, 18, 20]; zero outside an ellipsoid, so that nnU-Net crops it and has a mask."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(-1, 1, size) for size in (16, 18, 20)), indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.8
    return np.where(inside, rng.normal(5, 2, (2, *inside.shape)), 0).astype(np.float32)


@pytest.mark.parametrize("with_labels", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("schemes", [("ZScoreNormalization", "RescaleTo01Normalization"), ("ZScoreNormalization",) * 2])
def test_statistics_are_nnunets_own_on_cropped_and_masked_scans(tiny_dataset, schemes, masked, with_labels):
    tiny_dataset.set_schemes(*schemes, masked=masked)
    tiny_dataset.plans["transpose_forward"] = [2, 0, 1]
    plans, configuration = managers(tiny_dataset)
    image = scan_with_empty_borders()
    labels = np.zeros((1, 16, 18, 20), dtype=np.float32)
    labels[0, 8, 1, 8:12] = 1  # outside the nonzero region, inside its bounding box
    given_labels = labels if with_labels else None
    properties: dict = {"spacing": [3.0, 2.0, 2.5]}
    configuration.configuration["spacing"] = [2.5, 3.0, 2.0]  # the scan's own, so that nothing is resampled
    normalised, mask, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        image, given_labels, properties, plans, configuration, tiny_dataset.dataset_json
    )
    cropped, outside = crop_as_nnunet_does(
        image, given_labels, properties["bbox_used_for_cropping"], plans, configuration
    )
    undone = raw_intensities_of_case(cropped, outside, plans, configuration)
    assert cropped.shape == normalised.shape
    for channel, (scale, shift) in enumerate(undone):
        raw = normalised[channel] * scale + shift
        if outside_is_zero(configuration)[channel]:
            raw[mask[0] < 0] = 0
        np.testing.assert_allclose(raw, cropped[channel], atol=1e-3)
    if with_labels:
        assert labels.min() == 0, "nnU-Net's cropping writes into labels; not into ours"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("constant", [False, True])
def test_what_nnunet_normalised_comes_back(tiny_dataset, scheme, constant):
    tiny_dataset.set_schemes(scheme, scheme)
    plans, configuration = managers(tiny_dataset)
    case = np.random.default_rng(0).uniform(-800, 700, (2, 5, 6, 7)).astype(np.float32)
    if constant:
        case[:] = 7.0
    undone = raw_intensities_of_case(case, np.zeros(case.shape[1:]), plans, configuration)
    for channel, (scale, shift) in enumerate(undone):
        properties = plans.foreground_intensity_properties_per_channel[str(channel)]
        wide = {**properties, "percentile_00_5": -1e4, "percentile_99_5": 1e4}  # what is clipped stays clipped
        normalised = getattr(nnunet_schemes, scheme)(False, wide).run(case[channel].copy())
        assert np.allclose(normalised * scale + shift, case[channel], atol=1e-2)


def test_a_scheme_that_cannot_be_undone_is_refused_by_name_and_channel(tiny_dataset):
    tiny_dataset.set_schemes("CTNormalization", "RGBTo01Normalization")
    with pytest.raises(UserError, match=r"Channel 1 \('PET'\) cannot .* from RGBTo01Normalization; plan with"):
        check_schemes(managers(tiny_dataset)[1], ("CT", "PET"))


def test_plans_without_intensity_properties_are_refused(tiny_dataset):
    tiny_dataset.set_schemes("CTNormalization", "NoNormalization")
    tiny_dataset.plans["foreground_intensity_properties_per_channel"]["0"] = {}
    with pytest.raises(UserError, match="foreground intensity properties"):
        raw_intensities_of_plans(*managers(tiny_dataset))


def test_only_masked_z_scores_leave_the_outside_at_zero(tiny_dataset):
    tiny_dataset.set_schemes("CTNormalization", "ZScoreNormalization", masked=True)
    assert outside_is_zero(managers(tiny_dataset)[1]) == [False, True]
    tiny_dataset.set_schemes("ZScoreNormalization", "ZScoreNormalization", masked=False)
    assert outside_is_zero(managers(tiny_dataset)[1]) == [False, False]


@pytest.mark.parametrize(
    ("schemes", "needed"),
    [
        (("CTNormalization", "NoNormalization"), False),
        (("CTNormalization", "ZScoreNormalization"), True),
        (("RescaleTo01Normalization", "NoNormalization"), True),
    ],
)
def test_scans_are_needed_for_statistics_of_each_case_alone(tiny_dataset, schemes, needed):
    tiny_dataset.set_schemes(*schemes)
    assert needs_scan(managers(tiny_dataset)[1]) == needed


def test_plans_alone_undo_ct_and_no_normalisation(tiny_dataset):
    tiny_dataset.set_schemes("CTNormalization", "NoNormalization")
    assert raw_intensities_of_plans(*managers(tiny_dataset)) == [(60.0, 30.0), (1.0, 0.0)]


def test_outside_a_scan_is_air():
    assert raw_padding(3, ct_channel=1) == (0.0, -1024.0, 0.0)
