import json

import pytest
from label_methods import METHODS, SIZES
from teacher_quality import (
    STAND_IN,
    WAYS,
    all_points,
    draw,
    earlier_points,
    finished_points,
    key_of,
    key_of_point,
    methods_for,
    point,
    table_rows,
)
from weak_teachers import teacher_name

DICE = {
    "fused": {"liver": 0.7, "brain": None, "aorta": 0.1},
    "prompt_generator": {"liver": 0.6, "brain": 0.4, "aorta": None},
    "student": {"liver": 0.5, "brain": 0.3, "aorta": 0.3},
}


def record(liver: list, brain: list, aorta: list, seed: int = 0) -> dict:
    return {"seed": seed, "dice": {"liver": liver, "brain": brain, "aorta": aorta}}


SUPERVISED = record([0.5, 0.7], [0.4, None], [0.1, 0.1])
OURS = record([0.7, 0.7], [0.9, None], [0.0, 0.0])


def test_each_pair_of_teachers_distils_with_and_without_the_report():
    methods = methods_for([0, 500])
    for way, trust in WAYS.items():
        method = methods[key_of("500", way)]
        assert trust.items() <= method.settings.items()
        assert method.settings["ct_teacher"] == teacher_name("CT", 500)
        assert method.settings["pet_teacher"] == teacher_name("PET", 500)
    assert len(methods) == 1 + 3 * len(WAYS)


def test_runs_that_the_label_benchmark_has_as_well_are_the_same_there():
    methods = methods_for([0])
    for way in WAYS:
        key = key_of(STAND_IN, way)
        assert methods[key].settings == METHODS[key].settings
        assert methods[key].trainer == METHODS[key].trainer
        assert methods[key].split == METHODS[key].split


def test_a_point_pairs_quality_and_gain_where_both_are_known():
    found = point(OURS, SUPERVISED, DICE, quality="500", way="none")
    assert found["gain"] == pytest.approx((0.7 + 0.9 + 0.0) / 3 - (0.6 + 0.4 + 0.1) / 3)
    assert set(found["organs"]) == {"liver", "aorta"}
    assert found["organs"]["liver"] == pytest.approx({"quality": 0.2, "gain": 0.1})
    assert found["organs"]["aorta"] == pytest.approx({"quality": -0.2, "gain": -0.1})
    assert found["fused"] == pytest.approx(0.4)
    assert found["supervised"] == pytest.approx(1.1 / 3)


def test_table_and_figure_show_every_pair_of_teachers(tmp_path):
    points = [point(OURS, SUPERVISED, DICE, quality=quality, way=way) for quality in ("0", STAND_IN) for way in WAYS]
    rows = table_rows(points)
    assert [row[0] for row in rows] == ["0 steps", STAND_IN]
    assert rows[0][1:] == ["0.400", "0.500", "0.367", *["+0.167 (+0.167)"] * len(WAYS)]
    draw(points, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_points_are_those_of_all_commands_so_far_by_quality_and_seed(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "qualities").mkdir()
    for quality, seed, ways in [(STAND_IN, 0, WAYS), ("2000", 0, ("gate",)), ("500", 1, ("none",))]:
        (tmp_path / "qualities" / f"{quality}_{seed}.json").write_text(json.dumps(DICE))
        (tmp_path / "runs" / f"supervised_5_{seed}.json").write_text(json.dumps(SUPERVISED))
        for way in ways:
            file = tmp_path / "runs" / f"{key_of(quality, way)}_5_{seed}.json"
            file.write_text(json.dumps({**OURS, "seed": seed}))
    points = all_points(finished_points(tmp_path), [])
    found = [(p["teachers"], p["seed"], p["way"]) for p in points]
    assert found == [("500", 1, "none"), ("2000", 0, "gate"), *((STAND_IN, 0, r) for r in WAYS)]


def test_points_of_earlier_results_are_kept_where_they_are_of_the_same_size_and_not_measured_anew(tmp_path):
    def made(quality: str, seed: int, gain: float) -> dict:
        return {"teachers": quality, "seed": seed, "way": "gate", "gain": gain}

    file = tmp_path / "results.json"
    earlier = [made(STAND_IN, 0, 0.1), made("500", 1, 0.2)]
    file.write_text(json.dumps({"size": vars(SIZES["small"]), "points": earlier}))
    assert earlier_points(file, SIZES["small"]) == earlier
    assert earlier_points(file, SIZES["large"]) == []
    assert earlier_points(tmp_path / "missing.json", SIZES["small"]) == []
    together = all_points([made("2000", 0, 0.3), made("500", 1, 0.4)], earlier)
    assert [(*key_of_point(p), p["gain"]) for p in together] == [
        ("500", "gate", 1, 0.4),
        ("2000", "gate", 0, 0.3),
        (STAND_IN, "gate", 0, 0.1),
    ]
