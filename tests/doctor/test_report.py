"""Checks as text, as JSON and as an exit code."""

import json

from nnunetv2_muduo.doctor import as_json, as_text, exit_code
from nnunetv2_muduo.doctor.check import fail, ok, warn


def test_marks_decide_the_exit_code():
    assert exit_code([ok("a", "fine"), warn("b", "hm", "look")]) == 0
    assert exit_code([ok("a", "fine"), fail("b", "no", "do")]) == 1


def test_text_shows_remedies_and_json_everything():
    checks = [ok("a", "fine"), fail("long name", "no", "do this")]
    text = as_text(checks)
    assert "-> do this" in text
    assert text.endswith("1 ok, 0 to look at, 1 failed")
    assert json.loads(as_json(checks))[1] == {"name": "long name", "mark": "fail", "found": "no", "remedy": "do this"}
