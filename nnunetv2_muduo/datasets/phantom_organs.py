"""The organs of a phantom: standard shapes, varied from person to person."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from nnunetv2_muduo.datasets.shapes import Blob, Frame, blob_level
from nnunetv2_muduo.datasets.tissues import Tissue


def draw_organs(tissues: np.ndarray, frame: Frame, rng: np.random.Generator) -> None:
    """Draw lungs and organs into a scaffold (uint8 [Z,Y,X], see `draw_scaffold`) in rising priority, in place.

    No organ reaches the skin or replaces spine and pelvis; ribs give way to the organs beneath them.
    """
    inside = ndimage.binary_erosion(tissues != Tissue.AIR, np.ones((3, 3, 3)), border_value=1)
    ribs = (frame.z > 330) & ((frame.y < 25) | (np.abs(frame.x) > 40))
    inside &= (tissues != Tissue.BONE) | ribs
    _draw_lungs(tissues, frame, inside, rng)
    for tissue, blobs in _draw_shapes(rng):
        for blob in blobs:
            box, level = blob_level(frame, blob)
            tissues[box][(level <= 1) & inside[box]] = tissue


def _draw_lungs(tissues: np.ndarray, frame: Frame, inside: np.ndarray, rng: np.random.Generator) -> None:
    """Two lungs ending on the domes of the diaphragm, under which fat and muscle lie."""
    breath = rng.normal(0, 12)
    for side in (-1, 1):
        box, level = blob_level(frame, Blob((552, 4, side * 68), (122, 88, 58), exponent=2.3))
        z, y, x = frame.cut(box)
        height = 492 + 6 * (side < 0) + breath
        dome = height - ((y + 10) / 80) ** 2 * 45 - ((x - side * 60) / 60) ** 2 * 35
        free = inside[box] & np.isin(tissues[box], (Tissue.SOFT, Tissue.FAT, Tissue.BOWEL, Tissue.BOWEL_GAS))
        tissues[box][(level <= 1) & (z > dome) & free] = Tissue.LUNG


def _draw_shapes(rng: np.random.Generator) -> list[tuple[Tissue, list[Blob]]]:
    """The solid organs of one person, with their variation: displaced, enlarged, now and then absent."""
    fill = rng.uniform(0.7, 1.5)
    bladder = Blob((128 + 22 * fill, -36, 0), (28 * fill, 27 * fill, 33 * fill))
    shapes = [
        (Tissue.BOWEL, [_vary(Blob((150, 36, 0), (48, 16, 17)), rng)]),
        (Tissue.STOMACH, _vary_together([Blob((428, -28, 60), (46, 38, 40)), Blob((388, -46, 18), (22, 22, 42))], rng)),
        (Tissue.HEART, [_vary(Blob((512, -34, 30), (48, 46, 58), 2.2, (0.5, 0.35, 0.0)), rng)]),
        (Tissue.LIVER, _vary_together(_LIVER, rng)),
        (Tissue.SPLEEN, [_vary(Blob((438, 36, 97), (50, 37, 25), 2.2, (0.4, 0.3, 0.2)), rng, enlarged=0.05)]),
        (Tissue.KIDNEY, _kidneys(rng)),
        (Tissue.BRAIN, [_vary(Blob((835, -2, 0), (60, 80, 60), 2.2), rng, wander=0.5, size=0.015)]),
        (Tissue.BLADDER, [_vary(bladder, rng)]),
        (Tissue.PROSTATE, [_vary(Blob((102, -16, 0), (17, 16, 22)), rng)] if rng.random() < 0.5 else []),
        (Tissue.GLANDS, [_vary(Blob((752, -2, side * 52), (24, 17, 11)), rng, wander=2) for side in (-1, 1)]),
        (Tissue.GLANDS, [_vary(Blob((722, -32, side * 30), (11, 15, 12)), rng, wander=2) for side in (-1, 1)]),
    ]
    if rng.random() < 0.03:  # after splenectomy
        shapes = [shape for shape in shapes if shape[0] != Tissue.SPLEEN]
    return shapes


_LIVER = [
    Blob((432, -8, -64), (68, 76, 64), 2.4, (0.0, 0.0, 0.15)),
    Blob((452, -42, 8), (32, 38, 66), 2.2, (0.0, -0.25, 0.0)),
    Blob((395, 10, -80), (52, 50, 42)),
]


def _kidneys(rng: np.random.Generator) -> list[Blob]:
    kidneys = [
        _vary(Blob((362, 40, -60), (55, 26, 27), 2.2, (0.3, 0.2, 0.15)), rng),
        _vary(Blob((376, 42, 62), (57, 26, 27), 2.2, (-0.3, -0.2, 0.15)), rng),
    ]
    fate = rng.random()
    side = int(rng.integers(2))
    if fate < 0.03:  # after nephrectomy: the other kidney has grown
        survivor = kidneys[1 - side]
        return [replace(survivor, radii=(survivor.radii[0] * 1.15, survivor.radii[1] * 1.2, survivor.radii[2] * 1.2))]
    if fate < 0.045:  # a pelvic kidney
        kidneys[side] = replace(kidneys[side], centre=(225.0, 20.0, 45.0 * (2 * side - 1)))
    return kidneys


def _vary(
    blob: Blob, rng: np.random.Generator, *, wander: float = 6.0, size: float = 0.09, enlarged: float = 0.0
) -> Blob:
    """The blob moved (sd `wander` mm), scaled (sd `size` per axis), turned; at times (`enlarged`) 1.5 times as big."""
    return _vary_together([blob], rng, wander=wander, size=size, enlarged=enlarged)[0]


def _vary_together(
    blobs: list[Blob], rng: np.random.Generator, *, wander: float = 6.0, size: float = 0.09, enlarged: float = 0.0
) -> list[Blob]:
    """The parts of one organ, varied by the same draw about the first part's centre."""
    shift = np.clip(rng.normal(0, wander, 3), -2 * wander, 2 * wander)
    factors = np.exp(np.clip(rng.normal(0, size, 3), -2 * size, 2 * size))
    factors = factors * (1.5 if rng.random() < enlarged else 1.0)
    turn = rng.normal(0, size, 3)
    anchor = np.array(blobs[0].centre)
    varied = []
    for blob in blobs:
        centre = anchor + (np.array(blob.centre) - anchor) * factors + shift
        radii, angles = np.array(blob.radii) * factors, np.array(blob.angles) + turn
        varied.append(replace(blob, centre=_point(centre), radii=_point(radii), angles=_point(angles)))
    return varied


def _point(values: np.ndarray) -> tuple[float, float, float]:
    z, y, x = (float(v) for v in values)
    return z, y, x
