"""Panels as inline SVG, drawn by hand: small, sharp, in the page's own colours, with values under the pointer."""

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np
from markupsafe import Markup, escape

from nnunetv2_muduo.reporting.panels import Line, Panel

_WIDE, _SMALL = (360, 210), (210, 140)  # of a figure, in its own units; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 8, 26  # around the plot
_MOST_POINTS = {False: 300, True: 120}  # of a curve: the eye sees no more
_MARKED = 30  # curves of at most so many points show them


def chart(panel: Panel, names: Sequence[str], *, last_epoch: int = 1, small: bool = False) -> Markup:
    """An SVG element.

    The script of the page reads values back from the points: `data-box` is (left, top, width, height) of the plot and
    `data-range` what it spans (first epoch, last epoch, lowest, highest value).

    Args:
        panel: with at least one line.
        names: of the trainings.
        last_epoch: where the axis ends, the same for all figures of a page.
        small: half as large, with fewer points.
    """
    width, height = _SMALL if small else _WIDE
    box = (_LEFT, _TOP, width - _LEFT - _RIGHT, height - _TOP - _BOTTOM)
    low, high = value_range(np.concatenate([line.values for line in panel.lines]), share=panel.share)
    spans = (0, max(1, last_epoch, *(int(line.epochs[-1]) for line in panel.lines)), low, high)
    parts = [
        *_grid(ticks(low, high, 4 if small else 5), box, spans, vertical=False),
        *_grid([t for t in ticks(spans[0], spans[1], 4 if small else 6) if t == int(t)], box, spans, vertical=True),
        Markup('<text class="axis" x="{}" y="{}" text-anchor="end">epoch</text>').format(width - _RIGHT, height - 2),
    ]
    parts += [_curve(thinned(line, _MOST_POINTS[small]), box, spans, names[line.training]) for line in panel.lines]
    return Markup(
        '<svg class="chart" role="img" viewBox="0 0 {} {}" aria-label="{}" data-box="{}" data-range="{}">{}</svg>'
    ).format(
        width,
        height,
        spoken(panel, names),
        " ".join(map(str, box)),
        " ".join(f"{value:.9g}" for value in spans),
        Markup("").join(parts),
    )


def spoken(panel: Panel, names: Sequence[str]) -> str:
    """The panel in words: from where to where each curve goes."""
    called = [names[line.training] + (f" ({line.label})" if line.label else "") for line in panel.lines]
    curves = [
        f"{name} {line.values[0]:.4g} to {line.values[-1]:.4g}" for name, line in zip(called, panel.lines, strict=True)
    ]
    first, last = min(line.epochs[0] for line in panel.lines), max(line.epochs[-1] for line in panel.lines)
    unit = f" in {panel.unit}" if panel.unit else ""
    return f"{panel.title}{unit}, epochs {first} to {last}: {'; '.join(curves)}"


def value_range(values: np.ndarray, *, share: bool) -> tuple[float, float]:
    """What the axis spans: 0 to 1 for shares, else what there is and some air, from 0 where that is not far."""
    low, high = float(values.min()), float(values.max())
    if share and low >= 0 and high <= 1:
        return 0.0, 1.0
    if 0 < low < 0.6 * high:
        low = 0.0
    air = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return (low if low == 0 else low - air), high + air


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between two others, roughly so many."""
    rough = (high - low) / max(1, about)
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(k * step, 12) for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def thinned(line: Line, most: int) -> Line:
    """At most so many points: of each stretch of epochs the lowest and the highest, so that no peak is lost."""
    if len(line.epochs) <= most:
        return line
    stretches = np.array_split(np.arange(len(line.epochs)), most // 2)
    kept = sorted({int(s[pick(line.values[s])]) for s in stretches for pick in (np.argmin, np.argmax)})
    return Line(line.training, line.label, line.dash, line.epochs[kept], line.values[kept])


def _grid(at: Sequence[float], box: tuple, spans: tuple, *, vertical: bool) -> list[Markup]:
    left, top, width, height = box
    drawn = []
    for tick in at:
        x, y = _place(tick, tick, box, spans)
        if vertical:
            drawn.append(
                Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    x, top + height + 13, f"{tick:g}"
                )
            )
        else:
            drawn.append(Markup('<path class="grid" d="M{} {}h{}"/>').format(left, y, width))
            drawn.append(
                Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
                    left - 5, round(y + 3.5, 1), f"{tick:g}"
                )
            )
    return drawn


def _curve(line: Line, box: tuple, spans: tuple, name: str) -> Markup:
    points = [_place(epoch, value, box, spans) for epoch, value in zip(line.epochs, line.values, strict=True)]
    label = f"{name}, {line.label}" if line.label else name
    drawn = Markup('<polyline class="curve c{} d{}" data-label="{}" points="{}"/>').format(
        line.training, line.dash, label, " ".join(f"{x:g},{y:g}" for x, y in points)
    )
    if len(points) <= _MARKED and line.dash != 2:
        d = "".join(f"M{x:g} {y:g}h0" for x, y in points)
        drawn += Markup('<path class="points c{}" d="{}"/>').format(line.training, d)
    return drawn


def _place(epoch: float, value: float, box: tuple, spans: tuple) -> tuple[float, float]:
    left, top, width, height = box
    first, last, low, high = spans
    x = left + width * (epoch - first) / (last - first)
    y = top + height * (high - value) / (high - low)
    return round(float(x), 2), round(float(y), 2)


def legend_sample(training: int | None, dash: int) -> Markup:
    """A short piece of a curve, to stand beside a word; without a training in the colour of the text."""
    colour = "plain" if training is None else f"c{training}"
    return Markup(
        '<svg class="sample" viewBox="0 0 30 10" aria-hidden="true"><path class="curve {} d{}" d="M1 5h28"/></svg>'
    ).format(escape(colour), dash)
