import json
import re
import shutil

import numpy as np
import pytest
from evaluated_folders import write_study

from nnunetv2_muduo import cli
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.reporting.evaluations import read_evaluations
from nnunetv2_muduo.reporting.tables import METRICS, difference_table, metric_table


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """`poor` against `exact`, by the command itself."""
    root = tmp_path_factory.mktemp("study")
    reference, folders = write_study(root)
    out = root / "out"
    methods = [str(folders["poor"]), "--compare", str(folders["exact"])]
    assert cli.main(["evaluate", str(reference), *methods, "--lesions", "lesion", "-np", "1", "-o", str(out)]) == 0
    return out


def test_baseline_comes_first_whatever_the_folders_are_called(evaluated):
    (found,) = read_evaluations([evaluated])
    assert list(found.methods) == ["poor", "exact"]
    assert found.num_cases == 3


def test_results_of_an_earlier_call_in_the_same_folder_are_not_shown(evaluated, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(evaluated, out)
    root = evaluated.parent
    assert cli.main(["evaluate", str(root / "reference"), str(root / "exact"), "-np", "1", "-o", str(out)]) == 0
    (found,) = read_evaluations([out])
    assert list(found.methods) == ["exact"]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_tables_hold_what_the_evaluation_wrote(evaluated, metric):
    told = json.loads((evaluated / "poor" / "summary.json").read_text())
    table = metric_table(read_evaluations([evaluated])[0].methods, metric)
    column = table.columns.index("poor")
    for organ, key in told["muduo"]["organs"].items():
        expected = told["mean"][key].get(metric.key, np.nan)
        np.testing.assert_equal(dict(table.rows)[organ][column].value, expected)


def test_paired_differences_are_those_that_the_evaluation_wrote(evaluated):
    (found,) = read_evaluations([evaluated])
    told = {
        row["organ"]: row
        for row in json.loads((evaluated / "differences.json").read_text())["differences"]
        if row["metric"] == "Dice"
    }
    table = difference_table(found.differences, METRICS[0])
    assert table.columns == ("exact",)
    assert "Difference to poor case by case" in table.caption
    for organ, (cell,) in table.rows:
        assert cell.value == told[organ]["mean"]
        assert f"[{told[organ]['low']:+.3f}, {told[organ]['high']:+.3f}]" in cell.text.replace("\N{MINUS SIGN}", "-")
        assert cell.difference == "3 cases"
    assert table.rows[-1][0] == "mean"


@pytest.mark.parametrize("damage", [[3], [{"method": "exact"}], 7, [{"mean": "a"}]])
def test_differences_that_were_damaged_are_refused(evaluated, tmp_path, damage):
    shutil.copytree(evaluated, tmp_path, dirs_exist_ok=True)
    (tmp_path / "differences.json").write_text(json.dumps({"differences": damage}))
    with pytest.raises(UserError, match="evaluate again"):
        read_evaluations([tmp_path])


def test_volumes_stand_beside_the_references(evaluated):
    table = metric_table(read_evaluations([evaluated])[0].methods, next(m for m in METRICS if "volume" in m.key))
    assert table.columns == ("reference", "poor", "exact")
    row = dict(table.rows)["liver"]
    assert row[0].value == row[2].value


def test_organs_stand_in_the_order_of_their_labels(evaluated):
    (found,) = read_evaluations([evaluated / "exact"])
    assert list(found.methods["exact"].means["Dice"]) == ["liver", "spleen", "lesion"]


def test_two_evaluations_of_one_method_stand_side_by_side(evaluated, tmp_path):
    """As of one model on two sets of cases; neither takes the other's place."""
    for name in ("test", "validation"):
        shutil.copytree(evaluated / "poor", tmp_path / name)
    content = json.loads((tmp_path / "test" / "summary.json").read_text())
    content["mean"]["1"]["Dice"] = 0.25
    (tmp_path / "test" / "summary.json").write_text(json.dumps(content))
    (found,) = read_evaluations([tmp_path])
    assert list(found.methods) == ["poor (test)", "poor (validation)"]
    assert found.methods["poor (test)"].means["Dice"]["liver"] == 0.25
    assert found.methods["poor (validation)"].means["Dice"]["liver"] != 0.25


def test_where_nobody_says_which_results_are_the_last_none_is_hidden(evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path, dirs_exist_ok=True)
    (tmp_path / "methods.json").unlink()
    shutil.copyfile(evaluated / "exact" / "summary.json", tmp_path / "summary.json")
    (found,) = read_evaluations([tmp_path])
    assert list(found.methods) == ["poor", f"exact ({tmp_path.name})", "exact (exact)"]


def test_any_other_folder_is_refused_with_the_command(tmp_path):
    with pytest.raises(UserError, match="muduo evaluate"):
        read_evaluations([tmp_path])


@pytest.mark.parametrize(
    "damage", [{"mean": None}, {"mean": {"1": 3}}, {"muduo": {"organs": [1]}}, {"metric_per_case": [3]}, {"muduo": 3}]
)
def test_results_that_were_damaged_are_refused_with_the_folder(evaluated, tmp_path, damage):
    told = json.loads((evaluated / "poor" / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps(told | damage))
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        read_evaluations([tmp_path])
