from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from drawn_panels import catch_figures, sides

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation import comparison_figure
from nnunetv2_muduo.evaluation.comparison import compare_predictions
from nnunetv2_muduo.evaluation.comparison_figure import draw_comparison

LABELS = {"liver": 1, "spleen": 2}


def write(folder: Path, case: str, labels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(folder / f"{case}.nii.gz"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    reference = np.zeros((6, 7, 8), np.uint8)
    reference[1:3], reference[4] = 1, 2
    half = np.where(reference == 1, 0, reference).astype(np.uint8)
    half[1] = 1
    for case in ("pat 1.v2", "pat 2"):
        write(tmp_path / "reference", case, reference)
        write(tmp_path / "exact", case, reference)
        write(tmp_path / "half", case, half)
    return tmp_path / "reference", {"half": tmp_path / "half", "exact": tmp_path / "exact"}


def test_comparison_finds_each_methods_dice_and_the_difference(folders):
    reference, predictions = folders
    comparison = compare_predictions(reference, predictions, labels=LABELS, file_ending=".nii.gz")
    assert comparison.cases == ("pat 1.v2", "pat 2")
    assert comparison.mean_per_organ("half") == pytest.approx([2 / 3, 1.0])
    assert "| liver | 0.667 | 1.000 | +0.333 |" in " ".join(comparison.as_table().split())


def test_missing_prediction_is_named(folders):
    reference, predictions = folders
    (predictions["half"] / "pat 2.nii.gz").unlink()
    with pytest.raises(UserError, match=r"half has no prediction of 1 case\(s\) \(pat 2\)"):
        compare_predictions(reference, predictions, labels=LABELS, file_ending=".nii.gz")


def test_prediction_on_another_grid_is_refused(folders):
    reference, predictions = folders
    write(predictions["half"], "pat 2", np.zeros((5, 5, 5), np.uint8))
    with pytest.raises(UserError, match=r"half/pat 2\.nii\.gz and .* lie on different grids"):
        compare_predictions(reference, predictions, labels=LABELS, file_ending=".nii.gz")


def test_figure_of_a_comparison_is_written_whole(folders, tmp_path: Path, monkeypatch):
    reference, predictions = folders
    comparison = compare_predictions(reference, predictions, labels=LABELS, file_ending=".nii.gz")
    volume = np.zeros((6, 7, 8), np.float32)
    labels = np.ones((6, 7, 8), np.uint8)
    path = tmp_path / "figures" / "comparison.png"
    maps = {"reference": labels, "half": labels}
    draw_comparison(path, comparison, ct=volume, pet=volume, label_maps=maps, aspect=1.0, case="pat 2")
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert list(path.parent.iterdir()) == [path]
    caught = catch_figures(monkeypatch, comparison_figure)
    draw_comparison(path, comparison, ct=volume, pet=volume, label_maps=maps, aspect=1.0, case="pat 2")
    assert [sides(axis)["left"] for axis in caught[0].axes[1:]] == ["R"] * 3
