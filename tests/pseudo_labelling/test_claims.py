"""Organs' masks, packed."""

from pathlib import Path

import numpy as np
import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.pseudo_labelling.claims import Claims

SHAPE = (5, 6, 7)


def test_claims_come_back_from_their_file_voxel_by_voxel(tmp_path: Path):
    rng = np.random.default_rng(0)
    part = (slice(1, 4), slice(0, 6), slice(2, 7))
    mask = rng.random((3, 6, 5)) > 0.5
    other = np.ones((1, 1, 1), bool)
    claims = Claims({})
    claims.add(2, part, mask)
    claims.add(11, (slice(0, 1), slice(0, 1), slice(0, 1)), other)
    claims.save(tmp_path / "case.npz")
    again = Claims.load(tmp_path / "case.npz")
    wanted = np.zeros(SHAPE, bool)
    wanted[part] = mask
    np.testing.assert_array_equal(again.of([2], SHAPE), wanted)
    wanted[0, 0, 0] = True
    np.testing.assert_array_equal(again.of([2, 11, 99], SHAPE), wanted)
    assert not again.of([], SHAPE).any()


@pytest.mark.parametrize("content", [b"", b"PK damaged", b"\x93NUMPY"])
def test_damaged_claims_are_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npz is damaged"):
        Claims.load(tmp_path / "a.npz")


def test_claims_that_a_flipped_bit_calls_encrypted_are_named(tmp_path: Path):
    Claims({1: (np.zeros((3, 2), int), np.zeros(1, np.uint8))}).save(path := tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    for entry in (content.find(b"PK\x01\x02"), content.rfind(b"PK\x01\x02")):
        content[entry + 8] |= 1  # of the flags in the table of contents
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npz is damaged"):
        Claims.load(path)


@pytest.mark.parametrize("name", ["part_1", "bits_1"])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.astype(float) * np.nan,
        lambda array: -array.astype(np.int32),
        lambda array: array[:-1],
        lambda array: array[None],
        lambda array: array.astype(np.int64) * 10**6,
        lambda array: np.array(["a"]),
    ],
    ids=["NaN", "negative", "short", "another axis", "huge", "text"],
)
def test_arrays_that_do_not_fit_each_other_are_damaged(tmp_path: Path, name: str, change):
    claims = Claims({})
    claims.add(1, (slice(0, 3), slice(1, 5), slice(2, 7)), np.ones((3, 4, 5), bool))
    claims.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    np.savez_compressed(tmp_path / "a.npz", **(arrays | {name: change(arrays[name])}))
    with pytest.raises(UserError, match=r"a\.npz is damaged"):
        Claims.load(tmp_path / "a.npz")
