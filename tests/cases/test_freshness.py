import pickle
from pathlib import Path

import blosc2
import numpy as np
import pytest
from batchgenerators.utilities.file_and_folder_operations import write_pickle
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_muduo.cases.freshness import BODY_LOCATIONS_KEY, SOURCE_KEY, is_fresh, read_properties
from nnunetv2_muduo.cases.preprocessed import case_files, install_case, remove_case
from nnunetv2_muduo.cases.raw_intensities import OUTSIDE_IS_ZERO_KEY, RAW_INTENSITY_KEY
from nnunetv2_muduo.errors import UserError


def write_case(folder: Path, stamp: dict) -> None:
    folder.mkdir(exist_ok=True)
    mask, properties, image = case_files(folder, "pat 1.v2")
    blosc2.asarray(np.zeros((1, 2, 2, 2), np.int16), urlpath=str(mask), mode="w")
    blosc2.asarray(np.zeros((1, 2, 2, 2), np.float32), urlpath=str(image), mode="w")
    stored = {RAW_INTENSITY_KEY: [(1.0, 0.0)], OUTSIDE_IS_ZERO_KEY: [False]}
    stored[BODY_LOCATIONS_KEY] = np.zeros((1, 3), np.int32)
    write_pickle({**stored, SOURCE_KEY: stamp}, str(properties))


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_replacement_that_breaks_off_never_leaves_a_mixed_case(tmp_path, monkeypatch, moved):
    """The new properties beside the old image would pass for a fresh case for ever."""
    old, new = {"plans": "old"}, {"plans": "new"}
    write_case(tmp_path / "made", new)
    write_case(tmp_path / "wanted", old)
    replace, calls = Path.replace, []

    def break_off(source, target):
        calls.append(source)
        if len(calls) > moved:
            raise OSError("broken off")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", break_off)
    with pytest.raises(OSError, match="broken off"):
        install_case(tmp_path / "made", tmp_path / "wanted", "pat 1.v2")
    assert not is_fresh(tmp_path / "wanted", "pat 1.v2", old)
    assert not is_fresh(tmp_path / "wanted", "pat 1.v2", new)
    assert nnUNetDatasetBlosc2.get_identifiers(str(tmp_path / "wanted")) == []


def test_a_whole_replacement_is_fresh(tmp_path):
    write_case(tmp_path / "made", {"plans": "new"})
    write_case(tmp_path / "wanted", {"plans": "old"})
    install_case(tmp_path / "made", tmp_path / "wanted", "pat 1.v2")
    assert is_fresh(tmp_path / "wanted", "pat 1.v2", {"plans": "new"})
    assert list((tmp_path / "made").iterdir()) == []


def test_a_removed_case_is_gone(tmp_path):
    write_case(tmp_path / "folder", {})
    remove_case(tmp_path / "folder", "pat 1.v2")
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"damaged", b"\x80\x04cnosuchmodule\nname\n.", pickle.dumps([1]), b"cos\nnothing\n."]
)
def test_damaged_properties_are_of_no_fresh_case(tmp_path, content):
    for file in case_files(tmp_path, "a"):
        file.write_bytes(content)
    assert not is_fresh(tmp_path, "a", {"plans": "x"})
    with pytest.raises(UserError, match=r"a\.pkl is damaged"):
        read_properties(tmp_path, "a")
