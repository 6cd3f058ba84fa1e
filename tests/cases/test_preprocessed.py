"""Which cases a folder holds."""

from pathlib import Path

from nnunetv2_muduo.cases.preprocessed import preprocessed_cases


def test_a_case_is_preprocessed_as_long_as_its_image_lies_there(tmp_path: Path):
    assert preprocessed_cases(tmp_path) == preprocessed_cases(tmp_path / "missing") == []
    for name in ("pat 1.v2.b2nd", "pat 1.v2_seg.b2nd", "pat 1.v2.pkl", "half.pkl"):
        (tmp_path / name).touch()
    assert preprocessed_cases(tmp_path) == ["pat 1.v2"]
