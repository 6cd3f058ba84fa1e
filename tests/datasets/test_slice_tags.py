"""DICOM slices that do not say where they are or what their values mean are refused; ITK would make it up."""

from pathlib import Path

import pytest

from nnunetv2_muduo.datasets.slice_tags import (
    INTERCEPT,
    ORIENTATION,
    PHOTOMETRIC,
    PIXEL_SPACING,
    POSITION,
    SIGNED,
    SLOPE,
    STORED,
    check_tags,
    need_floats,
)
from nnunetv2_muduo.errors import UserError

WHOLE = {
    POSITION: ("0\\0\\0", "0\\0\\4"),
    ORIENTATION: ("1\\0\\0\\0\\1\\0",) * 2,
    PIXEL_SPACING: ("3\\2",) * 2,
    SLOPE: ("1", "2.5"),
    INTERCEPT: ("0", "-1024"),
    PHOTOMETRIC: ("MONOCHROME2",) * 2,
    SIGNED: ("0",) * 2,
    STORED: ("16",) * 2,
}


def check(tag: str = PHOTOMETRIC, *said: str, modality: str = "PT", spacing=(2.0, 3.0, 4.0)) -> None:
    check_tags(WHOLE | ({tag: said} if said else {}), modality=modality, spacing=spacing, folder=Path("series"))


def test_slices_that_say_all_of_it_pass():
    check()
    check(PIXEL_SPACING, " 3.0001 \\2", "3\\2")


@pytest.mark.parametrize(
    "text", ["", "text", "1", "1\\2", "1\\2\\3\\4", "nan\\0\\0", "inf\\0\\0", "1,5\\0\\0", "0x10\\0\\0"]
)
@pytest.mark.parametrize(
    ("tag", "name"), [(POSITION, "ImagePositionPatient"), (ORIENTATION, "ImageOrientationPatient")]
)
def test_a_place_that_is_missing_or_no_number_is_refused(tag, name, text):
    with pytest.raises(UserError, match=rf"^1 of the 2 DICOM slices of series lack {name} or hold something else"):
        check(tag, WHOLE[tag][0], text)


@pytest.mark.parametrize("text", ["", "text", "1,5", "nan", "1\\2"])
@pytest.mark.parametrize("tag", [SLOPE, INTERCEPT])
def test_a_factor_that_is_missing_or_no_number_is_refused(tag, text):
    with pytest.raises(UserError, match=r"^2 of the 2 DICOM slices of series lack Rescale"):
        check(tag, text, text)


def test_images_of_other_modalities_need_no_factor_but_one_for_all():
    check(SLOPE, "", "", modality="MR")
    with pytest.raises(UserError, match=r"^1 of the 2 .* lack RescaleSlope"):
        check(SLOPE, "", "1", modality="MR")


def test_a_factor_of_nothing_is_refused():
    with pytest.raises(UserError, match="RescaleSlope of 0"):
        check(SLOPE, "0", "1")


def test_a_pixel_spacing_that_itk_does_not_take_is_refused():
    with pytest.raises(UserError, match="PixelSpacing of 3 x 2 mm, and are read with 1 x 1"):
        check(spacing=(1.0, 1.0, 4.0))
    with pytest.raises(UserError, match="PixelSpacing of 3 x -2 mm"):
        check(PIXEL_SPACING, "3\\2", "3\\-2")


@pytest.mark.parametrize("kind", ["MONOCHROME1", "RGB", "PALETTE COLOR", ""])
def test_inverted_and_coloured_images_are_refused(kind):
    with pytest.raises(UserError, match=f"PhotometricInterpretation of '{kind}'"):
        check(PHOTOMETRIC, kind, "MONOCHROME2")


def test_whole_numbers_are_enough_where_all_slices_have_the_same_whole_factors_and_bits():
    alike = WHOLE | {SLOPE: ("2", "2"), INTERCEPT: ("-1024", "-1024")}
    assert not need_floats(alike)
    assert not need_floats(alike | {SLOPE: ("", ""), INTERCEPT: ("", "")})
    for tag, others in {SLOPE: ("1", "2"), INTERCEPT: ("0", "-1024"), SIGNED: ("0", "1"), STORED: ("12", "16")}.items():
        assert need_floats(alike | {tag: others})
    assert need_floats(alike | {SLOPE: ("0.5", "0.5")})
