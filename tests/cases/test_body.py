import numpy as np

from nnunetv2_muduo.cases.body import body_mask, sample_body_locations

SHAPE = (12, 20, 16)


def scan() -> tuple[np.ndarray, np.ndarray]:
    """A block of tissue with a lung that reaches both ends of the scan, and a table apart from it."""
    ct = np.full(SHAPE, -1000.0)
    ct[:, 4:14, 3:13] = 40
    ct[:, 6:10, 5:9] = -850
    ct[:, 17:19, 2:14] = -300
    return ct, np.zeros(SHAPE)


def expected_body() -> np.ndarray:
    body = np.zeros(SHAPE, dtype=bool)
    body[:, 4:14, 3:13] = True
    return body


def test_the_body_is_the_largest_component_with_its_lungs():
    np.testing.assert_array_equal(body_mask(*scan()), expected_body())


def test_lungs_are_filled_across_the_given_axis():
    turned = [np.moveaxis(volume, 0, 2) for volume in scan()]
    np.testing.assert_array_equal(body_mask(*turned, axial_axis=2), np.moveaxis(expected_body(), 0, 2))


def test_without_tissue_in_ct_uptake_shows_the_body():
    pet = np.zeros(SHAPE)
    pet[:, 4:14, 3:13] = 1.0
    np.testing.assert_array_equal(body_mask(np.full(SHAPE, -1000.0), pet), expected_body())


def test_without_tissue_and_uptake_everything_counts():
    assert body_mask(np.full(SHAPE, -1000.0), np.zeros(SHAPE)).all()


def locations(new_shape=SHAPE, *, spacing=(8.0, 8.0, 8.0), number=10_000, seed=0) -> np.ndarray:
    ct, pet = scan()
    return sample_body_locations(
        ct, pet, spacing_in_mm=spacing, new_shape=new_shape, number=number, generator=np.random.default_rng(seed)
    )


def test_all_voxels_of_a_small_body_are_drawn_once():
    np.testing.assert_array_equal(np.unique(locations(), axis=0), np.argwhere(expected_body()))
    assert len(locations()) == expected_body().sum()


def test_no_more_locations_than_asked_for():
    assert locations(number=7).shape == (7, 3)


def test_locations_follow_the_seed():
    np.testing.assert_array_equal(locations(number=9, seed=4), locations(number=9, seed=4))
    assert (locations(number=9, seed=4) != locations(number=9, seed=5)).any()


def test_locations_move_to_the_resampled_grid():
    new_shape = (24, 10, 32)  # twice, half and twice as many voxels
    finer = np.zeros(new_shape, dtype=bool)
    finer[:, 2:7, 6:26] = True
    assert finer[tuple(locations(new_shape).T)].all()


def test_fine_grids_are_searched_in_steps():
    drawn = locations(spacing=(1.0, 2.0, 8.0))
    assert expected_body()[tuple(drawn.T)].all()
    assert set(drawn[:, 0]) == {0, 4, 8}
    assert (drawn[:, 1] % 2 == 0).all()
    assert set(drawn[:, 2]) == set(range(3, 13))
