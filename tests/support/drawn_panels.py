"""What is seen in a figure's panels: which voxels, which side up, in which proportions."""

from types import ModuleType

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SPACING_IN_MM = (5.0, 3.0, 2.0)  # (z, y, x), of `numbered`
SHAPE = (6, 8, 7)


def numbered() -> np.ndarray:
    """[Z, Y, X] of SHAPE, each voxel another number; z upwards, y to the back, x to the left."""
    return np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


def catch_figures(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[Figure]:
    """Gets the figures that a module would save."""
    caught: list[Figure] = []
    monkeypatch.setattr(module, "save_figure", lambda figure, path: caught.append(figure))
    return caught


def panel(figure: Figure, title: str) -> Axes:
    """The panel that is called so."""
    return next(axis for axis in figure.axes if axis.get_title() == title)


def on_screen(axis: Axes) -> np.ndarray:
    """The picture of a panel, the row on top first."""
    image = axis.images[0]
    values = np.ma.filled(image.get_array(), np.nan)
    return values[::-1] if image.origin == "lower" else values


def sides(axis: Axes) -> dict[str, str]:
    """Edge of a panel -> the letter that stands there."""
    edges = {(0, 0.5): "left", (1, 0.5): "right", (0.5, 1): "top", (0.5, 0): "bottom"}
    places = [tuple(np.round(2 * np.array(text.get_position())) / 2) for text in axis.texts]
    return {edges[place]: text.get_text() for place, text in zip(places, axis.texts, strict=True)}


def assert_axial(axis: Axes, volume: np.ndarray, z: int) -> None:
    """The patient's front is on top, as letters say, and a millimetre as long in both directions."""
    np.testing.assert_array_equal(on_screen(axis), volume[z])
    assert axis.get_aspect() == SPACING_IN_MM[1] / SPACING_IN_MM[2]
    assert sides(axis) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}


def assert_coronal(axis: Axes, volume: np.ndarray, y: int) -> None:
    """The head is on top, as letters say, and a millimetre as long in both directions."""
    np.testing.assert_array_equal(on_screen(axis), volume[::-1, y])
    assert axis.get_aspect() == SPACING_IN_MM[0] / SPACING_IN_MM[2]
    assert sides(axis) == {"left": "R", "right": "L", "top": "S", "bottom": "I"}
