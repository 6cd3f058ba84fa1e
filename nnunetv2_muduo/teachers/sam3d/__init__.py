"""The released architecture of SAM-Med3D and SegAnyPET, one file a box of the figure."""

from nnunetv2_muduo.teachers.sam3d.config import Sam3DConfig
from nnunetv2_muduo.teachers.sam3d.model import Sam3D

__all__ = ["Sam3D", "Sam3DConfig"]
