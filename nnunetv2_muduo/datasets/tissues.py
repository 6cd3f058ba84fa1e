"""What each tissue looks like in CT (HU) and in FDG PET (SUV): one table for everything that is simulated.

The numbers are rounded from what radiology textbooks and published reference ranges give in general terms: attenuation
of unenhanced and enhanced organs (arterial about 30 s, portal-venous about 70 s after injection), and body-weight SUV
one hour after FDG, where brain and urine are hot, liver is the reference at about 2.2, and myocardium, bowel and
kidneys vary most between patients. They serve simulation; they are no diagnostic thresholds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class Tissue(IntEnum):
    """The values of a tissue map (uint8 [Z,Y,X]); AIR is outside the body, AIRWAY and BOWEL_GAS are inside it."""

    AIR = 0
    FAT = 1
    SOFT = 2
    BONE = 3
    LUNG = 4
    LIVER = 5
    SPLEEN = 6
    KIDNEY = 7
    HEART = 8
    BRAIN = 9
    STOMACH = 10
    BLADDER = 11
    PROSTATE = 12
    GLANDS = 13
    AORTA = 14
    BOWEL = 15
    AIRWAY = 16
    BOWEL_GAS = 17


@dataclass(frozen=True)
class TissueProperties:
    """Attenuation and uptake of a tissue.

    hu: mean of unenhanced CT [HU]; hu_spread: standard deviation between patients [HU]; hu_texture: standard deviation
    inside the organ [HU]; hu_arterial, hu_venous: enhancement added in that phase [HU].
    suv: median FDG uptake [SUV]; suv_spread: standard deviation of its logarithm between patients; suv_texture:
    relative standard deviation inside the organ.
    """

    hu: float
    hu_spread: float
    hu_texture: float
    hu_arterial: float
    hu_venous: float
    suv: float
    suv_spread: float
    suv_texture: float


TISSUE_PROPERTIES: Mapping[Tissue, TissueProperties] = MappingProxyType(
    {
        Tissue.AIR: TissueProperties(-1000, 0, 0, 0, 0, 0.0, 0.0, 0.0),
        Tissue.FAT: TissueProperties(-100, 6, 8, 0, 0, 0.3, 0.20, 0.15),
        Tissue.SOFT: TissueProperties(50, 6, 9, 8, 15, 0.65, 0.20, 0.15),
        Tissue.BONE: TissueProperties(280, 60, 110, 5, 10, 1.1, 0.30, 0.20),
        Tissue.LUNG: TissueProperties(-800, 40, 35, 10, 15, 0.5, 0.20, 0.20),
        Tissue.LIVER: TissueProperties(56, 9, 5, 12, 52, 2.2, 0.18, 0.08),
        Tissue.SPLEEN: TissueProperties(48, 5, 5, 75, 68, 1.8, 0.18, 0.08),
        Tissue.KIDNEY: TissueProperties(32, 4, 7, 105, 130, 3.2, 0.30, 0.20),
        Tissue.HEART: TissueProperties(42, 5, 8, 110, 85, 1.6, 0.18, 0.10),
        Tissue.BRAIN: TissueProperties(34, 3, 4, 4, 5, 7.0, 0.25, 0.15),
        Tissue.STOMACH: TissueProperties(28, 14, 16, 10, 18, 1.6, 0.35, 0.20),
        Tissue.BLADDER: TissueProperties(8, 5, 3, 0, 3, 11.0, 0.45, 0.03),
        Tissue.PROSTATE: TissueProperties(40, 5, 6, 15, 30, 1.7, 0.25, 0.15),
        Tissue.GLANDS: TissueProperties(30, 15, 9, 20, 35, 2.2, 0.35, 0.15),
        Tissue.AORTA: TissueProperties(42, 4, 4, 240, 105, 1.6, 0.15, 0.05),
        Tissue.BOWEL: TissueProperties(30, 12, 22, 15, 30, 1.1, 0.35, 0.45),
        Tissue.AIRWAY: TissueProperties(-980, 5, 5, 0, 0, 0.3, 0.20, 0.10),
        Tissue.BOWEL_GAS: TissueProperties(-850, 40, 40, 0, 0, 0.8, 0.30, 0.20),
    }
)
