import pytest

from nnunetv2_muduo.swin_sizes import SIZES, fits, fitting_patches


def test_the_sizes_are_the_published_ones():
    told = {name: (size.depths, size.features) for name, size in SIZES.items()}
    assert told == {"small": ((2, 2, 2, 2), 24), "base": ((2, 2, 6, 2), 48), "large": ((2, 2, 18, 2), 96)}


@pytest.mark.parametrize(
    ("patch", "good"),
    [
        ((96, 128, 128), True),
        ((32, 32, 64), True),
        ((32, 32, 32), False),  # one voxel would be left, of which a norm knows no variance
        ((96, 112, 128), False),
        ((16, 64, 64), False),
    ],
)
def test_a_patch_must_be_halved_five_times(patch: tuple[int, ...], good: bool):
    assert fits(patch) is good


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ((96, 112, 160), [(96, 96, 160), (96, 128, 160)]),
        ((20, 100, 32), [(32, 96, 32), (32, 128, 32)]),
        ((40, 40, 40), [(64, 64, 64)]),
        ((32, 32, 32), [(64, 64, 64)]),
        ((16, 16, 16), [(64, 64, 64)]),
    ],
)
def test_the_patches_that_would_do_are_the_nearest_that_fit(patch: tuple[int, ...], expected: list):
    assert fitting_patches(patch) == expected
    assert all(map(fits, expected))
