"""Organs that are unlike those of the other cases are told; what differs among healthy people is not."""

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.doctor.organ_places import OrganPlace, odd_cases, organ_places

ORGANS = ("liver", "spleen", "lungs")
USUAL = {
    "liver": OrganPlace(1500.0, (-60.0, 0.0, 0.0)),
    "spleen": OrganPlace(200.0, (90.0, 40.0, 10.0)),
    "lungs": OrganPlace(4000.0, (0.0, 0.0, 200.0)),
}


def odd(changed: dict[str, OrganPlace], *, others: int = 4) -> dict[str, list[str]]:
    return odd_cases({**{str(number): USUAL for number in range(others)}, "x": changed}, organs=ORGANS)


def test_cases_that_are_alike_are_not_odd():
    assert odd(USUAL) == {}


def test_an_organ_that_one_case_lacks_is_told():
    assert odd({organ: USUAL[organ] for organ in ("spleen", "lungs")}) == {"x": ["shows no liver"]}


@pytest.mark.parametrize(("volume", "is_told"), [(360.0, True), (400.0, False), (5900.0, False), (6100.0, True)])
def test_a_volume_is_told_from_four_times_the_others_median_on(volume: float, is_told: bool):
    found = odd({**USUAL, "liver": OrganPlace(volume, USUAL["liver"].middle_in_mm)})
    assert found == ({"x": [f"liver has {volume:.3g} ml, in the others 1.5e+03"]} if is_told else {})


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        (0, ["left and right are exchanged: liver and spleen, liver and lungs, spleen and lungs"]),
        (1, ["front and back are exchanged: liver and spleen, spleen and lungs"]),
        (2, ["head and feet are exchanged: liver and lungs, spleen and lungs"]),
    ],
)
def test_organs_that_lie_mirrored_are_told(axis: int, told: list[str]):
    signs = np.where(np.arange(3) == axis, -1, 1)
    turned = {
        organ: OrganPlace(place.volume_in_ml, tuple(signs * place.middle_in_mm)) for organ, place in USUAL.items()
    }
    assert odd(turned) == {"x": told}


def test_organs_that_lie_near_each_other_may_change_sides():
    near = {**USUAL, "liver": OrganPlace(1500.0, (75.0, 0.0, 0.0)), "lungs": OrganPlace(4000.0, (60.0, 0.0, 200.0))}
    assert odd(near) == {}


def test_one_pair_of_several_may_lie_otherwise():
    far = {**USUAL, "spleen": OrganPlace(200.0, (90.0, -40.0, 10.0))}
    assert odd(far) == {"x": ["front and back are exchanged: liver and spleen, spleen and lungs"]}
    more = {"bladder": OrganPlace(150.0, (0.0, -80.0, -300.0)), "brain": OrganPlace(1400.0, (0.0, 80.0, 500.0))}
    cases = {str(number): {**USUAL, **more} for number in range(4)}
    assert odd_cases({**cases, "x": {**far, **more}}, organs=ORGANS) == {}


def test_of_three_cases_nobody_can_say_which_one_is_odd():
    assert odd({"liver": OrganPlace(1.0, (100.0, 0.0, 0.0))}, others=2) == {}


def test_places_are_in_millimetres_of_the_patient_however_the_map_is_stored():
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 2, 3:5] = 7
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((10.0, 20.0, 30.0))
    for orientation in ("LPS", "RAS"):
        places = organ_places(sitk.DICOMOrient(image, orientation), {"liver": 7, "spleen": 2})
        assert list(places) == ["liver"]
        assert places["liver"].volume_in_ml == pytest.approx(12.0)
        assert places["liver"].middle_in_mm == pytest.approx((35.0, 40.0, 30.0))
