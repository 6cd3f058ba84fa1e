import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.normalization import default_normalization_schemes as nnunet_schemes

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.intensity import INVERTIBLE_SCHEMES, normalise_for_teacher, raw_intensity

PROPERTIES = {"mean": 40.0, "std": 120.0, "percentile_00_5": -900.0, "percentile_99_5": 800.0}


def undo(scheme: str, case: np.ndarray):
    return raw_intensity(
        scheme,
        intensity_properties=PROPERTIES,
        mean=float(case.mean()),
        std=float(case.std()),
        minimum=float(case.min()),
        maximum=float(case.max()),
    )


@pytest.fixture
def case() -> np.ndarray:
    return np.random.default_rng(0).uniform(-800, 700, (5, 6, 7)).astype(np.float32)


@pytest.mark.parametrize("scheme", INVERTIBLE_SCHEMES)
def test_what_nnunet_normalised_comes_back(scheme, case):
    normalised = getattr(nnunet_schemes, scheme)(False, PROPERTIES).run(case.copy())
    raw = undo(scheme, case)
    assert np.allclose(normalised * raw.scale + raw.shift, case, atol=1e-2)


@pytest.mark.parametrize("scheme", ["ZScoreNormalization", "RescaleTo01Normalization"])
def test_a_constant_case_comes_back_too(scheme):
    constant = np.full((3, 4, 5), 7.0, dtype=np.float32)
    normalised = getattr(nnunet_schemes, scheme)(False, PROPERTIES).run(constant.copy())
    raw = undo(scheme, constant)
    assert np.allclose(normalised * raw.scale + raw.shift, 7.0)


def test_another_scheme_is_refused_by_name(case):
    with pytest.raises(UserError, match="RGBTo01Normalization"):
        undo("RGBTo01Normalization", case)


def test_plans_without_intensity_properties_are_refused():
    with pytest.raises(UserError, match="foreground intensity properties"):
        raw_intensity("CTNormalization", intensity_properties={}, mean=0, std=1, minimum=0, maximum=1)


def test_a_missing_statistic_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="mean and std"):
        raw_intensity("ZScoreNormalization", intensity_properties=None, mean=None, std=None, minimum=0.0, maximum=1.0)


def test_statistics_come_from_the_positive_voxels_and_apply_to_all():
    raw = torch.tensor([-500.0, 0.0, 10.0, 20.0, 60.0]).view(1, 1, 1, 1, 5)
    inside = raw[raw > 0]
    assert torch.allclose(normalise_for_teacher(raw, None), (raw - inside.mean()) / inside.std())


def test_clamping_comes_before_the_statistics():
    raw = torch.tensor([-3000.0, 100.0, 500.0, 5000.0]).view(1, 1, 4)
    clamped = raw.clamp(-1000, 1000)
    assert torch.equal(normalise_for_teacher(raw, (-1000.0, 1000.0)), normalise_for_teacher(clamped, None))
    assert not torch.equal(normalise_for_teacher(raw, None), normalise_for_teacher(clamped, None))


def test_images_of_a_batch_are_normalised_each_by_itself():
    raw = torch.rand(3, 1, 4, 5, 6) * torch.tensor([1.0, 10.0, 1000.0]).view(3, 1, 1, 1, 1)
    together = normalise_for_teacher(raw, None)
    assert torch.allclose(together, torch.cat([normalise_for_teacher(image[None], None) for image in raw]))
    assert torch.allclose(together.flatten(1).mean(1), torch.zeros(3), atol=1e-5)


@pytest.mark.parametrize(
    "raw",
    [torch.full((1, 1, 32, 32, 32), 1000.3), torch.full((1, 1, 4, 4, 4), -1000.0), torch.zeros(1, 1, 4, 4, 4)],
    ids=["constant", "nothing above zero", "zeros"],
)
def test_an_image_without_a_scale_becomes_zeros(raw):
    assert torch.equal(normalise_for_teacher(raw, None), torch.zeros_like(raw))


def test_a_single_positive_voxel_is_no_scale():
    raw = torch.full((1, 1, 4, 4, 4), -1000.0)
    raw[0, 0, 1, 2, 3] = 50
    assert torch.equal(normalise_for_teacher(raw, None), torch.zeros_like(raw))


def test_the_callers_image_and_dtype_are_kept():
    raw = (torch.rand(1, 1, 4, 4, 4) * 2000 - 1000).bfloat16()
    before = raw.clone()
    with torch.inference_mode():
        normalised = normalise_for_teacher(raw, (-100.0, 100.0))
    assert torch.equal(raw, before)
    assert normalised.dtype == torch.bfloat16
    assert normalise_for_teacher(torch.arange(8).view(1, 1, 8), None).dtype == torch.float32
