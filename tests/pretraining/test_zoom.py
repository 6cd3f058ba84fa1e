import pytest
import torch

from nnunetv2_muduo.pretraining import size_before_zoom, zoomed


def test_zooming_in_takes_a_smaller_region_and_zooming_out_a_larger_one():
    assert size_before_zoom((96, 128, 128), 1.0) == (96, 128, 128)
    assert size_before_zoom((96, 128, 128), 1.1) == (87, 116, 116)
    assert size_before_zoom((96, 128, 128), 0.9) == (107, 142, 142)
    assert size_before_zoom((1, 1, 1), 1.9) == (1, 1, 1)


def test_a_factor_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        size_before_zoom((8, 8, 8), 0.0)


def test_a_region_of_the_patchs_size_stays_as_it_is():
    region = torch.randn(2, 8, 9, 10)
    assert zoomed(region, (8, 9, 10)) is region


def test_a_ramp_stays_a_ramp_of_another_slope_on_its_own_axis():
    ramp = torch.arange(10.0).view(1, 1, 1, 10).expand(2, 6, 8, 10)
    larger = zoomed(ramp, (6, 8, 20))
    assert larger.shape == (2, 6, 8, 20)
    inner = larger[0, 0, 0, 2:-2]
    assert torch.allclose(inner.diff(), torch.full_like(inner[1:], 0.5), atol=1e-5)
    assert torch.allclose(larger, larger[:, :1, :1].expand_as(larger))
