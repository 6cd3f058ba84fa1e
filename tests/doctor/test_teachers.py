"""Weights that are missing come with the command that fetches them."""

from doctor_dataset import Tiny
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.teachers import check_teacher


def test_missing_weights_come_with_the_command_that_fetches_them(tiny: Tiny):
    check = check_teacher("CT teacher", "sam_med3d_turbo")
    assert mark_of(check) is Mark.WARN
    assert check.remedy.startswith("muduo weights sam_med3d_turbo")


def test_unknown_teacher_fails(tiny: Tiny):
    assert mark_of(check_teacher("CT teacher", "no such teacher")) is Mark.FAIL


def test_teacher_that_is_switched_off_needs_no_weights():
    assert mark_of(check_teacher("CT teacher", None)) is Mark.OK
