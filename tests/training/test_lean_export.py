"""Logits resampled class by class are nnU-Net's own, and travel to its processes."""

import pickle

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.resampling import default_resampling
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import DATASET_JSON, unet_plans

from nnunetv2_muduo.training.lean_export import LeanConfiguration


@pytest.fixture
def stock():
    return PlansManager(unet_plans()).get_configuration("3d_fullres")


def logits(dtype: torch.dtype = torch.half) -> torch.Tensor:
    return torch.randn(3, 6, 7, 8, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (12.0, 2.0, 2.0)])  # the second slice by slice
@pytest.mark.parametrize("dtype", [torch.half, torch.float32])
def test_values_types_and_masks_are_nnunets(stock, spacing: tuple[float, ...], dtype: torch.dtype):
    lean, shape = LeanConfiguration(stock.configuration), (9, 5, 11)
    expected = stock.resampling_fn_probabilities(logits(dtype), shape, stock.spacing, spacing)
    found = lean.resampling_fn_probabilities(logits(dtype), shape, stock.spacing, spacing)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    labels = PlansManager(unet_plans()).get_label_manager(DATASET_JSON)
    np.testing.assert_array_equal(
        labels.convert_logits_to_segmentation(found), labels.convert_logits_to_segmentation(expected)
    )


def test_classes_lie_side_by_side_so_that_numpy_need_not_copy(stock):
    found = LeanConfiguration(stock.configuration).resampling_fn_probabilities(
        logits(), (9, 5, 11), stock.spacing, (3.0, 3.0, 3.0)
    )
    assert np.moveaxis(found, 0, -1).flags.c_contiguous


def test_no_more_than_one_class_is_in_double_precision(stock, monkeypatch: pytest.MonkeyPatch):
    at_once = []
    whole = default_resampling.resample_data_or_seg

    def watched(data, *arguments, **keywords):
        at_once.append(len(data))
        return whole(data, *arguments, **keywords)

    monkeypatch.setattr(default_resampling, "resample_data_or_seg", watched)
    LeanConfiguration(stock.configuration).resampling_fn_probabilities(
        logits(), (9, 5, 11), stock.spacing, (3.0, 3.0, 3.0)
    )
    assert at_once == [1, 1, 1]


def test_logits_that_fit_are_handed_on(stock):
    given = logits()
    lean = LeanConfiguration(stock.configuration)
    assert lean.resampling_fn_probabilities(given, (6, 7, 8), stock.spacing, stock.spacing) is given


def test_configuration_travels_between_processes(stock):
    arrived = pickle.loads(pickle.dumps(LeanConfiguration(stock.configuration)))
    assert type(arrived) is LeanConfiguration
    assert arrived.spacing == stock.spacing
