"""What scans take follows their shapes; sums are checked against what small scans really take, array by array."""

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import unet_plans

from nnunetv2_muduo.memory.host import ScanShape, export_bytes, prediction_bytes, preprocessing_bytes

SPACING = (3.0, 2.0, 2.0)  # of the plans
WHOLE_BODY = (619, 400, 400)
GIB = 1024**3


@pytest.fixture
def configuration():
    plans = unet_plans()
    plans["configurations"]["3d_fullres"]["resampling_fn_data_kwargs"]["order"] = 3  # as nnU-Net plans it
    return PlansManager(plans).get_configuration("3d_fullres")


def scan(configuration, spacing: tuple[float, ...], shape: tuple[int, ...] = WHOLE_BODY) -> ScanShape:
    return ScanShape.planned(shape, spacing, configuration)


def test_new_shape_is_nnunets(configuration):
    assert scan(configuration, SPACING).new_shape == WHOLE_BODY
    assert scan(configuration, (6.0, 1.0, 4.0), (10, 10, 10)).new_shape == (20, 5, 20)


def test_scan_that_is_resampled_takes_more(configuration):
    plain = preprocessing_bytes(scan(configuration, SPACING), configuration, channels=2)
    resampled = preprocessing_bytes(scan(configuration, (3.0, 2.04, 2.04)), configuration, channels=2)
    assert 1.5 * plain < resampled < 8 * GIB


def test_everything_grows_with_the_voxels(configuration):
    for spacing in (SPACING, (3.0, 2.5, 2.5), (12.0, 2.0, 2.0)):
        small, large = (scan(configuration, spacing, shape) for shape in ((64, 128, 128), (128, 256, 256)))
        for size in (
            lambda one: preprocessing_bytes(one, configuration, channels=2),
            lambda one: prediction_bytes(one, channels=2, classes=13),
            lambda one: export_bytes(one, configuration, classes=13, lean=True),
            lambda one: export_bytes(one, configuration, classes=13, lean=False),
        ):
            assert 6 < size(large) / size(small) < 8.5


def test_prediction_holds_logits_and_looks_for_infinite_ones(configuration):
    one = scan(configuration, (6.0, 2.0, 2.0), (10, 10, 10))
    image, logits, counts, magnitudes, mask = 2 * 4, 13 * 2, 2, 13 * 2, 13 * 1  # bytes a voxel
    assert prediction_bytes(one, channels=2, classes=13) == 2000 * (image + logits + counts + magnitudes + mask)


def test_whole_body_of_13_classes_is_written_below_8_gib_by_our_trainers_only(configuration):
    body = scan(configuration, (2.5, 2.0, 2.0))
    libraries = 0.6 * GIB
    assert export_bytes(body, configuration, classes=13, lean=True) + libraries < 8 * GIB
    assert export_bytes(body, configuration, classes=13, lean=False) + libraries > 10 * GIB


def test_slices_apart_take_their_coordinates(configuration):
    thick, thin = scan(configuration, (12.0, 2.0, 2.0)), scan(configuration, (4.0, 2.0, 2.0))
    per_new_voxel = [preprocessing_bytes(one, configuration, channels=2) / one.new_voxels for one in (thick, thin)]
    assert per_new_voxel[0] > per_new_voxel[1]


@pytest.mark.parametrize("lean", [True, False])
def test_arrays_of_export_are_those_that_are_held(configuration, lean: bool):
    """Python's own accounting of numpy's memory, on a small scan, without the copies inside of compiled code."""
    import tracemalloc

    from nnunetv2_muduo.training.lean_export import LeanConfiguration

    body, used = scan(configuration, (3.0, 3.0, 3.0), (40, 40, 40)), configuration
    if lean:
        used = LeanConfiguration(configuration.configuration)
    logits = np.zeros((13, *body.new_shape), dtype=np.float16)
    tracemalloc.start()
    resampled = used.resampling_fn_probabilities(logits, body.shape, configuration.spacing, (3.0, 3.0, 3.0))
    resampled.argmax(0)
    peak = tracemalloc.get_traced_memory()[1] + logits.nbytes
    tracemalloc.stop()
    predicted = export_bytes(body, configuration, classes=13, lean=lean)
    assert predicted == pytest.approx(peak, rel=0.15)
