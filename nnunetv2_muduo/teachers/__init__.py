"""Promptable teachers behind one protocol."""

from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.dual import DualTeacher
from nnunetv2_muduo.teachers.intensity import normalise_for_teacher
from nnunetv2_muduo.teachers.protocol import PromptableTeacher, TeacherSpec
from nnunetv2_muduo.teachers.registry import register_architecture
from nnunetv2_muduo.teachers.sam3d import Sam3D, Sam3DConfig
from nnunetv2_muduo.teachers.view import TeacherView

__all__ = [
    "ClickUNet",
    "ClickUNetConfig",
    "DualTeacher",
    "PromptableTeacher",
    "Sam3D",
    "Sam3DConfig",
    "TeacherSpec",
    "TeacherView",
    "normalise_for_teacher",
    "register_architecture",
]
