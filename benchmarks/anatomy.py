"""A plausible body around a real organ map that holds organs only."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK
from scipy import ndimage

from nnunetv2_muduo.datasets.boxes import Box, box_around
from nnunetv2_muduo.datasets.fields import Grid, smooth_field
from nnunetv2_muduo.datasets.scaffold import draw_habitus, draw_scaffold
from nnunetv2_muduo.datasets.shapes import Frame, Point
from nnunetv2_muduo.datasets.tissues import Tissue
from nnunetv2_muduo.errors import UserError

# Organs the standard body is fitted to, and their centres (z, y) in it, in mm; the liver only stands in for lungs and
# kidneys.
_LANDMARKS: Mapping[Tissue, tuple[float, float]] = {
    Tissue.BLADDER: (150, -36),
    Tissue.KIDNEY: (370, 40),
    Tissue.LIVER: (432, -10),
    Tissue.LUNG: (562, 5),
    Tissue.BRAIN: (835, -2),
}
# Half the range (1st to 99th percentile, in mm) of the standard person's lungs and brain: (y, x).
_HALF_RANGE: Mapping[Tissue, tuple[float, float]] = {Tissue.LUNG: (83, 119), Tissue.BRAIN: (76, 57)}
_MUSCLE_IN_MM = 10.0  # between every organ and the fat layer
_ROOM_IN_MM = (np.inf, 130.0, 220.0)  # (z, y, x) around the organs: as much as a body with arms can take
_UPPER_THIGH_IN_MM = 20.0  # in standard coordinates: what is kept below the hips
_MARGIN_IN_VOXELS = 2  # around the body
_KEYWORDS: tuple[tuple[str, Tissue], ...] = (
    ("background", Tissue.SOFT),
    ("spleen", Tissue.SPLEEN),
    ("kidney", Tissue.KIDNEY),
    ("liver", Tissue.LIVER),
    ("bladder", Tissue.BLADDER),
    ("lung", Tissue.LUNG),
    ("brain", Tissue.BRAIN),
    ("heart", Tissue.HEART),
    ("stomach", Tissue.STOMACH),
    ("prostate", Tissue.PROSTATE),
    ("gland", Tissue.GLANDS),
    ("aorta", Tissue.AORTA),
    ("bowel", Tissue.BOWEL),
    ("colon", Tissue.BOWEL),
    ("duodenum", Tissue.BOWEL),
    ("trachea", Tissue.AIRWAY),
    *((bone, Tissue.BONE) for bone in ("bone", "vertebra", "rib", "hip", "sacrum", "femur", "skull", "sternum")),
)


def load_organ_map(path: Path, *, spacing_in_mm: tuple[float, float, float]) -> np.ndarray:
    """Read an organ map and resample it to `spacing_in_mm` (z, y, x), nearest neighbour.

    Returns labels [Z,Y,X], int16, in LPS order whatever the file's orientation: z towards the head, y towards the back,
    x towards the left. Raises UserError when the file cannot be read as a 3D image.
    """
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(f"cannot read the organ map {path}: give a 3D image that SimpleITK can read") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(f"the organ map {path} is no 3D image of one channel: give a label map with axes x, y, z")
    image = SimpleITK.DICOMOrient(SimpleITK.Cast(image, SimpleITK.sitkInt16), "LPS")
    spacing = tuple(float(s) for s in reversed(spacing_in_mm))
    size = [max(1, round(n * old / new)) for n, old, new in zip(image.GetSize(), image.GetSpacing(), spacing)]  # noqa: B905
    index = [(new / old - 1) / 2 for old, new in zip(image.GetSpacing(), spacing, strict=True)]
    origin = image.TransformContinuousIndexToPhysicalPoint(index)
    resampled = SimpleITK.Resample(
        image, size, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, origin, spacing, image.GetDirection(), 0
    )
    return SimpleITK.GetArrayFromImage(resampled)


def organ_tissues(labels: np.ndarray, *, names: Mapping[int, str]) -> np.ndarray:
    """The tissue of each labelled voxel (uint8, 0 where there is none); UserError for a label without a known name."""
    table = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    for value in np.unique(labels[labels != 0]):
        if int(value) < 0 or int(value) not in names:
            raise UserError(f"the organ map holds label {value}, which has no name: add it to `names`")
        tissue = tissue_named(names[int(value)])
        if tissue is None:
            known = ", ".join(t.name.lower() for t in Tissue if t > Tissue.LUNG)
            raise UserError(
                f"no tissue is known for the organ {names[int(value)]!r}: use a name that holds one of {known}"
            )
        table[int(value)] = tissue
    return table[labels]


def tissues_from_organ_map(
    labels: np.ndarray,
    *,
    names: Mapping[int, str],
    spacing_in_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Build a body around organs: outline, fat, muscle, bones and bowel where the map says nothing, air outside.

    labels: organ map [Z,Y,X] in LPS order (as `load_organ_map` gives it), 0 where no organ is; names: its labels' organ
    names; spacing_in_mm: (z, y, x). Every labelled voxel keeps its organ. The standard body is fitted to the centres of
    bladder, kidneys, liver, lungs and brain - those that are there - and to the width of lungs and brain; its
    outline is widened wherever an organ would come closer to the skin than muscle and fat allow.
    Returns a tissue map, uint8 [Z,Y,X]. Raises UserError for labels without a known name and for an empty map.
    """
    organs = organ_tissues(labels, names=names)
    if not organs.any():
        raise UserError("the organ map is empty: a body can only be built around at least one organ")
    room = _box_around(organs > 0, _ROOM_IN_MM, spacing_in_mm)
    tissues = np.full(organs.shape, Tissue.AIR, np.uint8)
    tissues[room] = _draw_body(organs[room], spacing_in_mm, rng)
    return tissues


