"""Names of files."""

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.layouts import Layout, chosen_layout, preset_layout


def test_given_patterns_go_before_those_of_the_preset():
    layout = chosen_layout("autopet", ct=["CT.nii.gz"])
    assert layout == Layout(ct=("CT.nii.gz",), pet=("SUV.nii.gz",), label=("SEG.nii.gz",))


@pytest.mark.parametrize("name", ["spade", "vimedpet"])
def test_a_set_of_unknown_layout_points_to_the_general_options(name):
    with pytest.raises(UserError, match=r"not known here.*--ct, --pet and --label"):
        preset_layout(name)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(UserError, match="autopet, deep-psma"):
        preset_layout("autopte")


@pytest.mark.parametrize("pattern", ["", "/data/CT.nii.gz", "../CT.nii.gz"])
def test_patterns_stay_within_a_case(pattern):
    with pytest.raises(UserError, match="relative to a case's folder"):
        Layout(ct=(pattern,), pet=("PET.nii.gz",))


def test_ct_and_pet_must_be_named():
    with pytest.raises(UserError, match="--ct and --pet"):
        chosen_layout(None, ct=["CT.nii.gz"])
