"""Files of training cases are found where nnU-Net finds them, be they listed in dataset.json or not."""

from pathlib import Path

from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunetv2_muduo.cases.training_files import listed_files, training_files


def described(store: Path) -> dict:
    return {
        "file_ending": ".nii.gz",
        "dataset": {
            "b": {"images": ["../elsewhere/ct.nii.gz", f"{store}/pet.nii.gz"], "label": "labels/of b.nii.gz"},
            "a": {"images": ["$STORE/a_ct.nii.gz", "${STORE}/a_pet.nii.gz"], "label": "$STORE/a.nii.gz"},
        },
    }


def test_paths_are_those_of_nnunet(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("STORE", str(tmp_path / "store"))
    raw = tmp_path / "Dataset001_A"
    theirs = get_filenames_of_train_images_and_targets(str(raw), described(tmp_path))
    ours = listed_files(raw, described(tmp_path))
    assert ours is not None
    assert list(ours) == ["a", "b"]
    for case, files in ours.items():
        assert [*map(str, files.images), str(files.label)] == [*theirs[case]["images"], theirs[case]["label"]]
    assert ours["a"].label == tmp_path / "store" / "a.nii.gz"


def test_the_description_is_left_as_it_is(tmp_path: Path):
    content = described(tmp_path)
    listed_files(tmp_path, content)
    assert content == described(tmp_path)


def test_without_a_list_the_folders_count(tmp_path: Path):
    assert listed_files(tmp_path, {"file_ending": ".nii.gz"}) is None


def test_without_a_list_scans_and_label_maps_are_found_by_their_names(tmp_path: Path):
    for name in ("b_0000.nii.gz", "b_0001.nii.gz", "a_0000.nii.gz"):
        (tmp_path / "imagesTs").mkdir(exist_ok=True)
        (tmp_path / "imagesTs" / name).touch()
    found = training_files(tmp_path, described(tmp_path), split="Ts")
    assert {case: [file.name for file in files.images] for case, files in found.items()} == {
        "a": ["a_0000.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
    }
    assert found["a"].label == tmp_path / "labelsTs" / "a.nii.gz"
    assert training_files(tmp_path, {"file_ending": ".nii.gz"}) == {}
    assert list(training_files(tmp_path, described(tmp_path))) == ["a", "b"]
