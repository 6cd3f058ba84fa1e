import pytest

from nnunetv2_muduo.datasets.tissues import TISSUE_PROPERTIES, Tissue


def test_every_tissue_has_properties_and_fits_a_byte():
    assert set(TISSUE_PROPERTIES) == set(Tissue)
    assert max(Tissue) < 256


def test_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TISSUE_PROPERTIES[Tissue.LIVER] = TISSUE_PROPERTIES[Tissue.FAT]  # type: ignore[index]
