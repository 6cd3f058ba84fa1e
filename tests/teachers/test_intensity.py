import pytest
import torch

from nnunetv2_muduo.teachers.intensity import normalise_for_teacher


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
