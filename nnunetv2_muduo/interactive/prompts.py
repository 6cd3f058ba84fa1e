"""What a user points at: points in voxels or millimetres, from the command line, JSON or 3D Slicer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import read_json

SPACES = ("voxel", "ras", "lps")
_POINT = re.compile(r"\s*([^,:\s]+)[,\s]+([^,:\s]+)[,\s]+([^,:\s]+?)\s*(?::\s*(\S+)\s*)?")
_FARTHEST = 1e6  # voxels or mm
_KINDS = {"1": 1, "0": 0}
_BACKGROUND_WORD = re.compile(r"background|negative|exclude", re.IGNORECASE)


@dataclass(frozen=True)
class Point:
    """One click.

    Attributes:
        position: (x, y, z), in voxels (index, the first voxel's centre is 0) or in mm.
        foreground: inside the target, or outside of it.
        space: "voxel", "ras" (mm, as NIfTI viewers and 3D Slicer show it) or "lps" (mm, as ITK and DICOM have it).
    """

    position: tuple[float, float, float]
    foreground: bool = True
    space: str = "voxel"


@dataclass
class Target:
    """Something to segment: its name and the points that say what it is."""

    name: str
    points: list[Point] = field(default_factory=list)


def parse_point(words: Sequence[str], *, space: str = "voxel") -> Point:
    """A point as typed: `12 40 7`, `12 40 7:0` (background), or in one word `12,40,7:1`.

    Raises:
        UserError: showing what was typed and how it should look.
    """
    text = " ".join(words)
    match = _POINT.fullmatch(text)
    try:
        if match is None or match[4] not in (None, *_KINDS):
            raise ValueError
        x, y, z = _xyz(match.groups()[:3])
    except ValueError as error:
        raise UserError(
            f"'{text}' is no point; write x y z, or x y z:0 for one on the background, for example --point 200 180 95."
        ) from error
    return Point((x, y, z), match[4] != "0", space)


def read_prompts(path: Path) -> list[Target]:
    """Targets from a file: our JSON, or markups of 3D Slicer (.mrk.json), where each list of points is a target.

    Ours: {"space": "voxel", "targets": [{"name": "liver", "points": [[200, 180, 95], [150, 180, 95, 0]]}]}; a fourth
    number 0 marks a point on the background. In Slicer, a control point whose label or description says background,
    negative or exclude is one.

    Raises:
        UserError: if the file is missing, no JSON, or neither of the two.
    """
    if not path.exists():
        raise UserError(f"There is no file {path}.")
    if path.suffix.lower() == ".fcsv":
        raise UserError(f"{path} is of 3D Slicer's older format; save the points as .mrk.json there.")
    content = read_json(path)
    try:
        if "markups" in content:
            targets = [_slicer_target(markup, path, number) for number, markup in enumerate(content["markups"], 1)]
        else:
            targets = [_own_target(target, content.get("space", "voxel")) for target in content["targets"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(
            f"{path} holds no prompts ({type(error).__name__}: {error}); expected markups of 3D Slicer or "
            '{"space": "voxel", "targets": [{"name": "liver", "points": [[x, y, z], ...]}]}.'
        ) from error
    return targets


def _own_target(given: Mapping[str, Any], space: str) -> Target:
    if space not in SPACES:
        raise ValueError(f"space {space!r} is not one of {', '.join(SPACES)}")
    points = [Point(_xyz(point[:3]), _is_foreground(point), space) for point in given["points"]]
    return Target(str(given["name"]), points)


def _is_foreground(point: Sequence[Any]) -> bool:
    if len(point) > 3 and point[3] not in (0, 1):  # a text such as "0" would be true
        raise ValueError(f"the label of a point is {point[3]!r}, and must be 1 (inside) or 0 (outside)")
    return len(point) < 4 or point[3] == 1


def _slicer_target(markup: Mapping[str, Any], path: Path, number: int) -> Target:
    kind = str(markup.get("type", "Fiducial"))
    if kind != "Fiducial":
        raise ValueError(f"a markup of the kind {kind} is no list of points")
    space = str(markup.get("coordinateSystem", "LPS")).lower()
    if space not in ("ras", "lps"):
        raise ValueError(f"coordinateSystem {space!r} is neither LPS nor RAS")
    points = []
    for control in markup["controlPoints"]:
        if control.get("positionStatus", "defined") != "defined":
            continue  # Slicer keeps a place for points that have not been set yet
        words = f"{control.get('label', '')} {control.get('description', '')}"
        points.append(Point(_xyz(control["position"]), not _BACKGROUND_WORD.search(words), space))
    stem = path.name.split(".")[0]
    return Target(str(markup.get("name") or (stem if number == 1 else f"{stem} {number}")), points)


def _xyz(values: Sequence[Any]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    if not all(abs(value) < _FARTHEST for value in (x, y, z)):
        raise ValueError(f"({x}, {y}, {z}) lies in no scan")
    return x, y, z
