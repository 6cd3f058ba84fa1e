"""Which case's organs are unlike those of the others: missing, of another size, or on another side of each other?"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import SimpleITK as sitk

LEAST_OTHERS = 3  # cases that must agree before the one that does not is odd
_NEARLY_ALL = 0.9
_TIMES = 4.0  # livers, lungs and kidneys of adults differ less from the median; bladders seldom more
_CLEARLY_APART_IN_MM = 30.0
_AXES = ("left and right", "front and back", "head and feet")


@dataclass(frozen=True)
class OrganPlace:
    """An organ in a label map.

    Attributes:
        volume_in_ml: of all its voxels.
        middle_in_mm: (x, y, z) of its centre of mass, growing to the patient's left, back and head (LPS).
    """

    volume_in_ml: float
    middle_in_mm: tuple[float, float, float]


Places = Mapping[str, OrganPlace]


def organ_places(labels: sitk.Image, values: Mapping[str, int]) -> dict[str, OrganPlace]:
    """Where each organ of a label map lies; organs that it does not show are left out.

    Args:
        labels: whole numbers.
        values: organ -> its value.
    """
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(sitk.Cast(labels, sitk.sitkUInt32))
    return {
        organ: OrganPlace(shapes.GetPhysicalSize(value) / 1000, shapes.GetCentroid(value))
        for organ, value in values.items()
        if shapes.HasLabel(value)
    }


def odd_cases(cases: Mapping[str, Places], *, organs: Collection[str]) -> dict[str, list[str]]:
    """Case -> what is unlike nearly all others, for cases of which there is anything to tell.

    Args:
        cases: case -> where its organs are.
        organs: that patients have alike, so no lesions.
    """
    found = {}
    for case, places in cases.items():
        others = [its for name, its in cases.items() if name != case]
        if reasons := [*_missing(places, others, organs), *_sizes(places, others, organs), *_sides(places, others)]:
            found[case] = reasons
    return found


def _missing(places: Places, others: Collection[Places], organs: Collection[str]) -> Iterator[str]:
    for organ in organs:
        if organ not in places and _nearly_all(sum(organ in other for other in others), len(others)):
            yield f"shows no {organ}"


def _sizes(places: Places, others: Collection[Places], organs: Collection[str]) -> Iterator[str]:
    for organ in organs:
        volumes = [other[organ].volume_in_ml for other in others if organ in other]
        if organ in places and len(volumes) >= LEAST_OTHERS:
            usual, its = median(volumes), places[organ].volume_in_ml
            if not usual / _TIMES <= its <= usual * _TIMES:
                yield f"{organ} has {its:.3g} ml, in the others {usual:.3g}"


def _sides(places: Places, others: Collection[Places]) -> Iterator[str]:
    """One sentence for each axis along which organs lie the other way round.

    A mirrored map turns all pairs round; single pairs, such as kidneys and stomach, differ among patients.
    """
    for axis, called in enumerate(_AXES):
        pairs = {pair: usual for pair in combinations(places, 2) if (usual := _usual_side(others, pair, axis))}
        sides = {pair: side for pair in pairs if (side := _side(places, pair, axis))}
        turned = [" and ".join(pair) for pair, side in sides.items() if side != pairs[pair]]
        if turned and 2 * len(turned) >= len(sides):
            yield f"{called} are exchanged: {', '.join(turned[:3])}"


def _usual_side(others: Collection[Places], pair: tuple[str, str], axis: int) -> int:
    """Where the first of two organs lies of the second in nearly all other cases: 1, -1, or 0 where they differ."""
    sides = [_side(other, pair, axis) for other in others if pair[0] in other and pair[1] in other]
    return next((side for side in (1, -1) if _nearly_all(sides.count(side), len(sides))), 0)


def _side(places: Places, pair: tuple[str, str], axis: int) -> int:
    """1 or -1 for where the first lies of the second along an axis, 0 where they are not clearly apart."""
    apart = places[pair[0]].middle_in_mm[axis] - places[pair[1]].middle_in_mm[axis]
    return 0 if abs(apart) < _CLEARLY_APART_IN_MM else (1 if apart > 0 else -1)


def _nearly_all(count: int, of: int) -> bool:
    return of >= LEAST_OTHERS and count >= _NEARLY_ALL * of
