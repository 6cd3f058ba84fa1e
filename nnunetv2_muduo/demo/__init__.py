"""`muduo demo`: the whole method on simulated scans, with stock nnU-Net commands."""

from nnunetv2_muduo.demo.recipe import run_demo

__all__ = ["run_demo"]
