"""`muduo doctor`: a list of checks with a remedy each."""

from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.examination import examine
from nnunetv2_muduo.doctor.report import as_json, as_text, exit_code

__all__ = ["Check", "Mark", "as_json", "as_text", "examine", "exit_code"]
