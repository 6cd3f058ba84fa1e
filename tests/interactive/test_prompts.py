"""What a user points at."""

import json

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.interactive.prompts import Point, Target, parse_point, read_prompts


@pytest.mark.parametrize(
    ("words", "point"),
    [
        (["12", "40", "7"], Point((12, 40, 7))),
        (["12", "40", "7:0"], Point((12, 40, 7), foreground=False)),
        (["12.5,-40,7:1"], Point((12.5, -40, 7))),
        (["-12,40,7e1:0"], Point((-12, 40, 70), foreground=False)),
    ],
)
def test_points_are_read_as_typed(words, point):
    assert parse_point(words) == point


@pytest.mark.parametrize(
    "words",
    [
        ["12", "40"],
        ["a", "b", "c"],
        ["1", "2", "3:2"],
        ["1", "2", "3", "4"],
        ["1,2"],
        ["nan", "1", "2"],
        ["1", "1e9", "2"],
    ],
)
def test_what_is_no_point_is_shown_with_one_that_is(words):
    with pytest.raises(UserError, match="--point 200 180 95"):
        parse_point(words)


def test_our_json_holds_targets_by_name(tmp_path):
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps({"space": "ras", "targets": [{"name": "liver", "points": [[1, 2, 3], [4, 5, 6, 0]]}]}))
    points = [Point((1, 2, 3), space="ras"), Point((4, 5, 6), foreground=False, space="ras")]
    assert read_prompts(file) == [Target("liver", points)]


def test_slicer_markups_are_targets_in_their_own_space(tmp_path):
    file = tmp_path / "F.mrk.json"
    control_points = [
        {"label": "F-1", "position": [1, 2, 3], "positionStatus": "defined"},
        {"label": "F-2 negative", "position": [4, 5, 6], "positionStatus": "defined"},
        {"label": "F-3", "position": [0, 0, 0], "positionStatus": "undefined"},
    ]
    file.write_text(
        json.dumps({"markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": control_points}]})
    )
    points = [Point((1, 2, 3), space="lps"), Point((4, 5, 6), foreground=False, space="lps")]
    assert read_prompts(file) == [Target("F", points)]


def test_slicer_markups_that_are_no_points_are_refused(tmp_path):
    file = tmp_path / "R.mrk.json"
    file.write_text(json.dumps({"markups": [{"type": "ROI", "controlPoints": [{"position": [1, 2, 3]}]}]}))
    with pytest.raises(UserError, match="kind ROI is no list of points"):
        read_prompts(file)
    (tmp_path / "F.fcsv").write_text("# Markups fiducial file version = 4.11")
    with pytest.raises(UserError, match=r"older format; save the points as \.mrk\.json"):
        read_prompts(tmp_path / "F.fcsv")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "3",
        "[" * 100_000,
        '{"targets": [{"points": []}]}',
        '{"space": "mm", "targets": [{"name": "a", "points": []}]}',
        '{"targets": [{"name": "a", "points": [[1, 2, Infinity]]}]}',
        '{"targets": [{"name": "a", "points": [[1, 2, 1e400]]}]}',
        '{"targets": [{"name": "a", "points": [[1, 2, 3, "0"]]}]}',
        '{"targets": [{"name": "a", "points": [[1, 2, 3, -1]]}]}',
        '{"markups": ["text"]}',
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content):
    file = tmp_path / "wrong.json"
    file.write_text(content)
    with pytest.raises(UserError, match=r"wrong\.json"):
        read_prompts(file)
    with pytest.raises(UserError, match="no file"):
        read_prompts(tmp_path / "missing.json")
