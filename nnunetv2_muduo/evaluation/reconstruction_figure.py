"""A picture of what the masked autoencoder sees of a patch and what it makes of it."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt

from nnunetv2_muduo.evaluation.figures import plain_style, save_figure
from nnunetv2_muduo.evaluation.scan_slices import mark_sides

_HIDDEN_COLOUR = "lightsteelblue"
_WINDOW = (1.0, 99.5)  # percentiles of the channel that are shown darkest and brightest


@plain_style
def draw_reconstruction(
    path: Path,
    image: np.ndarray,
    mask: np.ndarray,
    reconstruction: np.ndarray,
    *,
    channels: Sequence[str],
    title: str,
    spacing_in_mm: Sequence[float],
    oriented: bool,
) -> None:
    """Input, masked input and reconstruction of each channel in the patch's middle coronal plane, in one window each.

    Args:
        path: PNG file, replaced as a whole.
        image: [C, Z, Y, X] normalised, z upwards, y to the back, x to the left.
        mask: [C, Z, Y, X] bool, True where hidden.
        reconstruction: [C, Z, Y, X].
        channels: their C names.
        title: what patch this is.
        spacing_in_mm: (z, y, x).
        oriented: whether it is known how the patient lies, so that sides can be marked.
    """
    middle = image.shape[2] // 2
    figure, axes = plt.subplots(
        len(channels), 3, figsize=(13, 4.5 * len(channels)), squeeze=False, layout="constrained"
    )
    for channel, name in enumerate(channels):
        low, high = np.percentile(image[channel], _WINDOW)
        colours = matplotlib.colormaps["gray_r" if "pet" in name.casefold() else "gray"].with_extremes(
            bad=_HIDDEN_COLOUR
        )
        shown = np.where(mask[channel], np.nan, image[channel])
        pictures = {"input": image[channel], "masked": shown, "reconstruction": reconstruction[channel]}
        for axis, (what, volume) in zip(axes[channel], pictures.items(), strict=True):
            axis.imshow(
                volume[::-1, middle],
                cmap=colours,
                vmin=low,
                vmax=max(high, low + 1e-6),
                aspect=spacing_in_mm[0] / spacing_in_mm[2],
            )
            axis.set_title(f"{name}, {what}")
            axis.set_axis_off()
            if oriented:
                mark_sides(axis, "coronal")
    figure.suptitle(title)
    save_figure(figure, path)
