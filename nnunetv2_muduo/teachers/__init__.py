"""Promptable teachers behind one protocol."""

from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig

__all__ = ["ClickUNet", "ClickUNetConfig"]
