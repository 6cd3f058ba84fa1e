import numpy as np
import pytest

from nnunetv2_muduo.datasets.tissues import TISSUE_PROPERTIES, Tissue, body_box, tissue_named


def test_every_tissue_has_properties_and_fits_a_byte():
    assert set(TISSUE_PROPERTIES) == set(Tissue)
    assert max(Tissue) < 256


def test_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TISSUE_PROPERTIES[Tissue.LIVER] = TISSUE_PROPERTIES[Tissue.FAT]  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("kidney_left", Tissue.KIDNEY),
        ("Urinary bladder", Tissue.BLADDER),
        ("lung_upper_lobe_right", Tissue.LUNG),
        ("head glands", Tissue.GLANDS),
        ("vertebrae_L1", Tissue.BONE),
        ("gallbladder", None),
        ("teapot", None),
    ],
)
def test_organ_names_are_understood(name, tissue):
    assert tissue_named(name) is tissue


def test_body_box_holds_the_body_with_its_margin_inside_the_map():
    tissues = np.zeros((6, 9, 12), np.uint8)
    tissues[1:3, 4, 5:8] = Tissue.SOFT
    assert body_box(tissues) == (slice(0, 5), slice(2, 7), slice(3, 10))


def test_body_box_of_air_is_everything():
    air = np.zeros((2, 3, 4), np.uint8)
    assert air[body_box(air)].shape == air.shape
