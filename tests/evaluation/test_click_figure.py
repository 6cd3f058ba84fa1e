from pathlib import Path

import pytest

from nnunetv2_muduo.evaluation import click_figure
from nnunetv2_muduo.evaluation.click_summary import ClickRow, ClickSummary


@pytest.mark.parametrize("organs", [1, 45])
def test_every_organ_and_the_mean_get_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, organs: int):
    drawn = []
    monkeypatch.setattr(click_figure, "save_figure", lambda figure, path: drawn.append(figure))
    names = [f"organ {number}" for number in range(organs)]
    rows = [ClickRow("a", name, 9, n, (k + n) / 100, 1, 1.0) for k, name in enumerate(names) for n in (1, 3, 10)]
    click_figure.draw_click_curves(tmp_path / "a.png", ClickSummary.of(rows, names), title="teacher")
    (axis,) = drawn[0].axes
    assert {line.get_label() for line in axis.lines} == {f"{name} (n = 1)" for name in names} | {"mean of organs"}
    assert max(axis.lines, key=lambda line: line.get_linewidth()).get_label() == "mean of organs"
    final = [line.get_ydata()[-1] for line in axis.lines]
    assert final == sorted(final, reverse=True)
    drawn[0].canvas.draw()
    (legend,) = drawn[0].legends
    assert drawn[0].bbox.y0 <= legend.get_window_extent().y0
    assert axis.get_window_extent().width > 0.3 * drawn[0].bbox.width


def test_figure_is_a_file(tmp_path: Path):
    rows = [ClickRow("a", "liver", 9, 1, 0.5, 1, 1.0)]
    click_figure.draw_click_curves(tmp_path / "a.png", ClickSummary.of(rows, ["liver"]), title="teacher")
    assert (tmp_path / "a.png").stat().st_size > 5_000
