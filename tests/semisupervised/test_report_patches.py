"""The labelled patches of the teacher report show teachers what unlabelled ones show them."""

import numpy as np
import pytest
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.semisupervised.report_patches import draw_report_patches

SHAPE, PATCH = (6, 6, 6), (8, 6, 6)
BEFORE_SCAN = 1  # slices of the patch, whose middle is the only labelled voxel
UNDONE = {"a": [(500.0, 40.0), (2.0, 3.0)], "b": [(300.0, 20.0), (4.0, 5.0)]}  # scale and shift of CT and PET


class TwoCases:
    """A CT and a PET each; half of the scan lies outside of nnU-Net's nonzero mask, where both raw are 0."""

    identifiers = tuple(UNDONE)

    def __init__(self, *, masked_ct: bool) -> None:
        self.images = dict(zip(UNDONE, np.random.default_rng(0).random((2, 2, *SHAPE), np.float32), strict=True))
        for case, image in self.images.items():
            scale, shift = UNDONE[case][0]
            image[0, ..., :3] = 0.0 if masked_ct else -shift / scale
            image[1, ..., :3] = 0.0
        self.labels = np.zeros((1, *SHAPE), np.int16)
        self.labels[..., :3] = -1
        self.labels[0, 3, 3, 3] = 1

    def load_case(self, case: str):
        return self.images[case], self.labels, None, {"class_locations": {1: np.array([[0, 3, 3, 3]])}}

    def raw(self, case: str) -> np.ndarray:
        undone = (self.images[case][channel] * scale + shift for channel, (scale, shift) in enumerate(UNDONE[case]))
        return np.where(self.labels < 0, 0.0, np.stack(list(undone))).astype(np.float32)


@pytest.mark.parametrize("masked_ct", [True, False])
def test_only_what_lies_beyond_the_scan_is_padding(tiny_dataset, masked_ct: bool):
    dataset = TwoCases(masked_ct=masked_ct)
    batches = draw_report_patches(
        dataset,
        number=6,
        batch_size=2,
        patch_size=PATCH,
        label_manager=PlansManager(tiny_dataset.plans).get_label_manager(tiny_dataset.dataset_json),
        raw_intensities=UNDONE,
        outside_is_zero=[masked_ct, True],
        raw_padding=[-1024.0, 0.0],
    )
    scan, drawn = slice(BEFORE_SCAN, BEFORE_SCAN + SHAPE[0]), set()
    for clean, raw in (pair for patches, _ in batches for pair in zip(patches.clean, patches.raw, strict=True)):
        case = next(name for name, image in dataset.images.items() if np.array_equal(clean[:, scan], image))
        drawn.add(case)
        np.testing.assert_allclose(raw[:, scan], dataset.raw(case), atol=1e-3)
        for beyond in (raw[:, :BEFORE_SCAN], raw[:, BEFORE_SCAN + SHAPE[0] :]):
            assert (beyond[0] == -1024).all()
            assert (beyond[1] == 0).all()
    assert drawn == {"a", "b"}
    assert [(int(labels.sum()), int(labels.min())) for _, labels in batches] == [(2, 0)] * 3
