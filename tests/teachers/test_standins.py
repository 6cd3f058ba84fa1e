"""The two teachers that come with the package load, say what they are, and see a phantom's large organs."""

import numpy as np
import pytest
import torch

from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.simulated_dataset import ORGANS, organ_labels
from nnunetv2_muduo.datasets.simulation import simulate_pet_ct
from nnunetv2_muduo.prompting import points_from_masks
from nnunetv2_muduo.teachers import DualTeacher, TeacherView
from nnunetv2_muduo.teachers.weights import find_weights, load_teacher

SPACING_IN_MM = (10.0, 10.0, 10.0)
LARGE = ("liver", "lungs")


@pytest.fixture(scope="module")
def phantom() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """CT, PET [1, 1, Z, Y, X] and masks [1, K, Z, Y, X] of the trunk of a person no teacher was trained on."""
    rng = np.random.default_rng(77)
    drawn = draw_phantom(rng, spacing_in_mm=SPACING_IN_MM)
    ct, pet = simulate_pet_ct(drawn.tissues, spacing_in_mm=SPACING_IN_MM, rng=rng)
    labels = organ_labels(drawn.tissues)
    middle = int(np.argwhere(labels == ORGANS["liver"])[:, 0].mean())
    trunk = slice(middle - 20, middle + 20)
    masks = np.stack([labels[trunk] == ORGANS[organ] for organ in LARGE])
    images = (torch.from_numpy(array[trunk])[None, None] for array in (ct, pet))
    return (*images, torch.from_numpy(masks)[None])


def dice(prediction: torch.Tensor, truth: torch.Tensor) -> list[float]:
    shared = (prediction & truth).sum((2, 3, 4))[0]
    return (2 * shared / (prediction.sum((2, 3, 4)) + truth.sum((2, 3, 4)))[0]).tolist()


@pytest.mark.parametrize("name", ["standin_ct", "standin_pet"])
def test_stand_in_is_small_and_never_taken_for_the_real_one(name: str):
    said: list[str] = []
    load_teacher(name, log=said.append)
    assert find_weights(name).stat().st_size < 3_000_000
    assert "stand-in trained on simulated images; it is not" in " ".join(said)


def test_ct_stand_in_mends_a_rough_mask(phantom):
    ct, _, masks = phantom
    teacher = load_teacher("standin_ct", log=lambda _: None)
    view = TeacherView(teacher.spec, patch_size=ct.shape[2:], spacing_in_mm=SPACING_IN_MM, clamp=(-1000.0, 1000.0))
    rough = masks.clone()
    rough[..., : masks.shape[-1] // 3] = False  # a third of the patient is missing
    prompts = view.low_resolution_masks(0.05 + 0.9 * rough.float())
    logits = view.back(DualTeacher(teacher, None).ct_logits(view.images(ct), prompts))
    mended = dice(logits > 0, masks)
    assert min(mended) > 0.6
    assert sum(mended) > sum(dice(rough, masks))


def test_pet_stand_in_outlines_organs_from_three_points(phantom):
    _, pet, masks = phantom
    teacher = load_teacher("standin_pet", log=lambda _: None)
    view = TeacherView(teacher.spec, patch_size=pet.shape[2:], spacing_in_mm=SPACING_IN_MM)
    coords, labels = view.points(*points_from_masks(masks, points=3, strategy="spread"))
    logits = view.back(DualTeacher(None, teacher).pet_logits(view.images(pet), coords, labels))
    assert min(dice(logits > 0, masks)) > 0.5
