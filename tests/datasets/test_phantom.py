import json

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from nnunetv2_muduo.datasets.phantom import draw_phantom, write_phantom_dataset
from nnunetv2_muduo.datasets.simulated_dataset import ORGANS, organ_labels
from nnunetv2_muduo.datasets.tissues import Tissue
from nnunetv2_muduo.errors import UserError

COARSE = (16.0, 16.0, 16.0)


def volumes_in_ml(seed: int, spacing: tuple[float, float, float]) -> np.ndarray:
    labels = organ_labels(draw_phantom(np.random.default_rng(seed), spacing_in_mm=spacing).tissues)
    return np.bincount(labels.ravel(), minlength=len(ORGANS))[1:] * np.prod(spacing) / 1000


def test_same_seed_same_person_and_the_next_seed_another():
    first, again, other = (draw_phantom(np.random.default_rng(s), spacing_in_mm=COARSE).tissues for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).mean() > 0.02


def test_person_has_human_measures():
    for seed in range(6):
        z, y, x = np.array(draw_phantom(np.random.default_rng(seed)).tissues.shape) * 8
        assert 780 < z < 960
        assert 220 < y < 400
        assert 340 < x < 620


def test_organs_have_human_volumes():
    volumes = np.median([volumes_in_ml(seed, (8.0, 8.0, 8.0)) for seed in range(10)], axis=0)
    limits = {
        "liver": (1100, 2300),
        "spleen": (80, 350),
        "kidneys": (200, 500),
        "heart": (350, 850),
        "lungs": (2500, 6000),
        "bladder": (50, 400),
    }
    for (name, (low, high)), volume in zip(limits.items(), volumes, strict=True):
        assert low < volume < high, name


def test_liver_is_on_the_right_spleen_on_the_left_and_the_spine_at_the_back():
    tissues = draw_phantom(np.random.default_rng(1)).tissues
    middle = (np.array(tissues.shape) - 1) / 2
    centre = {t: np.argwhere(tissues == t).mean(axis=0) - middle for t in (Tissue.LIVER, Tissue.SPLEEN, Tissue.BRAIN)}
    assert centre[Tissue.LIVER][2] < 0 < centre[Tissue.SPLEEN][2]
    assert centre[Tissue.BRAIN][0] > 30
    trunk = np.argwhere(tissues[tissues.shape[0] // 3 : tissues.shape[0] // 2] == Tissue.BONE)
    assert trunk.mean(axis=0)[1] > middle[1]


@pytest.mark.parametrize("spacing", [(8.0, 8.0, 8.0), (10.0, 6.0, 6.0)])
def test_no_organ_touches_air(spacing):
    for seed in range(5):
        tissues = draw_phantom(np.random.default_rng(seed), spacing_in_mm=spacing).tissues
        beside_air = ndimage.binary_dilation(tissues == Tissue.AIR)
        assert not organ_labels(tissues)[beside_air].any()


def test_spacing_changes_the_voxels_and_not_the_person():
    for seed in (0, 3):
        isotropic, anisotropic = volumes_in_ml(seed, (8.0, 8.0, 8.0)), volumes_in_ml(seed, (10.0, 6.0, 6.0))
        np.testing.assert_allclose(isotropic, anisotropic, rtol=0.12, atol=12)


def test_organs_are_now_and_then_missing_and_always_present_otherwise():
    missing = sum(volumes_in_ml(seed, COARSE) == 0 for seed in range(80))
    assert 0 < missing[1] < 10  # splenectomy
    assert missing[[0, 2, 3, 4, 5]].sum() == 0


def write(folder, **changes):
    parameters = {"labelled": 2, "unlabelled": 2, "test": 1, "seed": 7, "spacing_in_mm": COARSE}
    write_phantom_dataset(folder, **{**parameters, **changes})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "Dataset901_Phantom"
    write(folder)
    return folder


def test_dataset_has_the_files_nnunet_expects(dataset):
    found = sorted(str(p.relative_to(dataset)) for p in dataset.rglob("*") if p.is_file())
    assert found == sorted(
        ["dataset.json", "phantom.json"]
        + [f"imagesTr/phantom_00{i}_000{c}.nii.gz" for i in (0, 1) for c in (0, 1)]
        + [f"imagesUn/unlabelled_00{i}_000{c}.nii.gz" for i in (0, 1) for c in (0, 1)]
        + [f"imagesTs/test_000_000{c}.nii.gz" for c in (0, 1)]
        + [f"labelsTr/phantom_00{i}.nii.gz" for i in (0, 1)]
        + ["labelsTs/test_000.nii.gz"]
    )


def test_dataset_json_names_channels_and_labels(dataset):
    description = json.loads((dataset / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "CT", "1": "PET"}
    assert description["labels"] == ORGANS
    assert description["numTraining"] == 2
    assert description["file_ending"] == ".nii.gz"


def test_images_and_labels_share_one_grid(tmp_path):
    write(tmp_path / "raw", spacing_in_mm=(20.0, 16.0, 12.0))
    images = [
        SimpleITK.ReadImage(str(tmp_path / "raw" / name))
        for name in ("imagesTs/test_000_0000.nii.gz", "imagesTs/test_000_0001.nii.gz", "labelsTs/test_000.nii.gz")
    ]
    assert {image.GetSize() for image in images} == {images[0].GetSize()}
    assert all(image.GetSpacing() == pytest.approx((12.0, 16.0, 20.0)) for image in images)
    ct, pet, labels = (SimpleITK.GetArrayFromImage(image) for image in images)
    assert ct.min() < -900
    assert 0 <= pet.min() < pet.max() < 100
    assert set(np.unique(labels)) <= set(ORGANS.values())
    assert ct[labels == ORGANS["lungs"]].mean() < -400


def test_case_is_the_same_whatever_the_counts(dataset, tmp_path):
    write(tmp_path / "raw", labelled=1, unlabelled=3, test=2)
    for name in ("imagesTr/phantom_000_0001.nii.gz", "imagesUn/unlabelled_001_0000.nii.gz", "labelsTs/test_000.nii.gz"):
        first, second = (
            SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(f / name))) for f in (dataset, tmp_path / "raw")
        )
        np.testing.assert_array_equal(first, second)


def test_second_run_keeps_whole_cases_and_mends_broken_ones(tmp_path):
    folder = tmp_path / "raw"
    write(folder)
    lost = folder / "imagesUn" / "unlabelled_001_0001.nii.gz"
    before = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(lost)))
    lost.unlink()
    kept = {p: p.stat().st_mtime_ns for p in folder.rglob("*.nii.gz") if "unlabelled_001" not in p.name}
    left = folder / "imagesUn" / ".partial-1-killed"
    left.mkdir()
    (left / lost.name).write_bytes(b"half")
    write(folder)
    assert not left.exists()
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(lost))), before)


@pytest.mark.parametrize("changes", [{"seed": 8}, {"labelled": 3}, {"spacing_in_mm": (16.0, 16.0, 12.0)}])
def test_other_parameters_are_refused_by_name(dataset, changes):
    with pytest.raises(UserError, match=f"{dataset}.*{next(iter(changes))}.*choose another folder"):
        write(dataset, **changes)


def test_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
