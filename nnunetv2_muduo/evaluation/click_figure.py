"""Draws Dice against the number of clicks."""

from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt

from nnunetv2_muduo.evaluation.click_summary import ClickSummary
from nnunetv2_muduo.evaluation.figures import plain_style, save_figure

_COLOURS = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
_STYLES = ("-", "--", ":", "-.")
_ROWS = 28  # of a legend as high as the figure


@plain_style
def draw_click_curves(path: Path, summary: ClickSummary, *, title: str) -> None:
    """A line an organ, their mean in thick black; the legend has the order of the lines at their end.

    Args:
        path: PNG file, replaced as a whole.
        summary: what was found.
        title: whose clicks these are.
    """
    columns = len(summary.organs) // _ROWS + 1
    figure, axis = plt.subplots(figsize=(6 + 3 * columns, 6), constrained_layout=True)
    look = [(colour, style) for style in _STYLES for colour in _COLOURS]
    lines = [
        (values, {"label": f"{organ} (n = {summary.cases(organ)})", "color": colour, "ls": style, "lw": 1.5})
        for organ, values, (colour, style) in zip(summary.organs, summary.dice, cycle(look), strict=False)
    ]
    lines.append((summary.mean, {"label": "mean of organs", "color": "black", "lw": 4, "zorder": 3}))
    for index in np.argsort([-values[-1] for values, _ in lines], kind="stable"):
        values, style = lines[index]
        axis.plot(summary.clicks, values, marker="o", **style)
    axis.set(xlabel="clicks", ylabel="Dice, mean over cases", title=title, ylim=(0, 1), xticks=summary.clicks)
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small", ncols=columns)
    save_figure(figure, path)
