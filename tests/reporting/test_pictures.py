from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nnunetv2_muduo.reporting.pictures import WIDEST, Picture, embed, found_pictures


def noise(width, height):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Picture(Image.fromarray(pixels), "noise", "noise")


def decoded(embedded):
    return Image.open(BytesIO(b64decode(embedded.uri.partition(",")[2])))


def test_wide_picture_is_scaled_in_proportion():
    (made,) = embed([noise(2 * WIDEST, 600)], most_bytes=10_000_000)
    assert decoded(made).size == (made.width, made.height) == (WIDEST, 300)


def test_small_picture_keeps_its_size():
    (made,) = embed([noise(40, 30)], most_bytes=10_000_000)
    assert (made.width, made.height) == (40, 30)


@pytest.mark.parametrize("most", [1_000_000, 300_000])
def test_pictures_together_take_no_more_than_allowed(most):
    made = embed([noise(900, 600)] * 4, most_bytes=most)
    assert sum(len(each.uri) for each in made) <= most
    assert made[0].width < 900


def test_first_and_last_of_each_kind_are_found(tmp_path):
    for name in ("patch_epoch_0000", "patch_epoch_0002", "patch_epoch_0010", "rec_epoch_0003", "progress"):
        noise(8, 8).image.save(tmp_path / f"{name}.png")
    captions = [picture.caption for picture in found_pictures(tmp_path)]
    assert captions == ["Patch, after epoch 0", "Patch, after epoch 10", "Rec, after epoch 3"]


def test_picture_that_is_half_written_is_left_out(tmp_path):
    (tmp_path / "patch_epoch_0000.png").write_bytes(b"\x89PNG\r\n")
    assert found_pictures(tmp_path) == []


@pytest.mark.parametrize("error", [SyntaxError("broken PNG file"), ValueError("bad"), Image.DecompressionBombError()])
def test_picture_that_is_damaged_is_left_out(tmp_path, monkeypatch, error):
    noise(8, 8).image.save(tmp_path / "patch_epoch_0000.png")

    def broken(*_):
        raise error

    monkeypatch.setattr(Image.Image, "convert", broken)
    assert found_pictures(tmp_path) == []
