"""The picture of a pseudo-labelled case, whichever way the scan is stored."""

import numpy as np
import pytest
import SimpleITK as sitk
from drawn_panels import SHAPE, SPACING_IN_MM, assert_axial, assert_coronal, catch_figures, numbered, panel

from nnunetv2_muduo.pseudo_labelling import case_figure
from nnunetv2_muduo.pseudo_labelling.dual_scan import Geometry

ORGANS = {"liver": 1, "spleen": 7}


def stored(volume: np.ndarray, orientation: str) -> tuple[np.ndarray, Geometry]:
    """A volume that lies as LPS, as a file of another orientation holds it."""
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(SPACING_IN_MM[::-1])
    image = sitk.DICOMOrient(image, orientation)
    return sitk.GetArrayFromImage(image), Geometry(image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def draw(tmp_path, monkeypatch, orientation: str = "LPS", **suggestions: str):
    caught = catch_figures(monkeypatch, case_figure)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 5:7, 3:5], labels[2, 1, 1] = 1, 7
    (ct, geometry), (pet, _), (seen, _) = (stored(v, orientation) for v in (numbered(), -numbered(), labels))
    case_figure.draw_case(
        tmp_path / "a.png",
        ct,
        pet,
        seen,
        seen,
        geometry=geometry,
        organs=ORGANS,
        suggestions={"liver": "keep", "spleen": "keep"} | suggestions,
        case="pat 1.v2",
        oriented=True,
    )
    return caught[0]


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR", "SAL"])
def test_patient_stands_upright_in_true_proportions(tmp_path, monkeypatch, orientation: str):
    figure = draw(tmp_path, monkeypatch, orientation)
    for modality, volume in {"CT": numbered(), "PET": -numbered()}.items():
        assert_axial(panel(figure, f"{modality}, axial"), volume, 2)
        assert_coronal(panel(figure, f"{modality}, coronal"), volume, 5)


def test_legend_tells_what_to_do_with_each_organ_but_absent_ones(tmp_path, monkeypatch):
    figure = draw(tmp_path, monkeypatch, liver="drop", spleen="absent")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["liver: drop"]


@pytest.mark.parametrize(("word", "dashed"), [("keep", False), ("drop", True), ("missing", True)])
def test_an_organ_to_drop_is_dashed(tmp_path, monkeypatch, word: str, dashed: bool):
    figure = draw(tmp_path, monkeypatch, liver=word, spleen="keep")
    dotted, outlined = panel(figure, "CT, coronal").collections[:2]  # what was prompted, what came out: the liver alone
    assert dotted.get_linestyle() != outlined.get_linestyle()
    assert (outlined.get_linestyle()[0][1] is not None) == dashed
