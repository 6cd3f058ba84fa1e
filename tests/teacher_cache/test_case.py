import blosc2
import numpy as np
import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teacher_cache.case import CachedCase, is_cached, writing_case
from nnunetv2_muduo.teacher_cache.evidence import TileLayout

LAYOUT = TileLayout({"a": ((3, 4), np.dtype(np.float16)), "b": ((2,), np.dtype(np.bool_))})
CENTRES = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32)


def tile(index: int) -> dict[str, np.ndarray]:
    return {"a": np.full((3, 4), index + 0.5, np.float16), "b": np.array([True, bool(index)])}


def write(folder, *, fingerprint="f", tiles=2):
    with writing_case(folder, LAYOUT, centres=CENTRES, fingerprint=fingerprint) as writer:
        for index in range(tiles):
            writer.write(index, tile(index))


def test_a_case_is_read_as_it_was_written(tmp_path):
    write(tmp_path / "pat 1.v2")
    case = CachedCase(tmp_path / "pat 1.v2")
    assert len(case) == 2
    assert np.array_equal(case.centres, CENTRES)
    for index in range(2):
        for name, values in tile(index).items():
            assert np.array_equal(case.tile(index)[name], values)
            assert case.tile(index)[name].dtype == values.dtype
    assert case.size_in_bytes() == sum(file.stat().st_size for file in (tmp_path / "pat 1.v2").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["pat 1.v2"]


def test_only_the_same_fingerprint_counts(tmp_path):
    assert not is_cached(tmp_path / "case", "f")
    write(tmp_path / "case")
    assert is_cached(tmp_path / "case", "f")
    assert not is_cached(tmp_path / "case", "g")
    write(tmp_path / "case", fingerprint="g")
    assert is_cached(tmp_path / "case", "g")


def write_half(folder) -> None:
    with writing_case(folder, LAYOUT, centres=CENTRES, fingerprint="g") as writer:
        writer.write(0, tile(0))
        raise KeyboardInterrupt


def test_an_interrupted_case_leaves_the_one_before_and_nothing_else(tmp_path):
    write(tmp_path / "case")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "case")
    assert is_cached(tmp_path / "case", "f")
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


@pytest.mark.parametrize("missing", ["cache.json", "a.b2nd"])
def test_half_a_case_is_none(tmp_path, missing):
    write(tmp_path / "case")
    (tmp_path / "case" / missing).unlink()
    assert not is_cached(tmp_path / "case", "f")


def test_a_damaged_record_is_none(tmp_path):
    write(tmp_path / "case")
    (tmp_path / "case" / "cache.json").write_text('{"fingerprint"')
    assert not is_cached(tmp_path / "case", "f")


@pytest.mark.parametrize(
    "record", ["[" * 100_000, "[]", '{"arrays": ["../../a"]}', '{"arrays": 3}', '{"fingerprint": "f"}', "{"]
)
def test_a_damaged_record_is_no_case(tmp_path, record):
    write(tmp_path / "case")
    (tmp_path / "case" / "cache.json").write_text(record)
    assert not is_cached(tmp_path / "case", "f")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_case_with_an_array_that_is_cut_short_is_none(tmp_path, share):
    write(tmp_path / "case")
    array = tmp_path / "case" / "a.b2nd"
    array.write_bytes(array.read_bytes()[: int(share * array.stat().st_size)])
    assert not is_cached(tmp_path / "case", "f")


@pytest.mark.parametrize("centres", ["null", "[[1, 2]]", "[[1, 2, 1e400]]", "[[1, 2, 99999999999999999999]]"])
def test_centres_that_lie_in_no_scan_are_of_no_case(tmp_path, centres):
    write(tmp_path / "case")
    record = f'{{"fingerprint": "f", "arrays": ["a"], "centres": {centres}}}'
    (tmp_path / "case" / "cache.json").write_text(record)
    assert not is_cached(tmp_path / "case", "f")
    with pytest.raises(UserError, match=r"case/cache\.json is damaged"):
        CachedCase(tmp_path / "case")


@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 3), (2, 4, 3)])
def test_arrays_of_other_shapes_are_none(tmp_path, shape):
    write(tmp_path / "case")
    assert is_cached(tmp_path / "case", "f", LAYOUT)
    blosc2.asarray(np.zeros(shape, np.float16), urlpath=str(tmp_path / "case" / "a.b2nd"), mode="w")
    assert not is_cached(tmp_path / "case", "f", LAYOUT)


def test_a_tile_that_cannot_be_decompressed_is_told_by_its_folder(tmp_path):
    write(tmp_path / "case")
    file = tmp_path / "case" / "a.b2nd"
    array = np.arange(20_000, dtype=np.float32).reshape(2, -1)
    blosc2.asarray(array, urlpath=str(file), mode="w", chunks=array.shape, blocks=array.shape)
    content = bytearray(file.read_bytes())
    content[300:-400] = b"\xff" * (len(content) - 700)  # most of the one chunk
    file.write_bytes(content)
    with pytest.raises(UserError, match="case is damaged"):
        CachedCase(tmp_path / "case").tile(0)
