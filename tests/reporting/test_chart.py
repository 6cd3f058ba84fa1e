from html.parser import HTMLParser

import numpy as np
import pytest

from nnunetv2_muduo.reporting.chart import chart, spoken, thinned, ticks, value_range
from nnunetv2_muduo.reporting.panels import Line, Panel


def line(values, epochs=None, *, training=0, dash=0, label=""):
    return Line(training, label, dash, np.arange(len(values)) if epochs is None else np.array(epochs), np.array(values))


class Curves(HTMLParser):
    """Reads values back from the points of the polylines, as the page's script does."""

    def __init__(self, svg: str) -> None:
        super().__init__()
        self.curves: list[list[tuple[float, float]]] = []
        self.feed(svg)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "svg":
            self.box = [float(v) for v in given["data-box"].split()]
            self.span = [float(v) for v in given["data-range"].split()]
            self.label = given["aria-label"]
        if tag == "polyline":
            points = [tuple(map(float, point.split(","))) for point in given["points"].split()]
            self.curves.append([self._value(*point) for point in points])

    def _value(self, x, y):
        left, top, width, height = self.box
        first, last, low, high = self.span
        return first + (last - first) * (x - left) / width, high - (high - low) * (y - top) / height


@pytest.mark.parametrize("small", [False, True])
def test_values_can_be_read_back_from_the_points(small):
    values, epochs = [0.9, 0.25, -0.4], [0, 3, 9]
    (curve,) = Curves(chart(Panel("Loss", (line(values, epochs),)), ["mine"], small=small)).curves
    np.testing.assert_allclose(curve, list(zip(epochs, values, strict=True)), atol=0.01)


def test_epochs_reach_as_far_as_on_the_rest_of_the_page():
    assert Curves(chart(Panel("Loss", (line([1.0, 2.0]),)), ["mine"], last_epoch=9)).span[:2] == [0, 9]


def test_single_epoch_is_drawn():
    drawn = Curves(chart(Panel("Loss", (line([0.5]),)), ["mine"]))
    np.testing.assert_allclose(drawn.curves, [[(0, 0.5)]], atol=0.01)


def test_words_say_from_where_to_where_each_curve_goes():
    panel = Panel("Loss", (line([1.0, 0.5], label="training"), line([0.25, 0.125], training=1)), unit="s")
    said = "Loss in s, epochs 0 to 1: a (training) 1 to 0.5; b 0.25 to 0.125"
    assert spoken(panel, ["a", "b"]) == said
    assert Curves(chart(panel, ["a", "b"])).label == said


def test_names_are_escaped():
    assert "<b>" not in chart(Panel("<b>x&y", (line([1.0]),)), ['<b>"x'])


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([0.4, 0.6], True, (0.0, 1.0)),
        ([0.4, 1.2], True, (0.0, 1.26)),
        ([1.0, 2.0], False, (0.0, 2.1)),
        ([9.0, 10.0], False, (8.95, 10.05)),
        ([-1.0, 1.0], False, (-1.1, 1.1)),
        ([5.0, 5.0], False, (4.5, 5.5)),
        ([0.0, 0.0], False, (0.0, 1.0)),
    ],
)
def test_axis_spans_what_there_is(values, share, expected):
    assert value_range(np.array(values), share=share) == pytest.approx(expected)


def test_ticks_are_round_numbers_inside():
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.7, 0.9, 5) == [-0.5, 0, 0.5]
    assert ticks(0, 999, 6) == [0, 200, 400, 600, 800]
    assert ticks(0, 0.00037, 4) == [0, 0.0001, 0.0002, 0.0003]


def test_thinned_curve_keeps_its_peaks_and_its_order():
    values = np.zeros(5000)
    values[[1234, 4321]] = 7.0, -3.0
    thin = thinned(line(values), 100)
    assert len(thin.epochs) <= 100
    assert {7.0, -3.0} <= set(thin.values)
    assert (np.diff(thin.epochs) > 0).all()
    np.testing.assert_array_equal(thin.values, values[thin.epochs])
