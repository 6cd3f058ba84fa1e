"""Files that dataset.json lists are found where nnU-Net finds them."""

from pathlib import Path

from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunetv2_muduo.semisupervised.listed_files import listed_files


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
