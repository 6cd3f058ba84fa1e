"""Promptable teachers behind one protocol."""

from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.sam3d import Sam3D, Sam3DConfig

__all__ = ["ClickUNet", "ClickUNetConfig", "Sam3D", "Sam3DConfig"]
