"""An organ is labelled by whoever does it best."""

import numpy as np
import torch

from nnunetv2_muduo.distillation import ct_share_of_best, without_the_unfit


def test_the_best_labels_win_and_equal_ones_tell_nothing():
    ct = np.array([0.9, 0.2, 0.5, 0.8, np.nan, 0.7])
    pet = np.array([0.3, 0.9, 0.5, 0.8, np.nan, 0.7])
    both = np.array([0.8, 0.8, 0.5, 0.9, np.nan, 0.1])
    expected = [1.0, 0.0, np.nan, 0.5, np.nan, np.nan]
    np.testing.assert_array_equal(ct_share_of_best(ct, pet, both), expected)


def test_who_does_not_fit_is_left_out_of_a_mixture_only_where_the_other_fits():
    ct_fits = torch.tensor([[True, True, False, False]])
    pet_fits = torch.tensor([[True, False, True, False]])
    assert without_the_unfit(torch.full((4,), 0.5), ct_fits, pet_fits).tolist() == [[0.5, 1.0, 0.0, 0.5]]
    assert without_the_unfit(torch.zeros(4), ct_fits, pet_fits).tolist() == [[0.0] * 4]
    assert without_the_unfit(torch.ones(1, 4), ct_fits, pet_fits).tolist() == [[1.0] * 4]