def body_box(tissues: np.ndarray) -> Box:
    """The index box around everything that is not AIR in a tissue map [Z,Y,X], with a margin where there is room.

    The whole map where it is all air.
    """
    return box_around(tissues != Tissue.AIR, margin=(_MARGIN_IN_VOXELS,) * 3) or (slice(None),) * 3


def tissue_named(name: str) -> Tissue | None:
    """The tissue an organ's name speaks of (`kidney_left` -> KIDNEY; case is ignored), None where no word is known.

    A gall bladder is no urinary bladder: it has no tissue here.
    """
    text = name.lower()
    if "gall" in text:
        return None
    return next((tissue for keyword, tissue in _KEYWORDS if keyword in text), None)


def _draw_body(organs: np.ndarray, spacing_in_mm: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """The fitted scaffold with the organs in it, uint8 [Z,Y,X]."""
    grid = Grid.of_shape(organs.shape, spacing_in_mm)
    frame = _fitted_frame(organs, grid, rng)
    habitus = draw_habitus(rng)
    tissues = draw_scaffold(grid, frame, habitus, rng)
    tissues[frame.z < _UPPER_THIGH_IN_MM] = Tissue.AIR
    _wrap_organs(tissues, organs, habitus.fat_in_mm, spacing_in_mm)
    _draw_skull(tissues, organs, frame, spacing_in_mm)
    tissues[organs > 0] = organs[organs > 0]
    return tissues


def _fitted_frame(organs: np.ndarray, grid: Grid, rng: np.random.Generator) -> Frame:
    """Standard coordinates of every voxel, so that the standard body's landmarks fall on the map's; gently bent."""
    z, y, x = grid.axes_in_mm()
    found = _landmarks(organs, grid)
    at, middle_y, middle_x = np.array([place for _, place in found]).T
    standard = np.array([_LANDMARKS[tissue] for tissue, _ in found])
    chest, head = _scales(organs, grid)
    along = _piecewise(z, at, standard[:, 0])
    depth, width = (np.interp(along, (640, 760), (chest[i], head[i]))[:, None] for i in (0, 1))
    scale_at = np.interp(standard[:, 0], (640, 760), (chest[0], head[0]))
    deep = (y[None, :] - np.interp(z, at, middle_y - standard[:, 1] * scale_at)[:, None]) / depth
    across = (x[None, :] - np.interp(z, at, middle_x)[:, None]) / width
    bends = [5 * smooth_field(grid, rng, wavelength_in_mm=140) for _ in range(3)]
    lines = (along[:, None, None], deep[:, :, None], across[:, None, :])
    return Frame(*((line + bend).astype(np.float32) for line, bend in zip(lines, bends, strict=True)))


def _landmarks(organs: np.ndarray, grid: Grid) -> list[tuple[Tissue, tuple[float, float, float]]]:
    """Landmark organs from the feet upwards with their (z, y) centre and the midline's x there, in mm."""
    present = [t for t in _LANDMARKS if (organs == t).any()]
    if Tissue.KIDNEY in present or Tissue.LUNG in present:
        present = [t for t in present if t != Tissue.LIVER]
    spacing = np.array(grid.spacing_in_mm)
    midline = _midline(organs, spacing)
    found: list[tuple[Tissue, tuple[float, float, float]]] = []
    for tissue in present:
        z, y, x = ((np.argwhere(organs == tissue) + 0.5) * spacing).mean(axis=0)
        if found and z < found[-1][1][0] + 20:  # upside down or far out of place: no landmark
            continue
        paired = tissue in (Tissue.KIDNEY, Tissue.LUNG, Tissue.LIVER)
        found.append((tissue, (float(z), float(y), midline if paired else float(x))))
    if not found:  # no landmark organ at all: its middle is put into the standard person's belly
        z, y, x = ((np.argwhere(organs > 0) + 0.5) * spacing).mean(axis=0)
        found.append((Tissue.LIVER, (float(z), float(y), float(x))))
    return found


def _midline(organs: np.ndarray, spacing: np.ndarray) -> float:
    """The body's midline in mm along x: the middle of the lungs' range, else of everything that is there."""
    voxels = organs == Tissue.LUNG
    columns = np.flatnonzero((voxels if voxels.any() else organs > 0).any(axis=(0, 1)))
    return float((columns[0] + columns[-1] + 1) / 2 * spacing[2])


def _scales(organs: np.ndarray, grid: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
    """How much bigger than the standard person the trunk and the head are, (y, x) each; 1 where nothing tells."""
    scales = []
    for tissue, standard in _HALF_RANGE.items():
        voxels = np.argwhere(organs == tissue)
        if len(voxels) == 0:
            scales.append((1.0, 1.0))
            continue
        low, high = np.percentile(voxels, (1, 99), axis=0)
        half = (high - low + 1) * np.array(grid.spacing_in_mm) / 2
        y, x = (float(np.clip(h / s, 0.7, 1.4)) for h, s in zip(half[1:], standard, strict=True))
        scales.append((y, x))
    return scales[0], scales[1]


def _piecewise(z: np.ndarray, at: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Standard z of every slice: linear between landmarks, mm for mm beyond the first and last."""
    along = np.interp(z, at, standard)
    return along + np.minimum(z - at[0], 0) + np.maximum(z - at[-1], 0)


def _wrap_organs(
    tissues: np.ndarray, organs: np.ndarray, fat_in_mm: float, spacing_in_mm: tuple[float, float, float]
) -> None:
    """Put muscle, then fat, between organs and air, in place; less of both on the head."""
    head = np.isin(organs, (Tissue.BRAIN, Tissue.GLANDS))
    voxel = max(spacing_in_mm)
    for part, muscle, fat in (((organs > 0) & ~head, _MUSCLE_IN_MM, fat_in_mm), (head, 8.0, 4.0)):
        muscle, skin = max(muscle, voxel), max(fat, voxel)
        box, distance = _distance_around(part, muscle + skin, spacing_in_mm)
        air = tissues[box] == Tissue.AIR
        tissues[box][air & (distance <= muscle + skin)] = Tissue.FAT
        tissues[box][air & (distance <= muscle)] = Tissue.SOFT


def _draw_skull(
    tissues: np.ndarray, organs: np.ndarray, frame: Frame, spacing_in_mm: tuple[float, float, float]
) -> None:
    """A shell of bone around the real brain instead of the standard skull, in place."""
    brain = organs == Tissue.BRAIN
    if not brain.any():
        return
    tissues[(tissues == Tissue.BONE) & (frame.z > 780)] = Tissue.SOFT
    thickness = max(7.0, min(spacing_in_mm))
    box, distance = _distance_around(brain, thickness, spacing_in_mm)
    tissues[box][(distance > 0) & (distance <= thickness)] = Tissue.BONE


def _distance_around(
    part: np.ndarray, reach_in_mm: float, spacing_in_mm: tuple[float, float, float]
) -> tuple[Box, np.ndarray]:
    """The index box that reaches so far around a mask [Z,Y,X], and the distance to the mask there in mm."""
    box = _box_around(part, (reach_in_mm,) * 3, spacing_in_mm)
    if not part.any():
        return box, np.zeros((0, 0, 0))
    return box, ndimage.distance_transform_edt(~part[box], sampling=spacing_in_mm)


def _box_around(mask: np.ndarray, reach_in_mm: Point, spacing_in_mm: tuple[float, float, float]) -> Box:
    """The index box around a mask [Z,Y,X] reaching so far (z, y, x) beyond it where there is room; empty if it is."""
    margin = [
        int(np.ceil(min(reach, size * spacing) / spacing))
        for size, spacing, reach in zip(mask.shape, spacing_in_mm, reach_in_mm, strict=True)
    ]
    return box_around(mask, margin=margin) or (slice(0),) * 3
