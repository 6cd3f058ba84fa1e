"""A whole case pseudo-labelled by two teachers: fusion, agreement and numbers against their plain definitions."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bright_teacher import BrightTeacher

from nnunetv2_muduo.pseudo_labelling.dual_scan import DualScan, Geometry
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers import windows
from nnunetv2_muduo.teachers.intensity import normalise_for_teacher

ORGANS = {"liver": 1, "spleen": 2, "bladder": 3}
SPACING = (4.0, 5.0, 6.0)
SHAPE = (24, 20, 22)
LIVER = (slice(4, 14), slice(4, 12), slice(5, 15))
SPLEEN = (slice(17, 22), slice(12, 17), slice(14, 20))


def scan() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT that shows both organs, PET that shows the lower part of the liver alone; prompts of both organs, smaller."""
    ct, pet, prompts = np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    ct[LIVER], ct[SPLEEN] = 100.0, 100.0
    pet[4:9, 4:12, 5:15] = 100.0
    prompts[6:12, 5:11, 7:13], prompts[18:21, 13:16, 15:19] = 1, 2
    return ct, pet, prompts


def geometry(direction=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), spacing=SPACING) -> Geometry:
    return Geometry(spacing, (0.0, 0.0, 0.0), direction)


def teachers(ct=None, pet=None, **settings) -> DualScan:
    ct, pet = ct or BrightTeacher(32, 4.0, "RAS"), pet or BrightTeacher(32, 6.0)
    return DualScan(ct, pet, Settings(**settings), torch.device("cpu"))


def dice(first, second) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def box(part) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[part] = True
    return mask


def test_where_both_teachers_see_an_organ_it_is_labelled_and_where_one_does_they_disagree():
    ct, pet, prompts = scan()
    result = teachers().label("case", ct, pet, prompts, geometry=geometry(), organs=ORGANS)
    lower = box((slice(4, 9), slice(4, 12), slice(5, 15)))
    core = box((slice(5, 8), slice(5, 11), slice(6, 14)))
    assert (result.labels[core] > 0).all()
    assert (result.agreement[core] > 90).all()
    upper_core = box((slice(11, 13), slice(5, 11), slice(6, 14)))
    assert (result.agreement[upper_core] < 10).all()
    assert result.agreement[0, 0, 0] > 90
    assert dice(result.labels > 0, lower) > 0.7


def test_ct_is_clamped_for_its_teacher_and_pet_is_not(monkeypatch: pytest.MonkeyPatch):
    clamps = []

    def note(raw: torch.Tensor, clamp: tuple[float, float] | None) -> torch.Tensor:
        clamps.append(clamp)
        return normalise_for_teacher(raw, clamp)

    monkeypatch.setattr(windows, "normalise_for_teacher", note)
    ct, pet, prompts = scan()
    dual = teachers()
    dual.label("case", ct, pet, prompts, geometry=geometry(), organs=ORGANS)
    of_ct, of_pet = len(dual.ct.images), len(dual.pet.images)
    assert clamps == of_ct * [(-1000.0, 1000.0)] + of_pet * [None]


def test_quality_tells_what_a_plain_computation_on_whole_volumes_tells():
    ct, pet, prompts = scan()
    dual = teachers()
    result = dual.label("case", ct, pet, prompts, geometry=geometry(), organs=ORGANS)
    liver, spleen, bladder = result.qualities
    assert bladder.prompt_ml == bladder.ct_windows == 0
    voxel = 4 * 5 * 6 / 1000
    assert liver.prompt_ml == pytest.approx((prompts == 1).sum() * voxel)
    assert liver.fused_ml == pytest.approx((result.labels == 1).sum() * voxel)
    assert spleen.prompt_dice == pytest.approx(dice(result.labels == 2, prompts == 2))
    assert liver.mean_agreement == pytest.approx(result.agreement[result.labels == 1].mean() / 100)
    assert liver.ct_ml > liver.pet_ml
    assert 0 < liver.teacher_iou < 1


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR", "SLA"])
def test_orientation_of_the_scan_makes_no_difference(orientation: str):
    ct, pet, prompts = scan()
    plain = teachers().label("case", ct, pet, prompts, geometry=geometry(), organs=ORGANS)

    def turned(array: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(SPACING)
        return sitk.DICOMOrient(image, orientation)

    images = [turned(array) for array in (ct, pet, prompts)]
    result = teachers().label(
        "case",
        *[sitk.GetArrayFromImage(image) for image in images],
        geometry=geometry(images[0].GetDirection(), images[0].GetSpacing()),
        organs=ORGANS,
    )
    for found, wanted in ((result.labels, plain.labels), (result.agreement, plain.agreement)):
        back = sitk.GetImageFromArray(found)
        back.CopyInformation(images[0])
        # points are placed by voxel order, which turns with the scan; this stub's answer does not depend on them
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(back, "LPS")), wanted)


