import numpy as np
import pytest
import SimpleITK
from anatomy import body_box, load_organ_map, organ_tissues, tissue_named, tissues_from_organ_map
from scipy import ndimage

from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.simulated_dataset import organ_labels
from nnunetv2_muduo.datasets.tissues import Tissue
from nnunetv2_muduo.errors import UserError

AUTOPET_NAMES = {
    1: "spleen",
    2: "kidneys",
    3: "liver",
    4: "urinary bladder",
    5: "lungs",
    6: "brain",
    7: "heart",
    8: "stomach",
    9: "prostate",
    10: "head glands",
}
PHANTOM_NAMES = {1: "liver", 2: "spleen", 3: "kidneys", 4: "heart", 5: "lungs", 6: "bladder"}
COARSE = (12.0, 12.0, 12.0)


@pytest.fixture(scope="module")
def organs() -> np.ndarray:
    """The organs of a phantom with room around them."""
    return np.pad(
        organ_labels(draw_phantom(np.random.default_rng(2), spacing_in_mm=COARSE).tissues), ((2, 2), (8, 8), (9, 9))
    )


def body_around(labels: np.ndarray, seed: int = 0, names: dict[int, str] = PHANTOM_NAMES) -> np.ndarray:
    return tissues_from_organ_map(labels, names=names, spacing_in_mm=COARSE, rng=np.random.default_rng(seed))


def check_body(tissues: np.ndarray, expected: np.ndarray) -> None:
    """Organs are kept and lie inside; skin, muscle and bones are there; the body is one piece of human size."""
    np.testing.assert_array_equal(tissues[expected > 0], expected[expected > 0])
    within = (slice(1, -1),) * 3  # organs may leave the picture
    assert not (expected > 0)[within][ndimage.binary_dilation(tissues == Tissue.AIR)[within]].any()
    assert {Tissue.AIR, Tissue.FAT, Tissue.SOFT, Tissue.BONE} <= set(np.unique(tissues))
    parts, _ = ndimage.label(tissues != Tissue.AIR)
    sizes = np.bincount(parts.ravel())[1:]
    assert sizes.max() > 0.97 * sizes.sum()
    assert 20 < (tissues != Tissue.AIR).sum() * np.prod(COARSE) / 1e6 < 160  # litres


def test_body_is_built_around_the_organs(organs):
    for seed in range(3):
        check_body(body_around(organs, seed), organ_tissues(organs, names=PHANTOM_NAMES))


def test_spine_runs_behind_the_organs(organs):
    tissues = body_around(organs)
    liver = np.argwhere(tissues == Tissue.LIVER)
    kidneys = np.argwhere(tissues == Tissue.KIDNEY)
    z, x = int(kidneys[:, 0].mean()), int((kidneys[:, 2].min() + kidneys[:, 2].max()) / 2)
    spine = np.flatnonzero(tissues[z, :, x - 1 : x + 2].max(axis=1) == Tissue.BONE)
    assert spine.size
    assert spine.mean() > liver[:, 1].mean()


def test_seed_decides_the_body(organs):
    first, again, other = body_around(organs, 1), body_around(organs, 1), body_around(organs, 2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.005


@pytest.mark.parametrize("only", [1, 5, 6])
def test_one_organ_is_enough(organs, only):
    labels = np.where(organs == only, organs, 0)
    tissues = body_around(labels)
    np.testing.assert_array_equal(tissues == organ_tissues(labels, names=PHANTOM_NAMES).max(), labels > 0)
    assert (tissues == Tissue.SOFT).any()


def test_unknown_organs_and_empty_maps_are_refused(organs):
    with pytest.raises(UserError, match="label 6"):
        body_around(organs, names={k: v for k, v in PHANTOM_NAMES.items() if k != 6})
    with pytest.raises(UserError, match="teapot"):
        body_around(organs, names={**PHANTOM_NAMES, 3: "teapot"})
    with pytest.raises(UserError, match="empty"):
        body_around(np.zeros((4, 4, 4), np.uint8))


def write_map(path, array, spacing, direction):
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    SimpleITK.WriteImage(image, str(path))


def test_map_is_resampled_and_turned_to_lps(tmp_path):
    array = np.zeros((8, 10, 12), np.uint8)  # z, y, x
    array[6:, :, :] = 1
    array[:6, 8:, :] = 2
    array[:6, :8, 9:] = 3
    write_map(tmp_path / "map.nii.gz", array, (2.0, 2.0, 3.0), (1, 0, 0, 0, -1, 0, 0, 0, 1))
    labels = load_organ_map(tmp_path / "map.nii.gz", spacing_in_mm=(3.0, 4.0, 4.0))
    assert labels.shape == (8, 5, 6)
    assert (labels[6:] == 1).all()
    assert (labels[:6, 0] == 2).all()  # the file's y axis ran to the front
    assert (labels[:6, 1:, -1] == 3).all()


def test_coarse_voxels_take_the_label_at_their_centre(tmp_path):
    array = np.arange(9, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 3), np.uint8)
    write_map(tmp_path / "map.nii.gz", array, (2.0, 2.0, 2.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    labels = load_organ_map(tmp_path / "map.nii.gz", spacing_in_mm=(6.0, 6.0, 6.0))
    assert labels.ravel().tolist() == [1, 4, 7]


def test_unreadable_map_is_named(tmp_path):
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.nii\.gz"):
        load_organ_map(tmp_path / "broken.nii.gz", spacing_in_mm=COARSE)


@pytest.mark.parametrize("case", [2, 9])
def test_real_anatomy_gets_a_body_with_all_its_organs(shared, case):
    path = shared / "anatomy" / f"anat_{case:03d}.nii.gz"
    labels = load_organ_map(path, spacing_in_mm=COARSE)
    tissues = body_around(labels, case, AUTOPET_NAMES)
    check_body(tissues, organ_tissues(labels, names=AUTOPET_NAMES))


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("kidney_left", Tissue.KIDNEY),
        ("Urinary bladder", Tissue.BLADDER),
        ("lung_upper_lobe_right", Tissue.LUNG),
        ("head glands", Tissue.GLANDS),
        ("vertebrae_L1", Tissue.BONE),
        ("gallbladder", None),
        ("teapot", None),
    ],
)
def test_organ_names_are_understood(name, tissue):
    assert tissue_named(name) is tissue


def test_body_box_holds_the_body_with_its_margin_inside_the_map():
    tissues = np.zeros((6, 9, 12), np.uint8)
    tissues[1:3, 4, 5:8] = Tissue.SOFT
    assert body_box(tissues) == (slice(0, 5), slice(2, 7), slice(3, 10))


def test_body_box_of_air_is_everything():
    air = np.zeros((2, 3, 4), np.uint8)
    assert air[body_box(air)].shape == air.shape
