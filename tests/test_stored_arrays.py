"""Arrays on the disk."""

from pathlib import Path

import blosc2
import numpy as np
import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.stored_arrays import is_whole_array, read_part


def written(file: Path, array: np.ndarray) -> Path:
    blosc2.asarray(array, urlpath=str(file), mode="w")
    return file


def test_an_array_that_is_cut_short_or_not_there_is_not_whole(tmp_path: Path):
    file = written(tmp_path / "a.b2nd", np.arange(60))
    whole = file.read_bytes()
    assert is_whole_array(file)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert not is_whole_array(file)
    assert not is_whole_array(tmp_path / "missing.b2nd")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
def test_a_part_is_read_as_it_was_stored(tmp_path: Path, dtype: type):
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    stored = blosc2.open(str(written(tmp_path / "a.b2nd", array)), mode="r")
    for part in (..., (slice(1, 3), 2), (0, 0, 0), slice(0)):
        np.testing.assert_array_equal(read_part(stored, part, tmp_path, remedy=""), array[part])


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.nan, np.float16), (-np.inf, np.float16), (-1e30, np.float32), (np.nan, np.float32)]
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_intensity_is_told_by_the_file_and_only_where_it_is_read(tmp_path: Path, value: float, dtype: type):
    array = np.zeros((3, 4), dtype)
    array[2, 3] = value
    assert not read_part(array, slice(2), tmp_path / "a.b2nd", remedy="do it again").any()
    with pytest.raises(UserError, match=r"a\.b2nd is damaged \(it holds NaN, .*\); do it again\."):
        read_part(array, ..., tmp_path / "a.b2nd", remedy="do it again")