class CalledTeacher(BrightTeacher):
    """Answers organ number k of a call with the k-th of its logits, everywhere."""

    def __init__(self, *logits: float) -> None:
        super().__init__(32, 4.0)
        self.values = torch.tensor(logits)

    def decode(self, embedding, coords=None, labels=None, masks=None):
        targets = next(given.shape[1] for given in (coords, masks) if given is not None)
        logits = self.values[:targets].view(1, -1, 1, 1, 1).expand(1, -1, 16, 16, 16)
        return logits, torch.ones(1, targets)


def two_voxel_organs() -> tuple[np.ndarray, np.ndarray]:
    image, prompts = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32), np.zeros((8, 8, 8), np.uint8)
    prompts[4, 4, 4], prompts[4, 4, 5] = 1, 2
    return image, prompts


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_organs_overlap_the_larger_fused_probability_wins(order: tuple[int, int]):
    image, prompts = two_voxel_organs()
    logits = torch.tensor([[1.0, 2.0], [3.0, 1.8]])[:, list(order)]  # fused 0.84 and 0.87
    dual = teachers(CalledTeacher(*logits[0]), CalledTeacher(*logits[1]))
    result = dual.label("case", image, image, prompts, geometry=geometry(spacing=(4.0,) * 3), organs=ORGANS)
    p = logits.sigmoid()
    winner = int(p.mean(0).argmax()) + 1
    assert (result.labels == winner).all()
    difference = float((p[0] - p[1]).abs()[winner - 1])
    assert (result.agreement == round(100 * (1 - difference))).all()
    assert result.qualities[2 - winner].fused_ml == 0  # the other one of the first two
    assert result.claims.of([3 - winner], (8, 8, 8)).all()


def test_in_background_the_agreement_is_that_of_the_organ_most_disputed():
    image, prompts = two_voxel_organs()
    dual = teachers(CalledTeacher(-3.0, -0.5), CalledTeacher(-3.0, -2.0))
    result = dual.label("case", image, image, prompts, geometry=geometry(spacing=(4.0,) * 3), organs=ORGANS)
    p = torch.tensor([-0.5, -2.0]).sigmoid()
    assert not result.labels.any()
    assert (result.agreement == round(100 * (1 - float(p[0] - p[1])))).all()
    assert np.array_equal(result.claims.of([1, 2], (8, 8, 8)), prompts > 0)


@pytest.mark.parametrize("off", ["ct", "pet"])
def test_one_teacher_switched_off_leaves_the_others_answer(off: str):
    ct, pet, prompts = scan()
    dual = DualScan(
        None if off == "ct" else BrightTeacher(32, 4.0),
        None if off == "pet" else BrightTeacher(32, 4.0),
        Settings(),
        torch.device("cpu"),
    )
    result = dual.label("case", ct, pet, prompts, geometry=geometry(), organs=ORGANS)
    liver = result.qualities[0]
    assert getattr(liver, f"{off}_ml") is None
    assert (result.agreement == 100).all()
    assert liver.fused_ml > 0


def test_nothing_prompted_gives_an_empty_map():
    ct, pet, prompts = scan()
    result = teachers().label("case", ct, pet, np.zeros_like(prompts), geometry=geometry(), organs=ORGANS)
    assert not result.labels.any()
    assert (result.agreement == 100).all()
    assert all(quality.prompt_ml == 0 for quality in result.qualities)


@pytest.mark.parametrize("point_mask", ["zeros", "none"])
def test_mask_beside_the_pet_teachers_points_is_the_one_of_the_settings(point_mask: str):
    ct, pet, prompts = scan()
    dual = teachers(point_mask=point_mask)
    dual.label("case", ct, pet, prompts, geometry=geometry(), organs=ORGANS)
    masks = [prompt["masks"] for prompt in dual.pet.prompts]
    assert masks
    assert all((mask is None) == (point_mask == "none") for mask in masks)
