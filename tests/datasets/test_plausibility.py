"""Does an image look like what a teacher was trained on?"""

import numpy as np
import pytest

from nnunetv2_muduo.datasets.plausibility import intensity_warnings, looks_like_activity

RNG = np.random.default_rng(0)
CT = RNG.uniform(-1000, 400, (16, 16, 16))
PET = RNG.uniform(0, 12, (16, 16, 16))


@pytest.mark.parametrize(("image", "modality"), [(CT, "CT"), (PET, "PET")])
def test_proper_images_pass(image, modality):
    assert intensity_warnings(image, modality=modality) == []


@pytest.mark.parametrize(
    ("image", "modality", "words"),
    [(PET, "CT", "PET given"), (CT, "PET", "CT given"), (PET * 5000, "PET", "Bq/ml"), (CT / 500, "CT", "normalised")],
)
def test_swapped_or_unconverted_images_are_warned_of(image, modality, words):
    (warning,) = intensity_warnings(image, modality=modality)
    assert words in warning


def test_activity_and_suv_are_told_apart():
    assert looks_like_activity(PET * 5000)
    assert not looks_like_activity(PET)
